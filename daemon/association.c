/* association.c - an association from its making to its end: its sockets, and what they may be bound to.
 * What passes by them is in association_relay.c, what may go where is decided in association_target.c, the
 * way through proxies is in association_proxy.c. */
#include "daemon/association_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

/* Ports of a range that are tried before it is taken to be full. */
enum { PORT_TRIES = 256 };

const char *const association_drop_names[DROP_COUNT] = {
    [DROP_NOT_CLIENT] = "dropped_not_client",
    [DROP_BAD_HEADER] = "dropped_bad_header",
    [DROP_FRAGMENT] = "dropped_fragment",
    [DROP_DENIED] = "dropped_denied",
    [DROP_UNRESOLVED] = "dropped_unresolved",
    [DROP_ROUTE] = "dropped_route",
    [DROP_UNREACHABLE] = "dropped_unreachable",
    [DROP_TOO_LARGE] = "dropped_too_large",
    [DROP_RATE] = "dropped_rate",
    [DROP_NO_BUFFER] = "dropped_no_buffer",
    [DROP_NOT_ASKED] = "dropped_not_asked",
};

bool association_open_side(struct association *a, enum side i, const struct ip_address *ip,
                           uint16_t port)
{
    struct side_socket *side = &a->sides[i];

    side->fd = datagram_open(ip, port, i != SIDE_CLIENT);
    if (side->fd < 0)
        return false;
    ev_io_init(&side->io, association_on_readable, side->fd, EV_READ);
    if (i != SIDE_CLIENT)
        ev_io_start(a->worker->loop, &side->io);
    return true;
}

/* ---- the client's side */

static unsigned port_count(const struct config_listener *config)
{
    unsigned count = 0;

    for (unsigned i = 0; i < config->udp_port_count; i++)
        count += config->udp_ports[i].last - config->udp_ports[i].first + 1u;
    return count;
}

static uint16_t port_at(const struct config_listener *config, unsigned n)
{
    const struct port_range *range = config->udp_ports;

    while (n > (unsigned)(range->last - range->first)) {
        n -= range->last - range->first + 1u;
        range++;
    }
    return (uint16_t)(range->first + n);
}

static bool open_client_side(struct association *a, const struct ip_address *ip)
{
    unsigned count = port_count(a->config), at = 0;

    if (count == 0)
        return association_open_side(a, SIDE_CLIENT, ip, 0);
    if (getrandom(&at, sizeof at, GRND_NONBLOCK) != sizeof at)
        at = (unsigned)a->session->id;
    for (unsigned i = 0; i < count && i < PORT_TRIES; i++) {
        if (association_open_side(a, SIDE_CLIENT, ip, port_at(a->config, (at % count + i) % count)))
            return true;
        if (errno != EADDRINUSE && errno != EACCES)
            return false;
    }
    return false;
}

/* Who may send: the host that the request came from, and the port that it names. An address that is not
 * that host's is one that a NAT has changed, and so may be the port: both mean nothing here. */
static struct ip_endpoint expected_client(const struct session *s)
{
    struct ip_endpoint client = {ip_unmapped(&s->peer.ip), s->target_port};
    struct ip_address named = ip_unmapped(&s->target_ip);

    if (s->target_name || (!ip_is_unspecified(&named) && !ip_equal(&named, &client.ip)))
        client.port = 0;
    return client;
}

/* A session's place stands for two descriptors, of which this one's own has the connection and the
 * client's side. */
static unsigned places_for(const struct config_upstream *route)
{
    unsigned files = 2; /* one for each family of the targets */

    if (config_last_proxy(route))
        files++;
    for (const struct config_upstream *u = config_last_proxy(route); u; u = u->via)
        files++;
    return (files + 1) / 2;
}

static bool take_places(struct association *a)
{
    unsigned wanted = places_for(a->session->route);

    while (a->places < wanted && worker_take_more(a->worker))
        a->places++;
    return a->places == wanted;
}

static bool prepare(struct association *a, struct stream_error *ret_error)
{
    struct ip_address reached = pair_local_address(&a->session->client).ip;

    reached = ip_unmapped(&reached);
    if (!take_places(a)) {
        *ret_error = stream_error_of(ERROR_POLICY_LIMIT_DESCRIPTORS);
        return false;
    }
    errno = ENOMEM;
    if (!worker_needs_datagrams(a->worker) || !open_client_side(a, &reached)) {
        *ret_error = stream_error_connect(errno);
        return false;
    }
    a->bound = datagram_bound(a->sides[SIDE_CLIENT].fd);
    if (a->config->udp_advertise.family == a->bound.ip.family)
        a->bound.ip = a->config->udp_advertise;
    return true;
}

struct association *association_new(struct session *session, struct stream_error *ret_error)
{
    struct association *a = calloc(1, sizeof *a);

    if (!a) {
        *ret_error = stream_error_connect(ENOMEM);
        return NULL;
    }
    a->session = session;
    a->worker = session->worker;
    a->config = session->listener->config;
    a->client = expected_client(session);
    a->active = session->worker->now;
    for (enum side i = 0; i < SIDES; i++)
        a->sides[i] = (struct side_socket){.association = a, .fd = -1, .side = i};
    udp_table_init(&a->table, 2 * (unsigned)a->config->udp_max_targets, association_forget, a);
    if (prepare(a, ret_error))
        return a;
    association_free(a);
    return NULL;
}

static void close_side(struct side_socket *side)
{
    if (side->fd < 0)
        return;
    ev_io_stop(side->association->worker->loop, &side->io);
    close(side->fd);
    side->fd = -1;
}

void association_free(struct association *a)
{
    if (!a)
        return;
    association_cancel_lookups(a);
    udp_table_done(&a->table);
    association_free_way(a);
    association_free_limits(a);
    for (enum side i = 0; i < SIDES; i++)
        close_side(&a->sides[i]);
    socks_fragments_reset(&a->fragments);
    buffer_clear(&a->fragment_block, a->worker->tools.pool);
    buffer_clear(&a->waiting, a->worker->tools.pool);
    while (a->places) {
        a->places--;
        worker_give_more(a->worker);
    }
    free(a);
}

void association_start(struct association *a)
{
    a->active = a->worker->now;
    ev_io_start(a->worker->loop, &a->sides[SIDE_CLIENT].io);
}

/* ---- what the session asks */

struct ip_endpoint association_bound(const struct association *a)
{
    return a->bound;
}

uint64_t association_active(const struct association *a)
{
    return a->active;
}

uint64_t association_next_look(const struct association *a)
{
    return a->fragments.block ? a->fragments.started + SOCKS_FRAGMENTS_MS : UINT64_MAX;
}

const struct association_counts *association_counts(const struct association *a)
{
    return &a->counts;
}
