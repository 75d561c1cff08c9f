/* stream_peer.h - the other end of a pair of streams in a test: a plain socket that a test drives by
 * hand, and a notebook of the events that were told. */
#ifndef PAIRSOCKS_STREAM_PEER_H
#define PAIRSOCKS_STREAM_PEER_H

#include "streams/address.h"
#include "streams/stream.h"

#include <criterion/criterion.h>
#include <ev.h>

static inline struct ev_loop *loop(void)
{
    return ev_default_loop(EVFLAG_NOENV);
}

/* Turns of the loop until it holds; what never comes is the suite's timeout. */
#define RUN_UNTIL(condition)                                                                       \
    while (!(condition))                                                                           \
    ev_run(loop(), EVRUN_ONCE)

/* What is due now, and nothing that has to be waited for. */
void run_a_little(void);

/* A listening socket on 127.0.0.1. */
int peer_listen(struct ip_endpoint *ret_bound);

/* The connection that waits there; blocking. */
int peer_accept(int listening);

/* Both ends, connected; the first is not blocking. */
void peer_pair(int fds[2]);

void peer_send(int fd, const void *bytes, size_t n);

/* Exactly n bytes come. */
void peer_expect(int fd, const void *bytes, size_t n);

/* Everything. */
#define SEE_ALL                                                                                    \
    (STREAM_EVENT_OPEN_COMPLETED | STREAM_EVENT_HAS_BYTES | STREAM_EVENT_CAN_ACCEPT_BYTES |        \
     STREAM_EVENT_ERROR_OCCURRED | STREAM_EVENT_END_ENCOUNTERED)

/* How often each was told, and the bytes of DATA. */
struct seen {
    unsigned open, bytes, room, error, end, data;
    char text[256];
    size_t length;
};

void see(struct stream *stream, const struct stream_event *event, void *seen);

/* The name of the stream's error, in a static buffer. */
const char *error_of(const struct stream *stream);

/* A pair to a new peer, not open; *ret_fd listens. */
void pair_to_peer(struct stream **ret_in, struct stream **ret_out, int *ret_fd);

/* Opens; the peer's end is accepted. */
int open_to_peer(struct stream *stream, int listening);

/* A value that is there. The text, in a static buffer. */
int64_t number_of(const struct stream *stream, enum stream_property property);
const char *text_of(const struct stream *stream, enum stream_property property);

#endif
