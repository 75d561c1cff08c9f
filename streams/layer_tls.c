/* layer_tls.c - wolfSSL between two queues of bytes. */
#include "streams/layer_tls.h"

#include "streams/client_hello.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* WRITE_PIECE: so much is encrypted before the layer below is called. READS_STOP: what waits to be
 * written keeps us from reading, for reading may add answers to it (KeyUpdate); a piece alone does
 * not, or two ends that have both written one would wait for each other. FILLS_A_READ: how often
 * one read asks the layer below, when nothing that it gives makes a byte for the reader. */
enum { WRITE_PIECE = 64 * 1024, READS_STOP = 65 * 1024, FILLS_A_READ = 8, ALERT_FATAL = 2 };

/* Of the stream in a record, and what TLS adds to it, both at most (RFC 8446, 5.2; RFC 5246, 6.2.3). */
enum { RECORD_HOLDS = 16 * 1024, RECORD_ADDS = 64 };
_Static_assert(WRITE_PIECE + WRITE_PIECE / RECORD_HOLDS * RECORD_ADDS + 512 < READS_STOP,
               "a piece leaves room for answers");
_Static_assert(READS_STOP + 512 <= BUFFER_LARGE, "a block holds what is answered last");

/* A plain alert: type(1)=21 version(2) length(2)=2 | level(1) description(1) (RFC 8446, 6). */
enum { ALERT = 21, ALERT_RECORD = 7 };

const char layer_tls_name[] = "tls";

struct layer_tls {
    struct layer layer;
    struct tls_context *context;     /* counted; NULL: not chosen yet */
    const struct tls_names *names;   /* borrowed until it is chosen */
    WOLFSSL *ssl;                    /* owned; NULL: not begun */
    struct buffer_pool *pool;        /* borrowed */
    struct buffer in;                /* read ahead */
    struct buffer out;               /* waits for the layer below */
    struct tls_judgement *judgement; /* owned; gone when open, but with keeps_chain */
    char *peer_name;            /* owned; a client's, to check; a server's: what was asked for */
    char *common_name;          /* owned; the peer's */
    struct stream_error later;  /* found behind bytes that were handed out first */
    uint8_t fills;              /* in this call */
    uint8_t last[ALERT_RECORD]; /* of what came in the handshake */
    uint8_t alert_version[2];   /* of a record that the client can read */
    bool keeps_chain;
    bool is_silent;    /* the layer below has no more, in this call */
    bool is_paused;    /* reading stopped although it may have */
    bool is_congested; /* reading stopped because of what waits to be written */
    bool was_full;     /* the last read below filled its block */
    bool below_ended;
    bool below_failed;
    bool has_sent; /* anything at all */
    bool is_open;
    bool got_end;  /* close_notify came */
    bool sent_end; /* close_notify went out, nothing may follow it */
};

static enum io fail(struct layer_tls *tls, struct stream_error error)
{
    stream_error_keep_first(tls->layer.error, error);
    return IO_ERROR;
}

static enum io fail_of(struct layer_tls *tls, enum stream_error_id id)
{
    return fail(tls, stream_error_of(id));
}

/* ---- below */

/* Appends to a buffer, which moves to a larger block where it has to. */
static bool append(struct layer_tls *tls, struct buffer *b, const void *bytes, size_t n)
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

/* Reads ahead once. */
static enum io fill(struct layer_tls *tls)
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
        return fail(tls, stream_error_read(ENOMEM));
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

/* A new call into the layer begins. */
static void begin(struct layer_tls *tls)
{
    tls->is_silent = tls->is_paused = tls->is_congested = false;
    tls->fills = 0;
}

static enum io tls_flush(struct layer *layer)
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

/* The end of what the library has seen, `n` bytes more being on their way to it. */
static void remember(struct layer_tls *tls, size_t n)
{
    size_t new = n < ALERT_RECORD ? n : ALERT_RECORD;

    memmove(tls->last, tls->last + new, ALERT_RECORD - new);
    memcpy(tls->last + ALERT_RECORD - new, buffer_bytes(&tls->in) + n - new, new);
}

