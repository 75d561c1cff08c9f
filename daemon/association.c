/* association.c - an association from its making to its end: sockets, their events, and the datagrams of
 * both directions. What may go where is decided in association_target.c, the way through proxies is in
 * association_proxy.c. */
#include "daemon/association_machine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Batches that one socket may pass on while others wait. */
enum { BATCHES_A_TURN = 4 };

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

/* ---- how many */

/* A bucket that holds a second's worth. */
static bool may_pass(struct association *a, struct bucket *bucket)
{
    const int64_t rate = a->config->udp_rate;
    uint64_t now = a->worker->now, passed = now - bucket->filled;

    if (rate == 0)
        return true;
    if (bucket->filled == 0 || passed >= 1000)
        bucket->level = rate * 1000;
    else
        bucket->level += rate * (int64_t)passed;
    bucket->filled = now;
    if (bucket->level > rate * 1000)
        bucket->level = rate * 1000;
    if (bucket->level < 1000)
        return false;
    bucket->level -= 1000;
    return true;
}

/* ---- sending */

static enum association_drop reason_of(int error_number)
{
    switch (error_number) {
    case EMSGSIZE:
        return DROP_TOO_LARGE;
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return DROP_NO_BUFFER;
    default:
        return DROP_UNREACHABLE;
    }
}

static void on_failed(void *context, unsigned place, size_t n, int error_number)
{
    struct side_socket *side = context;
    struct association_counts *counts = &side->association->counts;

    (void)place;
    *(side->side == SIDE_CLIENT ? &counts->bytes_received : &counts->bytes_sent) -= n;
    association_drop(side->association, reason_of(error_number));
}

static void flush(struct side_socket *side)
{
    struct association_counts *counts = &side->association->counts;

    if (side->queue.count)
        *(side->side == SIDE_CLIENT ? &counts->received : &counts->sent) +=
            datagram_flush(side->fd, &side->queue, on_failed, side);
}

void association_flush(struct association *a)
{
    for (enum side i = 0; i < SIDES; i++)
        flush(&a->sides[i]);
}

/* `n` bytes at `bytes`, of which `data` are the datagram's own. */
static void queue(struct side_socket *side, const uint8_t *bytes, size_t n, size_t data,
                  const struct ip_endpoint *to)
{
    struct association *a = side->association;
    struct association_counts *counts = &a->counts;
    unsigned row = side->side == SIDE_CLIENT ? 0 : (unsigned)side->side;

    if (side->queue.count == DATAGRAM_BATCH)
        flush(side);
    datagram_queue_add(&side->queue, a->worker->datagrams, row, bytes, n, data, to);
    *(side->side == SIDE_CLIENT ? &counts->bytes_received : &counts->bytes_sent) += data;
    a->active = a->worker->now;
}

/* From now on this peer may answer. */
static bool note_peer(struct association *a, const struct ip_endpoint *to)
{
    struct udp_key key = {
        .kind = UDP_PEER, .ip = to->ip, .port = a->config->udp_by_address ? 0 : to->port};

    return udp_table_find(&a->table, &key) || udp_table_add(&a->table, &key);
}

struct ip_address association_source(const struct association *a)
{
    const struct config_upstream *route = a->session->route;

    return route && !dial_is_for(route) && route->bind_address.family != IP_NONE
               ? route->bind_address
               : a->config->bind_address;
}

static void send_direct(struct association *a, const struct udp_entry *target,
                        const struct outgoing *out)
{
    enum side i = target->to.ip.family == IP_V6 ? SIDE_V6 : SIDE_V4;
    struct ip_address any = {.family = target->to.ip.family}, from = association_source(a);
    struct side_socket *side = &a->sides[i];

    if (from.family == IP_NONE)
        from = any;
    if (side->fd < 0 && from.family != any.family)
        errno = ENETUNREACH;
    else if (side->fd >= 0 || association_open_side(a, i, &from, 0))
        errno = 0;
    if (side->fd < 0 || !note_peer(a, &target->to)) {
        association_drop(a, errno == ENETUNREACH ? DROP_UNREACHABLE : DROP_NO_BUFFER);
        return;
    }
    queue(side, out->bytes + out->header->size, out->n - out->header->size,
          out->n - out->header->size, &target->to);
}

