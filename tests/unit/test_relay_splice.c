/* test_relay_splice.c - the relay's second gear between real sockets: it is taken under load,
 * left when quiet, and loses nothing when pipes are few, slow or gone. */
#include "daemon/relay.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(relay_splice, .timeout = 10);

enum { SIZE = 12 * 1024 * 1024 };

struct plumbing {
    struct stream_pair left, right;
    struct relay_direction up, down;
    struct buffer_pool pool;
    struct pipe_pool pipes;
    struct relay_tools tools;
    int source, sink; /* the far ends */
    uint8_t *sent, *got;
    size_t sent_length, got_length;
};

static void on_event(struct stream_pair *pair)
{
    (void)pair;
}

static int make_end(struct stream_pair *pair)
{
    static const struct ip_endpoint nobody;
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair_init(pair, ev_default_loop(EVFLAG_NOENV), on_event);
    pair_adopt(pair, fds[0], &nobody, true);
    return fds[1];
}

static struct plumbing *plumb(unsigned pipes)
{
    struct plumbing *p = calloc(1, sizeof *p);

    signal(SIGPIPE, SIG_IGN);
    p->source = make_end(&p->left);
    p->sink = make_end(&p->right);
    p->up = (struct relay_direction){.from = &p->left, .to = &p->right, .reverse = &p->down};
    p->down = (struct relay_direction){.from = &p->right, .to = &p->left, .reverse = &p->up};
    p->pipes.max = pipes;
    p->tools = (struct relay_tools){&p->pool, &p->pipes, malloc(RELAY_SCRATCH)};
    p->sent = malloc(SIZE);
    p->got = malloc(SIZE + 1);
    for (size_t i = 0; i < SIZE; i++)
        p->sent[i] = (uint8_t)(i * 31 + i / 4093);
    return p;
}

static void unplumb(struct plumbing *p)
{
    relay_release(&p->up, &p->tools);
    relay_release(&p->down, &p->tools);
    pair_close(&p->left);
    pair_close(&p->right);
    close(p->source);
    close(p->sink);
    cr_assert_eq(p->pool.lent, 0);
    buffer_pool_done(&p->pool);
    pipe_pool_done(&p->pipes);
    free(p->tools.scratch);
    free(p->sent);
    free(p->got);
    free(p);
}

static enum relay_result pump(struct plumbing *p)
{
    p->left.ready = p->right.ready = INTEREST_READ | INTEREST_WRITE;
    return relay_pump(&p->up, &p->tools, NULL);
}

/* Sends as much as fits, in pieces of `piece`, up to `until`. */
static void feed(struct plumbing *p, size_t piece, size_t until)
{
    while (p->sent_length < until) {
        size_t n = until - p->sent_length < piece ? until - p->sent_length : piece;
        ssize_t done = write(p->source, p->sent + p->sent_length, n);

        if (done < 0)
            return;
        p->sent_length += (size_t)done;
    }
}

/* Takes at most `appetite` bytes. */
static void drink(struct plumbing *p, size_t appetite)
{
    while (appetite) {
        size_t room = SIZE + 1 - p->got_length;
        ssize_t done = read(p->sink, p->got + p->got_length, appetite < room ? appetite : room);

        if (done <= 0)
            return;
        p->got_length += (size_t)done;
        appetite -= (size_t)done;
    }
}

/* Room for many reads in a row that fill the scratch buffer. */
static void enlarge(int fd)
{
    int size = 4 << 20;

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
}

static void carry_all(struct plumbing *p, size_t appetite)
{
    bool spliced = false;

    while (p->got_length < SIZE) {
        feed(p, 1 << 20, SIZE);
        cr_assert_leq(pump(p), RELAY_MOVED);
        spliced = spliced || p->up.splices;
        drink(p, appetite);
    }
    cr_assert_eq(memcmp(p->got, p->sent, SIZE), 0);
    cr_assert_eq(p->up.bytes, SIZE);
    cr_assert_eq(spliced, p->pipes.max > 0, "the gear");
}

Test(relay_splice, a_busy_direction_splices_and_every_byte_arrives)
{
    struct plumbing *p = plumb(4);

    enlarge(p->source);
    carry_all(p, SIZE_MAX);
    unplumb(p);
}