static int on_receive(WOLFSSL *ssl, char *out, int size, void *user)
{
    struct layer_tls *tls = user;
    size_t n;

    (void)ssl;
    if (tls->is_open && buffer_waiting(&tls->out) > READS_STOP) {
        tls->is_congested = true;
        return WOLFSSL_CBIO_ERR_WANT_READ;
    }
    if (!buffer_waiting(&tls->in)) {
        switch (fill(tls)) {
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
        remember(tls, n);
    buffer_consume(&tls->in, tls->pool, n);
    return (int)n;
}

/* Takes everything: a record that is handed over in part, and then crossed by another one, is a
 * broken stream. */
static int on_send(WOLFSSL *ssl, char *bytes, int n, void *user)
{
    struct layer_tls *tls = user;

    (void)ssl;
    tls->has_sent = true;
    if (tls->sent_end)
        return n; /* RFC 8446, 6.1: nothing follows close_notify, not even an answer */
    return append(tls, &tls->out, bytes, (size_t)n) ? n : WOLFSSL_CBIO_ERR_GENERAL;
}

/* ---- errors */

static const struct {
    int code;
    enum stream_error_id id;
} library_errors[] = {
    {VERSION_ERROR, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION},
    {MATCH_SUITE_ERROR, ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE},
    {UNSUPPORTED_SUITE, ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE},
    {UNKNOWN_ALPN_PROTOCOL_NAME_E, ERROR_TLS_HANDSHAKE_NO_COMMON_ALPN},
    {NO_PEER_CERT, ERROR_TLS_CERTIFICATE_MISSING},
    {VERIFY_CERT_ERROR, ERROR_TLS_CERTIFICATE_BAD}, /* these before anybody is asked */
    {MAX_CHAIN_ERROR, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_PARSE_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_VERSION_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_UNKNOWN_OID_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_SIG_OID_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_CRIT_EXT_E, ERROR_TLS_CERTIFICATE_BAD},
};

/* A peer that has no keys yet sends its alert in plain, when the library expects a sealed one: it stops
 * at the header, or behind it. */
static bool heard_plain_alert(struct layer_tls *tls, uint8_t *ret_code)
{
    static const uint8_t header[] = {ALERT, 3};
    static const uint8_t length[] = {0, 2};
    const uint8_t *last = tls->last;

    if (tls->is_open)
        return false;
    if (buffer_waiting(&tls->in) >= 2 && memcmp(last + 2, header, 2) == 0 &&
        memcmp(last + 5, length, 2) == 0)
        remember(tls, 2);
    if (memcmp(last, header, 2) != 0 || memcmp(last + 3, length, 2) != 0)
        return false;
    *ret_code = last[6];
    return true;
}

/* What made wolfSSL stop. */
static struct stream_error reason(struct layer_tls *tls, int code)
{
    WOLFSSL_ALERT_HISTORY alerts;
    uint8_t alert;

    if (tls->judgement && stream_error_set(&tls->judgement->error))
        return tls->judgement->error;
    if (wolfSSL_get_alert_history(tls->ssl, &alerts) == WOLFSSL_SUCCESS &&
        alerts.last_rx.level >= 0 && code != SOCKET_PEER_CLOSED_E && code != SOCKET_ERROR_E &&
        (alerts.last_rx.level == ALERT_FATAL || code == FATAL_ERROR ||
         (!tls->is_open && code == ZERO_RETURN)))
        return stream_error_code(ERROR_TLS_ALERT, alerts.last_rx.code);
    if (tls->is_open)
        return stream_error_of(tls->below_ended ? ERROR_TLS_CUT : ERROR_TLS_RECORD_BAD);
    for (size_t i = 0; i < sizeof library_errors / sizeof library_errors[0]; i++)
        if (library_errors[i].code == code)
            return stream_error_of(library_errors[i].id);
    if (heard_plain_alert(tls, &alert))
        return stream_error_code(ERROR_TLS_ALERT, alert);
    return stream_error_of(ERROR_TLS_HANDSHAKE_PROTOCOL);
}

/* wolfSSL leaves some clients without an answer. Before anything else was sent an alert is plain. */
static void send_alert(struct layer_tls *tls)
{
    uint8_t alert[ALERT_RECORD] = {ALERT, 3, 3, 0, 2, ALERT_FATAL, 50 /* decode_error */};

    if (tls->alert_version[0])
        memcpy(alert + 1, tls->alert_version, 2);
    if (tls->has_sent || tls->below_ended)
        return;
    if (stream_error_is(tls->layer.error, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION))
        alert[6] = 70;
    else if (stream_error_is(tls->layer.error, ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE))
        alert[6] = 40;
    append(tls, &tls->out, alert, sizeof alert);
}

/* ---- opening */

/* The session of a context that is known. */
static bool begin_session(struct layer_tls *tls)
{
    const char *alpn = tls_context_alpn(tls->context);
    struct ip_address ip;

    tls->ssl = wolfSSL_new(tls_context_wolfssl(tls->context));
    tls->judgement = calloc(1, sizeof *tls->judgement);
    if (!tls->ssl || !tls->judgement)
        return false;
    wolfSSL_SSLSetIORecv(tls->ssl, on_receive);
    wolfSSL_SSLSetIOSend(tls->ssl, on_send);
    wolfSSL_SetIOReadCtx(tls->ssl, tls);
    wolfSSL_SetIOWriteCtx(tls->ssl, tls);
    if (alpn) {
        char *copy = strdup(alpn);
        int rc = copy ? wolfSSL_UseALPN(tls->ssl, copy, (unsigned)strlen(copy),
                                        WOLFSSL_ALPN_FAILED_ON_MISMATCH)
                      : 0;

        free(copy);
        if (rc != WOLFSSL_SUCCESS)
            return false;
    }
    if (tls_context_is_server(tls->context))
        return true;
    tls->judgement->peer_name = tls->peer_name;
    if (!tls->peer_name || host_classify(tls->peer_name, strlen(tls->peer_name), &ip) != HOST_NAME)
        return true;
    return wolfSSL_UseSNI(tls->ssl, WOLFSSL_SNI_HOST_NAME, tls->peer_name,
                          (unsigned short)strlen(tls->peer_name)) == WOLFSSL_SUCCESS;
}

/* RFC 8446, 5.1: an alert's version is that of the hello, and of TLS 1.2 at most. */
static enum io refuse_version(struct layer_tls *tls, const struct client_hello *hello)
{
    uint16_t version = hello->version > 0x0303 ? 0x0303 : hello->version;

    tls->alert_version[0] = 3;
    tls->alert_version[1] = version < 0x0300 ? 0 : (uint8_t)version;
    fail_of(tls, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION);
    send_alert(tls);
    return IO_ERROR;
}

/* A server looks for the name first: a context that is changed later would bring its certificate
 * along, but not whom it lets in. And for the versions: without a common one the library says
 * nothing, or blames the suites. */
static enum io choose(struct layer_tls *tls)
{
    struct client_hello hello = {0};
    enum parse parsed;

    for (;;) {
        enum io result;

        parsed = client_hello_parse(buffer_bytes(&tls->in), buffer_waiting(&tls->in), &hello);
        if (parsed != PARSE_MORE || buffer_waiting(&tls->in) >= BUFFER_LARGE)
            break; /* what cannot be read is left to the library, which says so to the peer */
        result = fill(tls);
        if (result != IO_OK)
            return result;
    }
    if (tls->names)
        tls->context = tls_context_ref(tls_names_find(tls->names, hello.name));
    tls->names = NULL;
    if (hello.name[0])
        tls->peer_name = strdup(hello.name);
    if (parsed == PARSE_DONE &&
        !tls_context_speaks(tls->context, hello.offers_1_2, hello.offers_1_3))
        return refuse_version(tls, &hello);
    return IO_OK;
}

/* After the handshake: what need not be kept goes. */
static enum io opened(struct layer_tls *tls)
{
    struct tls_judgement *judgement = tls->judgement;

    if (tls_context_judges(tls->context) && !judgement->is_believed)
        return fail_of(tls, ERROR_TLS_CERTIFICATE_BAD); /* it finished without asking us */
    tls->is_open = true;
    tls->layer.holds = buffer_waiting(&tls->in) > 0;
    if (judgement->common_name[0])
        tls->common_name = strdup(judgement->common_name);
    if (tls->keeps_chain)
        return IO_OK;
    tls_judgement_done(judgement);
    free(judgement);
    tls->judgement = NULL;
    return IO_OK;
}

static enum io shake_hands(struct layer_tls *tls)
{
    struct stream_error error;
    int rc, code;

    tls_context_judge(tls->context, tls->judgement);
    if (tls_context_is_server(tls->context))
        rc = wolfSSL_accept(tls->ssl);
    else
        rc = wolfSSL_connect(tls->ssl);
    tls_context_judged(tls->context);
    if (rc == WOLFSSL_SUCCESS)
        return opened(tls);
    if (tls->below_failed)
        return IO_ERROR;
    code = wolfSSL_get_error(tls->ssl, rc);
    if (code == WOLFSSL_ERROR_WANT_READ && !tls->below_ended)
        return IO_AGAIN;
    error = reason(tls, code);
    if (tls->below_ended && tls_context_is_server(tls->context) &&
        stream_error_is(&error, ERROR_TLS_HANDSHAKE_PROTOCOL))
        return IO_EOF; /* a client that has left did nothing wrong; a server that has is none of TLS */
    fail(tls, error);
    send_alert(tls);
    return IO_ERROR;
}

static enum io tls_open(struct layer *layer)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    enum io result = IO_OK;

    if (tls->is_open)
        return IO_OK;
    begin(tls);
    if (!tls->ssl && (!tls->context || tls_context_is_server(tls->context)))
        result = choose(tls);
    if (result == IO_OK && !tls->ssl && !begin_session(tls))
        result = fail(tls, stream_error_read(ENOMEM));
    if (result == IO_OK)
        result = shake_hands(tls);
    /* An alert goes out as far as it can; then what failed has failed. */
    if (tls_flush(layer) == IO_ERROR)
        return IO_ERROR;
    layer->open_waits = layer->below->read_waits;
    layer->holds = result == IO_AGAIN && tls->is_paused;
    return result;
}

/* ---- open */

/* close_notify with the level of a fatal alert, which says nothing (RFC 8446, 6). */
static bool is_loud_end(const struct layer_tls *tls)
{
    WOLFSSL_ALERT_HISTORY alerts;

    return wolfSSL_get_alert_history(tls->ssl, &alerts) == WOLFSSL_SUCCESS &&
           alerts.last_rx.level == ALERT_FATAL && alerts.last_rx.code == 0;
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
    tls->later = reason(tls, code);
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
        return fail_of(tls, ERROR_STREAM_BAD_STATE);
    layer->holds = false;
    if (stream_error_set(&tls->later))
        return fail(tls, tls->later);
    if (tls->got_end)
        return IO_EOF;
    begin(tls);
    if (layer->flush_waits)
        tls_flush(layer);
    result = decrypt(tls, out, n, &got);
    if (buffer_waiting(&tls->out))
        tls_flush(layer); /* an answer; if it cannot be sent, writing says why */
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
    return result == IO_ERROR ? fail(tls, tls->later) : result;
}

static enum io tls_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    size_t taken = 0;
    enum io result;

    if (!tls->is_open || tls->sent_end)
        return fail_of(tls, ERROR_STREAM_BAD_STATE);
    result = tls_flush(layer);
    while (result == IO_OK && taken < n) {
        size_t piece = n - taken < WRITE_PIECE ? n - taken : WRITE_PIECE;

        buffer_reserve(&tls->out, tls->pool, piece < BUFFER_SMALL / 2 ? piece : BUFFER_LARGE);
        if (wolfSSL_write(tls->ssl, (const uint8_t *)bytes + taken, (int)piece) != (int)piece) {
            buffer_consume(&tls->out, tls->pool, 0);
            return fail(tls, reason(tls, FATAL_ERROR));
        }
        taken += piece;
        result = tls_flush(layer);
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
        return fail_of(tls, ERROR_STREAM_BAD_STATE);
    if (!tls->sent_end)
        wolfSSL_shutdown(tls->ssl);
    tls->sent_end = true;
    result = tls_flush(layer);
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
    .open = tls_open,
    .read = tls_read,
    .write = tls_write,
    .end = tls_end,
    .flush = tls_flush,
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
          !append(tls, &tls->in, options->early, options->early_length)))) {
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

    if (!tls->is_open || tls->sent_end || buffer_waiting(&tls->out) > READS_STOP ||
        wolfSSL_update_keys(tls->ssl) != WOLFSSL_SUCCESS)
        return false;
    return tls_flush(layer) != IO_ERROR;
}
