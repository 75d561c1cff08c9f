/* stream.h - paired read and write streams as two handles on one connection.
 *
 * Both handles share the pair's state, error and properties: a property set on either holds for
 * both. Each has a status of its own. Nothing is opened until one of the two is opened; either
 * may be left out (NULL for its result). A handle is freed with stream_free(); with its last
 * handle the pair closes. All calls belong to the thread of the pair's loop. SIGPIPE is never
 * raised. */
#ifndef PAIRSOCKS_STREAM_H
#define PAIRSOCKS_STREAM_H

#include "error.h"
#include "status.h"
#include "stream_property.h"

#include <stddef.h>

PAIRSOCKS_API_BEGIN

struct ev_loop;
struct resolver;
struct stream;

/* A pair to HOST (a name or an address) and port. `resolver` (resolver.h) may be NULL for addresses
 * only; it and `loop` are borrowed. False without memory. */
bool stream_pair_to_host(struct ev_loop *loop, struct resolver *resolver, const char *host,
                         uint16_t port, struct stream **ret_read, struct stream **ret_write);

/* A pair to a service of a domain, `_NAME._PROTO.DOMAIN` (RFC 2782): its SRV records say which hosts
 * and ports are tried, in their order, when it is opened. With TLS the certificate has to be for
 * DOMAIN. Needs the resolver. */
bool stream_pair_to_service(struct ev_loop *loop, struct resolver *resolver, const char *service,
                            struct stream **ret_read, struct stream **ret_write);

/* A pair on a connected, non-blocking stream socket, which stays the caller's unless
 * STREAM_SHOULD_CLOSE_NATIVE_SOCKET is set. It is open once one of its streams is opened. A pair
 * that has closed its socket can be given a host and opened again. */
bool stream_pair_from_socket(struct ev_loop *loop, int fd, struct stream **ret_read,
                             struct stream **ret_write);

/* Opens both directions. False: stream.state.bad-state in *ret_error when the pair is connected
 * or being opened already; stream.settings.bad (and STREAM_WHY) for properties that do not go
 * together or files that cannot be read; nothing has changed then; or the error that it ended with
 * at once. A pair to a host is OPENING until it is OPEN or in ERROR, of which an event tells. After
 * CLOSED and after ERROR a pair can be opened again. */
bool stream_open(struct stream *stream, struct stream_error *ret_error);

/* Ends the opening now, with the most telling error: for an owner that has a deadline of its own
 * (else: STREAM_CONNECT_TIMEOUT). No event. */
void stream_expire(struct stream *stream);

enum stream_status stream_status(const struct stream *stream);
enum pair_state stream_pair_state(const struct stream *stream);

/* What the pair, or one of its directions, died of; else stream.state.bad-state when the last call
 * was in a wrong state; else none. */
struct stream_error stream_error(const struct stream *stream);

/* ---- events */

enum stream_event_kind {
    STREAM_EVENT_OPEN_COMPLETED = 1,   /* the pair is open (CFSocket: connect) */
    STREAM_EVENT_HAS_BYTES = 2,        /* a read gives bytes (CFSocket: read). Comes again after
                                           a read that left some, and when more have come */
    STREAM_EVENT_CAN_ACCEPT_BYTES = 4, /* a write takes bytes (CFSocket: write). Comes again after a
                                           write, when there is room again */
    STREAM_EVENT_ERROR_OCCURRED = 8,   /* stream_error() says which; once */
    STREAM_EVENT_END_ENCOUNTERED = 16, /* of a read stream: the peer ended its direction; once, when
                                           all that came before is read */
    STREAM_EVENT_DATA = 32,            /* bytes, already read (CFSocket: data); in place of
                                           HAS_BYTES while both are enabled */
};

struct stream_event {
    enum stream_event_kind kind;
    const void *bytes; /* DATA: during the call only; else NULL */
    size_t n;
};

/* Never called from inside a call of the library, only from the loop. The callback may close and free
 * the stream and its sibling. */
typedef void stream_callback(struct stream *stream, const struct stream_event *event,
                             void *context);

/* Tells these events (bits of enum stream_event_kind) from now on. While HAS_BYTES, DATA or
 * END_ENCOUNTERED is enabled, the pair reads ahead, at most 16 KiB. NULL: tells nothing; then every
 * stream_read() and stream_write() asks the socket. */
void stream_set_callback(struct stream *stream, unsigned events, stream_callback *callback,
                         void *context);

/* Switches events on, and off. An event that has been told and is enabled again comes again. */
void stream_enable_events(struct stream *stream, unsigned events);
void stream_disable_events(struct stream *stream, unsigned events);
unsigned stream_enabled_events(const struct stream *stream);

/* ---- bytes */

/* OK: 1 <= *ret_n <= n. AGAIN: not now. EOF: the peer ended its direction. ERROR: see
 * stream_error(); of the wrong direction, or of one that is not open: a bad state, and nothing
 * happens. */
enum io stream_read(struct stream *stream, void *out, size_t n, size_t *ret_n);

/* OK: the first *ret_n bytes were taken, 1 <= *ret_n <= n. AGAIN, ERROR as above. */
enum io stream_write(struct stream *stream, const void *bytes, size_t n, size_t *ret_n);

/* Closes one direction; of a write stream the peer is told (half-close), after all that was taken.
 * When both are closed, or the other one was left out, the pair closes. What the peer has not taken
 * yet is sent on while the loop runs, for at most STREAM_WRITE_TIMEOUT or 30 s. False: bad state,
 * it was not open. */
bool stream_close(struct stream *stream);

/* Closes what is open and gives the handle back. Harmless with NULL. */
void stream_free(struct stream *stream);

PAIRSOCKS_API_END

#endif
