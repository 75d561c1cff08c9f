/* test_tcp_socket.c - the rows of the TCP socket API: the life of a socket, accepting on request, and
 * what a state does not allow. */
#include "streams/tcp_socket.h"
#include "tests/unit/stream_peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(tcp_socket, .timeout = 10);

struct told {
    unsigned connected, accepted, failed;
    struct tcp_socket *inbound[8];
    struct stream_error error;
    char text[256];
    bool refuses;
    bool frees;
};

static void on_connected(struct tcp_socket *socket, void *context)
{
    struct told *told = context;

    told->connected++;
    if (told->frees)
        tcp_socket_free(socket);
}

static void on_accepted(struct tcp_socket *listening, struct tcp_socket *inbound, void *context)
{
    struct told *told = context;

    cr_assert_eq(tcp_socket_state(inbound), PAIR_CONNECTED);
    told->inbound[told->accepted++] = inbound;
    if (told->frees)
        tcp_socket_free(listening);
}

static void on_failed(struct tcp_socket *socket, const struct stream_error *error, const char *text,
                      void *context)
{
    struct told *told = context;

    cr_assert_eq(tcp_socket_state(socket), PAIR_ERROR);
    told->failed++;
    told->error = *error;
    snprintf(told->text, sizeof told->text, "%s", text);
    if (told->frees)
        tcp_socket_free(socket);
}

static bool admits(struct tcp_socket *listening, const struct ip_endpoint *peer, void *context)
{
    (void)listening;
    cr_assert(ip_is_loopback(&peer->ip));
    return !((struct told *)context)->refuses;
}

static const struct tcp_socket_callbacks callbacks = {on_connected, on_accepted, on_failed, admits};

static struct tcp_socket *listening_socket(struct told *told, unsigned queue, uint16_t *ret_port)
{
    struct tcp_socket *socket = tcp_socket_new(loop(), NULL, &callbacks, told);
    struct ip_endpoint bound;
    struct stream_error error;

    cr_assert(tcp_socket_set_queue(socket, queue));
    cr_assert(tcp_socket_set_address(socket, "127.0.0.1", 0));
    cr_assert(tcp_socket_listen(socket, &error));
    cr_assert(tcp_socket_bound(socket, &bound));
    *ret_port = bound.port;
    return socket;
}

static struct tcp_socket *connecting_socket(struct told *told, uint16_t port)
{
    struct tcp_socket *socket = tcp_socket_new(loop(), NULL, &callbacks, told);
    struct stream_error error;

    cr_assert(tcp_socket_set_address(socket, "127.0.0.1", port));
    cr_assert(tcp_socket_connect(socket, &error));
    return socket;
}

/* A peer that is not ours. */
static int dial(uint16_t port)
{
    struct ip_endpoint to = {{IP_V4, {127, 0, 0, 1}}, port};
    struct sockaddr_storage sa;
    socklen_t length = endpoint_to_sockaddr(&to, &sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, length), 0);
    return fd;
}

static bool is_bad_state(const struct stream_error *error)
{
    return stream_error_is(error, ERROR_STREAM_BAD_STATE);
}

