/* association_proxy.c - the way of datagrams through SOCKS5 proxies (RFC 1928, 7, from the client's side).
 * The session's own dial has asked the last proxy of the chain for an association; each proxy before it
 * is asked for one too, over a connection that runs through those before that one, for the datagrams to
 * the next proxy's relay must come from where its connection comes from: from the proxy before. So the
 * headers nest, the nearest proxy's outermost:
 *
 *     to relay 1: [header: relay 2][header: relay 3]...[header: target] data
 *
 * All connections are held for as long as the association lives. */
#include "daemon/association_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A proxy before the last one. */
struct proxy_hop {
    struct association *association;
    struct stream_pair pair;
    struct dial *dial;      /* owned; NULL once it stands */
    struct dial_path *path; /* owned */
};

struct proxy_way {
    unsigned count;           /* proxies */
    struct socks_host *relay; /* of each, the nearest first; owned */
    uint16_t *port;
    const struct dial_path *pinned; /* the session's dial's */
    uint8_t *prefix;                /* what goes in front of a datagram; owned */
    size_t prefix_length;
    unsigned standing; /* hops before the last that have an association, from the nearest on */
    struct stream_error error;
    struct proxy_hop hops[]; /* count - 1 */
};

void association_free_way(struct association *a)
{
    struct proxy_way *way = a->way;

    if (!way)
        return;
    for (unsigned i = 0; i + 1 < way->count; i++) {
        pair_close(&way->hops[i].pair);
        dial_free(way->hops[i].dial);
        dial_path_free(way->hops[i].path);
    }
    free(way->relay);
    free(way->port);
    free(way->prefix);
    free(way);
    a->way = NULL;
}

static void on_hop(struct stream_pair *pair)
{
    struct proxy_hop *hop = (struct proxy_hop *)((char *)pair - offsetof(struct proxy_hop, pair));

    session_run(hop->association->session);
}

static void on_hop_dial(void *context)
{
    session_run(context);
}

static struct proxy_way *way_new(struct association *a, unsigned count)
{
    struct proxy_way *way = calloc(1, sizeof *way + (count - 1) * sizeof way->hops[0]);

    a->way = way;
    if (!way)
        return NULL;
    way->count = 1; /* until the hops are there */
    way->relay = calloc(count, sizeof *way->relay);
    way->port = calloc(count, sizeof *way->port);
    way->prefix = malloc((size_t)count * SOCKS_UDP_HEADER_MAX);
    if (!way->relay || !way->port || !way->prefix)
        return NULL;
    way->count = count;
    for (unsigned i = 0; i + 1 < count; i++) {
        way->hops[i].association = a;
        pair_init(&way->hops[i].pair, a->worker->loop, on_hop);
    }
    return way;
}

/* What a proxy calls its relay; nothing but a port means the address that the proxy was reached by. */
static bool take_relay(struct proxy_way *way, unsigned i, const struct dial *dial,
                       const struct ip_address *reached)
{
    const struct upstream_server *server = way->pinned->servers[i];
    struct socks_host *relay = &way->relay[i];

    if (!dial_relay(dial, relay, &way->port[i]) || way->port[i] == 0)
        return false;
    if (relay->name_length || !ip_is_unspecified(&relay->ip))
        return i > 0 || !relay->name_length; /* the nearest has to have an address */
    if (i == 0)
        relay->ip = ip_unmapped(reached);
    else if (server->host) {
        relay->ip = (struct ip_address){0};
        relay->name_length = (uint8_t)strlen(server->host);
        memcpy(relay->name, server->host, relay->name_length + 1u);
    } else {
        relay->ip = server->ip;
    }
    return true;
}

static bool write_prefix(struct proxy_way *way)
{
    for (unsigned i = 1; i < way->count; i++) {
        const struct socks_host *relay = &way->relay[i];
        uint8_t *out = way->prefix + way->prefix_length;

        if (relay->name_length)
            way->prefix_length +=
                socks_udp_write_name(relay->name, relay->name_length, way->port[i], out);
        else
            way->prefix_length +=
                socks_udp_write(&(struct ip_endpoint){relay->ip, way->port[i]}, out);
    }
    return way->prefix_length + SOCKS_UDP_HEADER_MAX <= DATAGRAM_ROOM;
}

/* The socket comes from where the nearest proxy's connection comes from. */
static bool open_socket(struct association *a, struct stream_pair *nearest)
{
    struct ip_address from = pair_local_address(nearest).ip;
    struct ip_endpoint to = {a->way->relay[0].ip, a->way->port[0]};

    from = ip_unmapped(&from);
    if (from.family != to.ip.family)
        from = (struct ip_address){.family = to.ip.family};
    if (association_open_side(a, SIDE_PROXY, &from, 0) &&
        datagram_connect(a->sides[SIDE_PROXY].fd, &to))
        return true;
    a->way->error = stream_error_connect(errno);
    return false;
}

