/* dial_lookup.c - names that the proxy before will not resolve: a connector that may connect to nothing
 * has all addresses pass by. */
#include "daemon/dial_machine.h"

#include <errno.h>

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
        dial_hop_failed(d, hop, d->path->servers[hop], error);
        return;
    }
    dial_keep_error(d, NULL, error, true);
    dial_over(d);
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
    const struct dial_peer peer = dial_peer_of(d, hop);

    d->looked_up = hop;
    d->began = *d->options.now;
    d->lookup = connector_start(&options, NULL, peer.host, peer.port);
    if (!d->lookup)
        lookup_failed(d, hop, stream_error_connect(ENOMEM));
}

/* False: one is under way. */
bool dial_look_up(struct dial *d)
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