/* The header is as the client wrote it, or names the address that its name was resolved to. */
static void send_by_proxy(struct association *a, const struct udp_entry *target,
                          const struct outgoing *out)
{
    size_t data = out->n - out->header->size;
    uint8_t *bytes = out->bytes, *end = out->bytes + out->n;

    if (target->key.name && target->to.ip.family != IP_NONE) {
        bytes = end - data - socks_udp_size(&target->to);
        socks_udp_write(&target->to, bytes);
    }
    bytes[2] = 0; /* FRAG: it is whole */
    if (target->to.ip.family == IP_NONE) {
        a->has_named = true;
    } else if (!note_peer(a, &target->to)) {
        association_drop(a, DROP_NO_BUFFER);
        return;
    }
    bytes -= association_wrap(a, bytes);
    queue(&a->sides[SIDE_PROXY], bytes, (size_t)(end - bytes), data, NULL);
}

void association_send(struct association *a, struct udp_entry *target, const struct outgoing *out)
{
    if (target->way == SIDE_PROXY)
        send_by_proxy(a, target, out);
    else
        send_direct(a, target, out);
    if (a->session->address.ip.family == IP_NONE && target->to.ip.family != IP_NONE)
        a->session->address = target->to; /* for the log: the first */
}

void association_send_copy(struct association *a, struct udp_entry *target, const uint8_t *bytes,
                           size_t n)
{
    struct socks_udp_header header;
    struct outgoing out = {&header, datagram_spare(a->worker->datagrams), n};

    memcpy(out.bytes, bytes, n);
    if (!socks_udp_parse(out.bytes, n, &header)) {
        association_drop(a, DROP_BAD_HEADER);
        return;
    }
    association_send(a, target, &out);
    association_flush(a);
}

/* ---- from the client */

/* `lasts`: the bytes are there until the queues are flushed. */
static void pass_on(struct association *a, const struct socks_udp_header *header, uint8_t *bytes,
                    size_t n, bool lasts)
{
    struct udp_entry *target;

    if (!may_pass(a, &a->out)) {
        association_drop(a, DROP_RATE);
        return;
    }
    target = association_target(a, header);
    if (!target)
        association_drop(a, DROP_NO_BUFFER);
    else if (target->state == TARGET_RESOLVING)
        association_wait(a, target, bytes, n);
    else if (target->state != TARGET_PASSES)
        association_drop(a, (enum association_drop)target->reason);
    else if (lasts)
        association_send(a, target, &(struct outgoing){header, bytes, n});
    else
        association_send_copy(a, target, bytes, n);
}

static void drop_fragments(struct association *a, unsigned count)
{
    a->counts.dropped[DROP_FRAGMENT] += count;
}

static void give_back_fragment_block(struct association *a)
{
    if (!a->fragments.block)
        buffer_clear(&a->fragment_block, a->worker->tools.pool);
}

static uint8_t *fragment_block(struct association *a, const struct socks_udp_header *header)
{
    size_t room;

    if (!a->fragment_block.bytes && !socks_fragments_begins(header))
        return NULL;
    if (!buffer_reserve(&a->fragment_block, a->worker->tools.pool, SOCKS_FRAGMENTS_BLOCK))
        return NULL;
    return buffer_space(&a->fragment_block, &room);
}

static void take_fragment(struct association *a, const struct socks_udp_header *header,
                          const uint8_t *bytes, size_t n)
{
    bool was_empty = !a->fragments.block;
    unsigned lost;
    struct socks_udp_header whole;
    enum socks_fragments_result result = socks_fragments_take(
        &a->fragments, bytes, n, header, fragment_block(a, header), a->worker->now, &lost);

    drop_fragments(a, lost + (result == SOCKS_FRAGMENTS_DROPPED));
    if (result == SOCKS_FRAGMENTS_WHOLE) {
        if (socks_udp_parse(a->fragments.block, a->fragments.length, &whole))
            pass_on(a, &whole, a->fragments.block, a->fragments.length, false);
        socks_fragments_reset(&a->fragments);
    }
    give_back_fragment_block(a);
    if (was_empty && a->fragments.block)
        session_look_again(a->session); /* for the reassembly timer */
}

/* The port is that of the request, or of the first that comes. */
static bool is_client(const struct association *a, const struct ip_endpoint *from)
{
    return ip_equal(&from->ip, &a->client.ip) &&
           (a->client.port == 0 || a->client.port == from->port);
}

