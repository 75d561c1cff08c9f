/* tcp_socket.c - a pair of streams and a listener as the two lives of one socket. What the listener
 * finds is only queued; the loop's next turn hands it out, so that a callback may free everything. */
#include "streams/tcp_socket.h"

#include "streams/listener.h"
#include "streams/stream_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUEUE_DEFAULT = 16, KERNEL_QUEUE = 128, TEXT_MAX = 512 };

/* Which of its lives it leads, or has led last. */
enum life { LIFE_STREAMS, LIFE_LISTENING, LIFE_LISTENED, LIFE_NOT_LISTENED };

struct tcp_socket {
    struct ev_loop *loop;                         /* borrowed */
    struct resolver *resolver;                    /* borrowed */
    const struct tcp_socket_callbacks *callbacks; /* borrowed */
    void *context;
    struct stream *read, *write; /* owned */
    enum life life;
    bool is_told; /* connected, or not to be told */
    bool is_told_failed;

    struct listener listener;
    struct ip_endpoint bound;
    unsigned queue_size;
    int *queue; /* owned, as what is in it: a ring of queue_room */
    unsigned queue_room, queue_at, queue_n;
    bool is_asked; /* an accept is pending, for one with the next two */
    const struct tcp_socket_callbacks *inbound_callbacks;
    void *inbound_context;
    ev_timer soon; /* at 0: hands one out */
};

static bool refuse(struct stream_error *ret_error)
{
    *ret_error = stream_error_of(ERROR_STREAM_BAD_STATE);
    return false;
}

/* ---- the life of a connection */

static void tell_failed(struct tcp_socket *socket)
{
    struct stream_error error = stream_error(socket->read);
    char text[TEXT_MAX], name[STREAM_ERROR_NAME_MAX];
    struct stream_value why;

    stream_error_name(&error, name);
    if (stream_copy_property(socket->read, STREAM_WHY, &why)) {
        snprintf(text, sizeof text, "%s: %s", name, why.text);
        free(why.text);
    } else {
        snprintf(text, sizeof text, "%s", name);
    }
    if (socket->callbacks->failed)
        socket->callbacks->failed(socket, &error, text, socket->context);
}

/* The last thing that is done in here: the callbacks may free the socket. */
static void on_change(void *owner)
{
    struct tcp_socket *socket = owner;
    bool has_failed = stream_pair_state(socket->read) == PAIR_ERROR ||
                      stream_status(socket->write) == STREAM_ERROR;

    if (has_failed && !socket->is_told_failed) {
        socket->is_told = socket->is_told_failed = true;
        tell_failed(socket);
    } else if (socket->read->connection->is_up && !socket->is_told) {
        socket->is_told = true;
        if (socket->callbacks->connected)
            socket->callbacks->connected(socket, socket->context);
    }
}

static bool is_connecting(const struct tcp_socket *socket)
{
    return pair_is_opening(&socket->read->connection->pair);
}

enum pair_state tcp_socket_state(const struct tcp_socket *socket)
{
    static const enum pair_state states[] = {
        [LIFE_LISTENING] = PAIR_LISTENING,
        [LIFE_LISTENED] = PAIR_CLOSED,
        [LIFE_NOT_LISTENED] = PAIR_ERROR,
    };

    return socket->life == LIFE_STREAMS ? stream_pair_state(socket->read) : states[socket->life];
}

/* Neither connecting nor connected nor listening. */
static bool is_idle(const struct tcp_socket *socket)
{
    enum pair_state state = tcp_socket_state(socket);

    return state != PAIR_CONNECTED && state != PAIR_LISTENING && !is_connecting(socket);
}

bool tcp_socket_connect(struct tcp_socket *socket, struct stream_error *ret_error)
{
    if (!is_idle(socket))
        return refuse(ret_error);
    socket->life = LIFE_STREAMS;
    socket->is_told = socket->is_told_failed = false;
    return stream_open(socket->read, ret_error);
}

/* ---- the life of a listener */

