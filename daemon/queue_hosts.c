/* queue_hosts.c - hosts in arrays that are as long as there can be members, linked by their
 * numbers: nothing is allocated while clients come and go, so nothing can fail then. */
#include "daemon/queue_hosts.h"

#include <stdlib.h>

struct queue_host {
    struct queue_member *oldest, *youngest;
    uint32_t hash;           /* its low bits */
    uint32_t next_in_slot;   /* not in use: the next that is not */
    uint32_t previous, next; /* with as many members */
    uint32_t members;
    struct host_key key;
};

struct queue_hosts_list {
    uint32_t first, last;
};

static void *longer(const void *old, size_t old_count, size_t count, size_t size)
{
    void *array = calloc(count, size);

    if (array && old)
        memcpy(array, old, old_count * size);
    return array;
}

static void put_in_slot(struct queue_hosts *hosts, uint32_t at)
{
    uint32_t *slot = &hosts->slots[hosts->host[at].hash & hosts->slot_mask];

    hosts->host[at].next_in_slot = *slot;
    *slot = at;
}

static void take_from_slot(struct queue_hosts *hosts, uint32_t at)
{
    uint32_t *link = &hosts->slots[hosts->host[at].hash & hosts->slot_mask];

    while (*link != at)
        link = &hosts->host[*link].next_in_slot;
    *link = hosts->host[at].next_in_slot;
}

bool queue_hosts_reserve(struct queue_hosts *hosts, uint32_t members)
{
    size_t before = hosts->room ? (size_t)hosts->room + 1 : 0, after = (size_t)members + 1;
    struct queue_hosts fresh = *hosts;
    size_t slots = 1;

    if (members <= hosts->room)
        return true;
    while (slots < members)
        slots *= 2;
    fresh.host = longer(hosts->host, before, after, sizeof *fresh.host);
    fresh.having = longer(hosts->having, before, after, sizeof *fresh.having);
    fresh.slots = calloc(slots, sizeof *fresh.slots);
    fresh.slot_mask = (uint32_t)(slots - 1);
    fresh.room = members;
    if (!fresh.host || !fresh.having || !fresh.slots) {
        queue_hosts_done(&fresh);
        return false;
    }
    for (uint32_t at = 1; at <= fresh.used; at++)
        if (fresh.host[at].members)
            put_in_slot(&fresh, at);
    queue_hosts_done(hosts);
    *hosts = fresh;
    return true;
}

void queue_hosts_done(struct queue_hosts *hosts)
{
    free(hosts->host);
    free(hosts->slots);
    free(hosts->having);
    *hosts = (struct queue_hosts){0};
}

static void set_members(struct queue_hosts *hosts, uint32_t at, uint32_t members)
{
    struct queue_host *host = &hosts->host[at];
    struct queue_hosts_list *list = &hosts->having[host->members];

    if (host->members) {
        *(host->previous ? &hosts->host[host->previous].next : &list->first) = host->next;
        *(host->next ? &hosts->host[host->next].previous : &list->last) = host->previous;
    }
    host->members = members;
    if (members) {
        list = &hosts->having[members];
        host->previous = list->last;
        host->next = 0;
        *(list->last ? &hosts->host[list->last].next : &list->first) = at;
        list->last = at;
    }
    if (members > hosts->most)
        hosts->most = members;
    else if (!hosts->having[hosts->most].first)
        hosts->most--;
}

static uint32_t find(const struct queue_hosts *hosts, const struct host_key *key, uint32_t hash)
{
    uint32_t at = hosts->slots[hash & hosts->slot_mask];

    while (at &&
           (hosts->host[at].hash != hash || memcmp(&hosts->host[at].key, key, sizeof *key) != 0))
        at = hosts->host[at].next_in_slot;
    return at;
}

static uint32_t new_host(struct queue_hosts *hosts, const struct host_key *key, uint32_t hash)
{
    uint32_t at = hosts->unused;

    if (at)
        hosts->unused = hosts->host[at].next_in_slot;
    else
        at = ++hosts->used;
    hosts->host[at] = (struct queue_host){.hash = hash, .key = *key};
    put_in_slot(hosts, at);
    hosts->count++;
    return at;
}

static void drop_host(struct queue_hosts *hosts, uint32_t at)
{
    take_from_slot(hosts, at);
    hosts->host[at].next_in_slot = hosts->unused;
    hosts->unused = at;
    hosts->count--;
}

void queue_hosts_add(struct queue_hosts *hosts, struct queue_member *member,
                     const struct host_key *key, uint64_t hash)
{
    uint32_t at = find(hosts, key, (uint32_t)hash);
    struct queue_host *host;

    if (!at)
        at = new_host(hosts, key, (uint32_t)hash);
    host = &hosts->host[at];
    *member = (struct queue_member){.older = host->youngest, .host = at};
    *(host->youngest ? &host->youngest->younger : &host->oldest) = member;
    host->youngest = member;
    set_members(hosts, at, host->members + 1);
}

void queue_hosts_remove(struct queue_hosts *hosts, struct queue_member *member)
{
    struct queue_host *host = &hosts->host[member->host];

    *(member->older ? &member->older->younger : &host->oldest) = member->younger;
    *(member->younger ? &member->younger->older : &host->youngest) = member->older;
    set_members(hosts, member->host, host->members - 1);
    if (!host->members)
        drop_host(hosts, member->host);
}

struct queue_member *queue_hosts_oldest_of_greediest(const struct queue_hosts *hosts)
{
    return hosts->most > 1 ? hosts->host[hosts->having[hosts->most].first].oldest : NULL;
}
