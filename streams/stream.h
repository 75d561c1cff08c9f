/* stream.h - paired read and write streams as two handles on one connection (pair.h).
 *
 * Both handles share the pair's state, error and properties: a property set on either holds for
 * both. Each has a status of its own. Nothing is opened until one of the two is opened; either
 * may be left out (NULL for its result). A handle is freed with stream_free(); with its last
 * handle the pair closes. All calls belong to the thread of the pair's loop. */
#ifndef PAIRSOCKS_STREAM_H
#define PAIRSOCKS_STREAM_H

#include "streams/pair.h"

struct stream;

enum stream_property {
    STREAM_SHOULD_CLOSE_NATIVE_SOCKET, /* bool; default: true, but false for a pair from a socket */
    STREAM_NATIVE_HANDLE,              /* number: the descriptor; read only; -1 = none */
    STREAM_REMOTE_HOST,                /* text: as given, or the peer's address */
    STREAM_REMOTE_PORT,                /* number, 0..65535 */
    STREAM_LOCAL_ADDRESS,              /* text ADDRESS:PORT; read only; once connected */
    STREAM_KEEPALIVE,                  /* number: seconds, 0 = off (the default) */
};

/* The value of a property: which member counts is fixed by the property. */
struct stream_value {
    int64_t number; /* booleans too */
    char *text;     /* owned by whoever holds the value; NULL for numbers */
};

/* Something may have changed on this stream: look at its status, try to read or write. */
typedef void stream_callback(struct stream *stream, void *context);

/* A pair to HOST (a name or an address) and port. `resolver` may be NULL for addresses only; it and
 * `loop` are borrowed. False without memory. */
bool stream_pair_to_host(struct ev_loop *loop, struct resolver *resolver, const char *host,
                         uint16_t port, struct stream **ret_read, struct stream **ret_write);

/* A pair on a connected, non-blocking stream socket, which stays the caller's unless
 * STREAM_SHOULD_CLOSE_NATIVE_SOCKET is set. It is open once one of its streams is opened. */
bool stream_pair_from_socket(struct ev_loop *loop, int fd, struct stream **ret_read,
                             struct stream **ret_write);

/* Opens both directions. False (stream.state.bad-state in *ret_error) when the pair is connected
 * or being opened already. A pair to a host is OPENING until the callback finds it OPEN or in
 * ERROR. */
bool stream_open(struct stream *stream, struct stream_error *ret_error);

/* Ends the opening now, with the most telling error: for the owner's deadline. */
void stream_expire(struct stream *stream);

enum stream_status stream_status(const struct stream *stream);
enum pair_state stream_pair_state(const struct stream *stream);
struct stream_error stream_error(const struct stream *stream);

/* Called on every event that concerns this stream while it is OPENING or OPEN; for a read stream
 * when bytes or the end may be there; for a write stream after stream_write() said AGAIN. NULL: not
 * at all. */
void stream_set_callback(struct stream *stream, stream_callback *callback, void *context);

/* As pair_read() and pair_write(); of the wrong direction: IO_ERROR, and nothing happens. */
enum io stream_read(struct stream *stream, void *out, size_t n, size_t *ret_n);
enum io stream_write(struct stream *stream, const void *bytes, size_t n, size_t *ret_n);

/* Closes one direction; of a write stream the peer is told (half-close). When both are closed,
 * or the other one was left out, the pair closes. False: bad state, it was not open. */
bool stream_close(struct stream *stream);

/* Closes what is open and gives the handle back. Harmless with NULL. */
void stream_free(struct stream *stream);

/* False: the property cannot be set (now), or without memory. Host and port are fixed once the pair
 * is not INITIALIZED. `value` is copied. */
bool stream_set_property(struct stream *stream, enum stream_property property,
                         const struct stream_value *value);

/* False: it has no value (now). The caller frees ret_value->text. */
bool stream_copy_property(const struct stream *stream, enum stream_property property,
                          struct stream_value *ret_value);

#endif
