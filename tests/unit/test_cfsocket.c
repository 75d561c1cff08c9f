/* test_cfsocket.c - the rows of CFSocket: callbacks that are switched on and off, data that is already
 * read, flags, time limits, addresses of both families, hosts that are resolved on the loop. */
#include "streams/listener.h"
#include "streams/resolver.h"
#include "streams/tcp_socket.h"
#include "tests/unit/stream_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(cfsocket, .timeout = 10);

struct wire {
    struct stream *in, *out;
    struct seen in_seen, out_seen;
    int peer, own;
};

static void wire_up(struct wire *w, unsigned in_events, unsigned out_events)
{
    struct stream_error error;
    int fds[2];

    *w = (struct wire){0};
    peer_pair(fds);
    w->own = fds[0];
    w->peer = fds[1];
    cr_assert(stream_pair_from_socket(loop(), fds[0], &w->in, &w->out));
    stream_set_callback(w->in, in_events, see, &w->in_seen);
    stream_set_callback(w->out, out_events, see, &w->out_seen);
    cr_assert(stream_open(w->in, &error));
    run_a_little();
}

static void wire_down(struct wire *w)
{
    stream_free(w->in);
    stream_free(w->out);
    close(w->peer);
    close(w->own);
}

Test(cfsocket, read_callback_is_told_and_the_owner_reads)
{
    struct wire w;
    char bytes[8];
    size_t n;

    wire_up(&w, STREAM_EVENT_HAS_BYTES, 0);
    peer_send(w.peer, "abc", 3);
    RUN_UNTIL(w.in_seen.bytes);
    cr_assert_eq(w.in_seen.data, 0);
    cr_assert_eq(stream_read(w.in, bytes, sizeof bytes, &n), IO_OK);
    cr_assert_eq(n, 3);
    wire_down(&w);
}

Test(cfsocket, data_callback_has_the_bytes_already_read)
{
    struct wire w;
    char bytes[8];
    size_t n;

    wire_up(&w, STREAM_EVENT_DATA | STREAM_EVENT_HAS_BYTES | STREAM_EVENT_END_ENCOUNTERED, 0);
    peer_send(w.peer, "abc", 3);
    RUN_UNTIL(w.in_seen.data);
    peer_send(w.peer, "def", 3);
    RUN_UNTIL(w.in_seen.length == 6);
    cr_assert_arr_eq(w.in_seen.text, "abcdef", 6);
    cr_assert_eq(w.in_seen.bytes, 0, "in place of it");
    cr_assert_eq(stream_read(w.in, bytes, sizeof bytes, &n), IO_AGAIN);
    shutdown(w.peer, SHUT_WR);
    RUN_UNTIL(w.in_seen.end);
    wire_down(&w);
}

static void on_accepted(struct tcp_socket *listening, struct tcp_socket *inbound, void *context)
{
    (void)listening;
    tcp_socket_free(inbound);
    ++*(unsigned *)context;
}

Test(cfsocket, the_accept_callback_comes_when_it_was_asked_for)
{
    static const struct tcp_socket_callbacks callbacks = {.accepted = on_accepted};
    unsigned accepted = 0;
    struct tcp_socket *socket = tcp_socket_new(loop(), NULL, &callbacks, &accepted);
    struct stream_error error;
    struct ip_endpoint bound;
    struct stream *in[2];

    cr_assert(tcp_socket_set_address(socket, "127.0.0.1", 0));
    cr_assert(tcp_socket_listen(socket, &error));
    cr_assert(tcp_socket_bound(socket, &bound));
    for (int i = 0; i < 2; i++) {
        cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in[i], NULL));
        cr_assert(stream_open(in[i], &error));
    }
    run_a_little();
    cr_assert_eq(accepted, 0);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(tcp_socket_accept(socket, NULL, NULL, &error));
        RUN_UNTIL(accepted == i + 1);
        run_a_little();
        cr_assert_eq(accepted, i + 1);
        stream_free(in[i]);
    }
    tcp_socket_free(socket);
}

Test(cfsocket, callbacks_can_be_switched_off_and_on)
{
    struct wire w;

    wire_up(&w, STREAM_EVENT_DATA, 0);
    stream_disable_events(w.in, STREAM_EVENT_DATA);
    cr_assert_eq(stream_enabled_events(w.in), 0);
    peer_send(w.peer, "abc", 3);
    run_a_little();
    cr_assert_eq(w.in_seen.data, 0);
    stream_enable_events(w.in, STREAM_EVENT_DATA);
    RUN_UNTIL(w.in_seen.data);
    cr_assert_eq(w.out_seen.room, 0);
    stream_enable_events(w.out, STREAM_EVENT_CAN_ACCEPT_BYTES);
    RUN_UNTIL(w.out_seen.room);
    stream_disable_events(w.out, STREAM_EVENT_CAN_ACCEPT_BYTES);
    stream_enable_events(w.out, STREAM_EVENT_CAN_ACCEPT_BYTES);
    RUN_UNTIL(w.out_seen.room == 2);
    wire_down(&w);
}

