/* test_stream.c - paired streams as two handles: opened together, ended one by one, properties
 * shared. */
#include "streams/listener.h"
#include "streams/stream.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(stream, .timeout = 10);

static struct ev_loop *loop(void)
{
    return ev_default_loop(EVFLAG_NOENV);
}

/* A listening socket and its address. */
static int listen_somewhere(struct ip_endpoint *ret_bound)
{
    static const struct ip_endpoint any = {{IP_V4, {127, 0, 0, 1}}, 0};
    struct stream_error error;
    int fd = listener_open_socket(&any, 8, false, true, ret_bound, &error);

    cr_assert_geq(fd, 0);
    return fd;
}

static const unsigned ALL_EVENTS = STREAM_EVENT_OPEN_COMPLETED | STREAM_EVENT_HAS_BYTES |
                                   STREAM_EVENT_ERROR_OCCURRED | STREAM_EVENT_END_ENCOUNTERED;

static void on_change(struct stream *stream, const struct stream_event *event, void *context)
{
    (void)stream;
    (void)event;
    ++*(int *)context;
}

static void run_until(const int *calls, int n)
{
    while (*calls < n)
        ev_run(loop(), EVRUN_ONCE);
}

Test(stream, nothing_is_opened_until_one_of_the_pair_is_opened_and_then_both_are)
{
    struct stream *in, *out;
    struct ip_endpoint bound;
    struct stream_error error;
    int listening = listen_somewhere(&bound), calls = 0;

    cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in, &out));
    cr_assert_eq(stream_status(in), STREAM_NOT_OPEN);
    cr_assert_eq(stream_pair_state(in), PAIR_INITIALIZED);
    stream_set_callback(out, ALL_EVENTS, on_change, &calls);
    cr_assert(stream_open(in, &error));
    if (stream_status(out) == STREAM_OPENING) {
        cr_assert_eq(stream_pair_state(in), PAIR_INITIALIZED);
        cr_assert(!stream_open(out, &error), "a second connect");
        cr_assert(stream_error_is(&error, ERROR_STREAM_BAD_STATE));
        run_until(&calls, 1);
    }
    cr_assert_eq(stream_status(in), STREAM_OPEN);
    cr_assert_eq(stream_status(out), STREAM_OPEN);
    cr_assert_eq(stream_pair_state(out), PAIR_CONNECTED);
    stream_free(in);
    stream_free(out);
    close(listening);
}

Test(stream, a_refused_connection_is_an_error_of_both)
{
    struct stream *in, *out;
    struct ip_endpoint bound;
    struct stream_error error;
    int calls = 0;

    close(listen_somewhere(&bound));
    stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in, &out);
    stream_set_callback(in, ALL_EVENTS, on_change, &calls);
    cr_assert(stream_open(in, &error));
    while (stream_status(in) == STREAM_OPENING)
        ev_run(loop(), EVRUN_ONCE);
    cr_assert_eq(stream_status(in), STREAM_ERROR);
    cr_assert_eq(stream_status(out), STREAM_ERROR);
    error = stream_error(out);
    cr_assert(stream_error_is(&error, ERROR_SYSTEM_CONNECT_REFUSED));
    stream_free(in);
    stream_free(out);
}

Test(stream, a_failed_pair_may_be_opened_again)
{
    struct stream *out;
    struct ip_endpoint bound;
    struct stream_error error;
    struct stream_value port = {0};
    int listening;

    close(listen_somewhere(&bound));
    stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, NULL, &out);
    stream_open(out, &error);
    while (stream_status(out) == STREAM_OPENING)
        ev_run(loop(), EVRUN_ONCE);
    cr_assert_eq(stream_status(out), STREAM_ERROR);
    listening = listen_somewhere(&bound);
    port.number = bound.port;
    cr_assert(stream_set_property(out, STREAM_REMOTE_PORT, &port));
    cr_assert(stream_open(out, &error));
    while (stream_status(out) == STREAM_OPENING)
        ev_run(loop(), EVRUN_ONCE);
    cr_assert_eq(stream_status(out), STREAM_OPEN);
    stream_free(out);
    close(listening);
}

