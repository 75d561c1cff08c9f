/* pipe_pool.c - pipes on a free list. */
#include "streams/pipe_pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Where there are no pipes to be had, not every turn asks for one. */
enum { SKIP_AFTER_FAILURE = 1000 };

static void pipe_close(struct pipe_pair *pipe)
{
    close(pipe->in);
    close(pipe->out);
    free(pipe);
}

static struct pipe_pair *pipe_open(void)
{
    struct pipe_pair *pipe = calloc(1, sizeof *pipe);
    int fds[2];

    if (!pipe || pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(pipe);
        return NULL;
    }
    pipe->out = fds[0];
    pipe->in = fds[1];
    if (fcntl(pipe->in, F_SETPIPE_SZ, PIPE_SIZE) >= PIPE_SIZE)
        return pipe;
    pipe_close(pipe);
    return NULL;
}

struct pipe_pair *pipe_pool_lend(struct pipe_pool *pool)
{
    struct pipe_pair *pipe = pool->free;

    if (pipe) {
        pool->free = pipe->next;
        return pipe;
    }
    if (pool->made == pool->max || pool->skip) {
        pool->skip -= pool->skip > 0;
        return NULL;
    }
    pipe = pipe_open();
    if (pipe)
        pool->made++;
    else
        pool->skip = SKIP_AFTER_FAILURE;
    return pipe;
}

void pipe_pool_give_back(struct pipe_pool *pool, struct pipe_pair *pipe)
{
    if (pipe->holds) {
        pool->made--;
        pipe_close(pipe);
        return;
    }
    pipe->next = pool->free;
    pool->free = pipe;
}

void pipe_pool_done(struct pipe_pool *pool)
{
    while (pool->free) {
        struct pipe_pair *pipe = pool->free;

        pool->free = pipe->next;
        pipe_close(pipe);
    }
    pool->made = 0;
}
