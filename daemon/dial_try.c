/* dial_try.c - who is tried, and what becomes of a try: whose fault it was, who is told so, and who is
 * tried instead. */
#include "daemon/dial_machine.h"

#include <time.h>

/* RFC 9110, 15.5.2 and 15.5.8: it wants other credentials. The first is not a proxy's to say, and some
 * say it. */
enum { STATUS_UNAUTHORIZED = 401, STATUS_PROXY_AUTHENTICATION = 407 };

/* ---- what becomes of a try */

void dial_over(struct dial *d)
{
    d->state = STATE_OVER;
}

static bool same_error(const struct stream_error *a, const struct stream_error *b)
{
    return a->domain == b->domain && a->subdomain == b->subdomain && a->code == b->code;
}

void dial_keep_error(struct dial *d, struct upstream_server *told, struct stream_error error,
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

    if (d->is_last || d->tried_count == DIAL_TRIES_MAX) {
        dial_over(d);
        return;
    }
    d->tried[d->tried_count++] = upstream_server_ref(*server);
    upstream_server_release(*server);
    *server = NULL;
    d->hops[hop].resolved = (struct ip_address){0};
    d->state = STATE_PICKING;
    d->began = *d->options.now;
}

void dial_replace_target(struct dial *d)
{
    if (++d->target_at < d->target_count && !d->is_last) {
        d->state = STATE_PICKING; /* all hops have their servers */
        d->began = *d->options.now;
        return;
    }
    d->target_at = 0;
    replace(d, d->hop_count - 1);
}

void dial_hop_failed(struct dial *d, unsigned hop, struct upstream_server *told,
                     struct stream_error error)
{
    dial_keep_error(d, told, error, false);
    upstream_server_note_error(d->path->servers[hop], error, time(NULL));
    upstream_server_failed(d->path->servers[hop], *d->options.now);
    replace(d, hop);
}

/* What the proxy says of the host that it was asked for, not of itself or of us. */
static bool is_about_the_next(const struct stream_error *error)
{
    if (error->domain == ERROR_DOMAIN_HTTP)
        return error->subdomain == SUBDOMAIN_HTTP_STATUS && error->code != STATUS_UNAUTHORIZED &&
               error->code != STATUS_PROXY_AUTHENTICATION;
    if (error->domain != ERROR_DOMAIN_SOCKS)
        return false;
    return error->subdomain == SUBDOMAIN_SOCKS_SOCKS5_RESPONSE ||
           (error->subdomain == SUBDOMAIN_SOCKS_SOCKS4_RESPONSE && error->code == SOCKS4_FAILED);
}

/* Behind the last hop is the target. */
void dial_plan_failed(struct dial *d, const struct stream_pair *pair)
{
    const struct open_plan *plan = pair_plan(pair);
    size_t index = open_plan_index(plan);
    unsigned hop = open_plan_step(plan, index)->hop;
    struct upstream_server *told = hop < d->hop_count ? d->path->servers[hop] : NULL;
    bool was_asked = open_plan_phase(plan) == SETUP_ASKED;

    for (unsigned i = 0; i < hop && i < d->hop_count; i++)
        upstream_server_worked(d->path->servers[i]);
    if (told && was_asked && stream_error_is(&pair->error, ERROR_SYSTEM_CONNECT_TIMEOUT)) {
        dial_keep_error(d, told, pair->error,
                        true); /* the whole time is up, and whose fault it is unknown */
        dial_over(d);
    } else if (!told) {
        dial_keep_error(d, NULL, pair->error, true);
        dial_replace_target(d);
    } else if (!was_asked || !is_about_the_next(&pair->error)) {
        dial_hop_failed(d, hop, told, pair->error);
    } else if (hop + 1 < d->hop_count) {
        dial_hop_failed(d, hop + 1, told, pair->error);
    } else {
        upstream_server_worked(told);
        dial_keep_error(d, told, pair->error, true);
        dial_replace_target(d);
    }
}

/* The SOCKS4 note: 0.0.0.0 in a reply to BIND means the address that the proxy was reached by. */
static void complete_bound(struct dial *d, const struct stream_pair *pair)
{
    unsigned last = d->hop_count - 1;
    const struct upstream_server *server = d->path->servers[last];

    if (d->bound.ip.family != IP_NONE)
        return;
    if (last == 0)
        d->bound.ip = ip_unmapped(&pair->peer.ip);
    else
        d->bound.ip = server->host ? d->hops[last].resolved : ip_unmapped(&server->ip);
}

void dial_stands(struct dial *d, const struct stream_pair *pair)
{
    if (d->options.command == SOCKS_BIND)
        complete_bound(d, pair);
    for (unsigned i = 0; i < d->hop_count; i++)
        upstream_server_worked(d->path->servers[i]);
    upstream_server_unref(d->path->told);
    d->path->told = upstream_server_ref(d->path->servers[d->hop_count - 1]);
    d->stands = true;
    dial_over(d);
}

/* ---- who is tried */

/* There is nobody left. Without an error it was not even tried. */
static void exhausted(struct dial *d, const struct dial_hop *hop)
{
    struct stream_error error = upstream_pool_error(hop->pool);

    if (!stream_error_set(&error))
        error = stream_error_of(ERROR_RESOLVER_NOT_FOUND);
    if (!stream_error_set(&d->error))
        dial_keep_error(d, NULL, error, false);
    dial_over(d);
}

/* False: a pool is still waiting for its list. */
bool dial_pick(struct dial *d)
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
