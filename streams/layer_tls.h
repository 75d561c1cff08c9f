/* layer_tls.h - TLS 1.2 and 1.3 as a layer, client or server, over any layer below, another one of
 * its kind included. Pushed with pair_open_layer(); the handshake is its `open`.
 *
 * What comes in is read ahead in large pieces; what goes out waits in a queue that always takes a
 * whole record (a record is never left half handed over to the library), and nothing more is
 * written, or read, than the queue's bound has room for. Both are blocks of the pool and are held
 * only while there are bytes in them. */
#ifndef PAIRSOCKS_LAYER_TLS_H
#define PAIRSOCKS_LAYER_TLS_H

#include "streams/buffer.h"
#include "streams/layer.h"
#include "streams/tls_context.h"
#include "streams/tls_names.h"

struct layer_tls_options {
    struct tls_context *context;   /* a client's, or a server's without `names`; counted */
    const struct tls_names *names; /* a server's: contexts by the name that the client asks for;
                                      borrowed until the layer is open */
    /* A client's: the name or the address that the certificate has to be for, sent as SNI if it is a
     * name. NULL: no check, nothing sent. Copied. */
    const char *peer_name;
    bool keeps_chain;         /* layer_tls_peer_chain() is asked after opening, too */
    struct buffer_pool *pool; /* borrowed; of the thread that the pair belongs to */
    /* Bytes of the peer that were read before (with a PROXY header): the layer sees them first. */
    const void *early;
    size_t early_length; /* at most LAYER_TLS_EARLY_MAX */
};

enum { LAYER_TLS_EARLY_MAX = BUFFER_MEDIUM };

extern const char layer_tls_name[]; /* for pair_find_layer() */

/* NULL: no memory. The layer is freed with its `done`. */
struct layer *layer_tls_new(const struct layer_tls_options *options);

/* What can be asked of an open layer. Texts and bytes belong to the layer; NULL or 0: there is
 * none. */
const char *layer_tls_version(struct layer *layer); /* "TLSv1.2", "TLSv1.3" */
const char *layer_tls_suite(struct layer *layer);   /* as `ciphers` has it */
const char *layer_tls_alpn(struct layer *layer, size_t *ret_n);
bool layer_tls_is_resumed(struct layer *layer);

/* The name that the client asked a server for; NULL: none. */
const char *layer_tls_server_name(struct layer *layer);

/* The subject's common name of the peer's certificate, if one was shown and proved by a root of the
 * bundle, and it holds nothing but printable ASCII. */
const char *layer_tls_peer_common_name(struct layer *layer);

/* The peer's certificates as DER, its own first: as soon as they were judged, whatever came of it.
 * When the layer is open they are gone, for an idle connection is to be small, but with
 * `keeps_chain`. */
size_t layer_tls_peer_chain(struct layer *layer, const struct x509_span **ret_chain);

/* Asks for new keys in both directions (RFC 8446, 4.6.3); TLS 1.3. False: not now. */
bool layer_tls_update_keys(struct layer *layer);

#endif
