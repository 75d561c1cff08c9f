dnl wolfSSL 5.7.0 or later as pkg-config finds it, linked from its archive where it has one. Sets WOLFSSL_CFLAGS,
dnl WOLFSSL_LIBS and, for the summary, `wolfssl`. Only what does TLS includes its headers (tests/arrows).
AC_DEFUN([PAIRSOCKS_WOLFSSL],
[wolfssl_help="./dev deps builds Debian 13's into .deps/wolfssl; then, or for another one, say
  PKG_CONFIG_PATH=PREFIX/lib/pkgconfig to configure (./dev build does)"
PKG_CHECK_EXISTS([wolfssl],
  [wolfssl_version=`$PKG_CONFIG --modversion wolfssl`],
  [AC_MSG_ERROR([wolfSSL was not found by pkg-config.
  $wolfssl_help])])
PKG_CHECK_EXISTS([wolfssl >= 5.7.0], [],
  [AC_MSG_ERROR([wolfSSL $wolfssl_version is too old, 5.7.0 is needed: the 5.5.4 of Debian 12 reads out of bounds
  (CVE-2024-0901), lets servers be anonymous by default and has no hardware acceleration.
  $wolfssl_help])])
PKG_CHECK_MODULES_STATIC([WOLFSSL], [wolfssl])
dnl Its headers are not written for our warnings.
WOLFSSL_CFLAGS=`AS_ECHO([" $WOLFSSL_CFLAGS"]) | sed 's/ -I */ -isystem /g'`
save_CPPFLAGS=$CPPFLAGS
save_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $WOLFSSL_CFLAGS"
PAIRSOCKS_WOLFSSL_LINK
PAIRSOCKS_WOLFSSL_FEATURES
PAIRSOCKS_WOLFSSL_SPEED
CPPFLAGS=$save_CPPFLAGS
LIBS=$save_LIBS
wolfssl="$wolfssl_version, $wolfssl_link, $wolfssl_speed"])

dnl The archive is asked for by name: a -lwolfssl would take the shared library where both are. WOLFSSL_LIBS as
dnl it was is the second choice.
AC_DEFUN([PAIRSOCKS_WOLFSSL_LINK],
[AC_MSG_CHECKING([how to link wolfSSL])
wolfssl_link=no
wolfssl_shared=$WOLFSSL_LIBS
wolfssl_static=`AS_ECHO([" $WOLFSSL_LIBS "]) | sed 's/ -lwolfssl / -l:libwolfssl.a /'`
for try in static shared; do
  AS_VAR_COPY([WOLFSSL_LIBS], [wolfssl_$try])
  LIBS="$WOLFSSL_LIBS $save_LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM(
[[#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#if LIBWOLFSSL_VERSION_HEX < 0x05007000
#error "headers of another version than pkg-config says"
#endif]],
      [[return wolfSSL_Init() != WOLFSSL_SUCCESS || wolfSSL_CTX_new(wolfTLS_server_method()) == 0;]])],
    [wolfssl_link=$try; break])
done
AC_MSG_RESULT([$wolfssl_link])
dnl What of it goes into our own archive, and what is left to whoever links that.
WOLFSSL_ARCHIVE=
WOLFSSL_LIBS_PRIVATE=$WOLFSSL_LIBS
AS_VAR_IF([wolfssl_link], [static],
  [WOLFSSL_ARCHIVE=`AS_ECHO([" $WOLFSSL_LIBS "]) | sed 's/ -l@<:@^:@:>@@<:@^ @:>@*//g; s/ -pthread / /g'`
  WOLFSSL_LIBS_PRIVATE=`AS_ECHO([" $WOLFSSL_LIBS "]) | sed 's/ -L@<:@^ @:>@*//g; s/ -l:libwolfssl.a / /'`])
AC_SUBST([WOLFSSL_ARCHIVE])
AC_SUBST([WOLFSSL_LIBS_PRIVATE])
AS_VAR_IF([wolfssl_link], [no],
  [AC_MSG_ERROR([wolfSSL $wolfssl_version does not compile or link, see config.log])])])

dnl PAIRSOCKS_WOLFSSL_IF(CONDITION, [THEN], [ELSE]): CONDITION is one of the preprocessor, on wolfSSL's options.
AC_DEFUN([PAIRSOCKS_WOLFSSL_IF],
[AC_COMPILE_IFELSE([AC_LANG_PROGRAM(
[[#include <wolfssl/options.h>
#if !($1)
#error "not so"
#endif]])], [$2], [$3])])

dnl What TLS here is made of.
AC_DEFUN([PAIRSOCKS_WOLFSSL_FEATURES],
[AC_MSG_CHECKING([for what wolfSSL must have been built with])
wolfssl_lacks=
m4_foreach_w([feature], [
    WOLFSSL_TLS13
    HAVE_SNI
    HAVE_ALPN
    HAVE_CRL
    HAVE_CERTIFICATE_STATUS_REQUEST
    HAVE_SESSION_TICKET
    HAVE_EXTENDED_MASTER
    HAVE_SUPPORTED_CURVES
    HAVE_ECC
    HAVE_CURVE25519
    HAVE_ED25519
    HAVE_AESGCM
    HAVE_CHACHA
    HAVE_POLY1305
    HAVE_HKDF],
  [PAIRSOCKS_WOLFSSL_IF([defined(]feature[)], [], [AS_VAR_APPEND([wolfssl_lacks], [" feature"])])
])dnl
PAIRSOCKS_WOLFSSL_IF([defined(SINGLE_THREADED)], [AS_VAR_APPEND([wolfssl_lacks], [" threads"])])
AS_VAR_IF([wolfssl_lacks], [],
  [AC_MSG_RESULT([all there])],
  [AC_MSG_RESULT([lacking:$wolfssl_lacks])
  AC_MSG_ERROR([wolfSSL $wolfssl_version was built without$wolfssl_lacks.
  $wolfssl_help])])])

AC_DEFUN([PAIRSOCKS_WOLFSSL_SPEED],
[AC_MSG_CHECKING([whether wolfSSL uses the processor's own AES])
wolfssl_speed="NOT ACCELERATED"
PAIRSOCKS_WOLFSSL_IF([defined(WOLFSSL_AESNI)], [wolfssl_speed="accelerated (AES-NI)"])
PAIRSOCKS_WOLFSSL_IF([defined(WOLFSSL_AESNI) && defined(USE_INTEL_SPEEDUP)],
  [wolfssl_speed="accelerated (AES-NI, AVX)"])
PAIRSOCKS_WOLFSSL_IF([defined(WOLFSSL_ARMASM)], [wolfssl_speed="accelerated (ARMv8)"])
PAIRSOCKS_WOLFSSL_IF([defined(WOLFSSL_RISCV_ASM)], [wolfssl_speed="accelerated (RISC-V)"])
AC_MSG_RESULT([$wolfssl_speed])])

dnl After the summary, where it is read.
AC_DEFUN([PAIRSOCKS_WOLFSSL_WARN],
[AS_VAR_IF([wolfssl_speed], ["NOT ACCELERATED"],
  [AC_MSG_WARN([
  ************************************************************************
  This wolfSSL does not use the AES instructions of the processor. TLS will
  be some 30 times slower than it could be, and its AES takes a time that
  depends on the key. On x86_64 it wants --enable-intelasm, on aarch64
  --enable-armasm; ./dev deps builds such a one into .deps/wolfssl.
  ************************************************************************])])])