Test(tcp_socket, states_are_initialized_connected_closed_and_callbacks_come_in_their_place)
{
    struct told told = {0}, listening_told = {0}, inbound_told = {0};
    struct tcp_socket *listening, *socket;
    struct stream_error error;
    uint16_t port;
    char bytes[8];
    size_t n;

    listening = listening_socket(&listening_told, 4, &port);
    cr_assert_eq(tcp_socket_state(listening), PAIR_LISTENING);
    cr_assert(tcp_socket_accept(listening, &callbacks, &inbound_told, &error));
    socket = tcp_socket_new(loop(), NULL, &callbacks, &told);
    cr_assert_eq(tcp_socket_state(socket), PAIR_INITIALIZED);
    tcp_socket_free(socket);
    socket = connecting_socket(&told, port);
    cr_assert_eq(told.connected, 0, "never from inside the call");
    RUN_UNTIL(told.connected && listening_told.accepted);
    cr_assert_eq(tcp_socket_state(socket), PAIR_CONNECTED);
    cr_assert_eq(stream_write(tcp_socket_write_stream(socket), "hello", 5, &n), IO_OK);
    while (stream_read(tcp_socket_read_stream(listening_told.inbound[0]), bytes, 8, &n) == IO_AGAIN)
        ;
    cr_assert_eq(n, 5);
    run_a_little();
    cr_assert_eq(inbound_told.connected, 0, "accepted sockets are not told of connected");
    cr_assert_eq(told.connected, 1);
    cr_assert(tcp_socket_close(socket, &error));
    cr_assert_eq(tcp_socket_state(socket), PAIR_CLOSED);
    while (stream_read(tcp_socket_read_stream(listening_told.inbound[0]), bytes, 8, &n) == IO_AGAIN)
        ;
    cr_assert_eq(stream_status(tcp_socket_read_stream(listening_told.inbound[0])), STREAM_AT_END);
    cr_assert_eq(told.failed + inbound_told.failed + listening_told.failed, 0);
    tcp_socket_free(socket);
    tcp_socket_free(listening_told.inbound[0]);
    tcp_socket_free(listening);
}

Test(tcp_socket, an_operation_in_the_wrong_state_close_included_is_a_bad_state)
{
    struct told told = {0};
    struct tcp_socket *socket = tcp_socket_new(loop(), NULL, &callbacks, &told), *listening;
    struct stream_error error = {0};
    uint16_t port;
    char byte;
    size_t n;

    cr_assert(!tcp_socket_close(socket, &error) && is_bad_state(&error), "INITIALIZED");
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_accept(socket, NULL, NULL, &error) && is_bad_state(&error));
    cr_assert_eq(stream_read(tcp_socket_read_stream(socket), &byte, 1, &n), IO_ERROR);
    cr_assert_str_eq(error_of(tcp_socket_read_stream(socket)), "stream.state.bad-state");
    tcp_socket_free(socket);

    listening = listening_socket(&told, 4, &port);
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_connect(listening, &error) && is_bad_state(&error));
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_listen(listening, &error) && is_bad_state(&error));
    cr_assert_eq(stream_write(tcp_socket_write_stream(listening), "x", 1, &n), IO_ERROR,
                 "a listening socket knows only accept and close");
    cr_assert_not(tcp_socket_set_address(listening, "127.0.0.2", 1), "fixed");

    socket = connecting_socket(&told, port);
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_connect(socket, &error) && is_bad_state(&error), "a second connect");
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_listen(socket, &error) && is_bad_state(&error));
    cr_assert_not(tcp_socket_set_address(socket, "127.0.0.2", 1), "fixed");
    RUN_UNTIL(told.connected);
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_connect(socket, &error) && is_bad_state(&error), "CONNECTED");
    cr_assert(tcp_socket_close(socket, &error));
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_close(socket, &error) && is_bad_state(&error), "CLOSED");
    cr_assert(tcp_socket_close(listening, &error));
    cr_assert_eq(tcp_socket_state(listening), PAIR_CLOSED);
    error = (struct stream_error){0};
    cr_assert(!tcp_socket_close(listening, &error) && is_bad_state(&error));
    cr_assert_eq(told.failed, 0);
    tcp_socket_free(socket);
    tcp_socket_free(listening);
}

Test(tcp_socket, the_error_callback_has_text_and_code_and_the_socket_may_be_used_again)
{
    struct told told = {0}, listening_told = {0};
    struct tcp_socket *socket, *listening;
    struct stream_error error;
    struct ip_endpoint bound;
    uint16_t port;

    close(peer_listen(&bound));
    socket = connecting_socket(&told, bound.port);
    RUN_UNTIL(told.failed);
    cr_assert(stream_error_is(&told.error, ERROR_SYSTEM_CONNECT_REFUSED));
    cr_assert_str_eq(told.text, "system.connect.refused");
    cr_assert(!tcp_socket_close(socket, &error) && is_bad_state(&error), "ERROR");
    run_a_little();
    cr_assert_eq(told.failed, 1);

    listening = listening_socket(&listening_told, 4, &port);
    cr_assert(tcp_socket_set_address(socket, "127.0.0.1", port));
    for (unsigned i = 1; i <= 2; i++) {
        cr_assert(tcp_socket_connect(socket, &error), "after a failure, after a close");
        RUN_UNTIL(told.connected == i);
        cr_assert(tcp_socket_close(socket, &error));
    }
    cr_assert(tcp_socket_set_address(socket, "127.0.0.1", 0));
    cr_assert(tcp_socket_listen(socket, &error), "what has connected may listen");
    cr_assert(tcp_socket_close(socket, &error));
    cr_assert(tcp_socket_listen(socket, &error), "and listen again");
    cr_assert_eq(tcp_socket_state(socket), PAIR_LISTENING);
    tcp_socket_free(socket);
    tcp_socket_free(listening);
}

