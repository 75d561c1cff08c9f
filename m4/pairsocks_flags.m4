dnl Compiler and linker flags. Each flag is probed alone and with warnings as errors, so that an unknown or
dnl unused one is left out in silence; what was found goes to a variable of Makefile.am, never to CFLAGS.

dnl PAIRSOCKS_ADD_CFLAG(VARIABLE, FLAG, [WITH]): appends FLAG to VARIABLE where the compiler takes it. WITH
dnl are flags that it needs beside it.
AC_DEFUN([PAIRSOCKS_ADD_CFLAG],
[AS_VAR_PUSHDEF([cache], [pairsocks_cv_cflag_$2])dnl
AC_CACHE_CHECK([whether $CC takes $2], [cache],
  [save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $3 $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
  CFLAGS=$save_CFLAGS])
AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([cache])])

dnl PAIRSOCKS_ADD_LDFLAG(VARIABLE, FLAG, [WITH]): the same for linking; WITH are compiler flags.
AC_DEFUN([PAIRSOCKS_ADD_LDFLAG],
[AS_VAR_PUSHDEF([cache], [pairsocks_cv_ldflag_$2])dnl
AC_CACHE_CHECK([whether $CC links with $2], [cache],
  [save_CFLAGS=$CFLAGS
  save_LDFLAGS=$LDFLAGS
  CFLAGS="$CFLAGS -Werror $3"
  LDFLAGS="$LDFLAGS $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
  CFLAGS=$save_CFLAGS
  LDFLAGS=$save_LDFLAGS])
AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([cache])])

dnl C11 with GNU extensions, and threads. Without them there is nothing to build.
AC_DEFUN([PAIRSOCKS_LANGUAGE],
[BASE_CFLAGS=
m4_foreach_w([flag], [-std=gnu11 -pthread], [PAIRSOCKS_ADD_CFLAG([BASE_CFLAGS], flag)
])dnl
AS_VAR_IF([BASE_CFLAGS], [" -std=gnu11 -pthread"], [],
  [AC_MSG_ERROR([a compiler that takes -std=gnu11 and -pthread is needed])])
AC_SUBST([BASE_CFLAGS])])

dnl --enable-sanitizers. A finding ends the program (UBSan would only print otherwise).
AC_DEFUN([PAIRSOCKS_SANITIZERS],
[SANITIZER_CFLAGS=
AS_VAR_IF([enable_sanitizers], [yes],
  [SANITIZER_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
  AC_MSG_CHECKING([whether $CC links with $SANITIZER_CFLAGS])
  save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $SANITIZER_CFLAGS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
    AC_MSG_ERROR([--enable-sanitizers: the compiler or its sanitizer libraries lack them])])
  CFLAGS=$save_CFLAGS])
AC_SUBST([SANITIZER_CFLAGS])])

dnl --enable-fuzzing. Everything is compiled with coverage; only the fuzz targets are linked with FUZZER_LIBS.
AC_DEFUN([PAIRSOCKS_FUZZING],
[FUZZER_CFLAGS=
FUZZER_LIBS=
AS_VAR_IF([enable_fuzzing], [yes],
  [FUZZER_CFLAGS="-fsanitize=fuzzer-no-link"
  FUZZER_LIBS="-fsanitize=fuzzer"
  AC_MSG_CHECKING([whether $CC links with $FUZZER_LIBS])
  save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $SANITIZER_CFLAGS $FUZZER_LIBS"
  AC_LINK_IFELSE([AC_LANG_SOURCE(
      [[int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size);
      int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size)
      { return size > 0 && data[0] == 0; }]])],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
    AC_MSG_ERROR([--enable-fuzzing needs clang with libFuzzer: ./configure CC=clang --enable-fuzzing])])
  CFLAGS=$save_CFLAGS])
AC_SUBST([FUZZER_CFLAGS])
AC_SUBST([FUZZER_LIBS])
AM_CONDITIONAL([FUZZING], [test "$enable_fuzzing" = yes])])

dnl A position-independent program, read-only relocations, a guarded stack, checked libc calls.
AC_DEFUN([PAIRSOCKS_HARDENING],
[HARDEN_CFLAGS=
HARDEN_CPPFLAGS=
HARDEN_LDFLAGS=
m4_foreach_w([flag], [-fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection],
  [PAIRSOCKS_ADD_CFLAG([HARDEN_CFLAGS], flag)
])dnl
PAIRSOCKS_ADD_LDFLAG([HARDEN_LDFLAGS], [-pie], [-fPIE])
PAIRSOCKS_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,relro])
PAIRSOCKS_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,now])
PAIRSOCKS_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,noexecstack])
AS_VAR_IF([enable_sanitizers], [yes], [], [PAIRSOCKS_FORTIFY])
AC_SUBST([HARDEN_CFLAGS])
AC_SUBST([HARDEN_CPPFLAGS])
AC_SUBST([HARDEN_LDFLAGS])])

dnl _FORTIFY_SOURCE at the highest level that the C library knows. It wants an optimising compiler, and the
dnl sanitizers' own checks are better than it and do not see through it.
AC_DEFUN([PAIRSOCKS_FORTIFY],
[AC_CACHE_CHECK([for the level of _FORTIFY_SOURCE], [pairsocks_cv_fortify],
  [pairsocks_cv_fortify=none
  save_CPPFLAGS=$CPPFLAGS
  save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror"
  for level in 3 2; do
    CPPFLAGS="$save_CPPFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$level"
    AC_COMPILE_IFELSE([AC_LANG_PROGRAM(
[[#include <stdio.h>
#ifndef __OPTIMIZE__
#error "not optimising"
#endif]])],
      [pairsocks_cv_fortify=$level; break])
  done
  CPPFLAGS=$save_CPPFLAGS
  CFLAGS=$save_CFLAGS])
AS_VAR_IF([pairsocks_cv_fortify], [none], [],
  [HARDEN_CPPFLAGS=" -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$pairsocks_cv_fortify"])])

dnl Warnings. Unused parameters are none of them: a callback takes what its library hands it.
AC_DEFUN([PAIRSOCKS_WARNINGS],
[WARN_CFLAGS=
m4_foreach_w([flag], [
    -Wall
    -Wextra
    -Wno-unused-parameter
    -Walloca
    -Wcast-qual
    -Wdate-time
    -Wduplicated-cond
    -Wformat=2
    -Wimplicit-fallthrough
    -Wlogical-op
    -Wmissing-declarations
    -Wmissing-prototypes
    -Wnested-externs
    -Wold-style-definition
    -Wpointer-arith
    -Wredundant-decls
    -Wshadow
    -Wstrict-prototypes
    -Wundef
    -Wvla
    -Wwrite-strings],
  [PAIRSOCKS_ADD_CFLAG([WARN_CFLAGS], flag)
])dnl
AS_VAR_IF([enable_werror], [yes], [AS_VAR_APPEND([WARN_CFLAGS], [" -Werror"])])
AC_SUBST([WARN_CFLAGS])])