static void take_soon(struct tcp_socket *socket)
{
    if (socket->is_asked && socket->queue_n)
        ev_timer_start(socket->loop, &socket->soon);
}

static void on_connection(struct listener *listener, int fd, const struct ip_endpoint *peer)
{
    struct tcp_socket *socket = listener->context;
    unsigned room = socket->queue_size + socket->is_asked;

    if ((socket->callbacks->admits && !socket->callbacks->admits(socket, peer, socket->context)) ||
        socket->queue_n >= room) {
        close(fd);
        return;
    }
    socket->queue[(socket->queue_at + socket->queue_n++) % socket->queue_room] = fd;
    take_soon(socket);
}

static const struct listener_callbacks listener_callbacks = {.accepted = on_connection};

static struct tcp_socket *new_bare(struct ev_loop *loop, struct resolver *resolver,
                                   const struct tcp_socket_callbacks *callbacks, void *context);

/* A socket that stands on an accepted descriptor. */
static struct tcp_socket *new_inbound(struct tcp_socket *listening, int fd)
{
    struct tcp_socket *socket = new_bare(listening->loop, listening->resolver,
                                         listening->inbound_callbacks, listening->inbound_context);
    struct stream_error error;

    if (!socket || !stream_pair_from_socket(listening->loop, fd, &socket->read, &socket->write)) {
        close(fd);
        free(socket);
        return NULL;
    }
    socket->read->connection->resolver = listening->resolver;
    stream_set_number(socket->read, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, true);
    socket->is_told = true;
    connection_observe(socket->read->connection, on_change, socket);
    if (stream_open(socket->read, &error))
        return socket;
    tcp_socket_free(socket);
    return NULL;
}

static void on_soon(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct tcp_socket *socket = w->data, *inbound;
    int fd = socket->queue[socket->queue_at];

    (void)loop;
    (void)revents;
    socket->queue_at = (socket->queue_at + 1) % socket->queue_room;
    socket->queue_n--;
    inbound = new_inbound(socket, fd);
    if (!inbound) {
        take_soon(socket);
        return;
    }
    socket->is_asked = false;
    if (socket->callbacks->accepted)
        socket->callbacks->accepted(socket, inbound, socket->context);
    else
        tcp_socket_free(inbound);
}

static bool open_listener(struct tcp_socket *socket, int *ret_fd, struct stream_error *ret_error)
{
    const struct connection *c = socket->read->connection;
    const char *host = connection_text(c, STREAM_REMOTE_HOST);
    struct ip_endpoint address = {.port = (uint16_t)connection_number(c, STREAM_REMOTE_PORT)};

    if (!host || !ip_parse(host, strlen(host), &address.ip)) {
        *ret_error = stream_error_of(ERROR_RESOLVER_INVALID);
        return false;
    }
    *ret_fd = listener_open_socket(&address, KERNEL_QUEUE, false, true, &socket->bound, ret_error);
    return *ret_fd >= 0;
}

bool tcp_socket_listen(struct tcp_socket *socket, struct stream_error *ret_error)
{
    unsigned room = socket->queue_size + 1;
    int *queue, fd;

    if (!is_idle(socket))
        return refuse(ret_error);
    queue = realloc(socket->queue, room * sizeof *queue);
    if (!queue) {
        *ret_error = stream_error_connect(ENOMEM);
        return false;
    }
    socket->queue = queue;
    socket->queue_room = room;
    socket->queue_at = socket->queue_n = 0;
    if (!open_listener(socket, &fd, ret_error)) {
        socket->life = LIFE_NOT_LISTENED;
        return false;
    }
    socket->life = LIFE_LISTENING;
    socket->is_asked = false;
    listener_start(&socket->listener, socket->loop, fd, &listener_callbacks, socket);
    return true;
}

