/* floor_zerocopy.c - an experiment as a gear of the bare relay (floor.c): copying with
 * MSG_ZEROCOPY. A buffer that was sent is the kernel's until it reports so on the socket's error
 * queue (SO_EE_ORIGIN_ZEROCOPY), and waits for that in a short queue of its direction; small reads
 * are sent as ever, for there the reports cost more than the copy. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

/* IN_FLIGHT: buffers of one direction that the kernel may hold. WORTH_IT: bytes; the kernel's
 * documentation names 10 KB as the size from which it may pay. */
enum { IN_FLIGHT = 8, WORTH_IT = 10 << 10 };

struct buffer {
    struct buffer *next; /* in the list of free ones */
    uint32_t last;       /* the number of its last send */
    uint8_t bytes[FLOOR_CHUNK];
};

struct flight {
    struct buffer *queue[IN_FLIGHT]; /* from `first` on, in the order of their sends */
    unsigned first, count;
    struct buffer *now; /* read, and not sent to its end */
    size_t at, n;
    bool is_lent;   /* a part of `now` was sent without a copy */
    uint32_t sends; /* the kernel counts the zerocopy sends of a socket from 0 */
    uint32_t done;  /* those before it are reported */
};

static struct buffer *spare;
static unsigned long long sends_in_all, copied_in_all;

static struct buffer *buffer_lend(void)
{
    struct buffer *b = spare;

    if (b)
        spare = b->next;
    else if (!(b = malloc(sizeof *b)))
        floor_die("memory");
    return b;
}

static void buffer_give_back(struct buffer *b)
{
    b->next = spare;
    spare = b;
}

/* Takes the reports of the other leg's socket. */
static void reap(struct leg *from, struct flight *f)
{
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
    } control;

    while (f->count) {
        struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
        struct sock_extended_err *report;

        if (recvmsg(from->other->fd, &message, MSG_ERRQUEUE) < 0)
            return;
        if (!CMSG_FIRSTHDR(&message))
            continue;
        report = (struct sock_extended_err *)CMSG_DATA(CMSG_FIRSTHDR(&message));
        if (report->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
            continue;
        f->done = report->ee_data + 1; /* sends ee_info to ee_data; a stream reports in order */
        if (report->ee_code & SO_EE_CODE_ZEROCOPY_COPIED)
            copied_in_all += report->ee_data - report->ee_info + 1;
        while (f->count && (int32_t)(f->queue[f->first]->last - f->done) < 0) {
            buffer_give_back(f->queue[f->first]);
            f->first = (f->first + 1) % IN_FLIGHT;
            f->count--;
        }
    }
}

/* Sends more of `now`. False: broken. */
static bool send_more(struct leg *from, struct flight *f)
{
    bool is_small = f->n < WORTH_IT;
    ssize_t sent = send(from->other->fd, f->now->bytes + f->at, f->n - f->at,
                        MSG_NOSIGNAL | (is_small ? 0 : MSG_ZEROCOPY));

    if (sent < 0 && errno == ENOBUFS) { /* too many reports wait: this once it is copied */
        is_small = true;
        sent = send(from->other->fd, f->now->bytes + f->at, f->n - f->at, MSG_NOSIGNAL);
    }
    if (sent < 0 && errno == EAGAIN) {
        from->other->writable = false;
        return true;
    }
    if (sent < 0)
        return false;
    if (!is_small) {
        f->now->last = f->sends++;
        f->is_lent = true;
        sends_in_all++;
    }
    f->at += (size_t)sent;
    if (f->at < f->n) {
        from->other->writable = false;
        return true;
    }
    if (f->is_lent)
        f->queue[(f->first + f->count++) % IN_FLIGHT] = f->now;
    else
        buffer_give_back(f->now);
    f->now = NULL;
    return true;
}

/* Reads into a buffer of its own. False: broken. */
static bool read_more(struct leg *from, struct flight *f)
{
    long n;

    f->now = buffer_lend();
    f->is_lent = false;
    n = leg_read(from, f->now->bytes, sizeof f->now->bytes);
    if (n <= 0) {
        buffer_give_back(f->now);
        f->now = NULL;
    }
    f->at = 0;
    f->n = n > 0 ? (size_t)n : 0;
    return n >= 0;
}

static bool zerocopy_open(struct session *s)
{
    struct leg *legs[] = {&s->client, &s->target};

    for (int i = 0; i < 2; i++) {
        legs[i]->gear = calloc(1, sizeof(struct flight));
        if (!legs[i]->gear ||
            setsockopt(legs[i]->fd, SOL_SOCKET, SO_ZEROCOPY, &(int){1}, sizeof(int)) < 0)
            floor_die("SO_ZEROCOPY");
    }
    return true;
}

static enum moved zerocopy_move(struct leg *from)
{
    struct flight *f = from->gear;

    for (int turn = 0; turn < FLOOR_BUDGET; turn++) {
        reap(from, f);
        if (f->now && from->other->writable && !send_more(from, f))
            return MOVED_BROKEN;
        if (f->now || f->count == IN_FLIGHT)
            return MOVED_OK; /* the socket, or its error queue, will say when to go on */
        if (from->ended && !from->passed_on && f->count == 0)
            leg_pass_end(from);
        if (!from->readable)
            return MOVED_OK;
        if (!read_more(from, f))
            return MOVED_BROKEN;
    }
    return MOVED_TURN;
}

/* An end waits until every buffer is reported. Only a session that broke leaves some with the
 * kernel: those are lost, for nobody will say when they are free. */
static void zerocopy_close(struct session *s)
{
    struct leg *legs[] = {&s->client, &s->target};

    for (int i = 0; i < 2; i++) {
        struct flight *f = legs[i]->gear;

        if (f && f->now && !f->is_lent)
            buffer_give_back(f->now);
        free(f);
        legs[i]->gear = NULL;
    }
}

static void zerocopy_say(void)
{
    printf("zerocopy: %llu sends, of which the kernel copied %llu\n", sends_in_all, copied_in_all);
}

const struct gear gear_zerocopy = {
    .name = "zerocopy",
    .open = zerocopy_open,
    .move = zerocopy_move,
    .close = zerocopy_close,
    .say = zerocopy_say,
};
