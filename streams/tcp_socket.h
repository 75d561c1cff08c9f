/* tcp_socket.h - a TCP socket with a life: it connects or listens, is closed or fails, and may then
 * connect or listen again. Connections are accepted on request, one a call, so that its owner bounds
 * them. What is connected is a pair of streams (stream.h), on which every property can be set.
 *
 * A call that the state does not allow changes nothing and fails with stream.state.bad-state. Callbacks
 * come from the loop, never from inside a call; they may close and free the socket. One thread, that
 * of the loop. */
#ifndef PAIRSOCKS_TCP_SOCKET_H
#define PAIRSOCKS_TCP_SOCKET_H

#include "address.h"
#include "stream.h"

PAIRSOCKS_API_BEGIN

struct tcp_socket;

/* Any of them may be NULL. */
struct tcp_socket_callbacks {
    /* What tcp_socket_connect() began stands. */
    void (*connected)(struct tcp_socket *socket, void *context);

    /* A connection that tcp_socket_accept() asked for: CONNECTED already, `connected` is not called
     * for it. The callee owns it. */
    void (*accepted)(struct tcp_socket *listening, struct tcp_socket *inbound, void *context);

    /* The socket is in ERROR; once. `text` is the error's name, and more where there is more to
     * say. */
    void (*failed)(struct tcp_socket *socket, const struct stream_error *error, const char *text,
                   void *context);

    /* Right after a connection has come, before it is queued: false closes it. */
    bool (*admits)(struct tcp_socket *listening, const struct ip_endpoint *peer, void *context);
};

/* INITIALIZED. `callbacks`, `resolver` (may be NULL: addresses only) and `loop` are borrowed. NULL
 * without memory. */
struct tcp_socket *tcp_socket_new(struct ev_loop *loop, struct resolver *resolver,
                                  const struct tcp_socket_callbacks *callbacks, void *context);

/* Closes what is open. Harmless with NULL. */
void tcp_socket_free(struct tcp_socket *socket);

enum pair_state tcp_socket_state(const struct tcp_socket *socket);

/* The host and port to connect to, or the address to listen on: 0.0.0.0 and :: only if they are said;
 * port 0 lets the kernel choose. Fixed while connecting, CONNECTED or LISTENING: false then, or
 * without memory. */
bool tcp_socket_set_address(struct tcp_socket *socket, const char *host, uint16_t port);

/* Milliseconds for connecting, and for a write without progress; 0 = none (the default). */
bool tcp_socket_set_timeout(struct tcp_socket *socket, uint32_t milliseconds);

/* How many connections wait for tcp_socket_accept() (listenQueueSize; 16); those beyond are closed.
 * For the next tcp_socket_listen(). At most TCP_SOCKET_QUEUE_MAX; false for more. */
enum { TCP_SOCKET_QUEUE_MAX = 65535 };
bool tcp_socket_set_queue(struct tcp_socket *socket, unsigned n);

/* INITIALIZED until `connected` or `failed` is called. False, with *ret_error, as stream_open(). */
bool tcp_socket_connect(struct tcp_socket *socket, struct stream_error *ret_error);

/* LISTENING on return. False: a bad state; resolver.name.invalid for an address that is none;
 * or ERROR, with system.listen.*, and `failed` is not called. */
bool tcp_socket_listen(struct tcp_socket *socket, struct stream_error *ret_error);

/* Asks for one connection: `accepted` is called once for it, from what waits or when one comes. It
 * is made with these callbacks (borrowed) and this context. A new call while one is pending
 * replaces that one. False: not LISTENING. */
bool tcp_socket_accept(struct tcp_socket *listening, const struct tcp_socket_callbacks *callbacks,
                       void *context, struct stream_error *ret_error);

/* CLOSED; ends connecting, a connection (in order, what was written is sent on) or listening; what
 * waits to be accepted is closed. False: none of these, closed or failed already. */
bool tcp_socket_close(struct tcp_socket *socket, struct stream_error *ret_error);

/* The address that is listened on. False: not LISTENING. */
bool tcp_socket_bound(const struct tcp_socket *socket, struct ip_endpoint *ret_bound);

/* Its two streams: the socket's, to set properties and callbacks and to read and write; a read or a
 * write is a bad state unless it is CONNECTED. Not to be freed. */
struct stream *tcp_socket_read_stream(struct tcp_socket *socket);
struct stream *tcp_socket_write_stream(struct tcp_socket *socket);

PAIRSOCKS_API_END

#endif