Test(cfsocket, what_is_not_reenabled_automatically_comes_once)
{
    struct wire w;

    wire_up(&w, STREAM_EVENT_DATA, 0);
    cr_assert(stream_set_number(w.out, STREAM_AUTO_REENABLE, 0));
    peer_send(w.peer, "a", 1);
    RUN_UNTIL(w.in_seen.data);
    peer_send(w.peer, "b", 1);
    run_a_little();
    cr_assert_eq(w.in_seen.length, 1);
    cr_assert_eq(stream_enabled_events(w.in), 0);
    stream_enable_events(w.in, STREAM_EVENT_DATA);
    RUN_UNTIL(w.in_seen.length == 2);
    cr_assert(stream_set_number(w.out, STREAM_AUTO_REENABLE, STREAM_EVENT_DATA));
    stream_enable_events(w.in, STREAM_EVENT_DATA);
    peer_send(w.peer, "c", 1);
    RUN_UNTIL(w.in_seen.length == 3);
    peer_send(w.peer, "d", 1);
    RUN_UNTIL(w.in_seen.length == 4);
    wire_down(&w);
}

/* The peer resets: an error waits in the socket. */
static void reset_us(struct wire *w, struct stream **ret_in, struct stream **ret_out)
{
    static const struct linger hard = {1, 0};
    struct seen seen = {0};
    int listening;

    *w = (struct wire){0};
    pair_to_peer(ret_in, ret_out, &listening);
    stream_set_callback(*ret_in, STREAM_EVENT_OPEN_COMPLETED, see, &seen);
    w->peer = open_to_peer(*ret_in, listening);
    RUN_UNTIL(seen.open);
    cr_assert_eq(setsockopt(w->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(w->peer);
    close(listening);
}

Test(cfsocket, an_error_is_taken_from_the_socket_unless_it_is_to_be_left_there)
{
    for (int leave = 0; leave <= 1; leave++) {
        struct wire w;
        struct stream *in, *out;
        int error_number = 0;
        socklen_t length = sizeof error_number;

        reset_us(&w, &in, &out);
        cr_assert(stream_set_number(out, STREAM_LEAVE_ERRORS, leave));
        stream_set_callback(in, SEE_ALL, see, &w.in_seen);
        RUN_UNTIL(w.in_seen.error);
        run_a_little();
        cr_assert_eq(w.in_seen.error, 1);
        cr_assert_eq(getsockopt((int)number_of(in, STREAM_NATIVE_HANDLE), SOL_SOCKET, SO_ERROR,
                                &error_number, &length),
                     0);
        cr_assert_eq(error_number, leave ? ECONNRESET : 0);
        cr_assert_str_eq(error_of(in), leave ? "none" : "system.read.reset");
        stream_free(in);
        stream_free(out);
    }
}

Test(cfsocket, invalidation_closes_the_native_socket_if_it_is_to)
{
    for (int should = 0; should <= 1; should++) {
        struct wire w;

        wire_up(&w, STREAM_EVENT_DATA, 0);
        cr_assert(stream_set_number(w.in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, should));
        stream_free(w.in);
        stream_free(w.out);
        w.in = w.out = NULL;
        cr_assert_eq(fcntl(w.own, F_GETFD) < 0, should);
        wire_down(&w);
    }
}

/* A listening socket whose queue is full: a connection to it comes to nothing. */
static void listen_deaf(struct ip_endpoint *ret_bound, int fds[3])
{
    struct sockaddr_storage sa;
    socklen_t length;

    fds[0] = peer_listen(ret_bound);
    cr_assert_eq(listen(fds[0], 0), 0);
    length = endpoint_to_sockaddr(ret_bound, &sa);
    for (int i = 1; i < 3; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&sa, length);
    }
}

Test(cfsocket, connect_has_a_time_limit)
{
    struct stream *in;
    struct stream_error error;
    struct seen seen = {0};
    struct ip_endpoint bound;
    int fds[3];

    listen_deaf(&bound, fds);
    cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in, NULL));
    cr_assert(stream_set_number(in, STREAM_CONNECT_TIMEOUT, 50));
    stream_set_callback(in, SEE_ALL, see, &seen);
    cr_assert(stream_open(in, &error));
    RUN_UNTIL(seen.error || seen.open);
    cr_assert_str_eq(error_of(in), "system.connect.timeout");
    stream_free(in);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