Test(tcp_socket, a_failing_listen_returns_its_error_and_tells_nobody)
{
    struct told told = {0};
    uint16_t port;
    struct tcp_socket *first = listening_socket(&told, 4, &port);
    struct tcp_socket *second = tcp_socket_new(loop(), NULL, &callbacks, &told);
    struct stream_error error = {0};

    cr_assert(tcp_socket_set_address(second, "127.0.0.1", port));
    cr_assert_not(tcp_socket_listen(second, &error));
    cr_assert(stream_error_is(&error, ERROR_SYSTEM_LISTEN_ADDRESS_IN_USE));
    cr_assert_eq(tcp_socket_state(second), PAIR_ERROR);
    run_a_little();
    cr_assert_eq(told.failed, 0);
    tcp_socket_free(first);
    cr_assert(tcp_socket_listen(second, &error), "a failed one may listen again");
    tcp_socket_free(second);
}

Test(tcp_socket, all_interfaces_are_not_listened_on_without_being_asked_for)
{
    struct told told = {0};
    struct tcp_socket *socket = tcp_socket_new(loop(), NULL, &callbacks, &told);
    struct ip_endpoint bound;
    struct stream_error error;

    cr_assert_not(tcp_socket_listen(socket, &error), "no address");
    cr_assert(stream_error_is(&error, ERROR_RESOLVER_INVALID));
    cr_assert(tcp_socket_set_address(socket, "", 0));
    cr_assert_not(tcp_socket_listen(socket, &error));
    cr_assert(tcp_socket_set_address(socket, "0.0.0.0", 0));
    cr_assert(tcp_socket_listen(socket, &error));
    cr_assert(tcp_socket_bound(socket, &bound) && ip_is_unspecified(&bound.ip));
    tcp_socket_free(socket);
}

Test(tcp_socket, one_accept_takes_one_and_a_new_one_updates_a_pending_one)
{
    struct told told = {0}, first = {0}, second = {0};
    uint16_t port;
    struct tcp_socket *listening = listening_socket(&told, 4, &port);
    struct stream_error error;
    int fds[3];

    for (int i = 0; i < 3; i++)
        fds[i] = dial(port);
    run_a_little();
    cr_assert_eq(told.accepted, 0, "nobody has asked");
    cr_assert(tcp_socket_accept(listening, &callbacks, &first, &error));
    cr_assert(tcp_socket_accept(listening, &callbacks, &second, &error));
    RUN_UNTIL(told.accepted);
    run_a_little();
    cr_assert_eq(told.accepted, 1);
    close(fds[0]);
    shutdown(fds[1], SHUT_RDWR);
    cr_assert(tcp_socket_close(told.inbound[0], &error));
    cr_assert(tcp_socket_accept(listening, &callbacks, &second, &error));
    RUN_UNTIL(told.accepted == 2);
    cr_assert(tcp_socket_accept(listening, &callbacks, &second, &error));
    RUN_UNTIL(told.accepted == 3);
    for (int i = 0; i < 3; i++)
        tcp_socket_free(told.inbound[i]);
    tcp_socket_free(listening);
    close(fds[1]);
    close(fds[2]);
}