bool tcp_socket_accept(struct tcp_socket *listening, const struct tcp_socket_callbacks *callbacks,
                       void *context, struct stream_error *ret_error)
{
    if (listening->life != LIFE_LISTENING)
        return refuse(ret_error);
    listening->is_asked = true;
    listening->inbound_callbacks = callbacks;
    listening->inbound_context = context;
    take_soon(listening);
    return true;
}

static void stop_listening(struct tcp_socket *socket)
{
    listener_close(&socket->listener);
    ev_timer_stop(socket->loop, &socket->soon);
    for (; socket->queue_n; socket->queue_n--) {
        close(socket->queue[socket->queue_at]);
        socket->queue_at = (socket->queue_at + 1) % socket->queue_room;
    }
    socket->is_asked = false;
    socket->life = LIFE_LISTENED;
}

bool tcp_socket_bound(const struct tcp_socket *socket, struct ip_endpoint *ret_bound)
{
    if (socket->life != LIFE_LISTENING)
        return false;
    *ret_bound = socket->bound;
    return true;
}

/* ---- both */

bool tcp_socket_close(struct tcp_socket *socket, struct stream_error *ret_error)
{
    if (is_idle(socket))
        return refuse(ret_error);
    if (socket->life == LIFE_LISTENING) {
        stop_listening(socket);
        return true;
    }
    socket->is_told = socket->is_told_failed = true;
    stream_close(socket->write);
    stream_close(socket->read);
    return true;
}

bool tcp_socket_set_address(struct tcp_socket *socket, const char *host, uint16_t port)
{
    return is_idle(socket) && stream_set_text(socket->read, STREAM_REMOTE_HOST, host) &&
           stream_set_number(socket->read, STREAM_REMOTE_PORT, port);
}

bool tcp_socket_set_timeout(struct tcp_socket *socket, uint32_t milliseconds)
{
    return stream_set_number(socket->read, STREAM_CONNECT_TIMEOUT, milliseconds) &&
           stream_set_number(socket->read, STREAM_WRITE_TIMEOUT, milliseconds);
}

bool tcp_socket_set_queue(struct tcp_socket *socket, unsigned n)
{
    if (n > TCP_SOCKET_QUEUE_MAX || socket->life == LIFE_LISTENING)
        return false;
    socket->queue_size = n;
    return true;
}

static struct tcp_socket *new_bare(struct ev_loop *loop, struct resolver *resolver,
                                   const struct tcp_socket_callbacks *callbacks, void *context)
{
    static const struct tcp_socket_callbacks none;
    struct tcp_socket *socket = calloc(1, sizeof *socket);

    if (!socket)
        return NULL;
    socket->loop = loop;
    socket->resolver = resolver;
    socket->callbacks = callbacks ? callbacks : &none;
    socket->context = context;
    socket->queue_size = QUEUE_DEFAULT;
    ev_timer_init(&socket->soon, on_soon, 0., 0.);
    socket->soon.data = socket;
    return socket;
}

struct tcp_socket *tcp_socket_new(struct ev_loop *loop, struct resolver *resolver,
                                  const struct tcp_socket_callbacks *callbacks, void *context)
{
    struct tcp_socket *socket = new_bare(loop, resolver, callbacks, context);

    if (!socket || !stream_pair_to_host(loop, resolver, "", 0, &socket->read, &socket->write)) {
        free(socket);
        return NULL;
    }
    connection_observe(socket->read->connection, on_change, socket);
    return socket;
}

void tcp_socket_free(struct tcp_socket *socket)
{
    if (!socket)
        return;
    if (socket->life == LIFE_LISTENING)
        stop_listening(socket);
    connection_observe(socket->read->connection, NULL, NULL);
    stream_free(socket->write);
    stream_free(socket->read);
    free(socket->queue);
    free(socket);
}

void tcp_socket_set_context(struct tcp_socket *socket, void *context)
{
    socket->context = context;
}

struct stream *tcp_socket_read_stream(struct tcp_socket *socket)
{
    return socket->read;
}

struct stream *tcp_socket_write_stream(struct tcp_socket *socket)
{
    return socket->write;
}
