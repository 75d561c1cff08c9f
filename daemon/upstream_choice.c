/* upstream_choice.c - who of a pool is next. */
#include "daemon/upstream_pool_private.h"

#include "daemon/hash.h"

#include <string.h>

/* Those among which `balance` chooses: untried, usable, of one priority. */
struct group {
    struct upstream_pool *pool;
    const struct upstream_choice *choice;
    uint16_t priority;
    unsigned count;
    uint32_t weight; /* of all: at most 65,535 each, and an answer has few */
    uint32_t turn;
};

static bool was_tried(const struct upstream_choice *choice, const struct upstream_server *server)
{
    for (unsigned i = 0; i < choice->tried_count; i++)
        if (choice->tried[i] == server)
            return true;
    return false;
}

static bool is_candidate(const struct upstream_choice *choice, const struct entry *entry)
{
    return !was_tried(choice, entry->server) &&
           upstream_server_is_usable(entry->server, choice->now);
}

/* The next member from entry `*at` on, which moves behind it. */
static const struct entry *next(const struct group *group, unsigned *at)
{
    while (*at < group->pool->count) {
        const struct entry *entry = &group->pool->entries[(*at)++];

        if (entry->priority == group->priority && is_candidate(group->choice, entry))
            return entry;
    }
    return NULL;
}

static struct group find_group(struct upstream_pool *pool, const struct upstream_choice *choice)
{
    struct group group = {.pool = pool, .choice = choice, .turn = pool->turn++};

    for (unsigned i = 0; i < pool->count; i++) {
        const struct entry *entry = &pool->entries[i];

        if (!is_candidate(choice, entry) || (group.count && entry->priority > group.priority))
            continue;
        if (group.count == 0 || entry->priority < group.priority)
            group.count = group.weight = 0;
        group.priority = entry->priority;
        group.count++;
        group.weight += entry->weight;
    }
    return group;
}

static const struct entry *nth(const struct group *group, uint64_t n)
{
    unsigned at = 0;
    const struct entry *entry = next(group, &at);

    while (n-- && entry)
        entry = next(group, &at);
    return entry;
}

/* RFC 2782, "Weight": in proportion; one without weight has a very small chance beside others. */
static const struct entry *choose_first(const struct group *group)
{
    uint64_t chance = hash_bytes(&group->turn, sizeof group->turn), sum = 0;
    const struct entry *entry;
    unsigned at = 0;

    if (group->weight == 0)
        return nth(group, chance % group->count);
    chance %= (uint64_t)group->weight * 256 + group->count;
    while ((entry = next(group, &at))) {
        sum += (uint64_t)entry->weight * 256 + 1;
        if (chance < sum)
            return entry;
    }
    return NULL;
}

static const struct entry *choose_next(const struct group *group)
{
    return nth(group, group->turn % group->count);
}

/* Equal ones in turn. */
static const struct entry *choose_least(const struct group *group)
{
    const struct entry *best = NULL;
    unsigned least = 0;

    for (unsigned i = 0; i < group->count; i++) {
        const struct entry *entry = nth(group, (group->turn + i) % group->count);
        unsigned sessions = entry ? atomic_load(&entry->server->sessions) : 0;

        if (entry && (!best || sessions < least)) {
            best = entry;
            least = sessions;
        }
    }
    return best;
}

/* The highest of the numbers that client and server make together (Thaler, Ravishankar, "Using
 * Name-Based Mappings to Increase Hit Rates", 1998): who loses a server is the only one to move. */
static const struct entry *choose_by_source(const struct group *group)
{
    const struct entry *entry, *best = NULL;
    uint64_t highest = 0;
    unsigned at = 0;

    while ((entry = next(group, &at))) {
        uint64_t both[2] = {hash_bytes(entry->server->text, strlen(entry->server->text)),
                            hash_bytes(group->choice->client, sizeof *group->choice->client)};
        uint64_t number = hash_bytes(both, sizeof both);

        if (!best || number > highest) {
            best = entry;
            highest = number;
        }
    }
    return best;
}

static const struct entry *(*const choosers[])(const struct group *group) = {
    [BALANCE_FIRST] = choose_first,
    [BALANCE_ROUND_ROBIN] = choose_next,
    [BALANCE_LEAST] = choose_least,
    [BALANCE_SOURCE] = choose_by_source,
};

/* Nobody is usable: better one that may fail than none. */
static const struct entry *soonest(const struct upstream_pool *pool,
                                   const struct upstream_choice *choice)
{
    const struct entry *best = NULL;
    uint64_t earliest = 0;

    for (unsigned i = 0; i < pool->count; i++) {
        const struct entry *entry = &pool->entries[i];
        uint64_t until = atomic_load(&entry->server->aside_until);

        if (was_tried(choice, entry->server) || (best && until >= earliest))
            continue;
        best = entry;
        earliest = until;
    }
    return best;
}

struct upstream_server *upstream_pool_pick(struct upstream_pool *pool,
                                           const struct upstream_choice *choice)
{
    const struct entry *entry = NULL;
    struct upstream_server *server = NULL;
    struct group group;

    pthread_mutex_lock(&pool->lock);
    group = find_group(pool, choice);
    if (group.count)
        entry = choosers[pool->balance](&group);
    if (!entry && !choice->usable_only) /* or the last usable one has failed meanwhile */
        entry = soonest(pool, choice);
    if (entry) {
        server = upstream_server_ref(entry->server);
        upstream_server_enter(server, choice->now);
    }
    pthread_mutex_unlock(&pool->lock);
    return server;
}

void upstream_server_release(struct upstream_server *server)
{
    if (!server)
        return;
    upstream_server_leave(server);
    upstream_server_unref(server);
}
