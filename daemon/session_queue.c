/* session_queue.c - who must go when too many clients have not finished their request: whoever
 * takes most of the places. A host that opens many and says nothing loses its oldest; a host
 * with a single one loses nothing to it. */
#include "daemon/session.h"

#include <string.h>

/* Hosts are counted by hash: two that share a bucket are taken for one, which costs at worst a
 * wrong victim. */
enum { BUCKETS = 512 };

static unsigned bucket_of(const struct ip_address *ip)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < sizeof ip->bytes; i++)
        hash = (hash ^ ip->bytes[i]) * 16777619u;
    return (hash ^ hash >> 16) % BUCKETS;
}

static struct session *oldest_of_the_greediest(struct worker_listener *listener,
                                               const struct ip_endpoint *newcomer)
{
    struct session_list *waiting = &listener->worker->waiting;
    uint16_t count[BUCKETS] = {0};
    unsigned most = bucket_of(&newcomer->ip);

    count[most] = 1;
    for (struct session *s = waiting->first; s; s = s->next) {
        unsigned bucket = bucket_of(&s->peer.ip);

        if (s->listener->limits != listener->limits || count[bucket] == UINT16_MAX)
            continue;
        if (++count[bucket] > count[most])
            most = bucket;
    }
    if (count[most] < 2)
        return NULL;
    for (struct session *s = waiting->first; s; s = s->next)
        if (s->listener->limits == listener->limits && bucket_of(&s->peer.ip) == most)
            return s;
    return NULL;
}

bool session_queue_make_room(struct worker_listener *listener, const struct ip_endpoint *newcomer)
{
    struct listener_limits *limits = listener->limits;
    struct limit *waiting = &limits->waiting[listener->worker->index];
    struct session *victim;

    if (limit_take(waiting))
        return true;
    atomic_fetch_add_explicit(&limits->queue_closed, 1, memory_order_relaxed);
    victim = oldest_of_the_greediest(listener, newcomer);
    if (!victim)
        return false;
    session_abort(victim, stream_error_of(ERROR_POLICY_LIMIT_QUEUE));
    return limit_take(waiting);
}
