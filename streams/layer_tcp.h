/* layer_tcp.h - the bottom of every chain: a connected, non-blocking stream socket. */
#ifndef PAIRSOCKS_LAYER_TCP_H
#define PAIRSOCKS_LAYER_TCP_H

#include "streams/layer.h"

struct layer_tcp {
    struct layer layer;
    int fd;        /* owned by the pair, which closes it */
    uint8_t nagle; /* how far we are with TCP_NODELAY, see layer_tcp.c */
};

/* `error` is where failures are stored; borrowed. `no_delay`: TCP_NODELAY is set already. */
void layer_tcp_init(struct layer_tcp *tcp, int fd, bool no_delay, struct stream_error *error);

#endif