static void take_from_client(struct association *a, const struct datagram *d)
{
    struct socks_udp_header header;

    if (!is_client(a, &d->from)) {
        association_drop(a, DROP_NOT_CLIENT);
        return;
    }
    if (!socks_udp_parse(d->bytes, d->n, &header)) {
        association_drop(a, DROP_BAD_HEADER);
        return;
    }
    a->client.port = d->from.port;
    if (header.fragment) {
        take_fragment(a, &header, d->bytes, d->n);
        return;
    }
    if (a->fragments.block) { /* 0 is lower than any (RFC 1928, 7) */
        drop_fragments(a, socks_fragments_reset(&a->fragments));
        give_back_fragment_block(a);
    }
    pass_on(a, &header, d->bytes, d->n, true);
}

/* ---- to the client */

static bool is_peer(struct association *a, const struct ip_endpoint *from)
{
    struct udp_key key = {
        .kind = UDP_PEER, .ip = from->ip, .port = a->config->udp_by_address ? 0 : from->port};

    return udp_table_find(&a->table, &key) != NULL;
}

static void answer(struct association *a, const uint8_t *bytes, size_t n, size_t data)
{
    if (may_pass(a, &a->in))
        queue(&a->sides[SIDE_CLIENT], bytes, n, data, &a->client);
    else
        association_drop(a, DROP_RATE);
}

static void take_from_target(struct association *a, const struct datagram *d)
{
    size_t header = socks_udp_size(&d->from);

    if (!is_peer(a, &d->from)) {
        association_drop(a, DROP_NOT_ASKED);
        return;
    }
    socks_udp_write(&d->from, d->bytes - header);
    answer(a, d->bytes - header, d->n + header, d->n);
}

/* What the last proxy says is the client's header already. */
static void take_from_proxy(struct association *a, const struct datagram *d)
{
    uint8_t *bytes = d->bytes;
    size_t n = d->n;
    struct socks_udp_header header;
    struct ip_endpoint from;

    if (!association_unwrap(a, &bytes, &n) || !socks_udp_parse(bytes, n, &header)) {
        association_drop(a, DROP_BAD_HEADER);
        return;
    }
    if (header.fragment) {
        association_drop(a, DROP_FRAGMENT);
        return;
    }
    from = (struct ip_endpoint){ip_unmapped(&header.ip), header.port};
    if (!a->has_named && (header.name_length || !is_peer(a, &from)))
        association_drop(a, DROP_NOT_ASKED);
    else
        answer(a, bytes, n, n - header.size);
}

/* ---- sockets */

static void take(struct side_socket *side, const struct datagram *d)
{
    switch (side->side) {
    case SIDE_CLIENT:
        take_from_client(side->association, d);
        break;
    case SIDE_PROXY:
        take_from_proxy(side->association, d);
        break;
    default:
        take_from_target(side->association, d);
    }
}

/* ICMP says that somebody was not reached. Some messages are known as the result of a call alone. */
static void count_errors(struct side_socket *side, bool at_least_one)
{
    unsigned count = datagram_drain_errors(side->fd);

    side->association->counts.icmp_errors += count == 0 && at_least_one ? 1 : count;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct side_socket *side = (struct side_socket *)((char *)w - offsetof(struct side_socket, io));
    struct datagram batch[DATAGRAM_BATCH];

    (void)loop;
    (void)revents;
    for (int turn = 0; turn < BATCHES_A_TURN; turn++) {
        int count = datagram_read(side->fd, side->association->worker->datagrams, batch);

        if (count < 0 || (count == 0 && turn == 0))
            count_errors(side, count < 0);
        for (int i = 0; i < count; i++)
            take(side, &batch[i]);
        association_flush(side->association);
        if (count < DATAGRAM_BATCH && count >= 0)
            return;
    }
}

bool association_open_side(struct association *a, enum side i, const struct ip_address *ip,
                           uint16_t port)
{
    struct side_socket *side = &a->sides[i];

    side->fd = datagram_open(ip, port, i != SIDE_CLIENT);
    if (side->fd < 0)
        return false;
    ev_io_init(&side->io, on_readable, side->fd, EV_READ);
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

void association_look(struct association *a)
{
    if (!socks_fragments_expired(&a->fragments, a->worker->now))
        return;
    drop_fragments(a, socks_fragments_reset(&a->fragments));
    give_back_fragment_block(a);
}

const struct association_counts *association_counts(const struct association *a)
{
    return &a->counts;
}
