/* stream_peer.c - see stream_peer.h. */
#include "tests/unit/stream_peer.h"

#include "streams/listener.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void run_a_little(void)
{
    for (int i = 0; i < 10; i++)
        ev_run(loop(), EVRUN_NOWAIT);
}

int peer_listen(struct ip_endpoint *ret_bound)
{
    static const struct ip_endpoint any = {{IP_V4, {127, 0, 0, 1}}, 0};
    struct stream_error error;
    int fd = listener_open_socket(&any, 8, false, true, ret_bound, &error);

    cr_assert_geq(fd, 0);
    cr_assert_eq(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

int peer_accept(int listening)
{
    int fd = accept(listening, NULL, NULL);

    cr_assert_geq(fd, 0);
    return fd;
}

void peer_pair(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

void peer_send(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
}

void peer_expect(int fd, const void *bytes, size_t n)
{
    char got[1024];

    cr_assert_leq(n, sizeof got);
    cr_assert_eq(recv(fd, got, n, MSG_WAITALL), (ssize_t)n);
    cr_assert_arr_eq(got, bytes, n);
}

void see(struct stream *stream, const struct stream_event *event, void *context)
{
    struct seen *seen = context;

    (void)stream;
    seen->open += event->kind == STREAM_EVENT_OPEN_COMPLETED;
    seen->bytes += event->kind == STREAM_EVENT_HAS_BYTES;
    seen->room += event->kind == STREAM_EVENT_CAN_ACCEPT_BYTES;
    seen->error += event->kind == STREAM_EVENT_ERROR_OCCURRED;
    seen->end += event->kind == STREAM_EVENT_END_ENCOUNTERED;
    seen->data += event->kind == STREAM_EVENT_DATA;
    if (event->kind != STREAM_EVENT_DATA)
        return;
    cr_assert_leq(seen->length + event->n, sizeof seen->text);
    memcpy(seen->text + seen->length, event->bytes, event->n);
    seen->length += event->n;
}

const char *error_of(const struct stream *stream)
{
    static char name[STREAM_ERROR_NAME_MAX];
    struct stream_error error = stream_error(stream);

    return stream_error_name(&error, name);
}

void pair_to_peer(struct stream **ret_in, struct stream **ret_out, int *ret_fd)
{
    struct ip_endpoint bound;

    *ret_fd = peer_listen(&bound);
    cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, ret_in, ret_out));
}

int open_to_peer(struct stream *stream, int listening)
{
    struct stream_error error;
    char name[STREAM_ERROR_NAME_MAX];

    cr_assert(stream_open(stream, &error), "%s", stream_error_name(&error, name));
    return peer_accept(listening);
}

int64_t number_of(const struct stream *stream, enum stream_property property)
{
    struct stream_value value;

    cr_assert(stream_copy_property(stream, property, &value), "property %d", (int)property);
    return value.number;
}

const char *text_of(const struct stream *stream, enum stream_property property)
{
    static char texts[4][8192];
    static unsigned next;
    char *text = texts[next++ % 4];
    struct stream_value value;

    cr_assert(stream_copy_property(stream, property, &value), "property %d", (int)property);
    snprintf(text, sizeof texts[0], "%s", value.text);
    free(value.text);
    return text;
}
