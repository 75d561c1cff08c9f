/* session_count.c - what a session adds to the worker's counters, and when. It never looks at the clock on
 * its own: the worker's turn is exact enough. */
#include "daemon/session_machine.h"
#include "streams/layer_tls.h"

void session_count_started(struct session *s)
{
    counter_add(&s->counted->started, 1);
}

static void count_tls(counter counters[COUNTERS_TLS], struct stream_pair *pair)
{
    struct layer *layer = pair_find_layer(pair, layer_tls_name);

    if (layer)
        counter_add(
            &counters[layer_tls_is_resumed(layer) ? COUNTERS_TLS_RESUMED : COUNTERS_TLS_FULL], 1);
}

void session_count_client_secured(struct session *s)
{
    if (s->client.state == PAIR_CONNECTED)
        count_tls(s->counted->tls, &s->client);
    else
        counter_add(&s->counted->tls[COUNTERS_TLS_FAILED], 1);
}

void session_count_resolved(struct session *s)
{
    if (s->resolved || s->asked_ip.family != IP_NONE)
        return;
    s->resolved = session_now(s);
    histogram_observe(&s->worker->counters->times[COUNTERS_RESOLVE], s->resolved - s->dialed);
}

void session_count_failed(struct session *s, const struct stream_error *error)
{
    if (error->domain == ERROR_DOMAIN_RESOLVER && s->dialed && !s->dial &&
        s->target.state == PAIR_ERROR) /* it was asked for */
        session_count_resolved(s);
    if (error->domain == ERROR_DOMAIN_TLS)
        counter_add(&s->worker->counters->tls[COUNTERS_TLS_FAILED], 1);
}

void session_count_stands(struct session *s)
{
    struct counters *counters = s->worker->counters;
    uint64_t since = s->resolved ? s->resolved : s->dialed;

    histogram_observe(&counters->times[COUNTERS_SETUP], session_now(s) - s->started);
    if (s->command != SOCKS_CONNECT && s->listener->config->protocols != PROTOCOL_FORWARD)
        return;
    count_tls(counters->tls, &s->target);
    histogram_observe(
        &counters->times[s->dial ? COUNTERS_CONNECT_UPSTREAM : COUNTERS_CONNECT_DIRECT],
        session_now(s) - since);
}

/* What handshake bytes are taken back from a direction's count may make it fall: see session_say(). */
static void count_more(counter *c, uint64_t *counted, int64_t relayed, uint64_t datagrams)
{
    uint64_t now = (relayed > 0 ? (uint64_t)relayed : 0) + datagrams;

    if (now <= *counted)
        return;
    counter_add(c, now - *counted);
    *counted = now;
}

void session_count_bytes(struct session *s)
{
    static const struct association_counts nothing;
    const struct association_counts *datagrams =
        s->association ? association_counts(s->association) : &nothing;

    count_more(&s->counted->sent, &s->sent_counted, s->up.bytes, datagrams->bytes_sent);
    count_more(&s->counted->received, &s->received_counted, s->down.bytes,
               datagrams->bytes_received);
}

void session_count_ended(struct session *s)
{
    session_count_bytes(s);
    counter_add(&s->counted->ended, 1);
    counters_ended(s->worker->counters, &s->error);
}
