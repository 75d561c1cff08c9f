/* floor_gears.c - the two plain gears of the bare relay (floor.c): copying through one scratch
 * buffer, and splicing through pipes that stay with nobody (floor.h). A direction whose bytes were
 * taken holds nothing. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* As the daemon asks for; an unprivileged user with many pipes keeps the kernel's default. */
#define PIPE_SIZE (256 << 10)

/* ---- copy */

static enum moved copy_move(struct leg *from)
{
    for (int turn = 0; turn < FLOOR_BUDGET; turn++) {
        long n;

        if (from->rest)
            return MOVED_OK;
        if (from->ended && !from->passed_on)
            leg_pass_end(from);
        if (!from->readable)
            return MOVED_OK;
        n = leg_read(from, floor_scratch, sizeof floor_scratch);
        if (n < 0 || (n > 0 && !leg_pass(from, floor_scratch, (size_t)n)))
            return MOVED_BROKEN;
        if (n > 0 && !from->readable && !from->rest)
            return MOVED_OK;
    }
    return MOVED_TURN;
}

const struct gear gear_copy = {.name = "copy", .move = copy_move};

/* ---- splice */

struct tube {
    int in, out;
    size_t holds;
    struct tube *next;
};

static struct tube *tubes; /* empty ones */

static struct tube *tube_lend(void)
{
    struct tube *t = tubes;
    int ends[2];

    if (t) {
        tubes = t->next;
        return t;
    }
    t = calloc(1, sizeof *t);
    if (!t || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        floor_die("pipe");
    t->in = ends[1];
    t->out = ends[0];
    (void)fcntl(t->in, F_SETPIPE_SZ, PIPE_SIZE); /* a small one works as well */
    return t;
}

static void tube_give_back(struct leg *from)
{
    struct tube *t = from->gear;

    from->gear = NULL;
    t->next = tubes;
    tubes = t;
}

/* Empties the pipe as far as the other leg takes it. False: broken. */
static bool tube_drain(struct leg *from)
{
    struct tube *t = from->gear;

    while (t->holds && from->other->writable) {
        ssize_t n = splice(t->out, NULL, from->other->fd, NULL, t->holds,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (n < 0 && errno == EAGAIN)
            from->other->writable = false;
        else if (n <= 0)
            return false;
        else
            t->holds -= (size_t)n;
    }
    if (!t->holds)
        tube_give_back(from);
    return true;
}

/* A full pipe and an empty socket are both EAGAIN; here the pipe is always empty. */
static bool tube_fill(struct leg *from)
{
    struct tube *t = from->gear = tube_lend();
    ssize_t n = splice(from->fd, NULL, t->in, NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n > 0) {
        t->holds = (size_t)n;
        return true;
    }
    tube_give_back(from);
    from->readable = false;
    from->ended = n == 0;
    return n == 0 || errno == EAGAIN;
}

static enum moved splice_move(struct leg *from)
{
    for (int turn = 0; turn < FLOOR_BUDGET; turn++) {
        if (from->gear && !tube_drain(from))
            return MOVED_BROKEN;
        if (from->gear)
            return MOVED_OK;
        if (from->ended && !from->passed_on)
            leg_pass_end(from);
        if (!from->readable)
            return MOVED_OK;
        if (!tube_fill(from))
            return MOVED_BROKEN;
    }
    return MOVED_TURN;
}

/* A pipe with bytes in it is for nobody else. */
static void tube_drop(struct leg *from)
{
    struct tube *t = from->gear;

    if (!t)
        return;
    close(t->in);
    close(t->out);
    free(t);
    from->gear = NULL;
}

static void splice_close(struct session *s)
{
    tube_drop(&s->client);
    tube_drop(&s->target);
}

const struct gear gear_splice = {.name = "splice", .move = splice_move, .close = splice_close};
