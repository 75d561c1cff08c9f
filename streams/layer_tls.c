/* layer_tls.c - wolfSSL between two queues of bytes: reading, writing and ending when it is open. */
#include "streams/layer_tls_private.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* So much is encrypted before the layer below is called. */
enum { WRITE_PIECE = 64 * 1024 };

/* Of the stream in a record, and what TLS adds to it, both at most (RFC 8446, 5.2; RFC 5246, 6.2.3). Before a piece there
 * may be a ticket, behind it an answer. */
enum { RECORD_HOLDS = 16 * 1024, RECORD_ADDS = 64, TICKET_AND_ANSWER = 512 };
_Static_assert(WRITE_PIECE + WRITE_PIECE / RECORD_HOLDS * RECORD_ADDS + TICKET_AND_ANSWER <
                   LAYER_TLS_READS_STOP,
               "two ends that have both written a piece would wait for each other");

const char layer_tls_name[] = "tls";

/* close_notify with the level of a fatal alert, which says nothing (RFC 8446, 6). */
static bool is_loud_end(const struct layer_tls *tls)
{
    WOLFSSL_ALERT_HISTORY alerts;

    return wolfSSL_get_alert_history(tls->ssl, &alerts) == WOLFSSL_SUCCESS &&
           alerts.last_rx.level == LAYER_TLS_ALERT_FATAL && alerts.last_rx.code == 0;
}

/* What stopped reading: nothing more for now (AGAIN), the end, or an error. */
static enum io stopped(struct layer_tls *tls, int rc)
{
    int code = wolfSSL_get_error(tls->ssl, rc);

    if (code == ZERO_RETURN || code == WOLFSSL_ERROR_ZERO_RETURN || is_loud_end(tls)) {
        tls->got_end = true;
        return IO_EOF;
    }
    if (tls->below_failed)
        return IO_ERROR;
    if (code == WOLFSSL_ERROR_WANT_READ && !tls->below_ended)
        return IO_AGAIN;
    tls->later = layer_tls_reason(tls, code);
    return IO_ERROR;
}

/* Decrypts until `out` is full or nothing more comes. */
static enum io decrypt(struct layer_tls *tls, uint8_t *out, size_t n, size_t *ret_n)
{
    *ret_n = 0;
    while (*ret_n < n) {
        size_t left = n - *ret_n;
        int rc = wolfSSL_read(tls->ssl, out + *ret_n, left < INT_MAX ? (int)left : INT_MAX);

        if (rc <= 0)
            return stopped(tls, rc);
        *ret_n += (size_t)rc;
    }
    return IO_OK;
}

static enum io tls_read(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    enum io result = IO_AGAIN;
    size_t got = 0;

    if (!tls->is_open)
        return layer_tls_fail_of(tls, ERROR_STREAM_BAD_STATE);
    layer->holds = false;
    if (stream_error_set(&tls->later))
        return layer_tls_fail(tls, tls->later);
    if (tls->got_end)
        return IO_EOF;
    layer_tls_begin(tls);
    if (layer->flush_waits)
        layer_tls_flush(layer);
    result = decrypt(tls, out, n, &got);
    if (buffer_waiting(&tls->out))
        layer_tls_flush(layer); /* an answer; if it cannot be sent, writing says why */
    layer->read_waits = layer->below->read_waits;
    if (tls->is_congested && layer->flush_waits)
        layer->read_waits = INTEREST_WRITE;
    else if (tls->is_congested)
        tls->is_paused = true; /* what stood in the way is gone already */
    if (got) {
        layer->holds = result == IO_EOF || result == IO_ERROR || tls->is_paused ||
                       (result == IO_OK && (wolfSSL_pending(tls->ssl) || buffer_waiting(&tls->in)));
        *ret_n = got;
        return IO_OK;
    }
    if (result == IO_AGAIN)
        layer->holds = tls->is_paused;
    return result == IO_ERROR ? layer_tls_fail(tls, tls->later) : result;
}

/* A server's ticket for the next session (RFC 8446, 4.6.1) goes along with what it says first, not in a packet of its
 * own. */
static bool give_ticket(struct layer_tls *tls)
{
    bool owes = tls->owes_ticket;

    tls->owes_ticket = false;
    return !owes || wolfSSL_send_SessionTicket(tls->ssl) == WOLFSSL_SUCCESS;
}

static enum io tls_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    size_t taken = 0;
    enum io result;

    if (!tls->is_open || tls->sent_end)
        return layer_tls_fail_of(tls, ERROR_STREAM_BAD_STATE);
    result = layer_tls_flush(layer);
    while (result == IO_OK && taken < n) {
        size_t piece = n - taken < WRITE_PIECE ? n - taken : WRITE_PIECE;

        buffer_reserve(&tls->out, tls->pool, piece < BUFFER_SMALL / 2 ? piece : BUFFER_LARGE);
        if (!give_ticket(tls) ||
            wolfSSL_write(tls->ssl, (const uint8_t *)bytes + taken, (int)piece) != (int)piece) {
            buffer_consume(&tls->out, tls->pool, 0);
            return layer_tls_fail(tls, layer_tls_reason(tls, FATAL_ERROR));
        }
        taken += piece;
        result = layer_tls_flush(layer);
    }
    layer->write_waits = layer->below->write_waits;
    if (result == IO_ERROR)
        return IO_ERROR;
    if (taken == 0)
        return n == 0 ? IO_OK : IO_AGAIN;
    *ret_n = taken;
    return IO_OK;
}

