/* dial.c - tries, one after the other. A try picks a server for each hop, looks up the names of those
 * that the proxy before will not resolve, connects to the first and gives the pair its plan. Whoever
 * fails is told to its pool and replaced. */
#include "daemon/dial.h"

#include "streams/layer_socks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 32, TARGETS_MAX = CONNECTOR_ADDRESSES_MAX };

enum { PROXY_AUTHENTICATION = 407 }; /* RFC 9110, 15.5.8 */

/* How often it is looked whether the first answer of a service has come. */
enum { PENDING_POLL_MS = 20 };

enum state { STATE_PICKING, STATE_LOOKUP, STATE_CONNECTING, STATE_OPENING, STATE_OVER };

struct hop {
    const struct config_upstream *upstream;
    struct upstream_pool *pool;
    struct ip_address resolved; /* of its server's name, where the hop before gets no names */
};

struct dial {
    struct dial_options options;
    char *target_host; /* owned */
    enum state state;
    uint64_t
        began; /* ms; what the connect_timeout of the hop under way counts from; 0: no step yet */
    bool is_last; /* nothing is tried after this */
    bool stands;
    unsigned hop_count;
    struct hop *hops;               /* owned; the nearest first */
    struct dial_path *path;         /* owned; of the try under way, as far as it has servers */
    struct upstream_server **tried; /* owned, with references */
    unsigned tried_count;
    struct connector *lookup; /* owned; of a server's name */
    unsigned looked_up;       /* the hop that it is for */
    struct ip_address targets[TARGETS_MAX];
    unsigned target_count, target_at;
    struct stream_error error;
    bool is_answer; /* `error` is what a proxy said of the target */
    struct ip_endpoint bound;
};

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
    d->tried = calloc(TRIES_MAX, sizeof(struct upstream_server *));
    if (!d->hops || !d->path || !d->tried)
        return false;
    d->path->count = at = d->hop_count;
    for (const struct config_upstream *u = last; u; u = u->via)
        d->hops[--at] = (struct hop){.upstream = u, .pool = snapshot_pool(snapshot, u)};
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
    return path;
}