/* Which of two pending requests is served shows in whom the inbound socket tells of its end. */
Test(tcp_socket, the_updated_request_is_the_one_that_is_served)
{
    struct told told = {0}, first = {0}, second = {0};
    uint16_t port;
    struct tcp_socket *listening = listening_socket(&told, 4, &port);
    struct stream_error error;
    static char much[256 * 1024];
    size_t n;
    int fd;

    cr_assert(tcp_socket_accept(listening, &callbacks, &first, &error));
    cr_assert(tcp_socket_accept(listening, &callbacks, &second, &error));
    fd = dial(port);
    RUN_UNTIL(told.accepted);
    cr_assert(tcp_socket_set_timeout(told.inbound[0], 30));
    while (stream_write(tcp_socket_write_stream(told.inbound[0]), much, sizeof much, &n) == IO_OK)
        ;
    RUN_UNTIL(second.failed);
    cr_assert_eq(first.failed, 0);
    cr_assert_str_eq(second.text, "system.write.timeout", "the timeout of a write");
    tcp_socket_free(told.inbound[0]);
    tcp_socket_free(listening);
    close(fd);
}

static bool is_closed_by_us(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

Test(tcp_socket, the_listen_queue_is_bounded_and_more_are_rejected)
{
    struct told told = {0};
    uint16_t port;
    struct tcp_socket *listening = listening_socket(&told, 2, &port);
    struct stream_error error;
    int fds[5], closed = 0;

    for (int i = 0; i < 5; i++)
        fds[i] = dial(port);
    run_a_little();
    for (int i = 0; i < 5; i++)
        closed += is_closed_by_us(fds[i]);
    cr_assert_eq(closed, 3);
    cr_assert(tcp_socket_close(listening, &error));
    run_a_little();
    for (int i = 0; i < 5; i++) {
        cr_assert(is_closed_by_us(fds[i]), "what waited goes with it");
        close(fds[i]);
    }
    cr_assert_not(tcp_socket_set_queue(listening, TCP_SOCKET_QUEUE_MAX + 1));
    tcp_socket_free(listening);
}

Test(tcp_socket, hosts_that_are_not_admitted_are_closed_right_after_accept)
{
    struct told told = {.refuses = true};
    uint16_t port;
    struct tcp_socket *listening = listening_socket(&told, 2, &port);
    struct stream_error error;
    int fd = dial(port);

    cr_assert(tcp_socket_accept(listening, NULL, NULL, &error));
    run_a_little();
    cr_assert(is_closed_by_us(fd));
    cr_assert_eq(told.accepted, 0);
    close(fd);
    tcp_socket_free(listening);
}

Test(tcp_socket, everything_may_be_freed_in_a_callback)
{
    struct told told = {.frees = true}, listening_told = {.frees = true}, failed = {.frees = true};
    struct ip_endpoint bound;
    struct stream_error error;
    uint16_t port;
    struct tcp_socket *listening = listening_socket(&listening_told, 2, &port);

    cr_assert(tcp_socket_accept(listening, NULL, NULL, &error));
    connecting_socket(&told, port);
    RUN_UNTIL(told.connected && listening_told.accepted);
    tcp_socket_free(listening_told.inbound[0]);
    close(peer_listen(&bound));
    connecting_socket(&failed, bound.port);
    RUN_UNTIL(failed.failed);
    run_a_little();
    cr_assert_eq(told.failed, 0);
}

/* An accepted socket that is closed stands for itself: it may connect. */
Test(tcp_socket, an_accepted_socket_may_connect_after_its_close)
{
    struct told told = {0}, inbound_told = {0};
    uint16_t port;
    struct tcp_socket *listening = listening_socket(&told, 2, &port);
    struct stream_error error;
    int fd = dial(port);

    cr_assert(tcp_socket_accept(listening, &callbacks, &inbound_told, &error));
    RUN_UNTIL(told.accepted);
    cr_assert_not(tcp_socket_connect(told.inbound[0], &error));
    cr_assert(tcp_socket_close(told.inbound[0], &error));
    cr_assert_not(tcp_socket_connect(told.inbound[0], &error), "where to?");
    cr_assert(tcp_socket_set_address(told.inbound[0], "127.0.0.1", port));
    cr_assert(tcp_socket_connect(told.inbound[0], &error));
    RUN_UNTIL(inbound_told.connected);
    tcp_socket_free(told.inbound[0]);
    tcp_socket_free(listening);
    close(fd);
}
