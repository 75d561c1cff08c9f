dnl libseccomp, for the filter of system calls. It is left out only when that is asked for, or when it is not there:
dnl the daemon does without, and says so (`sandbox = yes` does not start then).
AC_DEFUN([PAIRSOCKS_SECCOMP],
[AC_ARG_WITH([seccomp],
  [AS_HELP_STRING([--without-seccomp], [build without the filter of system calls (libseccomp)])],
  [], [with_seccomp=auto])
AS_VAR_IF([with_seccomp], [no], [],
  [PKG_CHECK_MODULES([SECCOMP], [libseccomp >= 2.5.0], [have_seccomp=yes], [have_seccomp=no])
  AS_IF([test "$have_seccomp,$with_seccomp" = no,yes],
    [AC_MSG_ERROR([--with-seccomp: libseccomp 2.5 or later was not found (libseccomp-dev)])])
  with_seccomp=$have_seccomp])
AS_VAR_IF([with_seccomp], [yes],
  [AC_DEFINE([HAVE_SECCOMP], [1], [Define to 1 to build the filter of system calls.])],
  [SECCOMP_CFLAGS= SECCOMP_LIBS=
  with_seccomp="NO: libseccomp is not used"])])
