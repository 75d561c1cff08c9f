dnl Where systemd looks for units, accounts and folders to be made: for a package (prefix /usr) as its pkg-config file says,
dnl else below the prefix, so that nothing is installed outside (systemd knows those of /usr/local).
AC_DEFUN([PAIRSOCKS_SYSTEMD],
[AC_ARG_WITH([systemdsystemunitdir],
  [AS_HELP_STRING([--with-systemdsystemunitdir=DIR], [where systemd looks for units])],
  [systemdsystemunitdir=$withval],
  [systemdsystemunitdir=
  AS_VAR_IF([prefix], [/usr], [systemdsystemunitdir=`$PKG_CONFIG --variable=systemdsystemunitdir systemd 2>/dev/null`])
  AS_VAR_IF([systemdsystemunitdir], [], [systemdsystemunitdir='${prefix}/lib/systemd/system'])])
AC_SUBST([systemdsystemunitdir])
AC_SUBST([sysusersdir], ['${prefix}/lib/sysusers.d'])
AC_SUBST([tmpfilesdir], ['${prefix}/lib/tmpfiles.d'])])
