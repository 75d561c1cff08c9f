/* pair.h - one connection as a pair of a read and a write stream: a descriptor, a chain of
 * layers, a state, one error, and a status for each direction.
 *
 * The daemon's sessions embed two pairs and drive them straight; stream.h offers the same pair
 * as two handles. A pair belongs to one loop and one thread. It never reads or writes on its
 * own, except for opening a layer and for flushing what a layer has taken: `on_event` says that
 * something may have changed, the owner tries, and says with pair_want() for what it waits. */
#ifndef PAIRSOCKS_PAIR_H
#define PAIRSOCKS_PAIR_H

#include "streams/connector.h"
#include "streams/layer_tcp.h"

#include <ev.h>

struct stream_pair;

/* Something happened: the descriptor is ready, the pair is open, or it failed. Look at the pair
 * and try. The handler may close the pair, not free it. */
typedef void pair_callback(struct stream_pair *pair);

struct stream_pair {
    struct ev_loop *loop; /* borrowed */
    pair_callback *on_event;
    struct layer *top;     /* owned chain; its bottom is `tcp` or a layer that a test pushed */
    struct layer_tcp tcp;  /* fd is owned while should_close; -1 = none */
    struct poller *poller; /* of the loop; a reference, while `holds_poller` */
    struct poll_watch watch;
    struct connector *connector; /* owned while it is being opened */
    struct stream_error error;
    uint8_t state;        /* enum pair_state; set by one function */
    uint8_t read_status;  /* enum stream_status */
    uint8_t write_status; /* enum stream_status */
    uint8_t ready;        /* enum interest: what the descriptor may be ready for */
    uint8_t interest;     /* enum interest: of the last pair_want() */
    uint8_t watched;      /* enum interest: what is waited for; an event of nothing else is told */
    bool opens_layer;     /* its top layer is being opened */
    bool holds_poller;
    bool has_ended;          /* the descriptor: reading goes on until it finds the end, or why */
    bool is_urgent;          /* a read may stop before an urgent byte although more is there */
    bool should_close;       /* close the descriptor with the pair ("should close native socket") */
    struct ip_endpoint peer; /* the address connected to, or last tried; IP_NONE if unknown */
};

/* INITIALIZED, both directions NOT_OPEN; should_close. */
void pair_init(struct stream_pair *pair, struct ev_loop *loop, pair_callback *on_event);

/* The loop's poller, borrowed, for who knows it: it need not be looked for then. After pair_init(). */
void pair_use_poller(struct stream_pair *pair, struct poller *poller);

/* Takes a connected, non-blocking stream socket: CONNECTED, both directions OPEN. `should_close`:
 * whether closing the pair closes it. False, with nothing changed, when the pair is CONNECTED or
 * being opened, or without memory. */
bool pair_adopt(struct stream_pair *pair, int fd, const struct ip_endpoint *peer,
                bool should_close);

/* After pair_adopt() of an accepted socket: its listening socket had TCP_NODELAY, so it has. */
void pair_inherited_no_delay(struct stream_pair *pair);

/* Starts to connect: `options` as in connector.h, whose loop, callback and context are set here.
 * Both directions are OPENING until `on_event` finds the pair CONNECTED or ERROR; it may already
 * be so on return. False = bad state, or no memory; nothing has changed then but, without
 * memory, state and error. */
bool pair_connect(struct stream_pair *pair, const struct connector_options *options,
                  const struct ip_address *ip, const char *name, uint16_t port);

/* The owner's deadline for opening has come: a pair being opened goes to ERROR, see
 * connector_expire(); with the error of the layer's kind (tls.handshake.timeout) when it is a layer
 * that is being opened. No event. */
void pair_expire(struct stream_pair *pair);

/* Opening has begun with something that the owner does before it connects: both directions are OPENING
 * until pair_connect(), which may be called then, or pair_fail(), or pair_close(). False: bad
 * state. */
bool pair_announce(struct stream_pair *pair);

/* Whoever owns a connected pair has found that it is of no use any more (a write that nobody takes):
 * ERROR, with this error unless there is one. No event. */
