/* tls_client.c - the TLS clients of the benchmark, on OpenSSL (tls_client.h). Linked with load.c by tests/bench/run
 * when TLS is measured. What a client costs is not counted, but it shares a CPU with the target: so records are read
 * many at a time. */
#include "tls_client.h"

#include "wire.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#define SUITE "TLS_AES_128_GCM_SHA256"
#define READ_AHEAD (64 << 10) /* bytes */

/* not const: OpenSSL's macros cast that away */
static char group[] = "X25519";
static char name[] = "localhost";
static SSL_CTX *context;

static void die_of_tls(const char *what)
{
    char text[160];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    die(ERR_peek_last_error() ? 0 : errno, "TLS: %s: %s", what, text);
}

static void tls_begin(const char *authority)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, SUITE) || !SSL_CTX_set1_groups_list(context, group) ||
        !SSL_CTX_load_verify_file(context, authority))
        die_of_tls("cannot begin");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
}

static void *tls_new(int fd)
{
    SSL *ssl = SSL_new(context);

    if (!ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, name) ||
        !SSL_set1_host(ssl, name))
        die_of_tls("cannot make a client");
    SSL_set_connect_state(ssl);
    return ssl;
}

static void tls_free(void *tls)
{
    SSL_free(tls);
}

/* Whether the call that returned `n` is to be made again; any other failure is for the caller. */
static bool must_wait(SSL *ssl, int n)
{
    int err = SSL_get_error(ssl, n);

    return err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE;
}

static bool tls_handshake(void *tls)
{
    SSL *ssl = tls;

    ERR_clear_error();
    errno = 0;
    int n = SSL_do_handshake(ssl);
    if (n != 1 && must_wait(ssl, n))
        return false;
    if (n != 1)
        die_of_tls("handshake");
    if (SSL_session_reused(ssl) || SSL_version(ssl) != TLS1_3_VERSION ||
        strcmp(SSL_get_cipher_name(ssl), SUITE) != 0)
        die(0, "TLS: %s with %s%s is not what was asked for", SSL_get_version(ssl),
            SSL_get_cipher_name(ssl), SSL_session_reused(ssl) ? ", resumed," : "");
    return true;
}

static ssize_t tls_read(void *tls, void *ret_bytes, size_t max)
{
    SSL *ssl = tls;
    size_t n;

    ERR_clear_error();
    errno = 0;
    if (SSL_read_ex(ssl, ret_bytes, max, &n))
        return (ssize_t)n;
    switch (SSL_get_error(ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        if (errno)
            return -1;
        break;
    default:
        if (ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
            die_of_tls("read");
    }
    errno = EPROTO;
    return -1;
}

static ssize_t tls_write(void *tls, const void *bytes, size_t n)
{
    SSL *ssl = tls;
    size_t all = 0, written;

    while (all < n) { /* a record at a time */
        ERR_clear_error();
        errno = 0;
        if (!SSL_write_ex(ssl, (const char *)bytes + all, n - all, &written)) {
            if (!must_wait(ssl, 0))
                die_of_tls("write");
            break;
        }
        all += written;
    }
    if (all > 0)
        return (ssize_t)all;
    errno = EAGAIN;
    return -1;
}

static void tls_end(void *tls)
{
    ERR_clear_error();
    errno = 0;
    if (SSL_shutdown(tls) < 0)
        die_of_tls("close_notify");
}

const struct tls_client_calls tls_client = {
    .begin = tls_begin,
    .new = tls_new,
    .free = tls_free,
    .handshake = tls_handshake,
    .read = tls_read,
    .write = tls_write,
    .end = tls_end,
};
