/* setup.h - what the layers that only set up share: they say something, read an answer of which
 * they know how much is still to come, and are taken off the chain. They never read a byte that is
 * not theirs, so nothing has to be handed on. No layer knows the event loop. */
#ifndef PAIRSOCKS_SETUP_H
#define PAIRSOCKS_SETUP_H

#include "streams/layer.h"

/* How far a set-up got. */
enum setup_phase {
    SETUP_BEGUN,
    SETUP_METHOD,        /* SOCKS5: the proxy chose a method of ours (RFC 1928, 3) */
    SETUP_AUTHENTICATED, /* SOCKS5: it believes the password (RFC 1929) */
    SETUP_ASKED,         /* the request is sent, its answer is waited for */
    SETUP_DONE,
};

/* Told of each phase behind SETUP_BEGUN that is reached, in order, from inside `open`; a phase that a
 * protocol has not is left out. It must not touch the pair. */
typedef void setup_observer(void *context, enum setup_phase phase);

/* Sends all of `bytes` from `*at` on. OK: all is handed down, what a layer below still holds of it
 * included. AGAIN: `open_waits` is set. ERROR. */
enum io setup_send(struct layer *layer, const uint8_t *bytes, size_t n, size_t *at);

/* Reads once, up to `want` bytes in all. OK: `*have` has grown; parse, and ask again while that says
 * MORE: a refusal that is cut short is a refusal. AGAIN: `open_waits` is set. ERROR; a peer that
 * ends its direction is stream.end.early. */
enum io setup_receive(struct layer *layer, uint8_t *in, size_t want, size_t *have);

/* Stores the reason; ERROR. */
enum io setup_fail(struct layer *layer, struct stream_error error);

#endif
