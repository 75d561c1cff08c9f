/* uring.c - an experiment: the bare relay (floor.c) on io_uring instead of epoll, by its system
 * calls alone (io_uring(7)). Started by tests/bench/run as `uring PORT`: SOCKS5 CONNECT to IPv4
 * literals, a message in one piece, nothing checked, 127.0.0.1 only.
 *
 * A direction has one operation under way: a receive that takes a buffer of the kernel's ring when
 * bytes are there, so an idle session holds none, or the send of that buffer, after which the
 * buffer goes back. Operations of all sessions are handed over and waited for with one system
 * call. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* BUFFERS: a power of two. BUFFER_SIZE in bytes; GROUP: the name of the ring of buffers */
enum { ENTRIES = 4096, BUFFERS = 512, BUFFER_SIZE = 64 << 10, GROUP = 1, PAGE = 4096 };

/* In the lowest bits of an operation's user data; above them the session (malloc aligns it to
 * 16). */
enum operation { ACCEPT, RECEIVE_UP, RECEIVE_DOWN, SEND_UP, SEND_DOWN, CONNECT, REPLY };

enum phase { GREETING, REQUEST, CONNECTING, RELAYING };

struct direction {
    int from, to;
    bool ended;
    bool starves; /* there was no buffer: in the list of those that wait for one */
    unsigned buffer, at, n;
    struct session *next; /* in that list */
};

struct session {
    enum phase phase;
    unsigned under_way; /* operations: it is freed when there are none */
    bool broken;
    struct direction up, down;
    struct sockaddr_in target;
};

static int ring, listening;

static struct {
    _Atomic unsigned *head, *tail;
    unsigned mask, to_submit;
    struct io_uring_sqe *entries;
} submission;

static struct {
    _Atomic unsigned *head, *tail;
    unsigned mask;
    struct io_uring_cqe *entries;
} completion;

static struct io_uring_buf_ring *buffer_ring;
static uint8_t (*buffers)[BUFFER_SIZE];
static struct session *starving_up, *starving_down;
static bool has_buffers; /* one came back since they were looked for in vain */

static void die(const char *what)
{
    fprintf(stderr, "uring: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- the rings */

static void *map_ring(size_t size, off_t offset)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, offset);

    if (p == MAP_FAILED)
        die("mmap");
    return p;
}

