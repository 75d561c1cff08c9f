dnl libev has no pkg-config file: its header and its library are looked for. EV_CFLAGS and EV_LIBS, given by
dnl the caller, say where they are.
AC_DEFUN([PAIRSOCKS_LIBEV],
[AC_ARG_VAR([EV_CFLAGS], [C compiler flags for libev])
AC_ARG_VAR([EV_LIBS], [linker flags for libev (default: -lev)])
AS_VAR_SET_IF([EV_LIBS], [], [EV_LIBS=-lev])
AC_CACHE_CHECK([for libev 4.25 or later], [pairsocks_cv_libev],
  [save_CPPFLAGS=$CPPFLAGS
  save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $EV_CFLAGS"
  LIBS="$EV_LIBS $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM(
[[#include <ev.h>
#if EV_VERSION_MAJOR != 4 || EV_VERSION_MINOR < 25
#error "another version"
#endif]],
      [[return ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL) == 0;]])],
    [pairsocks_cv_libev=yes], [pairsocks_cv_libev=no])
  CPPFLAGS=$save_CPPFLAGS
  LIBS=$save_LIBS])
AS_VAR_IF([pairsocks_cv_libev], [yes], [],
  [AC_MSG_ERROR([libev was not found: install libev-dev, or say where it is with EV_CFLAGS and EV_LIBS])])])