void dial_offer(struct dial *d, const struct ip_address *ip)
{
    if (d->target_count < TARGETS_MAX)
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

/* ---- what becomes of a try */

static void over(struct dial *d)
{
    d->state = STATE_OVER;
}

static bool same_error(const struct stream_error *a, const struct stream_error *b)
{
    return a->domain == b->domain && a->subdomain == b->subdomain && a->code == b->code;
}

/* Of several tries the answer to the request counts most, then the most telling error. */
static void keep_error(struct dial *d, struct upstream_server *told, struct stream_error error,
                       bool is_answer)
{
    struct stream_error best = d->error;

    if (d->is_answer && !is_answer)
        return;
    if (is_answer && !d->is_answer)
        best = (struct stream_error){0};
    stream_error_keep_telling(&best, error);
    if (same_error(&best, &d->error))
        return;
    d->error = best;
    d->is_answer = is_answer;
    upstream_server_unref(d->path->told);
    d->path->told = told ? upstream_server_ref(told) : NULL;
}

/* The hop's server makes room for another one of its pool. */
static void replace(struct dial *d, unsigned hop)
{
    struct upstream_server **server = &d->path->servers[hop];

    if (d->is_last || d->tried_count == TRIES_MAX) {
        over(d);
        return;
    }
    d->tried[d->tried_count++] = upstream_server_ref(*server);
    upstream_server_release(*server);
    *server = NULL;
    d->hops[hop].resolved = (struct ip_address){0};
    d->state = STATE_PICKING;
    d->began = *d->options.now;
}

/* It is nobody's fault but the target's, or its address's: the next one of these, or the next proxy may
 * know a way. */
static void replace_target(struct dial *d)
{
    if (++d->target_at < d->target_count && !d->is_last) {
        d->state = STATE_PICKING; /* all hops have their servers */
        d->began = *d->options.now;
        return;
    }
    d->target_at = 0;
    replace(d, d->hop_count - 1);
}

/* `hop` could not be reached, or did not do as it should. */
static void hop_failed(struct dial *d, unsigned hop, struct upstream_server *told,
                       struct stream_error error)
{
    keep_error(d, told, error, false);
    upstream_server_failed(d->path->servers[hop], *d->options.now);
    replace(d, hop);
}

/* What the proxy says of the host that it was asked for, not of itself or of us. */
static bool is_about_the_next(const struct stream_error *error)
{
    if (error->domain == ERROR_DOMAIN_HTTP)
        return error->subdomain == SUBDOMAIN_HTTP_STATUS && error->code != PROXY_AUTHENTICATION;
    if (error->domain != ERROR_DOMAIN_SOCKS)
        return false;
    return error->subdomain == SUBDOMAIN_SOCKS_SOCKS5_RESPONSE ||
           (error->subdomain == SUBDOMAIN_SOCKS_SOCKS4_RESPONSE && error->code == SOCKS4_FAILED);
}

/* Behind the last hop is the target. */
static void plan_failed(struct dial *d, const struct stream_pair *pair)
{
    const struct open_plan *plan = pair_plan(pair);
    size_t index = open_plan_index(plan);
    unsigned hop = open_plan_step(plan, index)->hop;
    struct upstream_server *told = hop < d->hop_count ? d->path->servers[hop] : NULL;
    bool was_asked = open_plan_phase(plan) == SETUP_ASKED;

    if (!told) {
        keep_error(d, NULL, pair->error, true);
        replace_target(d);
    } else if (!was_asked || !is_about_the_next(&pair->error)) {
        hop_failed(d, hop, told, pair->error);
    } else if (hop + 1 < d->hop_count) {
        hop_failed(d, hop + 1, told, pair->error);
    } else {
        upstream_server_worked(told);
        keep_error(d, told, pair->error, true);
        replace_target(d);
    }
}

static void stands(struct dial *d)
{
    for (unsigned i = 0; i < d->hop_count; i++)
        upstream_server_worked(d->path->servers[i]);
    upstream_server_unref(d->path->told);
    d->path->told = upstream_server_ref(d->path->servers[d->hop_count - 1]);
    d->stands = true;
    over(d);
}

/* ---- who is tried */

/* There is nobody left. Without an error it was not even tried. */
static void exhausted(struct dial *d, const struct hop *hop)
{
    struct stream_error error = upstream_pool_error(hop->pool);

    if (!stream_error_set(&error))
        error = stream_error_of(ERROR_RESOLVER_NOT_FOUND);
    if (!stream_error_set(&d->error))
        keep_error(d, NULL, error, false);
    over(d);
}

/* False: a pool is still waiting for its list. */
static bool pick(struct dial *d)
{
    struct upstream_choice choice = {.now = *d->options.now,
                                     .client = &d->options.client.from.ip,
                                     .tried = d->tried,
                                     .tried_count = d->tried_count,
                                     .usable_only = d->is_answer};

    for (unsigned i = 0; i < d->hop_count && d->state == STATE_PICKING; i++) {
        if (d->path->servers[i])
            continue;
        if (upstream_pool_is_pending(d->hops[i].pool))
            return false;
        d->path->servers[i] = upstream_pool_pick(d->hops[i].pool, &choice);
        if (!d->path->servers[i])
            exhausted(d, &d->hops[i]);
    }
    if (d->state == STATE_PICKING)
        d->state = STATE_LOOKUP;
    return true;
}

static struct dial_peer peer_of(const struct dial *d, unsigned hop)
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

/* ---- names that the proxy before will not resolve: a connector that may connect to nothing has all
 * addresses pass by */

static bool note_address(void *context, const struct ip_endpoint *address,
                         struct stream_error *ret_error)
{
    struct dial *d = context;

    if (d->looked_up == d->hop_count)
        dial_offer(d, &address->ip);
    else if (d->hops[d->looked_up].resolved.family == IP_NONE)
        d->hops[d->looked_up].resolved = address->ip;
    *ret_error = stream_error_of(ERROR_RESOLVER_NO_ADDRESS);
    return false;
}

static void on_looked_up(void *context, struct connector *connector)
{
    struct dial *d = context;

    (void)connector;
    d->options.wake(d->options.context);
}

/* Behind the last hop is the target, whose addresses a session has judged, and offered, before. */
static bool needs_lookup(const struct dial *d, unsigned hop)
{
    if (config_resolves_remotely(d->hops[hop - 1].upstream))
        return false;
    if (hop == d->hop_count)
        return d->options.target.host && !d->target_count;
    return d->path->servers[hop]->host && d->hops[hop].resolved.family == IP_NONE;
}

static void lookup_failed(struct dial *d, unsigned hop, struct stream_error error)
{
    if (hop < d->hop_count) {
        hop_failed(d, hop, d->path->servers[hop], error);
        return;
    }
    keep_error(d, NULL, error, true);
    over(d);
}

static void start_lookup(struct dial *d, unsigned hop)
{
    struct connector_options options = {
        .loop = d->options.loop,
        .resolver = d->options.resolver,
        .ipv4_only = d->hops[hop - 1].upstream->type == UPSTREAM_SOCKS4,
        .judge = note_address,
        .finished = on_looked_up,
        .context = d,
    };
    const struct dial_peer peer = peer_of(d, hop);

    d->looked_up = hop;
    d->began = *d->options.now;
    d->lookup = connector_start(&options, NULL, peer.host, peer.port);
    if (!d->lookup)
        lookup_failed(d, hop, stream_error_connect(ENOMEM));
}

/* False: one is under way. */
static bool look_up(struct dial *d)
{
    struct stream_error error;
    unsigned hop = 1;

    if (d->lookup) {
        if (connector_state(d->lookup) == CONNECTOR_RUNNING)
            return false;
        error = *connector_error(d->lookup);
        connector_free(d->lookup);
        d->lookup = NULL;
        if (needs_lookup(d, d->looked_up)) {
            lookup_failed(d, d->looked_up, error);
            return true;
        }
    }
    while (hop <= d->hop_count && !needs_lookup(d, hop))
        hop++;
    if (hop <= d->hop_count)
        start_lookup(d, hop);
    else
        d->state = STATE_CONNECTING;
    return true;
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
    if (bound.ip.family != IP_NONE && !ip_is_unspecified(&bound.ip))
        d->bound = (struct ip_endpoint){bound.ip, port};
}

static bool add_steps(struct dial *d, struct open_plan *plan, struct stream_error *ret_error)
{
    const struct snapshot *snapshot = d->options.snapshot;
    const struct config_upstream *route = d->options.route;
    struct dial_peer peer, next = peer_of(d, 0);

    for (unsigned i = 0; i < d->hop_count; i++) {
        const struct config_upstream *u = d->hops[i].upstream;

        peer = next;
        next = peer_of(d, i + 1);
        if (!dial_plan_add_connection(plan, (uint8_t)i, u, snapshot_route_tls(snapshot, u), &peer,
                                      &d->options.client, ret_error) ||
            !dial_plan_add_request(plan, (uint8_t)i, u, &next, ret_error))
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
    keep_error(d, NULL, error, true);
    if (d->target_at + 1 < d->target_count)
        replace_target(d);
    else
        over(d);
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
        hop_failed(d, 0, d->path->servers[0], stream_error_connect(ENOMEM));
}

/* False: it is under way. */
static bool drive(struct dial *d, struct stream_pair *pair)
{
    if (pair_is_opening(pair))
        return false;
    if (pair->state == PAIR_CONNECTED && d->state == STATE_CONNECTING)
        open_steps(d, pair);
    else if (pair->state == PAIR_CONNECTED)
        stands(d);
    else if (d->state == STATE_CONNECTING)
        hop_failed(d, 0, d->path->servers[0], pair->error);
    else
        plan_failed(d, pair);
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
            moves = pick(d);
            break;
        case STATE_LOOKUP:
            moves = look_up(d);
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
        keep_error(d, NULL, stream_error_of(ERROR_RESOLVER_TIMEOUT), false);
        over(d);
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