static void begin_rings(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_DEFER_TASKRUN,
                                .cq_entries = 8 * ENTRIES};
    uint8_t *sq, *cq;
    unsigned *array;

    ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring < 0)
        die("io_uring_setup");
    sq = map_ring(p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    cq = map_ring(p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
    submission.entries = map_ring(p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    submission.head = (_Atomic unsigned *)(sq + p.sq_off.head);
    submission.tail = (_Atomic unsigned *)(sq + p.sq_off.tail);
    submission.mask = p.sq_entries - 1;
    array = (unsigned *)(sq + p.sq_off.array);
    for (unsigned i = 0; i < p.sq_entries; i++)
        array[i] = i;
    completion.head = (_Atomic unsigned *)(cq + p.cq_off.head);
    completion.tail = (_Atomic unsigned *)(cq + p.cq_off.tail);
    completion.mask = p.cq_entries - 1;
    completion.entries = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

static void enter(unsigned wait_for)
{
    while (submission.to_submit || wait_for) {
        long n = syscall(SYS_io_uring_enter, ring, submission.to_submit, wait_for,
                         IORING_ENTER_GETEVENTS, NULL, 0);

        if (n < 0 && errno != EINTR && errno != EBUSY)
            die("io_uring_enter");
        if (n >= 0)
            submission.to_submit -= (unsigned)n;
        wait_for = 0;
    }
}

static void submit(struct session *s, enum operation operation, struct io_uring_sqe what)
{
    unsigned tail = atomic_load_explicit(submission.tail, memory_order_relaxed);

    if (tail - atomic_load_explicit(submission.head, memory_order_acquire) > submission.mask)
        enter(0);
    what.user_data = (uintptr_t)s | operation;
    submission.entries[tail & submission.mask] = what;
    atomic_store_explicit(submission.tail, tail + 1, memory_order_release);
    submission.to_submit++;
    if (s)
        s->under_way++;
}

/* ---- buffers */

static void buffer_give_back(unsigned i)
{
    unsigned short tail = buffer_ring->tail;
    struct io_uring_buf *place = &buffer_ring->bufs[tail & (BUFFERS - 1)];

    place->addr = (uintptr_t)buffers[i];
    place->len = BUFFER_SIZE;
    place->bid = (unsigned short)i;
    has_buffers = true;
    atomic_store_explicit((_Atomic unsigned short *)&buffer_ring->tail, tail + 1,
                          memory_order_release);
}

static void begin_buffers(void)
{
    size_t size = BUFFERS * sizeof(struct io_uring_buf);
    struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = GROUP};

    buffer_ring = aligned_alloc(PAGE, size);
    buffers = aligned_alloc(PAGE, (size_t)BUFFERS * BUFFER_SIZE);
    if (!buffer_ring || !buffers)
        die("memory");
    memset(buffer_ring, 0, size);
    reg.ring_addr = (uintptr_t)buffer_ring;
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
        die("a ring of buffers");
    for (unsigned i = 0; i < BUFFERS; i++)
        buffer_give_back(i);
}

/* ---- sessions */

static void receive(struct session *s, struct direction *d)
{
    submit(s, d == &s->up ? RECEIVE_UP : RECEIVE_DOWN,
           (struct io_uring_sqe){.opcode = IORING_OP_RECV,
                                 .fd = d->from,
                                 .len = s->phase == REQUEST ? 10 : BUFFER_SIZE,
                                 .flags = IOSQE_BUFFER_SELECT,
                                 .buf_group = GROUP});
}

static void send_buffer(struct session *s, struct direction *d)
{
    submit(s, d == &s->up ? SEND_UP : SEND_DOWN,
           (struct io_uring_sqe){.opcode = IORING_OP_SEND,
                                 .fd = d->to,
                                 .addr = (uintptr_t)(buffers[d->buffer] + d->at),
                                 .len = d->n - d->at,
                                 .msg_flags = MSG_NOSIGNAL | MSG_WAITALL});
}

/* `text` is constant. */
static void reply(struct session *s, const void *text, unsigned n)
{
    submit(s, REPLY,
           (struct io_uring_sqe){.opcode = IORING_OP_SEND,
                                 .fd = s->up.from,
                                 .addr = (uintptr_t)text,
                                 .len = n,
                                 .msg_flags = MSG_NOSIGNAL});
}

static void session_free_if_over(struct session *s)
{
    bool is_over = s->broken || (s->up.ended && s->down.ended);

    if (is_over && s->under_way && s->broken) { /* so that what is under way ends */
        shutdown(s->up.from, SHUT_RDWR);
        if (s->up.to >= 0)
            shutdown(s->up.to, SHUT_RDWR);
    }
    if (!is_over || s->under_way || s->up.starves || s->down.starves)
        return;
    close(s->up.from);
    if (s->up.to >= 0)
        close(s->up.to);
    free(s);
}

static void session_connect(struct session *s, const uint8_t *request)
{
    s->target.sin_family = AF_INET;
    memcpy(&s->target.sin_addr, request + 4, 4);
    memcpy(&s->target.sin_port, request + 8, 2);
    s->up.to = s->down.from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->up.to < 0)
        die("socket");
    s->phase = CONNECTING;
    submit(s, CONNECT,
           (struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
                                 .fd = s->up.to,
                                 .addr = (uintptr_t)&s->target,
                                 .off = sizeof s->target});
}

/* RFC 1928, 3 and 4 */
static void session_socks(struct session *s, const uint8_t *message, int n)
{
    static const uint8_t method[] = {5, 0};

    if (s->phase == GREETING && n >= 3) {
        s->phase = REQUEST;
        reply(s, method, sizeof method);
        receive(s, &s->up);
    } else if (s->phase == REQUEST && n == 10 && message[1] == 1 && message[3] == 1) {
        session_connect(s, message);
    } else {
        s->broken = true;
    }
}

static void wait_for_buffer(struct session *s, struct direction *d)
{
    struct session **list = d == &s->up ? &starving_up : &starving_down;

    d->starves = true;
    d->next = *list;
    *list = s;
}

static void on_received(struct session *s, struct direction *d, const struct io_uring_cqe *c)
{
    unsigned buffer = c->flags >> IORING_CQE_BUFFER_SHIFT;

    if (c->res == -ENOBUFS) {
        wait_for_buffer(s, d);
    } else if (c->res == 0 && s->phase == RELAYING) {
        d->ended = true;
        shutdown(d->to, SHUT_WR);
    } else if (c->res <= 0) {
        s->broken = true;
    } else if (s->phase != RELAYING) {
        session_socks(s, buffers[buffer], c->res);
    } else {
        d->buffer = buffer;
        d->at = 0;
        d->n = (unsigned)c->res;
        send_buffer(s, d);
        return;
    }
    if (c->flags & IORING_CQE_F_BUFFER)
        buffer_give_back(buffer);
}

static void on_sent(struct session *s, struct direction *d, int n)
{
    if (n > 0)
        d->at += (unsigned)n;
    if (n > 0 && d->at < d->n && !s->broken) {
        send_buffer(s, d);
        return;
    }
    buffer_give_back(d->buffer);
    if (n <= 0)
        s->broken = true;
    else if (!s->broken)
        receive(s, d);
}

static void on_connected(struct session *s, int result)
{
    static const uint8_t success[10] = {5, 0, 0, 1};

    if (result < 0) {
        s->broken = true;
        return;
    }
    s->phase = RELAYING;
    reply(s, success, sizeof success);
    receive(s, &s->up);
    receive(s, &s->down);
}

static void accept_more(void)
{
    submit(NULL, ACCEPT,
           (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT,
                                 .fd = listening,
                                 .accept_flags = SOCK_CLOEXEC,
                                 .ioprio = IORING_ACCEPT_MULTISHOT});
}

static void on_accepted(const struct io_uring_cqe *c)
{
    struct session *s = c->res < 0 ? NULL : aligned_alloc(16, (sizeof *s + 15) & ~(size_t)15);

    if (!(c->flags & IORING_CQE_F_MORE))
        accept_more();
    if (c->res == -ECONNABORTED)
        return;
    if (!s)
        die("accept");
    memset(s, 0, sizeof *s);
    s->up.from = s->down.to = c->res;
    s->up.to = s->down.from = -1;
    receive(s, &s->up);
}

static void on_completion(const struct io_uring_cqe *c)
{
    struct session *s = (struct session *)(uintptr_t)(c->user_data & ~(uint64_t)15);

    if (!s) {
        on_accepted(c);
        return;
    }
    s->under_way--;
    switch ((enum operation)(c->user_data & 15)) {
    case RECEIVE_UP:
        on_received(s, &s->up, c);
        break;
    case RECEIVE_DOWN:
        on_received(s, &s->down, c);
        break;
    case SEND_UP:
        on_sent(s, &s->up, c->res);
        break;
    case SEND_DOWN:
        on_sent(s, &s->down, c->res);
        break;
    case CONNECT:
        on_connected(s, c->res);
        break;
    case REPLY:
        s->broken = s->broken || c->res <= 0;
        break;
    case ACCEPT: /* it has no session */
        break;
    }
    session_free_if_over(s);
}

/* ---- the loop */

static void feed(struct session **list, bool up)
{
    struct session *s = *list;

    *list = NULL;
    while (s) {
        struct direction *d = up ? &s->up : &s->down;
        struct session *next = d->next;

        d->starves = false;
        if (s->broken)
            session_free_if_over(s);
        else
            receive(s, d);
        s = next;
    }
}

static void serve(void)
{
    accept_more();
    for (;;) {
        unsigned head = atomic_load_explicit(completion.head, memory_order_relaxed);

        enter(1);
        for (; head != atomic_load_explicit(completion.tail, memory_order_acquire); head++) {
            on_completion(&completion.entries[head & completion.mask]);
            atomic_store_explicit(completion.head, head + 1, memory_order_release);
        }
        if (has_buffers) {
            has_buffers = false;
            feed(&starving_up, true);
            feed(&starving_down, false);
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (argc != 2) {
        fprintf(stderr, "usage: uring PORT\n");
        return 2;
    }
    at.sin_port = htons((uint16_t)atoi(argv[1]));
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 ||
        setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(listening, (struct sockaddr *)&at, sizeof at) < 0 || listen(listening, 4096) < 0)
        die(argv[1]);
    begin_rings();
    begin_buffers();
    serve();
}
