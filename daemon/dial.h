/* dial.h - the way to a target through one proxy or a chain of them: which servers are tried, in which
 * order, for how long, and whose answer it is in the end. Made by a session for a route that has
 * proxies, gone when the target stands or will not. It opens the session's own pair: a TCP connection to
 * the first server, then a plan of steps (open_plan.h); a try that fails before the target stands goes
 * on with another server of the pool that failed. The owner has the clocks. */
#ifndef PAIRSOCKS_DIAL_H
#define PAIRSOCKS_DIAL_H

#include "daemon/dial_plan.h"

struct dial;

/* All is borrowed for as long as the dial lives; texts are copied. */
struct dial_options {
    const struct snapshot *snapshot;
    const struct config_upstream *route; /* dial_is_for() it */
    struct ev_loop *loop;
    struct resolver *resolver;
    struct connector_budget *budget;
    struct buffer_pool *pool;
    const uint64_t *now;            /* ms */
    struct ip_address bind_address; /* the listener's */
    struct dial_client client;
    struct dial_peer target; /* without an address: see dial_offer() */
    bool binds;              /* the last proxy, one of SOCKS, is asked to BIND for it */
    void (*wake)(
        void *context); /* something else than the pair has moved: step. Never from inside */
    void *context;
};

/* The servers that a session goes through, which count it for as long as it lives. */
struct dial_path {
    struct upstream_server *told; /* whose answer it was; a reference; NULL: no server's */
    unsigned count;
    struct upstream_server *servers[]; /* the nearest first; entered */
};

enum dial_result { DIAL_RUNNING, DIAL_STANDS, DIAL_FAILED };

/* Whether this way (or NULL: direct) has proxies. */
bool dial_is_for(const struct config_upstream *route);

/* NULL: no memory. Nothing happens before the first step. */
struct dial *dial_new(const struct dial_options *options);

/* Nothing is called any more; the pair is the owner's to close. Harmless with NULL. */
void dial_free(struct dial *dial);

/* One more address of the target, for a proxy that gets no names: they are tried in turn. */
void dial_offer(struct dial *dial, const struct ip_address *ip);

/* Goes on with `pair`, which nobody else opens meanwhile: at first, after each of its events, and
 * when woken. STANDS: it is CONNECTED, the target answers. FAILED: see dial_error(). */
enum dial_result dial_step(struct dial *dial, struct stream_pair *pair);

/* When it must be looked at though nothing moves; ms, UINT64_MAX: never. The look, then a step. */
uint64_t dial_next_look(const struct dial *dial, const struct stream_pair *pair);
void dial_look(struct dial *dial, struct stream_pair *pair);

/* The whole time is up: what runs fails, and nothing else is tried. A step follows. */
void dial_expire(struct dial *dial, struct stream_pair *pair);

/* FAILED: why, of several tries what the proxies said of the target before what was wrong with them. */
struct stream_error dial_error(const struct dial *dial);

/* STANDS: the address that the last proxy's connection comes from, or that it has bound; IP_NONE: it
 * did not say. */
struct ip_endpoint dial_bound(const struct dial *dial);

/* After the last step: the caller frees it. NULL: no memory. */
struct dial_path *dial_take_path(struct dial *dial);
void dial_path_free(struct dial_path *path); /* harmless with NULL */

#endif