static bool start_hop(struct association *a, unsigned i)
{
    struct proxy_hop *hop = &a->way->hops[i];
    struct dial_options options;

    session_dial_options(a->session, &options);
    options.hop_count = i + 1;
    options.pinned = a->way->pinned;
    options.wake = on_hop_dial;
    hop->dial = dial_new(&options);
    return hop->dial != NULL;
}

static enum dial_result fail(struct proxy_way *way, struct stream_error error)
{
    stream_error_keep_first(&way->error, error);
    return DIAL_FAILED;
}

/* The hops before the last one, the nearest first. */
static enum dial_result step_hops(struct association *a)
{
    struct proxy_way *way = a->way;

    while (way->standing + 1 < way->count) {
        struct proxy_hop *hop = &way->hops[way->standing];
        enum dial_result result;

        if (!hop->dial && !start_hop(a, way->standing))
            return fail(way, stream_error_connect(ENOMEM));
        result = dial_step(hop->dial, &hop->pair);
        if (result == DIAL_RUNNING)
            return DIAL_RUNNING;
        if (result == DIAL_FAILED)
            return fail(way, dial_error(hop->dial));
        if (!take_relay(way, way->standing, hop->dial, &hop->pair.peer.ip))
            return fail(way, stream_error_of(ERROR_SOCKS_BAD_RESPONSE_ADDRESS));
        hop->path = dial_take_path(hop->dial);
        dial_free(hop->dial);
        hop->dial = NULL;
        way->standing++;
    }
    return DIAL_STANDS;
}

enum dial_result association_connect(struct association *a, struct stream_pair *pair,
                                     struct dial *dial)
{
    struct proxy_way *way = a->way;
    enum dial_result result;

    if (!way) {
        unsigned count = dial_path(dial)->count;

        way = way_new(a, count);
        if (!way) {
            if (a->way)
                a->way->error = stream_error_connect(ENOMEM);
            return DIAL_FAILED;
        }
        way->pinned = dial_path(dial);
        if (!take_relay(way, count - 1, dial, &pair->peer.ip))
            return fail(way, stream_error_of(ERROR_SOCKS_BAD_RESPONSE_ADDRESS));
    }
    result = step_hops(a);
    if (result != DIAL_STANDS)
        return result;
    if (!write_prefix(way))
        return fail(way, stream_error_of(ERROR_SOCKS_BAD_RESPONSE_ADDRESS));
    return open_socket(a, way->count > 1 ? &way->hops[0].pair : pair) ? DIAL_STANDS : DIAL_FAILED;
}

struct dial *association_dial(const struct association *a, struct stream_pair **ret_pair)
{
    struct proxy_hop *hop;

    if (!a || !a->way || a->way->standing + 1 >= a->way->count)
        return NULL;
    hop = &a->way->hops[a->way->standing];
    if (hop->dial)
        *ret_pair = &hop->pair;
    return hop->dial;
}

struct stream_error association_error(const struct association *a)
{
    return a->way ? a->way->error : stream_error_connect(ENOMEM); /* no way at all */
}

/* Nothing is said over these connections: what comes is thrown away, an end is the end of all. */
void association_watch(struct association *a)
{
    struct proxy_way *way = a->way;

    for (unsigned i = 0; way && i + 1 < way->count; i++) {
        struct stream_error error = session_watch(a->session, &way->hops[i].pair);

        if (stream_error_set(&error))
            stream_error_keep_first(&way->error, error);
    }
}

/* ---- the headers of the proxies on the way */

size_t association_wrap(const struct association *a, uint8_t *bytes)
{
    memcpy(bytes - a->way->prefix_length, a->way->prefix, a->way->prefix_length);
    return a->way->prefix_length;
}

static bool is_relay(const struct proxy_way *way, unsigned i, const struct socks_udp_header *header)
{
    struct ip_address ip = ip_unmapped(&header->ip), relay = ip_unmapped(&way->relay[i].ip);

    if (header->fragment || header->port != way->port[i])
        return false;
    return way->relay[i].name_length > 0 || ip_equal(&ip, &relay); /* its name may be any address */
}

bool association_unwrap(const struct association *a, uint8_t **bytes, size_t *n)
{
    for (unsigned i = 1; i < a->way->count; i++) {
        struct socks_udp_header header;

        if (!socks_udp_parse(*bytes, *n, &header) || !is_relay(a->way, i, &header))
            return false;
        *bytes += header.size;
        *n -= header.size;
    }
    return true;
}
