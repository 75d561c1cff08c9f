/* floor_tls.c - the gear of the bare relay (floor.c) that terminates TLS: wolfSSL and two sockets.
 * The client's leg is TLS, the target's plain. Its context is set as the daemon sets one
 * (streams/tls_context.c): TLS 1.3, one certificate, no cache of sessions, a ticket for each.
 *
 * wolfSSL takes every byte that was received and keeps a part of a record itself, and one send(2)
 * carries all records of a turn: so nothing is kept here for a session but wolfSSL's own. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

/* what wolfSSL may hold of an unfinished record, or add to a chunk with its headers */
#define MARGIN (32 << 10)

static WOLFSSL_CTX *context;
static uint8_t plain[FLOOR_CHUNK + MARGIN];

/* what came in the present call, and what is to go */
static struct {
    size_t at, n;
} in;
static struct {
    uint8_t bytes[FLOOR_CHUNK + MARGIN];
    size_t n;
} out;

struct tls {
    WOLFSSL *ssl;
    bool is_open;
    bool said_end;
};

static int on_receive(WOLFSSL *ssl, char *ret_bytes, int size, void *user)
{
    size_t n = in.n - in.at;

    (void)ssl;
    (void)user;
    if (n == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    if (n > (size_t)size)
        n = (size_t)size;
    memcpy(ret_bytes, floor_scratch + in.at, n);
    in.at += n;
    return (int)n;
}

static int on_send(WOLFSSL *ssl, char *bytes, int n, void *user)
{
    (void)ssl;
    (void)user;
    if ((size_t)n > sizeof out.bytes - out.n)
        return WOLFSSL_CBIO_ERR_GENERAL;
    memcpy(out.bytes + out.n, bytes, (size_t)n);
    out.n += (size_t)n;
    return n;
}

static int tls_begin(char **words)
{
    if (!words[0] || !words[1] || !words[2])
        floor_die("--gear tls CERTIFICATE KEY SUITES");
    wolfSSL_Init();
    context = wolfSSL_CTX_new(wolfTLSv1_3_server_method());
    if (!context || wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1_3) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(context, words[2]) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_certificate_chain_file(context, words[0]) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_use_PrivateKey_file(context, words[1], WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS)
        floor_die("the TLS context");
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_SetIORecv(context, on_receive);
    wolfSSL_CTX_SetIOSend(context, on_send);
    return 3;
}

static bool tls_open(struct session *s)
{
    struct tls *tls = calloc(1, sizeof *tls);

    s->client.gear = tls;
    return tls && (tls->ssl = wolfSSL_new(context)) != NULL;
}

static void tls_close(struct session *s)
{
    struct tls *tls = s->client.gear;

    if (tls)
        wolfSSL_free(tls->ssl);
    free(tls);
}

/* Sends what wolfSSL has written. What it writes by itself while a download is blocked has no
 * place: the session ends then, for a client of the benchmark never asks for that. */
static bool flush(struct leg *client)
{
    size_t n = out.n;

    out.n = 0;
    return n == 0 || (!client->other->rest && leg_pass(client->other, out.bytes, n));
}

/* Decrypts all that came; false: broken. */
static bool decrypt(struct leg *client, struct tls *tls)
{
    size_t have = 0;
    int n = 0;

    if (!tls->is_open) {
        n = wolfSSL_accept(tls->ssl);
        tls->is_open = n == WOLFSSL_SUCCESS;
    }
    while (tls->is_open) {
        n = wolfSSL_read(tls->ssl, plain + have, (int)(sizeof plain - have));
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    if (n <= 0)
        switch (wolfSSL_get_error(tls->ssl, n)) {
        case WOLFSSL_ERROR_WANT_READ:
            break;
        case WOLFSSL_ERROR_ZERO_RETURN:
            client->ended = true;
            client->readable = false;
            break;
        default:
            return false;
        }
    return flush(client) && (have == 0 || leg_pass(client, plain, have));
}

static enum moved move_up(struct leg *client, struct tls *tls)
{
    for (int turn = 0; turn < FLOOR_BUDGET; turn++) {
        long n;

        if (client->rest)
            return MOVED_OK;
        if (client->ended && !client->passed_on)
            leg_pass_end(client);
        if (client->ended || !client->readable)
            return MOVED_OK;
        n = leg_read(client, floor_scratch, sizeof floor_scratch);
        if (n < 0)
            return MOVED_BROKEN;
        in.at = 0;
        in.n = (size_t)n;
        if (n > 0 && !decrypt(client, tls))
            return MOVED_BROKEN;
    }
    return MOVED_TURN;
}

static enum moved move_down(struct leg *target, struct tls *tls)
{
    if (!tls->is_open)
        return MOVED_OK;
    for (int turn = 0; turn < FLOOR_BUDGET; turn++) {
        long n;

        if (target->rest)
            return MOVED_OK;
        if (target->ended && !tls->said_end) {
            tls->said_end = true;
            wolfSSL_shutdown(tls->ssl);
            if (!flush(target->other))
                return MOVED_BROKEN;
            continue;
        }
        if (target->ended && !target->passed_on)
            leg_pass_end(target);
        if (!target->readable)
            return MOVED_OK;
        n = leg_read(target, floor_scratch, sizeof floor_scratch);
        if (n < 0 || (n > 0 && wolfSSL_write(tls->ssl, floor_scratch, (int)n) != n) ||
            !flush(target->other))
            return MOVED_BROKEN;
        if (n > 0 && !target->readable && !target->rest)
            return MOVED_OK;
    }
    return MOVED_TURN;
}

static enum moved tls_move(struct leg *from)
{
    struct tls *tls = from->gear;

    return tls ? move_up(from, tls) : move_down(from, from->other->gear);
}

const struct gear gear_tls = {
    .name = "tls",
    .begin = tls_begin,
    .open = tls_open,
    .move = tls_move,
    .close = tls_close,
};
