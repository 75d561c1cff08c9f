/* pump.c - two buffers, four descriptors' ends, and a loop that turns while anything can move. */
#include "cli/pump.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 64 * 1024 };

struct direction {
    uint8_t *bytes; /* owned, BLOCK of them */
    size_t begin, end;
    bool got_end; /* from where the bytes come */
    bool put_end; /* to where they go */
};

struct pump {
    struct stream_pair *pair;
    ev_io in, out;
    bool in_ready, out_ready;
    struct direction up, down;
    bool failed; /* our side: see `reason` */
    int reason;
};

static size_t waiting(const struct direction *d)
{
    return d->end - d->begin;
}

static bool wants_more(const struct direction *d)
{
    return !d->got_end && waiting(d) == 0;
}

static bool fail(struct pump *p)
{
    p->failed = true;
    p->reason = errno;
    return false;
}

static void took(struct direction *d, size_t n)
{
    d->begin += n;
    if (d->begin == d->end)
        d->begin = d->end = 0;
}

/* ---- our side. Each returns whether something moved. */

static bool read_input(struct pump *p)
{
    ssize_t n;

    if (!wants_more(&p->up) || !p->in_ready)
        return false;
    p->in_ready = false;
    n = read(STDIN_FILENO, p->up.bytes, BLOCK);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? false : fail(p);
    p->up.got_end = n == 0;
    p->up.end = (size_t)n;
    return true;
}

/* What does not block, whoever else has the descriptor: a pipe that is ready takes PIPE_BUF bytes
 * (pipe(7)). */
static ssize_t put(const void *bytes, size_t n)
{
    ssize_t sent = send(STDOUT_FILENO, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno == ENOTSOCK)
        sent = write(STDOUT_FILENO, bytes, n < PIPE_BUF ? n : PIPE_BUF);
    return sent;
}

static bool write_output(struct pump *p)
{
    struct direction *d = &p->down;
    ssize_t n;

    if (d->got_end && !waiting(d) && !d->put_end) {
        if (shutdown(STDOUT_FILENO, SHUT_WR) != 0)
            close(STDOUT_FILENO);
        d->put_end = true;
        return true;
    }
    if (!waiting(d) || !p->out_ready)
        return false;
    p->out_ready = false;
    n = put(d->bytes + d->begin, waiting(d));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? false : fail(p);
    took(d, (size_t)n);
    return true;
}

/* ---- the connection's */

static bool read_pair(struct pump *p)
{
    struct direction *d = &p->down;
    size_t n;

    if (!wants_more(d))
        return false;
    switch (pair_read(p->pair, d->bytes, BLOCK, &n)) {
    case IO_OK:
        d->end = n;
        return true;
    case IO_EOF:
        d->got_end = true;
        return true;
    default:
        return false;
    }
}

static bool write_pair(struct pump *p)
{
    struct direction *d = &p->up;
    size_t n;

    if (d->got_end && !waiting(d) && !d->put_end) {
        d->put_end = pair_end(p->pair) == IO_OK;
        return d->put_end;
    }
    if (!waiting(d) || pair_write(p->pair, d->bytes + d->begin, waiting(d), &n) != IO_OK)
        return false;
    took(d, n);
    return true;
}

/* ---- the loop */

static void on_ready(EV_P_ ev_io *io, int events)
{
    struct pump *p = io->data;

    (void)events;
    *(io == &p->in ? &p->in_ready : &p->out_ready) = true;
    ev_io_stop(EV_A_ io);
}

static void on_event(struct stream_pair *pair)
{
    (void)pair; /* the loop turns, and all is tried */
}

static void watch(struct ev_loop *loop, ev_io *io, bool wanted)
{
    if (wanted && !ev_is_active(io))
        ev_io_start(loop, io);
    else if (!wanted && ev_is_active(io))
        ev_io_stop(loop, io);
}

static void watch_all(struct pump *p)
{
    int interest = INTEREST_NONE;

    watch(p->pair->loop, &p->in, wants_more(&p->up) && !p->in_ready);
    watch(p->pair->loop, &p->out, waiting(&p->down) && !p->out_ready);
    if (wants_more(&p->down))
        interest |= INTEREST_READ;
    if (waiting(&p->up) || (p->up.got_end && !p->up.put_end))
        interest |= INTEREST_WRITE;
    pair_want(p->pair, (enum interest)interest);
}

static bool is_over(const struct pump *p)
{
    return p->failed || stream_error_set(&p->pair->error) ||
           (p->down.put_end && (p->up.put_end || isatty(STDIN_FILENO)));
}

static void turn(struct pump *p)
{
    bool moved;

    do {
        moved = read_input(p);
        moved |= write_pair(p);
        moved |= read_pair(p);
        moved |= write_output(p);
    } while (moved && !is_over(p));
}

bool pump_run(struct stream_pair *pair, struct stream_error *ret_error)
{
    struct pump p = {.pair = pair};

    *ret_error = (struct stream_error){0};
    p.up.bytes = malloc(BLOCK);
    p.down.bytes = malloc(BLOCK);
    if (!p.up.bytes || !p.down.bytes)
        fail(&p);
    ev_io_init(&p.in, on_ready, STDIN_FILENO, EV_READ);
    ev_io_init(&p.out, on_ready, STDOUT_FILENO, EV_WRITE);
    p.in.data = p.out.data = &p;
    pair->on_event = on_event;
    while (!is_over(&p)) {
        turn(&p);
        if (is_over(&p))
            break;
        watch_all(&p);
        ev_run(pair->loop, EVRUN_ONCE);
    }
    watch(pair->loop, &p.in, false);
    watch(pair->loop, &p.out, false);
    free(p.up.bytes);
    free(p.down.bytes);
    if (stream_error_set(&pair->error))
        *ret_error = pair->error;
    errno = p.reason;
    return !p.failed && !stream_error_set(&pair->error);
}
