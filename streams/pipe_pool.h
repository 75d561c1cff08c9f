/* pipe_pool.h - pipes for moving bytes between sockets inside the kernel (splice(2)), a bounded
 * number for one thread. A pipe is lent for as long as bytes are in it or about to be; it comes
 * back empty. */
#ifndef PAIRSOCKS_PIPE_POOL_H
#define PAIRSOCKS_PIPE_POOL_H

#include <stddef.h>

/* What is asked for; an unprivileged user who has many gets smaller ones, and those are not
 * used. */
#define PIPE_SIZE (256 * 1024)

struct pipe_pair {
    int in, out;
    size_t holds; /* bytes put in and not yet taken out */
    struct pipe_pair *next;
};

/* Zeroed, with `max` set, it is ready; max 0 lends none. */
struct pipe_pool {
    struct pipe_pair *free; /* owned */
    unsigned made, max;
    unsigned skip; /* requests to refuse before pipe(2) is tried again after a failure */
};

/* An empty pipe, or NULL: all are lent, or descriptors or pipe memory have run out. Then copy. */
struct pipe_pair *pipe_pool_lend(struct pipe_pool *pool);

/* One that still holds bytes is closed instead of kept: nobody else may see them. */
void pipe_pool_give_back(struct pipe_pool *pool, struct pipe_pair *pipe);

/* Closes what is kept; all must have come back. */
void pipe_pool_done(struct pipe_pool *pool);

#endif
