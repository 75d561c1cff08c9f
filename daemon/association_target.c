/* association_target.c - what is decided about a target, once: the rules and the guard, by its name and by
 * its address, as for a CONNECT; and the names that are looked up for that, with what waits for them. A
 * decision holds for as long as the association remembers the target; that of a name for a minute, for
 * its addresses may change. */
#include "daemon/association_machine.h"

#include <string.h>

/* DNS says how long an answer holds; the resolver does not pass it on. */
enum { NAME_MS = 60 * 1000, NO_NAME_MS = 5 * 1000 };

/* In all, and for one name: a server that is silent about it keeps no other from being looked up. */
enum { WAITING_MAX = 64, WAITING_A_TARGET = 16 };

/* What waits, one behind the other in one block. */
struct record {
    struct udp_entry *target;
    size_t n; /* bytes that follow, the header included */
};

/* ---- deciding */

static void drop_target(struct udp_entry *target, enum association_drop reason, uint64_t until)
{
    target->state = TARGET_DROPPED;
    target->reason = (uint8_t)reason;
    target->until = until;
}

static void decide_way(struct association *a, struct udp_entry *target,
                       const struct policy_decision *decision, const struct ip_address *ip)
{
    const struct config_upstream *route = decision->route;

    if (dial_is_for(route) ? route != a->session->route : !config_can_associate(route)) {
        drop_target(target, DROP_ROUTE, target->until);
        return;
    }
    if (!association_limit(a, decision->rule, &target->limit)) {
        drop_target(target, DROP_NO_BUFFER, a->worker->now); /* the next one asks again */
        return;
    }
    target->state = TARGET_PASSES;
    target->way = dial_is_for(route) ? SIDE_PROXY : SIDE_V4;
    target->to = (struct ip_endpoint){*ip, target->key.port};
}

static struct policy_decision judge(const struct association *a, const struct udp_entry *target,
                                    const struct ip_address *ip, bool has_name)
{
    struct rules_request request = {
        .name = has_name ? target->key.name : NULL,
        .name_length = has_name ? target->key.name_length : 0,
        .address = *ip,
        .port = target->key.port,
    };
    struct policy_decision decision = session_judge_datagram(a->session, &request);

    if (!a->session->rule && decision.verdict != POLICY_RESOLVE)
        a->session->rule = decision.rule; /* for the log: the first that has a say */
    return decision;
}

static void decide_address(struct association *a, struct udp_entry *target,
                           const struct ip_address *ip)
{
    struct policy_decision decision = judge(a, target, ip, false);

    if (decision.verdict == POLICY_DENY)
        drop_target(target, DROP_DENIED, 0);
    else
        decide_way(a, target, &decision, ip);
}

/* ---- what waits */

static void keep_record(struct association *a, const struct record *record, const uint8_t *bytes,
                        size_t *at)
{
    memmove(a->waiting.bytes + *at + sizeof *record, bytes, record->n);
    memcpy(a->waiting.bytes + *at, record, sizeof *record);
    *at += sizeof *record + record->n;
}

/* Sends, or drops, all that waits for this target; the others move together. */
static void settle(struct association *a, struct udp_entry *target)
{
    const uint8_t *from = buffer_bytes(&a->waiting);
    size_t left = buffer_waiting(&a->waiting), at = a->waiting.begin;

    if (!left)
        return;
    while (left) {
        struct record record;

        memcpy(&record, from, sizeof record);
        from += sizeof record;
        left -= sizeof record + record.n;
        if (record.target != target)
            keep_record(a, &record, from, &at);
        else if (target->state == TARGET_PASSES)
            association_send_copy(a, target, from, record.n);
        else
            association_drop(a, target->state == TARGET_DROPPED
                                    ? (enum association_drop)target->reason
                                    : DROP_UNRESOLVED);
        if (record.target == target)
            a->waiting_count--;
        from += record.n;
    }
    target->waiting = 0;
    a->waiting.end = (uint32_t)at;
    if (!buffer_waiting(&a->waiting))
        buffer_clear(&a->waiting, a->worker->tools.pool);
}

void association_wait(struct association *a, struct udp_entry *target, const uint8_t *bytes,
                      size_t n)
{
    struct record record = {target, n};
    struct buffer_pool *pool = a->worker->tools.pool;

    if (a->waiting_count == WAITING_MAX || target->waiting == WAITING_A_TARGET ||
        !buffer_reserve(&a->waiting, pool, a->waiting.bytes ? sizeof record + n : BUFFER_LARGE)) {
        association_drop(a, DROP_NO_BUFFER);
        return;
    }
    if (!buffer_append(&a->waiting, pool, &record, sizeof record) ||
        !buffer_append(&a->waiting, pool, bytes, n)) {
        association_drop(a, DROP_NO_BUFFER); /* cannot be: there is room */
        return;
    }
    a->waiting_count++;
    target->waiting++;
}

/* ---- names */

static void finish_lookup(struct udp_lookup *lookup)
{
    struct udp_entry *target = lookup->target;

    lookup->target = NULL;
    lookup->lookup = NULL;
    settle(lookup->association, target);
}