void pair_fail(struct stream_pair *pair, struct stream_error error);

/* Puts a layer on top of the chain. The layer is owned by the pair from now on. */
void pair_push_layer(struct stream_pair *pair, struct layer *layer);

/* Puts a layer on top of a pair that is open in both directions, and opens it (one that only sets up
 * is taken off and done then): the pair is
 * INITIALIZED and its directions are OPENING until `on_event` finds it CONNECTED or ERROR; it may
 * already be so on return. For a new connection, and for one that has talked in plain before
 * (STARTTLS): nobody may have read ahead of what the layer is to see. False: bad state; nothing
 * has changed, the layer included. */
bool pair_open_layer(struct stream_pair *pair, struct layer *layer);

/* The topmost layer of this kind, for what can be asked of it; NULL: the chain has none. */
struct layer *pair_find_layer(const struct stream_pair *pair, const char *name);

/* As layer.h has it. Calling in a state that does not allow it is ERROR, with
 * stream.state.bad-state. AGAIN comes without a system call while the descriptor is known not to
 * be ready. EOF: read_status is AT_END. */
enum io pair_read(struct stream_pair *pair, void *out, size_t n, size_t *ret_n);
enum io pair_write(struct stream_pair *pair, const void *bytes, size_t n, size_t *ret_n);

/* As pair_read() and pair_write(), through a pipe inside the kernel: only while
 * pair_can_splice(). The process must ignore SIGPIPE. */
enum io pair_splice_read(struct stream_pair *pair, int pipe, size_t n, size_t *ret_n);
enum io pair_splice_write(struct stream_pair *pair, int pipe, size_t n, size_t *ret_n);

/* For who must not take a byte now: EOF and ERROR as pair_read() has them if nothing stands before them,
 * as far as that is known without reading; else AGAIN, and nothing has changed. */
enum io pair_read_end(struct stream_pair *pair);

static inline bool pair_can_splice(const struct stream_pair *pair)
{
    return pair->top->ops->splice_read && pair->top->ops->splice_write;
}

/* Ends the write direction (half-close): write_status is AT_END after OK. Again is harmless. */
enum io pair_end(struct stream_pair *pair);

/* True when closing the pair now would tell the peer the same as pair_end(). */
static inline bool pair_ends_by_close(const struct stream_pair *pair)
{
    return pair->top->ops->close_ends && pair->should_close;
}

/* Watches for what a read (INTEREST_READ) or a write (INTEREST_WRITE) waits for; none stops
 * watching. Cheap when nothing changes. While a layer is being opened it counts for later. */
void pair_want(struct stream_pair *pair, enum interest interest);

static inline bool pair_is_watched(const struct stream_pair *pair)
{
    return pair->watched != 0;
}

/* The real local address of the connection (BND.ADDR); IP_NONE when unknown. */
struct ip_endpoint pair_local_address(const struct stream_pair *pair);

/* Sends TCP keep-alive probes after so many idle seconds; 0 = off. */
void pair_set_keepalive(struct stream_pair *pair, int seconds);

/* Bytes written that the peer's system has not acknowledged yet: while a write says AGAIN, a number
 * that falls means a peer that takes something. 0 when unknown. */
uint64_t pair_unacknowledged(const struct stream_pair *pair);

/* True while a layer has bytes of ours that the descriptor did not take yet. */
bool pair_is_flushing(const struct stream_pair *pair);

/* True when the peer is found gone (reset) without reading: for the time in which nothing is
 * read. */
bool pair_is_dead(const struct stream_pair *pair);

/* Ends everything at once; CLOSED, or stays ERROR. Harmless in any state; the pair can be
 * connected again. */
void pair_close(struct stream_pair *pair);

/* As pair_close(), but the peer gets a reset (RFC 9293, 3.10.5 ABORT). */
void pair_reset(struct stream_pair *pair);

static inline bool pair_is_opening(const struct stream_pair *pair)
{
    return pair->state == PAIR_INITIALIZED && pair->read_status == STREAM_OPENING;
}

#endif