static void socket_pair(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

Test(stream, a_pair_from_a_socket_leaves_it_open_unless_told_otherwise)
{
    for (int should = 0; should <= 1; should++) {
        struct stream_value value = {.number = should}, got;
        struct stream *in, *out;
        struct stream_error error;
        int fds[2];

        socket_pair(fds);
        cr_assert(stream_pair_from_socket(loop(), fds[0], &in, &out));
        cr_assert(stream_copy_property(in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, &got));
        cr_assert_eq(got.number, 0);
        if (should) {
            cr_assert(stream_set_property(in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, &value));
            cr_assert(stream_copy_property(out, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, &got));
            cr_assert_eq(got.number, 1, "set on either, it holds for both");
        }
        cr_assert(stream_open(out, &error));
        stream_free(in);
        stream_free(out);
        cr_assert_eq(fcntl(fds[0], F_GETFD) < 0, should);
        if (!should)
            close(fds[0]);
        close(fds[1]);
    }
}

Test(stream, closing_the_write_stream_ends_only_that_direction)
{
    struct stream *in, *out;
    struct stream_error error;
    char bytes[8];
    int fds[2], calls = 0;
    size_t n;

    socket_pair(fds);
    stream_pair_from_socket(loop(), fds[0], &in, &out);
    stream_set_callback(in, STREAM_EVENT_HAS_BYTES | STREAM_EVENT_END_ENCOUNTERED, on_change,
                        &calls);
    cr_assert(stream_open(in, &error));
    cr_assert_eq(stream_write(out, "ask", 3, &n), IO_OK);
    cr_assert(stream_close(out));
    cr_assert(!stream_close(out), "closing a closed one is a bad state");
    cr_assert_eq(stream_status(out), STREAM_CLOSED);
    cr_assert_eq(read(fds[1], bytes, sizeof bytes), 3);
    cr_assert_eq(read(fds[1], bytes, sizeof bytes), 0);
    cr_assert_eq(write(fds[1], "answer", 6), 6);
    close(fds[1]);
    run_until(&calls, 1);
    cr_assert_eq(stream_read(in, bytes, sizeof bytes, &n), IO_OK);
    cr_assert_eq(n, 6);
    run_until(&calls, 2);
    cr_assert_eq(stream_read(in, bytes, sizeof bytes, &n), IO_EOF);
    cr_assert_eq(stream_status(in), STREAM_AT_END);
    stream_free(in);
    stream_free(out);
    close(fds[0]);
}

Test(stream, either_half_may_be_left_out)
{
    struct stream *one;
    struct stream_error error;
    char bytes[8];
    int fds[2];
    size_t n;

    socket_pair(fds);
    stream_pair_from_socket(loop(), fds[0], &one, NULL);
    cr_assert(stream_open(one, &error));
    cr_assert_eq(write(fds[1], "x", 1), 1);
    cr_assert_eq(stream_read(one, bytes, sizeof bytes, &n), IO_OK);
    cr_assert_eq(stream_write(one, "x", 1, &n), IO_ERROR, "a read stream takes no bytes");
    stream_free(one);
    stream_pair_from_socket(loop(), fds[0], NULL, &one);
    cr_assert(stream_open(one, &error));
    cr_assert_eq(stream_write(one, "y", 1, &n), IO_OK);
    stream_free(one);
    close(fds[0]);
    close(fds[1]);
}

Test(stream, host_and_port_are_fixed_once_it_is_open)
{
    struct stream *in, *out;
    struct ip_endpoint bound;
    struct stream_error error;
    struct stream_value value = {.text = (char[]){"127.0.0.2"}}, got;
    int listening = listen_somewhere(&bound), calls = 0;

    stream_pair_to_host(loop(), NULL, "127.0.0.3", bound.port, &in, &out);
    cr_assert(stream_copy_property(in, STREAM_REMOTE_HOST, &got));
    cr_assert_str_eq(got.text, "127.0.0.3");
    free(got.text);
    cr_assert(!stream_copy_property(in, STREAM_LOCAL_ADDRESS, &got), "not connected yet");
    value.text = (char[]){"127.0.0.1"};
    cr_assert(stream_set_property(out, STREAM_REMOTE_HOST, &value));
    stream_set_callback(out, ALL_EVENTS, on_change, &calls);
    cr_assert(stream_open(in, &error));
    cr_assert(!stream_set_property(in, STREAM_REMOTE_HOST, &value));
    run_until(&calls, 1);
    cr_assert(!stream_set_property(in, STREAM_REMOTE_PORT, &value));
    cr_assert(stream_copy_property(in, STREAM_LOCAL_ADDRESS, &got));
    cr_assert_eq(strncmp(got.text, "127.0.0.1:", 10), 0);
    free(got.text);
    cr_assert(stream_copy_property(in, STREAM_NATIVE_HANDLE, &got));
    cr_assert_geq(got.number, 0);
    stream_free(out);
    stream_free(in);
    close(listening);
}

Test(stream, properties_set_before_a_connection_hold_for_it)
{
    struct stream_value no = {.number = 0}, sixty = {.number = 60}, got;
    struct stream *in, *out;
    struct ip_endpoint bound;
    struct stream_error error;
    int listening = listen_somewhere(&bound), calls = 0, fd, on = 0;
    socklen_t length = sizeof on;

    stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in, &out);
    cr_assert(stream_set_property(in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, &no));
    cr_assert(stream_set_property(out, STREAM_KEEPALIVE, &sixty));
    stream_set_callback(out, ALL_EVENTS, on_change, &calls);
    cr_assert(stream_open(in, &error));
    run_until(&calls, 1);
    cr_assert(stream_copy_property(in, STREAM_KEEPALIVE, &got));
    cr_assert_eq(got.number, 60);
    cr_assert(stream_copy_property(out, STREAM_NATIVE_HANDLE, &got));
    fd = (int)got.number;
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &length), 0);
    cr_assert_eq(on, 1);
    cr_assert(stream_set_property(out, STREAM_KEEPALIVE, &no));
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &length), 0);
    cr_assert_eq(on, 0);
    stream_free(in);
    stream_free(out);
    cr_assert_geq(fcntl(fd, F_GETFD), 0, "it was not to be closed");
    close(fd);
    close(listening);
}

