dnl libxcrypt, for the hashes of passwords: crypt_rn is no function of other libcrypts. CRYPT_LIBS is kept out
dnl of LIBS: only what hashes is linked with it.
AC_DEFUN([PAIRSOCKS_LIBCRYPT],
[save_LIBS=$LIBS
LIBS=
AC_CHECK_HEADER([crypt.h], [AC_SEARCH_LIBS([crypt_rn], [crypt])], [ac_cv_search_crypt_rn=no])
AS_VAR_IF([ac_cv_search_crypt_rn], [no],
  [AC_MSG_ERROR([libcrypt with crypt_rn (libxcrypt) was not found: install libcrypt-dev])])
AC_SUBST([CRYPT_LIBS], [$LIBS])
LIBS=$save_LIBS])