static enum io tls_end(struct layer *layer)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    enum io result;

    if (!tls->is_open)
        return layer_tls_fail_of(tls, ERROR_STREAM_BAD_STATE);
    if (!tls->sent_end) {
        give_ticket(tls); /* if it cannot: who is at the end needs no reason */
        wolfSSL_shutdown(tls->ssl);
    }
    tls->sent_end = true;
    layer->below->more_follows = true;
    result = layer_tls_flush(layer);
    layer->below->more_follows = false;
    return result == IO_OK ? layer->below->ops->end(layer->below) : result;
}

static void tls_done(struct layer *layer)
{
    struct layer_tls *tls = (struct layer_tls *)layer;

    wolfSSL_free(tls->ssl);
    buffer_clear(&tls->in, tls->pool);
    buffer_clear(&tls->out, tls->pool);
    if (tls->judgement)
        tls_judgement_done(tls->judgement);
    free(tls->judgement);
    free(tls->peer_name);
    free(tls->common_name);
    tls_context_unref(tls->context);
    free(tls);
}

static const struct layer_ops tls_ops = {
    .name = layer_tls_name,
    .open = layer_tls_open,
    .read = tls_read,
    .write = tls_write,
    .end = tls_end,
    .flush = layer_tls_flush,
    .done = tls_done,
    .expired = ERROR_TLS_HANDSHAKE_TIMEOUT,
};

/* A name as it is compared and sent: without the root's dot. */
static char *copy_name(const char *name)
{
    size_t n = strlen(name);

    return strndup(name, n && name[n - 1] == '.' ? n - 1 : n);
}

struct layer *layer_tls_new(const struct layer_tls_options *options)
{
    struct layer_tls *tls = calloc(1, sizeof *tls);

    if (!tls)
        return NULL;
    tls->layer.ops = &tls_ops;
    tls->layer.open_waits = tls->layer.read_waits = INTEREST_READ;
    tls->layer.write_waits = INTEREST_WRITE;
    tls->pool = options->pool;
    tls->names = options->names;
    tls->keeps_chain = options->keeps_chain;
    if (!options->names)
        tls->context = tls_context_ref(options->context);
    if (options->peer_name)
        tls->peer_name = copy_name(options->peer_name);
    if ((options->peer_name && !tls->peer_name) ||
        (options->early_length &&
         (options->early_length > LAYER_TLS_EARLY_MAX ||
          !layer_tls_append(tls, &tls->in, options->early, options->early_length)))) {
        tls_done(&tls->layer);
        return NULL;
    }
    return &tls->layer;
}

/* ---- questions */

static struct layer_tls *asked(struct layer *layer)
{
    return (struct layer_tls *)layer;
}

const char *layer_tls_version(struct layer *layer)
{
    return asked(layer)->is_open ? wolfSSL_get_version(asked(layer)->ssl) : NULL;
}

const char *layer_tls_suite(struct layer *layer)
{
    return asked(layer)->is_open ? wolfSSL_get_cipher_name(asked(layer)->ssl) : NULL;
}

const char *layer_tls_alpn(struct layer *layer, size_t *ret_n)
{
    char *name = NULL;
    unsigned short n = 0;

    if (!asked(layer)->is_open ||
        wolfSSL_ALPN_GetProtocol(asked(layer)->ssl, &name, &n) != WOLFSSL_SUCCESS)
        return NULL;
    *ret_n = n;
    return name;
}

bool layer_tls_is_resumed(struct layer *layer)
{
    return asked(layer)->is_open && wolfSSL_session_reused(asked(layer)->ssl);
}

const char *layer_tls_server_name(struct layer *layer)
{
    const struct layer_tls *tls = asked(layer);

    return tls->context && tls_context_is_server(tls->context) ? tls->peer_name : NULL;
}

const char *layer_tls_peer_common_name(struct layer *layer)
{
    return asked(layer)->common_name;
}

size_t layer_tls_peer_chain(struct layer *layer, const struct x509_span **ret_chain)
{
    const struct tls_judgement *judgement = asked(layer)->judgement;

    if (!judgement)
        return 0;
    *ret_chain = judgement->chain;
    return judgement->chain_n;
}

bool layer_tls_update_keys(struct layer *layer)
{
    struct layer_tls *tls = asked(layer);

    if (!tls->is_open || tls->sent_end || buffer_waiting(&tls->out) > LAYER_TLS_READS_STOP ||
        wolfSSL_update_keys(tls->ssl) != WOLFSSL_SUCCESS)
        return false;
    return layer_tls_flush(layer) != IO_ERROR;
}