static void free_in_callback(struct stream *stream, const struct stream_event *event, void *context)
{
    (void)event;
    ++*(int *)context;
    stream_free(stream);
}

Test(stream, a_stream_may_be_freed_in_its_callback)
{
    struct stream *in;
    struct stream_error error;
    int fds[2], calls = 0;

    socket_pair(fds);
    stream_pair_from_socket(loop(), fds[0], &in, NULL);
    stream_set_callback(in, ALL_EVENTS, free_in_callback, &calls);
    cr_assert(stream_open(in, &error));
    cr_assert_eq(write(fds[1], "x", 1), 1);
    run_until(&calls, 1);
    ev_run(loop(), EVRUN_NOWAIT);
    cr_assert_eq(calls, 1);
    close(fds[0]);
    close(fds[1]);
}

Test(stream, freeing_while_opening_cancels)
{
    struct stream *in;
    struct ip_endpoint bound;
    struct stream_error error;
    int listening = listen_somewhere(&bound), calls = 0;

    stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in, NULL);
    stream_set_callback(in, ALL_EVENTS, on_change, &calls);
    cr_assert(stream_open(in, &error));
    stream_free(in);
    ev_run(loop(), EVRUN_NOWAIT);
    cr_assert_eq(calls, 0);
    close(listening);
}

static void stop_run(struct ev_loop *ev, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(ev, EVBREAK_ALL);
}

/* How often the loop turns in a tenth of a second in which nothing happens. */
static unsigned turns_of_silence(void)
{
    unsigned before = ev_iteration(loop());
    ev_timer timer;

    ev_timer_init(&timer, stop_run, 0.1, 0.);
    ev_timer_start(loop(), &timer);
    ev_run(loop(), 0);
    return ev_iteration(loop()) - before;
}

Test(stream, an_end_that_was_told_leaves_the_loop_in_peace)
{
    struct stream *in, *out;
    struct stream_error error;
    int fds[2], calls = 0;
    char byte;
    size_t n;

    socket_pair(fds);
    stream_pair_from_socket(loop(), fds[0], &in, &out);
    stream_set_callback(in, ALL_EVENTS, on_change, &calls);
    cr_assert(stream_open(in, &error));
    shutdown(fds[1], SHUT_WR);
    run_until(&calls, 2);
    cr_assert_eq(stream_status(in), STREAM_AT_END);
    cr_assert_lt(turns_of_silence(), 10);
    cr_assert_eq(stream_write(out, "x", 1, &n), IO_OK, "the other direction lives");
    cr_assert_eq(read(fds[1], &byte, 1), 1);
    stream_free(in);
    stream_free(out);
    close(fds[0]);
    close(fds[1]);
}

Test(stream, two_pairs_may_be_made_of_one_socket)
{
    struct stream *in, *out;
    struct stream_error error;
    int fds[2], calls = 0;
    char byte;
    size_t n;

    socket_pair(fds);
    stream_pair_from_socket(loop(), fds[0], &in, NULL);
    stream_pair_from_socket(loop(), fds[0], NULL, &out);
    stream_set_callback(in, STREAM_EVENT_HAS_BYTES, on_change, &calls);
    stream_set_callback(out, STREAM_EVENT_CAN_ACCEPT_BYTES, on_change, &calls);
    cr_assert(stream_open(in, &error));
    cr_assert(stream_open(out, &error));
    run_until(&calls, 1);
    while (stream_write(out, "x", 1, &n) == IO_OK)
        ;
    while (recv(fds[1], &byte, 1, 0) == 1)
        ;
    run_until(&calls, 2);
    cr_assert_eq(stream_write(out, "x", 1, &n), IO_OK);
    cr_assert_eq(write(fds[1], "y", 1), 1);
    run_until(&calls, 3);
    cr_assert_eq(stream_read(in, &byte, 1, &n), IO_OK);
    cr_assert_eq(byte, 'y');
    stream_free(in);
    stream_free(out);
    close(fds[0]);
    close(fds[1]);
}
