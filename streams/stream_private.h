/* stream_private.h - what the files of the paired streams share: stream.c opens, reads and writes,
 * stream_end.c closes, stream_event.c tells, stream_property.c knows the properties, stream_security.c does TLS.
 * For them, and for what is built on streams inside the library (tcp_socket.c). */
#ifndef PAIRSOCKS_STREAM_PRIVATE_H
#define PAIRSOCKS_STREAM_PRIVATE_H

#include "streams/buffer.h"
#include "streams/pair.h"
#include "streams/stream.h"

/* Read ahead for events; what TLS takes over where it begins on an open pair. */
enum { STREAM_AHEAD_MAX = BUFFER_MEDIUM };

struct stream {
    struct connection *connection;
    bool is_read;
    bool is_held; /* the user has it */
    bool is_left_out;
    bool is_closed;
    bool told_open, told_error, told_end;
    bool told_ready; /* HAS_BYTES or CAN_ACCEPT_BYTES, and nothing was done about it since */
    unsigned events; /* enabled */
    stream_callback *callback;
    void *context;
};

/* What the handles share; freed with the last of them. */
struct connection {
    struct stream_pair pair;
    struct stream read, write;
    struct resolver *resolver;                         /* borrowed */
    struct stream_value values[STREAM_PROPERTY_COUNT]; /* texts are owned */
    bool is_set[STREAM_PROPERTY_COUNT];
    int socket;              /* given at creation, until it was closed; -1 = none */
    struct service *service; /* owned; of a pair to one, while it is being opened */
    struct open_plan *plan;  /* owned; what is passed through once it is connected; NULL: nothing */
    struct buffer_pool pool; /* of its layers */
    uint8_t *ahead;          /* owned; NULL: nothing was read ahead */
    size_t ahead_at, ahead_n; /* [at, n) waits */
    char *why;                /* owned; STREAM_WHY */
    struct stream_error call_error;
    ev_timer soon;    /* at 0: there is something to tell */
    ev_timer limit;   /* of opening, of a write that waits, of ending */
    bool is_up;       /* opening is over: every layer stands */
    bool wants_room;  /* stream_write() could not do all */
    bool is_ending;   /* the end of our direction is not all on its way yet */
    bool has_changed; /* opened or failed, and on_change was not called since */
    bool is_from_socket;
    bool in_callback;               /* frees wait until the callbacks have returned */
    void (*on_change)(void *owner); /* of tcp_socket.c: from the loop; NULL: nobody */
    void *owner;
};

static inline bool connection_is_secure(const struct connection *c)
{
    return c->is_up && pair_find_layer(&c->pair, "tls");
}

static inline bool connection_is_closed(const struct connection *c)
{
    return c->read.is_closed && c->write.is_closed;
}

/* Somebody inside the library who is told of everything; NULL: nobody. It may free the streams. */
static inline void connection_observe(struct connection *c, void (*on_change)(void *owner),
                                      void *owner)
{
    c->on_change = on_change;
    c->owner = owner;
}

static inline size_t connection_ahead(const struct connection *c)
{
    return c->ahead_n - c->ahead_at;
}

struct tcp_socket;

/* tcp_socket.c: for sync.c, whose context is made of the socket. */
void tcp_socket_set_context(struct tcp_socket *socket, void *context);

/* stream.c */

/* After every event of the pair, and after stream_open(): goes on with what opening needs. */
void connection_continue(struct connection *c);

/* Nothing is to be told of this pair any more than is told already: it begins to be opened. */
void connection_begin(struct connection *c);

/* After whatever may have changed what is waited for. */
void connection_update(struct connection *c);

void connection_set_why(struct connection *c, const char *why); /* copied */

/* The limit of opening has come. */
void connection_expire_opening(struct connection *c);

/* stream_end.c */

/* Closes the pair; a socket that it closed is not its any more. */
void connection_close(struct connection *c);

/* Sends the end of our direction, or goes on sending it; closes what both have closed. */
void connection_end(struct connection *c);

/* Gives up what is still to be sent; both directions are closed. */
void connection_reset(struct connection *c);

/* The limit has come, of whatever it was. */
void connection_expire(struct connection *c);

/* Frees it if nobody holds or needs it any more. */
void connection_free_unheld(struct connection *c);

/* stream_event.c */
void connection_init_events(struct connection *c, struct ev_loop *loop);
void connection_stop_events(struct connection *c);
void connection_start_limit(struct connection *c, int64_t milliseconds); /* 0: stops it */
bool connection_has_to_tell(const struct connection *c);
bool stream_reads_ahead(const struct stream *stream);
void connection_consume_ahead(struct connection *c, size_t n);

/* stream_property.c */
void connection_done_properties(struct connection *c);
int64_t connection_number(const struct connection *c, enum stream_property property);
const char *connection_text(const struct connection *c, enum stream_property property);
void connection_apply_keepalive(struct connection *c);

/* stream_open.c */

/* Makes the plan of what the properties ask for. False: they do not go together (STREAM_WHY), or no
 * proxy could be told. */
bool connection_prepare(struct connection *c, struct stream_error *ret_error);
void connection_drop_plan(struct connection *c);
bool connection_connect(struct connection *c); /* false: no memory */
bool connection_pass(struct connection *c);    /* starts on the plan; false: bad state */

/* Where it goes: the host of the pair, or the one of its service that is tried; NULL: none. */
const char *connection_host(const struct connection *c);
uint16_t connection_port(const struct connection *c);

/* stream_service.c */

/* Looks for the servers of the service; the pair is OPENING. False: no memory. */
bool connection_look_up(struct connection *c);

/* Of a pair that is in ERROR: tries the next server. False: there is none, or no use in it; the most
 * telling error is the pair's. */
bool connection_try_next(struct connection *c);
void connection_drop_service(struct connection *c);

/* The server that is tried; NULL: none. */
const struct srv_record *connection_server(const struct connection *c);

/* DOMAIN of _NAME._PROTO.DOMAIN. */
const char *connection_service_domain(const char *service);

/* stream_security.c */

enum stream_security connection_security(const struct connection *c);

/* The context that the properties ask for; the caller unrefs it. NULL: STREAM_WHY. */
struct tls_context *connection_tls_context(struct connection *c);

/* Whose certificate it has to be; NULL: nobody's. */
const char *connection_peer_name(const struct connection *c);

/* STREAM_SECURITY was set on an open, plain pair. */
bool connection_start_tls(struct connection *c);

bool connection_copy_certificates(const struct connection *c, struct stream_value *ret_value);
const char *connection_tls_version(const struct connection *c);
const char *connection_tls_suite(const struct connection *c);

#endif
