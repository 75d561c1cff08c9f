/* dial.c - tries, one after the other. A try picks a server for each hop, looks up the names of those
 * that the proxy before will not resolve, connects to the first and gives the pair its plan. Whoever
 * fails is told to its pool and replaced (dial_try.c). */
#include "daemon/dial_machine.h"

#include "streams/layer_socks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often it is looked whether the first answer of a service has come. */
enum { PENDING_POLL_MS = 20 };

bool dial_is_for(const struct config_upstream *route)
{
    return config_last_proxy(route) != NULL;
}

/* ---- from its making to its end */

static bool add_hops(struct dial *d)
{
    const struct snapshot *snapshot = d->options.snapshot;
    const struct config_upstream *last = config_last_proxy(d->options.route);
    unsigned at;

    for (const struct config_upstream *u = last; u; u = u->via)
        d->hop_count++;
    d->hops = calloc(d->hop_count, sizeof *d->hops);
    d->path = calloc(1, sizeof *d->path + d->hop_count * sizeof(struct upstream_server *));
    d->tried = calloc(DIAL_TRIES_MAX, sizeof(struct upstream_server *));
    if (!d->hops || !d->path || !d->tried)
        return false;
    d->path->count = at = d->hop_count;
    for (const struct config_upstream *u = last; u; u = u->via)
        d->hops[--at] = (struct dial_hop){.upstream = u, .pool = snapshot_pool(snapshot, u)};
    return true;
}

struct dial *dial_new(const struct dial_options *options)
{
    struct dial *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->options = *options;
    d->target_host = options->target.host ? strdup(options->target.host) : NULL;
    d->options.target.host = d->target_host;
    if (add_hops(d) && (d->target_host || !options->target.host))
        return d;
    dial_free(d);
    return NULL;
}

void dial_path_free(struct dial_path *path)
{
    if (!path)
        return;
    for (unsigned i = 0; i < path->count; i++)
        upstream_server_release(path->servers[i]);
    upstream_server_unref(path->told);
    free(path);
}

void dial_free(struct dial *d)
{
    if (!d)
        return;
    connector_free(d->lookup);
    for (unsigned i = 0; i < d->tried_count; i++)
        upstream_server_unref(d->tried[i]);
    free(d->tried);
    dial_path_free(d->path);
    free(d->hops);
    free(d->target_host);
    free(d);
}

struct dial_path *dial_take_path(struct dial *d)
{
    struct dial_path *path = d->path;

    d->path = NULL;
    for (unsigned i = 0; path && i < path->count && !d->stands; i++) {
        upstream_server_release(path->servers[i]); /* nothing goes through them */
        path->servers[i] = NULL;
    }
    return path;
}

void dial_offer(struct dial *d, const struct ip_address *ip)
{
    if (d->target_count < DIAL_TARGETS_MAX)
        d->targets[d->target_count++] = ip_unmapped(ip);
}

struct stream_error dial_error(const struct dial *d)
{
    return d->error;
}

struct ip_endpoint dial_bound(const struct dial *d)
{
    return d->bound;
}

struct dial_peer dial_peer_of(const struct dial *d, unsigned hop)
{
    struct dial_peer peer;

    if (hop < d->hop_count) {
        const struct upstream_server *server = d->path->servers[hop];

        return (struct dial_peer){server->host, server->host ? d->hops[hop].resolved : server->ip,
                                  server->port};
    }
    peer = d->options.target;
    if (d->target_count)
        peer.ip = d->targets[d->target_at];
    return peer;
}

/* ---- the connection */

static void on_progress(void *context, const struct open_progress *progress)
{
    struct dial *d = context;
    struct socks_host bound;
    uint16_t port;

    if (progress->phase != SETUP_DONE || progress->step->kind < OPEN_SOCKS4)
        return;
    d->began = *d->options.now; /* of the next hop */
    d->bound = (struct ip_endpoint){0};
    if (progress->step->kind == OPEN_HTTP || !layer_socks_bound(progress->layer, &bound, &port))
        return;
    d->bound = (struct ip_endpoint){bound.ip, port};
    if (ip_is_unspecified(&bound.ip))
        d->bound.ip = (struct ip_address){0};
}

static bool add_steps(struct dial *d, struct open_plan *plan, struct stream_error *ret_error)
{
    const struct snapshot *snapshot = d->options.snapshot;
    const struct config_upstream *route = d->options.route;
    struct dial_peer peer, next = dial_peer_of(d, 0);

    for (unsigned i = 0; i < d->hop_count; i++) {
        const struct config_upstream *u = d->hops[i].upstream;

        peer = next;
        next = dial_peer_of(d, i + 1);
        if (!dial_plan_add_connection(plan, (uint8_t)i, u, snapshot_route_tls(snapshot, u), &peer,
                                      &d->options.client, ret_error) ||
            !dial_plan_add_request(plan, (uint8_t)i, u, &next,
                                   d->options.binds && i + 1 == d->hop_count, ret_error))
            return false;
    }
    return route->type != UPSTREAM_DIRECT ||
           dial_plan_add_connection(plan, (uint8_t)d->hop_count, route,
                                    snapshot_route_tls(snapshot, route), &next, &d->options.client,
                                    ret_error);
}

