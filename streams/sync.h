/* sync.h - sockets in straight lines: connect, read, write, each until a deadline. Whoever calls runs
 * as a coroutine of its own on a shared loop; while it waits the others run. Calls that may wait are
 * forbidden elsewhere, in a callback of the loop above all: that is found, and a bad state
 * (stream.state.bad-state). One thread, that of the loop; the loop is to be run until the
 * functions have returned.
 *
 * A deadline is a point in the time of sync_now(), not a length of time: several calls share one. */
#ifndef PAIRSOCKS_SYNC_H
#define PAIRSOCKS_SYNC_H

#include "stream.h"

PAIRSOCKS_API_BEGIN

struct sync_socket;

#define SYNC_FOREVER (-1.)

/* Monotonic seconds; and so many from now. */
double sync_now(void);
double sync_in(double seconds);

/* Calls `function` as a coroutine, with a stack of 256 KiB, from the loop's next turn on. May be called
 * anywhere. False: no memory. */
bool sync_start(struct ev_loop *loop, void (*function)(void *context), void *context);

/* Lets the others run until then. AGAIN: it is then. ERROR: not in a coroutine. */
enum io sync_sleep(double deadline);

/* ---- sockets */

/* A socket that is neither connected nor listening. `resolver` (may be NULL: addresses only) and `loop`
 * are borrowed. NULL without memory. */
struct sync_socket *sync_new(struct ev_loop *loop, struct resolver *resolver);

/* Closes what is open, without waiting. Who waits in a call on it has a bad state then. Harmless with
 * NULL. */
void sync_free(struct sync_socket *socket);

/* Certificates as key, certificate, authority and revocation list, the cipher list, what is verified of
 * the peer and of its issuer, proxies and the rest: the properties of streams. */
bool sync_set_number(struct sync_socket *socket, enum stream_property property, int64_t number);
bool sync_set_text(struct sync_socket *socket, enum stream_property property, const char *text);
bool sync_copy_property(const struct sync_socket *socket, enum stream_property property,
                        struct stream_value *ret_value);

/* Connects, TLS included if a property asks for it. OK or ERROR; when the deadline comes first, the
 * ERROR is that of a timeout. After an error, or once closed, it may connect again. */
enum io sync_connect(struct sync_socket *socket, const char *host, uint16_t port, double deadline);

/* Listens; does not wait. Every connection is handled by a coroutine of its own, which owns the
 * socket, and of which at most `at_once` (1 to 32767) run; twice as many wait. Port 0: the kernel chooses, see
 * sync_port(). False: sync_error() says why. */
typedef void sync_handler(struct sync_socket *socket, void *context);
bool sync_listen(struct sync_socket *socket, const char *address, uint16_t port, unsigned at_once,
                 sync_handler *handler, void *context);

/* The port that is listened on; 0: none. */
uint16_t sync_port(const struct sync_socket *socket);

/* TLS on a connection that has talked in plain so far, as the properties have it. */
enum io sync_secure(struct sync_socket *socket, double deadline);

/* What is there, or what comes first. OK: 1 <= *ret_n <= n. AGAIN: the deadline came first. EOF: the
 * peer ended its direction. ERROR. */
enum io sync_read(struct sync_socket *socket, void *out, size_t n, size_t *ret_n, double deadline);

/* All of it. AGAIN: the deadline came first; *ret_n bytes were taken (always set but on ERROR of a
 * bad state; may be NULL). */
enum io sync_write(struct sync_socket *socket, const void *bytes, size_t n, size_t *ret_n,
                   double deadline);

/* Ends our direction (half-close); reading goes on. OK: all is on its way. */
enum io sync_end(struct sync_socket *socket, double deadline);

/* Closes in order. AGAIN: the deadline came first, and what was not sent by then is given up. ERROR:
 * it is not open. A listening socket stops to listen; its handlers go on. */
enum io sync_close(struct sync_socket *socket, double deadline);

bool sync_is_closed(const struct sync_socket *socket); /* neither open nor listening */
bool sync_is_at_end(const struct sync_socket *socket); /* the peer ended, and all is read */
bool sync_is_secure(const struct sync_socket *socket); /* TLS stands */

/* Why the last call that failed did. */
struct stream_error sync_error(const struct sync_socket *socket);

PAIRSOCKS_API_END

#endif