Test(cfsocket, send_has_a_time_limit)
{
    static char much[256 * 1024];
    struct wire w;
    size_t n;

    wire_up(&w, SEE_ALL, SEE_ALL);
    cr_assert(stream_set_number(w.out, STREAM_WRITE_TIMEOUT, 50));
    while (stream_write(w.out, much, sizeof much, &n) == IO_OK)
        ;
    RUN_UNTIL(w.out_seen.error);
    cr_assert_str_eq(error_of(w.out), "system.write.timeout");
    cr_assert_eq(stream_write(w.out, "x", 1, &n), IO_ERROR);
    wire_down(&w);
}

/* A write that is taken in the end is in time. */
Test(cfsocket, the_time_limit_of_a_send_counts_from_the_last_byte_taken)
{
    static char much[256 * 1024];
    struct wire w;
    size_t n;

    wire_up(&w, 0, STREAM_EVENT_CAN_ACCEPT_BYTES | STREAM_EVENT_ERROR_OCCURRED);
    cr_assert(stream_set_number(w.out, STREAM_WRITE_TIMEOUT, 2000));
    while (stream_write(w.out, much, sizeof much, &n) == IO_OK)
        ;
    w.out_seen.room = 0;
    while (recv(w.peer, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    RUN_UNTIL(w.out_seen.room);
    cr_assert_eq(stream_write(w.out, "x", 1, &n), IO_OK);
    cr_assert_eq(w.out_seen.error, 0);
    wire_down(&w);
}

Test(cfsocket, addresses_of_both_families_are_alike)
{
    static const struct {
        const char *text;
        struct ip_endpoint any;
    } rows[] = {
        {"127.0.0.1", {{IP_V4, {127, 0, 0, 1}}, 0}},
        {"::1", {{IP_V6, {[15] = 1}}, 0}},
    };

    for (size_t i = 0; i < 2; i++) {
        struct ip_endpoint bound;
        struct stream_error error;
        struct stream *in;
        struct seen seen = {0};
        int fd = listener_open_socket(&rows[i].any, 8, false, true, &bound, &error);

        cr_assert_geq(fd, 0);
        cr_assert(stream_pair_to_host(loop(), NULL, rows[i].text, bound.port, &in, NULL));
        stream_set_callback(in, SEE_ALL, see, &seen);
        cr_assert(stream_open(in, &error));
        RUN_UNTIL(seen.open || seen.error);
        cr_assert_eq(seen.open, 1, "%s: %s", rows[i].text, error_of(in));
        cr_assert_str_eq(text_of(in, STREAM_REMOTE_HOST), rows[i].text);
        cr_assert(strstr(text_of(in, STREAM_REMOTE_ADDRESS), rows[i].text));
        stream_free(in);
        close(fd);
    }
}

Test(cfsocket, several_addresses_of_one_host_are_tried_not_only_the_first)
{
    struct resolver *resolver = resolver_new(loop(), &(struct resolver_options){0});
    struct ip_endpoint bound;
    struct stream_error error;
    struct stream *in;
    struct seen seen = {0};
    int listening = peer_listen(&bound); /* of ::1 and 127.0.0.1 only the second */

    cr_assert(stream_pair_to_host(loop(), resolver, "localhost", bound.port, &in, NULL));
    stream_set_callback(in, SEE_ALL, see, &seen);
    cr_assert(stream_open(in, &error));
    RUN_UNTIL(seen.open || seen.error);
    cr_assert_eq(seen.open, 1, "%s", error_of(in));
    cr_assert(strstr(text_of(in, STREAM_REMOTE_ADDRESS), "127.0.0.1:"));
    stream_free(in);
    resolver_free(resolver);
    close(listening);
}

static void note_addresses(void *context, const struct ip_address *addresses, unsigned count,
                           const struct stream_error *error)
{
    (void)addresses;
    (void)error;
    *(int *)context = (int)count;
}

Test(cfsocket, a_host_is_resolved_on_the_loop_and_can_be_cancelled)
{
    struct resolver *resolver = resolver_new(loop(), &(struct resolver_options){0});
    struct resolver_lookup *lookup;
    int count = -1, never = -1;

    cr_assert_not_null(resolver_start(resolver, "localhost", IP_V4, note_addresses, &count));
    lookup = resolver_start(resolver, "localhost", IP_V4, note_addresses, &never);
    cr_assert_eq(count, -1, "not from inside the call");
    resolver_cancel(lookup);
    RUN_UNTIL(count != -1);
    run_a_little();
    cr_assert_eq(count, 1);
    cr_assert_eq(never, -1);
    resolver_free(resolver);
}
