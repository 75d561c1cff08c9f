/* test_pair.c - the stream pair: its states, what each call may do in them, and real sockets
 * below. */
#include "streams/pair.h"
#include "tests/unit/scripted_layer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(pair, .timeout = 10);

static int events;

static void count_event(struct stream_pair *pair)
{
    (void)pair;
    events++;
}

static const struct ip_endpoint nobody;

static void init(struct stream_pair *pair)
{
    events = 0;
    pair_init(pair, ev_default_loop(EVFLAG_NOENV), count_event);
}

static void connected(struct stream_pair *pair, int *ret_other)
{
    int fds[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    init(pair);
    cr_assert(pair_adopt(pair, fds[0], &nobody, true));
    *ret_other = fds[1];
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

Test(pair, begins_initialized_and_not_open)
{
    struct stream_pair pair;

    init(&pair);
    cr_assert_eq(pair.state, PAIR_INITIALIZED);
    cr_assert_eq(pair.read_status, STREAM_NOT_OPEN);
    cr_assert_eq(pair.write_status, STREAM_NOT_OPEN);
}

Test(pair, reading_or_writing_before_it_is_open_is_a_bad_state)
{
    struct stream_pair pair;
    char byte;
    size_t n = 77;

    init(&pair);
    cr_assert_eq(pair_read(&pair, &byte, 1, &n), IO_ERROR);
    cr_assert(stream_error_is(&pair.error, ERROR_STREAM_BAD_STATE));
    cr_assert_eq(pair_write(&pair, "x", 1, &n), IO_ERROR);
    cr_assert_eq(pair_end(&pair), IO_ERROR);
    cr_assert_eq(n, 77, "a result was touched");
}

Test(pair, a_second_adoption_is_refused_and_changes_nothing)
{
    struct stream_pair pair;
    int other, fd;

    connected(&pair, &other);
    fd = pair.tcp.fd;
    cr_assert(!pair_adopt(&pair, other, &nobody, true));
    cr_assert_eq(pair.tcp.fd, fd);
    cr_assert_eq(pair.state, PAIR_CONNECTED);
    pair_close(&pair);
    close(other);
}

Test(pair, nothing_is_read_before_the_loop_says_ready)
{
    struct stream_pair pair;
    int other;
    char out[8];
    size_t n;

    connected(&pair, &other);
    cr_assert_eq(write(other, "abc", 3), 3);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_AGAIN);
    pair_want(&pair, INTEREST_READ);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert_eq(events, 1);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 3);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_AGAIN, "a short read means no more");
    pair_close(&pair);
    close(other);
}

Test(pair, the_peers_end_is_at_end_and_stays_so)
{
    struct stream_pair pair;
    int other;
    char out[8];
    size_t n;

    connected(&pair, &other);
    close(other);
    pair_want(&pair, INTEREST_READ);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_EOF);
    cr_assert_eq(pair.read_status, STREAM_AT_END);
    cr_assert_eq(pair.write_status, STREAM_OPEN);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_EOF);
    pair_close(&pair);
}

Test(pair, ending_closes_one_direction_only)
{
    struct stream_pair pair;
    int other;
    char out[8];
    size_t n;

    connected(&pair, &other);
    cr_assert_eq(pair_end(&pair), IO_OK);
    cr_assert_eq(pair_end(&pair), IO_OK, "twice is harmless");
    cr_assert_eq(pair.write_status, STREAM_AT_END);
    cr_assert_eq(read(other, out, sizeof out), 0);
    cr_assert_eq(pair_write(&pair, "x", 1, &n), IO_ERROR);
    cr_assert_eq(write(other, "abc", 3), 3);
    pair_want(&pair, INTEREST_READ);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_OK);
    pair_close(&pair);
    close(other);
}

Test(pair, a_write_to_a_full_peer_says_again_and_becomes_writable_later)
{
    struct stream_pair pair;
    static char block[65536];
    enum io result = IO_OK;
    int other;
    size_t n;

    connected(&pair, &other);
    while (result == IO_OK)
        result = pair_write(&pair, block, sizeof block, &n);
    cr_assert_eq(result, IO_AGAIN);
    while (read(other, block, sizeof block) > 0)
        ;
    pair_want(&pair, INTEREST_WRITE);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert_eq(pair_write(&pair, "x", 1, &n), IO_OK);
    pair_close(&pair);
    close(other);
}

Test(pair, a_peer_that_is_gone_fails_the_write_but_what_it_said_can_be_read)
{
    struct stream_pair pair;
    int other;
    char out[8];
    size_t n;

    connected(&pair, &other);
    cr_assert_eq(write(other, "bye", 3), 3);
    close(other);
    cr_assert_eq(pair_write(&pair, "x", 1, &n), IO_ERROR);
    cr_assert(stream_error_is(&pair.error, ERROR_SYSTEM_WRITE_RESET));
    cr_assert_eq(pair.write_status, STREAM_ERROR);
    pair.ready |= INTEREST_READ;
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 3);
    pair_close(&pair);
}

Test(pair, closing_closes_the_descriptor_only_when_it_should)
{
    struct stream_pair pair;
    int fds[2];

    for (int should_close = 0; should_close <= 1; should_close++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        init(&pair);
        pair_adopt(&pair, fds[0], &nobody, should_close);
        pair_close(&pair);
        cr_assert_eq(pair.state, PAIR_CLOSED);
        cr_assert_eq(is_open(fds[0]), !should_close);
        if (!should_close)
            close(fds[0]);
        close(fds[1]);
        pair_close(&pair); /* harmless */
    }
}

Test(pair, a_closed_pair_can_be_used_again)
{
    struct stream_pair pair;
    int other, fds[2];
    size_t n;

    connected(&pair, &other);
    pair_close(&pair);
    close(other);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    cr_assert(pair_adopt(&pair, fds[0], &nobody, true));
    cr_assert_eq(pair_write(&pair, "x", 1, &n), IO_OK);
    pair_close(&pair);
    close(fds[1]);
}

Test(pair, wanting_nothing_stops_watching)
{
    struct stream_pair pair;
    int other;

    connected(&pair, &other);
    pair_want(&pair, INTEREST_READ);
    pair_want(&pair, INTEREST_NONE);
    cr_assert_not(pair_is_watched(&pair));
    cr_assert_eq(write(other, "x", 1), 1);
    ev_run(pair.loop, EVRUN_NOWAIT);
    cr_assert_eq(events, 0);
    pair_close(&pair);
    close(other);
}

Test(pair, layers_are_done_from_the_top_when_it_closes)
{
    struct scripted_layer *script = malloc(sizeof *script);
    struct stream_pair pair;

    scripted_pair(&pair, script);
    pair_close(&pair);
    cr_assert_eq(script->dones, 1);
    cr_assert_null(pair.top);
    free(script);
}

Test(pair, the_first_error_wins)
{
    struct scripted_layer *script = malloc(sizeof *script);
    struct stream_pair pair;
    char out[8];
    size_t n;

    scripted_pair(&pair, script);
    script->fail_write = 1;
    script->fail_read = 1;
    cr_assert_eq(pair_write(&pair, "x", 1, &n), IO_ERROR);
    cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_ERROR);
    cr_assert(stream_error_is(&pair.error, ERROR_SYSTEM_WRITE_RESET));
    pair_close(&pair);
    cr_assert_eq(pair.state, PAIR_ERROR, "a failed pair says so after it is closed, too");
    free(script);
}
