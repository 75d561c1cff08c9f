/* association_relay.c - the datagrams of both directions, in batches: who sent them, where they go, and why
 * some go nowhere. */
#include "daemon/association_machine.h"

#include <errno.h>
#include <string.h>

/* Batches that one socket may pass on while others wait. */
enum { BATCHES_A_TURN = 4 };

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

/* Who was written to, by the address that he answers from; NULL: nobody. */
static struct udp_entry *find_peer(struct association *a, const struct ip_endpoint *from)
{
    struct udp_key key = {
        .kind = UDP_PEER, .ip = from->ip, .port = a->config->udp_by_address ? 0 : from->port};

    return udp_table_find(&a->table, &key);
}

/* From now on this peer may answer, within what this target's rule allows. */
static bool note_peer(struct association *a, const struct udp_entry *target)
{
    struct udp_key key = {.kind = UDP_PEER,
                          .ip = target->to.ip,
                          .port = a->config->udp_by_address ? 0 : target->to.port};
    struct udp_entry *peer = find_peer(a, &target->to);

    if (!peer)
        peer = udp_table_add(&a->table, &key);
    if (peer)
        peer->limit = target->limit;
    return peer != NULL;
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
    if (side->fd < 0 || !note_peer(a, target)) {
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
        a->named = target->limit;
    } else if (!note_peer(a, target)) {
        association_drop(a, DROP_NO_BUFFER);
        return;
    }
    bytes -= association_wrap(a, bytes);
    queue(&a->sides[SIDE_PROXY], bytes, (size_t)(end - bytes), data, NULL);
}

void association_send(struct association *a, struct udp_entry *target, const struct outgoing *out)
{
    if (!association_may_send(a, target->limit, out->n - out->header->size)) {
        association_drop(a, DROP_RATE);
        return;
    }
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

static void answer(struct association *a, struct udp_limit *limit, const uint8_t *bytes, size_t n,
                   size_t data)
{
    if (may_pass(a, &a->in) && association_may_answer(a, limit, data))
        queue(&a->sides[SIDE_CLIENT], bytes, n, data, &a->client);
    else
        association_drop(a, DROP_RATE);
}

static void take_from_target(struct association *a, const struct datagram *d)
{
    size_t header = socks_udp_size(&d->from);
    const struct udp_entry *peer = find_peer(a, &d->from);

    if (!peer) {
        association_drop(a, DROP_NOT_ASKED);
        return;
    }
    socks_udp_write(&d->from, d->bytes - header);
    answer(a, peer->limit, d->bytes - header, d->n + header, d->n);
}

/* What the last proxy says is the client's header already. */
static void take_from_proxy(struct association *a, const struct datagram *d)
{
    uint8_t *bytes = d->bytes;
    size_t n = d->n;
    struct socks_udp_header header;
    const struct udp_entry *peer;
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
    peer = header.name_length ? NULL : find_peer(a, &from);
    if (!peer && !a->has_named)
        association_drop(a, DROP_NOT_ASKED);
    else
        answer(a, peer ? peer->limit : a->named, bytes, n, n - header.size);
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

void association_count_last(struct association *a)
{
    for (enum side i = 0; i < SIDES; i++)
        if (a->sides[i].fd >= 0)
            count_errors(&a->sides[i], false);
}

void association_on_readable(struct ev_loop *loop, ev_io *w, int revents)
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

void association_look(struct association *a)
{
    if (!socks_fragments_expired(&a->fragments, a->worker->now))
        return;
    drop_fragments(a, socks_fragments_reset(&a->fragments));
    give_back_fragment_block(a);
}