/* A plan that cannot be made is one that a proxy cannot be told: another address may do. */
static void plan_refused(struct dial *d, struct stream_error error)
{
    dial_keep_error(d, NULL, error, true);
    if (d->target_at + 1 < d->target_count)
        dial_replace_target(d);
    else
        dial_over(d);
}

static void open_steps(struct dial *d, struct stream_pair *pair)
{
    struct open_plan *plan = open_plan_new(d->options.pool);
    struct stream_error error = stream_error_connect(ENOMEM);

    d->state = STATE_OPENING;
    if (!plan || !add_steps(d, plan, &error)) {
        open_plan_free(plan);
        plan_refused(d, error);
        return;
    }
    open_plan_observe(plan, on_progress, d);
    if (!pair_open_plan(pair, plan)) {
        open_plan_free(plan);
        plan_refused(d, stream_error_of(ERROR_STREAM_BAD_STATE));
    }
}

static void connect_first(struct dial *d, struct stream_pair *pair)
{
    const struct config_upstream *u = d->hops[0].upstream;
    const struct upstream_server *server = d->path->servers[0];
    struct connector_options options = {
        .resolver = d->options.resolver,
        .budget = d->options.budget,
        .bind_address =
            u->bind_address.family != IP_NONE ? &u->bind_address : &d->options.bind_address,
    };
    struct ip_address ip = ip_unmapped(&server->ip);

    d->began = *d->options.now;
    pair_close(pair); /* what the try before left */
    if (!pair_connect(pair, &options, &ip, server->host, server->port))
        dial_hop_failed(d, 0, d->path->servers[0], stream_error_connect(ENOMEM));
}

/* False: it is under way. */
static bool drive(struct dial *d, struct stream_pair *pair)
{
    if (pair_is_opening(pair))
        return false;
    if (pair->state == PAIR_CONNECTED && d->state == STATE_CONNECTING)
        open_steps(d, pair);
    else if (pair->state == PAIR_CONNECTED)
        dial_stands(d, pair);
    else if (d->state == STATE_CONNECTING)
        dial_hop_failed(d, 0, d->path->servers[0], pair->error);
    else
        dial_plan_failed(d, pair);
    return true;
}

/* ---- the owner's calls */

enum dial_result dial_step(struct dial *d, struct stream_pair *pair)
{
    bool moves = true;

    if (!d->began)
        d->began = *d->options.now;
    while (moves && d->state != STATE_OVER) {
        switch (d->state) {
        case STATE_PICKING:
            moves = dial_pick(d);
            break;
        case STATE_LOOKUP:
            moves = dial_look_up(d);
            if (d->state == STATE_CONNECTING)
                connect_first(d, pair);
            break;
        default:
            moves = drive(d, pair);
            break;
        }
    }
    if (d->state != STATE_OVER)
        return DIAL_RUNNING;
    return d->stands ? DIAL_STANDS : DIAL_FAILED;
}

static uint64_t due(const struct dial *d, unsigned hop)
{
    const struct config_upstream *u = hop < d->hop_count ? d->hops[hop].upstream : d->options.route;

    return d->began + (uint64_t)u->connect_timeout;
}

/* The hop that is waited for. */
static unsigned hop_under_way(const struct dial *d, const struct stream_pair *pair,
                              bool *ret_was_asked)
{
    const struct open_plan *plan = d->state == STATE_OPENING ? pair_plan(pair) : NULL;

    *ret_was_asked = plan && open_plan_phase(plan) == SETUP_ASKED;
    if (d->state == STATE_LOOKUP)
        return d->looked_up;
    return plan ? open_plan_step(plan, open_plan_index(plan))->hop : 0;
}

uint64_t dial_next_look(const struct dial *d, const struct stream_pair *pair)
{
    bool was_asked;
    unsigned hop = hop_under_way(d, pair, &was_asked);

    if (!d->began)
        return UINT64_MAX;
    if (d->state == STATE_PICKING)
        return *d->options.now + PENDING_POLL_MS;
    return was_asked ? UINT64_MAX : due(d, hop);
}

static void expire(struct dial *d, struct stream_pair *pair)
{
    if (d->state == STATE_PICKING) {
        dial_keep_error(d, NULL, stream_error_of(ERROR_RESOLVER_TIMEOUT), false);
        dial_over(d);
    } else if (d->lookup) {
        connector_expire(d->lookup);
    } else {
        pair_expire(pair);
    }
}

void dial_look(struct dial *d, struct stream_pair *pair)
{
    bool was_asked;
    unsigned hop = hop_under_way(d, pair, &was_asked);

    if (d->began && !was_asked && *d->options.now >= due(d, hop))
        expire(d, pair);
}

void dial_expire(struct dial *d, struct stream_pair *pair)
{
    d->is_last = true;
    expire(d, pair);
    if (!d->began)
        pair_expire(pair); /* the target's name is being resolved by it */
}
