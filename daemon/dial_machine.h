/* dial_machine.h - what the dial*.c files share. Nobody else includes it. */
#ifndef PAIRSOCKS_DIAL_MACHINE_H
#define PAIRSOCKS_DIAL_MACHINE_H

#include "daemon/dial.h"

enum { DIAL_TRIES_MAX = 64, DIAL_TARGETS_MAX = CONNECTOR_ADDRESSES_MAX };

enum dial_state { STATE_PICKING, STATE_LOOKUP, STATE_CONNECTING, STATE_OPENING, STATE_OVER };

struct dial_hop {
    const struct config_upstream *upstream;
    struct upstream_pool *pool;
    struct ip_address resolved; /* of its server's name, where the hop before gets no names */
};

struct dial {
    struct dial_options options;
    char *target_host; /* owned */
    enum dial_state state;
    uint64_t began; /* ms; from when the hop under way has its connect_timeout; 0: no step yet */
    bool is_last;   /* nothing is tried after this */
    bool stands;
    unsigned hop_count;
    struct dial_hop *hops;          /* owned; the nearest first */
    struct dial_path *path;         /* owned; of the try under way, as far as it has servers */
    struct upstream_server **tried; /* owned, with references */
    unsigned tried_count;
    struct connector *lookup; /* owned; of a server's name */
    unsigned looked_up;       /* the hop that it is for */
    struct ip_address targets[DIAL_TARGETS_MAX];
    unsigned target_count, target_at;
    struct stream_error error;
    bool is_answer; /* `error` is what a proxy said of the target */
    struct ip_endpoint bound;
    struct socks_host relay; /* the same as it came */
    uint16_t relay_port;
    bool has_relay;
};

/* A hop's server, or behind the last hop the target: what is known of it. */
struct dial_peer dial_peer_of(const struct dial *d, unsigned hop);

/* dial_try.c: picks a server for each hop that has none. False: a pool is still waiting for its list. */
bool dial_pick(struct dial *d);

/* dial_try.c: what became of the try, and what follows: another server, another address, or the end. */
void dial_stands(struct dial *d, const struct stream_pair *pair);
void dial_plan_failed(struct dial *d, const struct stream_pair *pair);

/* `hop` could not be reached, or did not do as it should; `told` says so (NULL: nobody). */
void dial_hop_failed(struct dial *d, unsigned hop, struct upstream_server *told,
                     struct stream_error error);

/* It is nobody's fault but the target's, or its address's: the next one of these, or the next proxy, may
 * know a way. */
void dial_replace_target(struct dial *d);

/* Of several tries the answer to the request counts most, then the most telling error. */
void dial_keep_error(struct dial *d, struct upstream_server *told, struct stream_error error,
                     bool is_answer);

/* Nothing is tried any more. */
void dial_over(struct dial *d);

/* dial_lookup.c: the addresses of servers, and of a target, whose names the proxy before does not
 * get. False: a question is open. */
bool dial_look_up(struct dial *d);

#endif
