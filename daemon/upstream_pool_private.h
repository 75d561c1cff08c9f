/* upstream_pool_private.h - a pool from the inside: its list (upstream_pool.c), and who of it is next
 * (upstream_choice.c). */
#ifndef PAIRSOCKS_UPSTREAM_POOL_PRIVATE_H
#define PAIRSOCKS_UPSTREAM_POOL_PRIVATE_H

#include "daemon/upstream_pool.h"

#include <pthread.h>

struct entry {
    struct upstream_server *server; /* a reference */
    uint16_t priority, weight;
};

struct upstream_pool {
    char *name;
    char *service; /* NULL: the list was written down */
    int balance;   /* enum balance */
    pthread_mutex_t lock;
    struct entry *entries; /* owned, as all here; behind the lock, as all that follow */
    unsigned count;
    uint32_t turn; /* what spreads the choices */
    bool is_pending;
    struct stream_error error;
};

#endif