Test(relay_splice, without_pipes_it_copies)
{
    struct plumbing *p = plumb(0);

    carry_all(p, SIZE_MAX);
    cr_assert_eq(p->pipes.made, 0);
    unplumb(p);
}

static void start_splicing(struct plumbing *p)
{
    enlarge(p->source);
    while (!p->up.splices) {
        feed(p, 1 << 20, SIZE / 2);
        pump(p);
        drink(p, SIZE_MAX);
        cr_assert_lt(p->got_length, SIZE / 2, "it never splices");
    }
}

Test(relay_splice, an_appetite_of_a_few_bytes_loses_none)
{
    struct plumbing *p = plumb(1);

    start_splicing(p);
    while (p->got_length < SIZE) {
        feed(p, 100000, SIZE);
        cr_assert_leq(pump(p), RELAY_MOVED);
        drink(p, 33333);
    }
    cr_assert_eq(memcmp(p->got, p->sent, SIZE), 0);
    unplumb(p);
}

Test(relay_splice, a_full_peer_stops_the_reading_and_the_pipe_waits)
{
    struct plumbing *p = plumb(1);
    size_t left;

    start_splicing(p);
    for (int i = 0; i < 200 && !p->up.pipe; i++) {
        feed(p, 1 << 20, SIZE);
        pump(p);
    }
    cr_assert_not_null(p->up.pipe);
    cr_assert(relay_wants_write(&p->up));
    cr_assert(!relay_wants_read(&p->up));
    left = p->up.pipe->holds;
    for (int i = 0; i < 5; i++)
        cr_assert_eq(pump(p), RELAY_IDLE);
    cr_assert_eq(p->up.pipe->holds, left);
    carry_all(p, SIZE_MAX);
    unplumb(p);
}

Test(relay_splice, a_quiet_direction_goes_back_to_copying_and_holds_no_pipe)
{
    struct plumbing *p = plumb(1);

    start_splicing(p);
    while (p->got_length < p->sent_length) {
        pump(p);
        drink(p, SIZE_MAX);
    }
    for (int i = 0; i < 20; i++) {
        feed(p, 1, p->sent_length + 1);
        pump(p);
        drink(p, SIZE_MAX);
        cr_assert_null(p->up.pipe);
    }
    cr_assert(!p->up.splices);
    cr_assert_eq(p->got_length, p->sent_length);
    cr_assert_eq(memcmp(p->got, p->sent, p->got_length), 0);
    unplumb(p);
}

Test(relay_splice, the_end_comes_after_what_is_in_the_pipe)
{
    struct plumbing *p = plumb(1);

    start_splicing(p);
    for (int i = 0; i < 200 && !p->up.pipe; i++) {
        feed(p, 1 << 20, SIZE);
        pump(p);
    }
    shutdown(p->source, SHUT_WR);
    while (p->up.state != RELAY_ENDED) {
        cr_assert_leq(pump(p), RELAY_MOVED);
        drink(p, 70000);
    }
    drink(p, SIZE_MAX);
    cr_assert_eq(p->got_length, p->sent_length);
    cr_assert_eq(memcmp(p->got, p->sent, p->got_length), 0);
    unplumb(p);
}

Test(relay_splice, a_peer_that_goes_away_fails_the_write_and_its_pipe_is_not_lent_again)
{
    struct plumbing *p = plumb(1);
    enum relay_result result = RELAY_MOVED;

    start_splicing(p);
    for (int i = 0; i < 200 && !p->up.pipe; i++) {
        feed(p, 1 << 20, SIZE);
        pump(p);
    }
    cr_assert_not_null(p->up.pipe);
    close(p->sink);
    p->sink = -1;
    for (int i = 0; i < 10 && result <= RELAY_MOVED; i++)
        result = pump(p);
    cr_assert_eq(result, RELAY_WRITE_FAILED);
    cr_assert(stream_error_is(&p->right.error, ERROR_SYSTEM_WRITE_RESET));
    relay_release(&p->up, &p->tools);
    cr_assert_eq(p->pipes.made, 0);
    cr_assert_null(p->pipes.free);
    unplumb(p);
}

