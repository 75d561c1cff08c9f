/* layer_tls_private.h - what the files of the TLS layer share; nobody else includes it. */
#ifndef PAIRSOCKS_LAYER_TLS_PRIVATE_H
#define PAIRSOCKS_LAYER_TLS_PRIVATE_H

#include "streams/layer_tls.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

/* LAYER_TLS_READS_STOP: what waits to be written keeps us from reading, for reading may add answers to it
 * (KeyUpdate). */
enum { LAYER_TLS_READS_STOP = 65 * 1024 };
_Static_assert(LAYER_TLS_READS_STOP + 512 <= BUFFER_LARGE, "a block holds what is answered last");

enum { LAYER_TLS_ALERT_FATAL = 2, LAYER_TLS_ALERT_RECORD = 7 };

struct layer_tls {
    struct layer layer;
    struct tls_context *context;     /* counted; NULL: not chosen yet */
    const struct tls_names *names;   /* borrowed until it is chosen */
    WOLFSSL *ssl;                    /* owned; NULL: not begun */
    struct buffer_pool *pool;        /* borrowed */
    struct buffer in;                /* read ahead */
    struct buffer out;               /* waits for the layer below */
    struct tls_judgement *judgement; /* owned; gone when open, but with keeps_chain */
    char *peer_name;           /* owned; a client's, to check; a server's: what was asked for */
    char *common_name;         /* owned; the peer's */
    struct stream_error later; /* found behind bytes that were handed out first */
    uint8_t fills;             /* in this call */
    uint8_t last[LAYER_TLS_ALERT_RECORD]; /* of what came in the handshake */
    uint8_t alert_version[2];             /* of a record that the client can read */
    bool keeps_chain;
    bool is_silent;    /* the layer below has no more, in this call */
    bool is_paused;    /* reading stopped although it may have */
    bool is_congested; /* reading stopped because of what waits to be written */
    bool was_full;     /* the last read below filled its block */
    bool below_ended;
    bool below_failed;
    bool has_sent; /* anything at all */
    bool is_open;
    bool owes_ticket; /* a server of TLS 1.3 that has said nothing yet */
    bool got_end;     /* close_notify came */
    bool sent_end;    /* close_notify went out, nothing may follow it */
};

/* ---- layer_tls_queue.c: between wolfSSL and the layer below */

/* A new call into the layer begins. */
void layer_tls_begin(struct layer_tls *tls);

/* Reads ahead once. */
enum io layer_tls_fill(struct layer_tls *tls);

/* Appends to a buffer, which moves to a larger block where it has to. False: no memory, or too much. */
bool layer_tls_append(struct layer_tls *tls, struct buffer *b, const void *bytes, size_t n);

/* The end of what the library has seen, `n` bytes more being on their way to it. */
void layer_tls_remember(struct layer_tls *tls, size_t n);

/* Hands what waits to the layer below: `flush` of the layer. */
enum io layer_tls_flush(struct layer *layer);

/* What the library reads and writes with (CallbackIORecv, CallbackIOSend); `user` is the layer. */
int layer_tls_receive(WOLFSSL *ssl, char *out, int size, void *user);
int layer_tls_send(WOLFSSL *ssl, char *bytes, int n, void *user);

/* ---- layer_tls_open.c: the handshake: `open` of the layer */
enum io layer_tls_open(struct layer *layer);

/* ---- layer_tls_error.c: what failed, in our names, and what the peer is told of it */

/* Sets the layer's error, if none is set. Always IO_ERROR. */
enum io layer_tls_fail(struct layer_tls *tls, struct stream_error error);
enum io layer_tls_fail_of(struct layer_tls *tls, enum stream_error_id id);

/* What made wolfSSL stop; `code` as wolfSSL_get_error() has it. */
struct stream_error layer_tls_reason(struct layer_tls *tls, int code);

/* The alert that wolfSSL has not sent. */
void layer_tls_send_alert(struct layer_tls *tls);

#endif
