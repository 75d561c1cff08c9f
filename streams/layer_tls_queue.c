/* layer_tls_queue.c - two queues of bytes between wolfSSL and the layer below. */
#include "streams/layer_tls_private.h"

#include <errno.h>
#include <string.h>

/* How often one read asks the layer below, when nothing that it gives makes a byte for the reader. */
enum { FILLS_A_READ = 8 };

bool layer_tls_append(struct layer_tls *tls, struct buffer *b, const void *bytes, size_t n)
{
    struct buffer larger = {0};

    if (buffer_append(b, tls->pool, bytes, n))
        return true;
    if (!buffer_reserve(&larger, tls->pool, buffer_waiting(b) + n))
        return false;
    buffer_append(&larger, tls->pool, buffer_bytes(b), buffer_waiting(b));
    buffer_append(&larger, tls->pool, bytes, n);
    buffer_clear(b, tls->pool);
    *b = larger;
    return true;
}

/* Makes room behind what is read ahead: a small block first, a large one for who fills it. */
static bool make_room(struct layer_tls *tls)
{
    struct buffer larger = {0};
    size_t waiting = buffer_waiting(&tls->in), room;

    if (!waiting)
        return buffer_reserve(&tls->in, tls->pool, tls->was_full ? BUFFER_LARGE : BUFFER_SMALL);
    buffer_space(&tls->in, &room);
    if (room)
        return true;
    if (!buffer_reserve(&larger, tls->pool, waiting < BUFFER_MEDIUM ? BUFFER_MEDIUM : waiting + 1))
        return false;
    buffer_append(&larger, tls->pool, buffer_bytes(&tls->in), waiting);
    buffer_clear(&tls->in, tls->pool);
    tls->in = larger;
    return true;
}

enum io layer_tls_fill(struct layer_tls *tls)
{
    struct layer *below = tls->layer.below;
    size_t room, n;
    uint8_t *space;
    enum io result;

    if (tls->is_silent)
        return IO_AGAIN;
    if (tls->fills++ >= FILLS_A_READ) {
        tls->is_paused = true;
        return IO_AGAIN;
    }
    if (!make_room(tls)) {
        tls->below_failed = true;
        return layer_tls_fail(tls, stream_error_read(ENOMEM));
    }
    space = buffer_space(&tls->in, &room);
    result = below->ops->read(below, space, room, &n);
    if (result == IO_OK) {
        buffer_added(&tls->in, n);
        tls->was_full = n == room;
        tls->is_silent = n < room && !below->holds;
        return IO_OK;
    }
    buffer_consume(&tls->in, tls->pool, 0); /* gives an empty block back */
    tls->is_silent = result == IO_AGAIN;
    tls->below_ended = result == IO_EOF;
    tls->below_failed = result == IO_ERROR;
    return result;
}

void layer_tls_begin(struct layer_tls *tls)
{
    tls->is_silent = tls->is_paused = tls->is_congested = false;
    tls->fills = 0;
}

enum io layer_tls_flush(struct layer *layer)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    struct layer *below = layer->below;

    layer->flush_waits = INTEREST_NONE;
    while (buffer_waiting(&tls->out)) {
        size_t waiting = buffer_waiting(&tls->out), n = 0;
        enum io result = below->ops->write(below, buffer_bytes(&tls->out), waiting, &n);

        if (result == IO_ERROR) {
            buffer_clear(&tls->out, tls->pool);
            return IO_ERROR;
        }
        if (result == IO_OK)
            buffer_consume(&tls->out, tls->pool, n);
        if (result != IO_OK || n < waiting) {
            layer->flush_waits = below->write_waits;
            break;
        }
    }
    if (below->ops->flush && below->ops->flush(below) == IO_ERROR)
        return IO_ERROR;
    return layer->flush_waits || below->flush_waits ? IO_AGAIN : IO_OK;
}

void layer_tls_remember(struct layer_tls *tls, size_t n)
{
    size_t new = n < LAYER_TLS_ALERT_RECORD ? n : LAYER_TLS_ALERT_RECORD;

    memmove(tls->last, tls->last + new, LAYER_TLS_ALERT_RECORD - new);
    memcpy(tls->last + LAYER_TLS_ALERT_RECORD - new, buffer_bytes(&tls->in) + n - new, new);
}

int layer_tls_receive(WOLFSSL *ssl, char *out, int size, void *user)
{
    struct layer_tls *tls = user;
    size_t n;

    (void)ssl;
    if (tls->is_open && buffer_waiting(&tls->out) > LAYER_TLS_READS_STOP) {
        tls->is_congested = true;
        return WOLFSSL_CBIO_ERR_WANT_READ;
    }
    if (!buffer_waiting(&tls->in)) {
        switch (layer_tls_fill(tls)) {
        case IO_OK:
            break;
        case IO_AGAIN:
            return WOLFSSL_CBIO_ERR_WANT_READ;
        case IO_EOF:
            return WOLFSSL_CBIO_ERR_CONN_CLOSE;
        case IO_ERROR:
            return WOLFSSL_CBIO_ERR_GENERAL;
        }
    }
    n = buffer_waiting(&tls->in);
    if (n > (size_t)size)
        n = (size_t)size;
    memcpy(out, buffer_bytes(&tls->in), n);
    if (!tls->is_open)
        layer_tls_remember(tls, n);
    buffer_consume(&tls->in, tls->pool, n);
    return (int)n;
}

/* Takes everything: a record that is handed over in part, and then crossed by another one, is a
 * broken stream. */
int layer_tls_send(WOLFSSL *ssl, char *bytes, int n, void *user)
{
    struct layer_tls *tls = user;

    (void)ssl;
    tls->has_sent = true;
    if (tls->sent_end)
        return n; /* RFC 8446, 6.1: nothing follows close_notify, not even an answer */
    return layer_tls_append(tls, &tls->out, bytes, (size_t)n) ? n : WOLFSSL_CBIO_ERR_GENERAL;
}