static void on_resolved(void *context, const struct ip_address *addresses, unsigned count,
                        const struct stream_error *error);

static bool start_lookup(struct udp_lookup *lookup, enum ip_family family)
{
    const struct udp_key *key = &lookup->target->key;
    char name[HOST_NAME_LENGTH_MAX + 1];

    memcpy(name, key->name, key->name_length);
    name[key->name_length] = '\0';
    lookup->family = family;
    lookup->lookup =
        resolver_start(lookup->association->worker->resolver, name, family, on_resolved, lookup);
    return lookup->lookup != NULL;
}

/* The first address that may be reached is the one. */
static void choose_address(struct udp_lookup *lookup, const struct ip_address *addresses,
                           unsigned count)
{
    struct association *a = lookup->association;

    for (unsigned i = 0; i < count && lookup->target->state == TARGET_RESOLVING; i++) {
        struct ip_address ip = ip_unmapped(&addresses[i]);
        struct policy_decision decision = judge(a, lookup->target, &ip, true);

        if (decision.verdict == POLICY_DENY)
            lookup->is_denied = true;
        else
            decide_way(a, lookup->target, &decision, &ip);
    }
}

static void on_resolved(void *context, const struct ip_address *addresses, unsigned count,
                        const struct stream_error *error)
{
    struct udp_lookup *lookup = context;
    struct udp_entry *target = lookup->target;
    struct association *a = lookup->association;
    bool is_bound = association_source(a).family != IP_NONE;

    (void)error;
    lookup->lookup = NULL;
    target->until = a->worker->now + NAME_MS;
    choose_address(lookup, addresses, count);
    if (target->state == TARGET_RESOLVING && lookup->family == IP_V4 && !is_bound &&
        start_lookup(lookup, IP_V6))
        return;
    if (target->state == TARGET_RESOLVING)
        drop_target(target, lookup->is_denied ? DROP_DENIED : DROP_UNRESOLVED,
                    a->worker->now + (lookup->is_denied ? NAME_MS : NO_NAME_MS));
    finish_lookup(lookup);
}

/* At most LOOKUPS_MAX at a time: the next datagram asks again. */
static void resolve(struct association *a, struct udp_entry *target)
{
    struct udp_lookup *lookup = a->lookups;

    while (lookup < a->lookups + LOOKUPS_MAX && lookup->target)
        lookup++;
    if (lookup < a->lookups + LOOKUPS_MAX) {
        *lookup = (struct udp_lookup){.association = a, .target = target};
        if (start_lookup(lookup, association_source(a).family == IP_V6 ? IP_V6 : IP_V4)) {
            target->state = TARGET_RESOLVING;
            return;
        }
        lookup->target = NULL;
    }
    drop_target(target, DROP_UNRESOLVED, a->worker->now);
}

static void decide_name(struct association *a, struct udp_entry *target)
{
    static const struct ip_address unknown;
    struct ip_address ip = unknown;
    struct policy_decision decision;

    switch (host_classify(target->key.name, target->key.name_length, &ip)) {
    case HOST_ADDRESS:
        ip = ip_unmapped(&ip);
        decide_address(a, target, &ip);
        return;
    case HOST_INVALID:
        drop_target(target, DROP_UNRESOLVED, 0);
        return;
    case HOST_NAME:
        break;
    }
    decision = judge(a, target, &unknown, true);
    if (decision.verdict == POLICY_DENY)
        drop_target(target, DROP_DENIED, 0);
    else if (decision.verdict == POLICY_ALLOW && decision.is_unresolved)
        decide_way(a, target, &decision, &unknown);
    else
        resolve(a, target);
}

static void decide(struct association *a, struct udp_entry *target)
{
    struct ip_address ip = ip_unmapped(&target->key.ip);

    target->until = 0;
    target->to = (struct ip_endpoint){0};
    if (target->key.name)
        decide_name(a, target);
    else
        decide_address(a, target, &ip);
}

struct udp_entry *association_target(struct association *a, const struct socks_udp_header *header)
{
    struct udp_key key = {
        .kind = UDP_TARGET,
        .ip = header->ip,
        .port = header->port,
        .name = header->name,
        .name_length = header->name_length,
    };
    struct udp_entry *target = udp_table_find(&a->table, &key);

    if (!target)
        target = udp_table_add(&a->table, &key);
    if (target &&
        (target->state == TARGET_NEW ||
         (target->state != TARGET_RESOLVING && target->until && target->until <= a->worker->now)))
        decide(a, target);
    return target;
}

/* ---- the end */

static void cancel(struct udp_lookup *lookup)
{
    if (lookup->lookup)
        resolver_cancel(lookup->lookup);
    finish_lookup(lookup);
}

void association_forget(void *context, struct udp_entry *entry)
{
    struct association *a = context;

    if (entry->state != TARGET_RESOLVING)
        return;
    for (unsigned i = 0; i < LOOKUPS_MAX; i++)
        if (a->lookups[i].target == entry)
            cancel(&a->lookups[i]);
}

void association_cancel_lookups(struct association *a)
{
    for (unsigned i = 0; i < LOOKUPS_MAX; i++)
        if (a->lookups[i].target)
            cancel(&a->lookups[i]);
}
