/* association_machine.h - what the association*.c files share. Nobody else includes it. */
#ifndef PAIRSOCKS_ASSOCIATION_MACHINE_H
#define PAIRSOCKS_ASSOCIATION_MACHINE_H

#include "daemon/association.h"
#include "daemon/session_machine.h"
#include "daemon/udp_table.h"
#include "streams/socks_fragments.h"

enum { LOOKUPS_MAX = 8 };

/* Where datagrams leave and come in. All but the client's double as rows of the scratch. */
enum side { SIDE_V4, SIDE_V6, SIDE_PROXY, SIDE_CLIENT, SIDES };

enum target_state {
    TARGET_NEW,
    TARGET_RESOLVING, /* its datagrams wait */
    TARGET_PASSES,    /* goes by `way` to `to`, by SIDE_PROXY perhaps to the name */
    TARGET_DROPPED,   /* because of `reason` */
};

struct side_socket {
    struct association *association;
    int fd; /* owned; -1: not open */
    ev_io io;
    struct datagram_queue queue;
    enum side side;
};

/* A name that is being looked up, for one target. */
struct udp_lookup {
    struct association *association;
    struct udp_entry *target; /* NULL: the slot is free */
    struct resolver_lookup *lookup;
    enum ip_family family;
    bool is_denied; /* an address was found, and may not be reached */
};

/* As much as may pass now, in thousandths of a datagram. */
struct bucket {
    int64_t level;
    uint64_t filled; /* ms */
};

/* What the association may pass on by one rule that has a rate. Not more than there are rules. */
struct udp_limit {
    struct udp_limit *next;
    const struct config_rule *rule; /* borrowed: the session holds its snapshot */
    struct throttle out, in;
};

struct association {
    struct session *session; /* borrowed */
    struct worker *worker;   /* borrowed */
    const struct config_listener *config;
    struct ip_endpoint client; /* port 0: not known yet */
    struct ip_endpoint bound;
    struct side_socket sides[SIDES];
    struct udp_table table;
    struct udp_lookup lookups[LOOKUPS_MAX];
    struct buffer waiting; /* records: see association_target.c */
    unsigned waiting_count;
    struct socks_fragments fragments;
    struct buffer fragment_block; /* lent to it */
    struct bucket out, in;
    struct proxy_way *way;    /* owned; NULL: the route has no proxies */
    unsigned places;          /* beside the session's own */
    bool has_named;           /* a proxy was given a name: who answers is its business */
    struct udp_limit *named;  /* of the last such name; borrowed */
    struct udp_limit *limits; /* owned */
    uint64_t active;          /* ms */
    struct association_counts counts;
};

/* One datagram of the client on its way out. */
struct outgoing {
    const struct socks_udp_header *header;
    uint8_t *bytes; /* begins with the header; DATAGRAM_ROOM in front */
    size_t n;
};

/* association_limit.c: what this rule (or NULL) allows; *ret_limit is NULL without a rate. False: no memory. */
bool association_limit(struct association *a, const struct config_rule *rule,
                       struct udp_limit **ret_limit);
void association_free_limits(struct association *a);

/* Whether `n` bytes of a datagram may pass; they are counted then. `limit` may be NULL. */
bool association_may_send(struct association *a, struct udp_limit *limit, size_t n);
bool association_may_answer(struct association *a, struct udp_limit *limit, size_t n);

static inline void association_drop(struct association *a, enum association_drop reason)
{
    a->counts.dropped[reason]++;
}

/* Queues one for a target that passes, on its way's socket. */
void association_send(struct association *a, struct udp_entry *target, const struct outgoing *out);

/* The same for bytes that lie elsewhere and are gone afterwards: sends them now. */
void association_send_copy(struct association *a, struct udp_entry *target, const uint8_t *bytes,
                           size_t n);

/* Where datagrams that go straight come from; IP_NONE: the kernel's choice. */
struct ip_address association_source(const struct association *a);

/* association_relay.c: passes on what a side_socket has received. */
void association_on_readable(struct ev_loop *loop, ev_io *w, int revents);

/* Sends all that is queued. */
void association_flush(struct association *a);

/* association_target.c: the target of this header with a decision, or one that is being resolved. NULL:
 * no memory. */
struct udp_entry *association_target(struct association *a, const struct socks_udp_header *header);

/* Keeps a datagram until its target's name is resolved; or drops it. */
void association_wait(struct association *a, struct udp_entry *target, const uint8_t *bytes,
                      size_t n);

/* A target goes: nothing may point to it. As udp_evicted. */
void association_forget(void *context, struct udp_entry *entry);

void association_cancel_lookups(struct association *a);

/* association_proxy.c: bytes in front of each datagram to the proxies, written before `bytes`; how many. */
size_t association_wrap(const struct association *a, uint8_t *bytes);

/* Takes these off again. False: it is no datagram of the last proxy. */
bool association_unwrap(const struct association *a, uint8_t **bytes, size_t *n);

/* Closes the proxies' connections. */
void association_free_way(struct association *a);

/* Opens a side: its socket is bound to `ip` and watched. False with errno. */
bool association_open_side(struct association *a, enum side side, const struct ip_address *ip,
                           uint16_t port);

#endif