Test(relay_splice, a_second_direction_copies_when_the_only_pipe_is_lent)
{
    struct plumbing *p = plumb(1);
    struct pipe_pair *lent = pipe_pool_lend(&p->pipes);

    cr_assert_not_null(lent);
    p->up.splices = true;
    feed(p, 1000, 1000);
    cr_assert_eq(pump(p), RELAY_MOVED);
    drink(p, SIZE_MAX);
    cr_assert_eq(p->got_length, 1000);
    cr_assert(p->up.splices); /* this time only */
    pipe_pool_give_back(&p->pipes, lent);
    memset(p->tools.scratch, 'x', RELAY_SCRATCH);
    feed(p, 1000, 2000);
    cr_assert_eq(pump(p), RELAY_MOVED);
    cr_assert_eq(p->tools.scratch[0], 'x');
    drink(p, SIZE_MAX);
    cr_assert_eq(p->got_length, 2000);
    unplumb(p);
}

/* After how many turns with `n` bytes each it splices; 0: never. */
static unsigned turns_to_splice(size_t n)
{
    struct plumbing *p = plumb(1);
    unsigned turns = 0;

    enlarge(p->source);
    enlarge(p->right.tcp.fd);
    while (!p->up.splices && ++turns < 30) {
        feed(p, n, turns * n);
        cr_assert_eq(p->sent_length, turns * n);
        cr_assert_eq(pump(p), RELAY_MOVED);
        drink(p, SIZE_MAX);
        cr_assert(p->up.splices || p->got_length == turns * n);
    }
    unplumb(p);
    return turns < 30 ? turns : 0;
}

Test(relay_splice, what_comes_in_large_portions_is_a_busy_direction_too)
{
    cr_assert_eq(turns_to_splice(3 * RELAY_SCRATCH - 1), 4);
    cr_assert_eq(turns_to_splice(RELAY_SCRATCH + 1), 8);
    cr_assert_eq(turns_to_splice(RELAY_SCRATCH - 1), 0);
}

/* Puts a connection that can carry urgent bytes in place of the left one. */
static void use_tcp(struct plumbing *p)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    static const struct ip_endpoint nobody;
    int listening = socket(AF_INET, SOCK_STREAM, 0), fd;
    socklen_t length = sizeof here;

    cr_assert_eq(bind(listening, (struct sockaddr *)&here, sizeof here), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)&here, &length), 0);
    close(p->source);
    pair_close(&p->left);
    p->source = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(p->source, (struct sockaddr *)&here, sizeof here), 0);
    fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    cr_assert(pair_adopt(&p->left, fd, &nobody, true));
    close(listening);
}

Test(relay_splice, an_end_behind_an_urgent_byte_does_not_hide_what_stands_between)
{
    struct plumbing *p = plumb(1);

    use_tcp(p);
    p->up.splices = true;
    cr_assert_eq(send(p->source, "before", 6, 0), 6);
    cr_assert_eq(send(p->source, "!", 1, MSG_OOB), 1);
    cr_assert_eq(send(p->source, "behind", 6, 0), 6);
    shutdown(p->source, SHUT_WR);
    for (int i = 0; i < 20 && p->up.state != RELAY_ENDED; i++)
        cr_assert_leq(pump(p), RELAY_MOVED);
    drink(p, SIZE_MAX);
    cr_assert_eq(p->up.state, RELAY_ENDED);
    cr_assert_eq(p->got_length, 12);
    cr_assert_arr_eq(p->got, "beforebehind", 12);
    unplumb(p);
}

/* The bucket allows less than a pipeful. */
Test(relay_splice, a_bucket_bounds_both_gears)
{
    struct plumbing *p = plumb(4);
    struct throttle throttle;
    bool spliced = false;

    enlarge(p->source);
    throttle_init(&throttle, 10 << 20, 1000);
    for (uint64_t now = 1000; p->got_length < SIZE; now += 10) {
        feed(p, 1 << 20, SIZE);
        p->left.ready = p->right.ready = INTEREST_READ | INTEREST_WRITE;
        throttle_fill(&throttle, now);
        cr_assert_leq(relay_pump(&p->up, &p->tools, &throttle), RELAY_MOVED);
        spliced = spliced || p->up.splices;
        drink(p, SIZE);
        cr_assert_leq(p->got_length, (1 << 20) + (now - 1000) * (10 << 20) / 1000 + 1);
    }
    cr_assert(spliced);
    cr_assert_eq(memcmp(p->got, p->sent, SIZE), 0);
    unplumb(p);
}
