/* upstream_pool.c - who is next. */
#include "daemon/upstream_pool.h"

#include "daemon/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct entry {
    struct upstream_server *server; /* a reference */
    uint16_t priority, weight;
};

struct upstream_pool {
    char *name;
    char *service; /* NULL: the list was written down */
    int balance;   /* enum balance */
    pthread_mutex_t lock;
    struct entry *entries; /* owned, as all here; behind the lock, as all that follow */
    unsigned count;
    uint32_t turn; /* what spreads the choices */
    bool is_pending;
    struct stream_error error;
};

/* ---- the list */

static void free_entries(struct entry *entries, unsigned count)
{
    for (unsigned i = 0; entries && i < count; i++)
        upstream_server_unref(entries[i].server);
    free(entries);
}

/* A list under way, and the one that it replaces. */
struct listing {
    const char *name; /* of the upstream */
    struct entry *entries;
    unsigned count;
    const struct entry *known;
    unsigned known_count;
};

static struct upstream_server *find(const struct entry *entries, unsigned count, const char *host,
                                    const struct ip_address *ip, uint16_t port)
{
    for (unsigned i = 0; i < count; i++)
        if (upstream_server_is(entries[i].server, host, ip, port))
            return entries[i].server;
    return NULL;
}

/* The one that is known already, or a new one; none twice. False: no memory. */
static bool add(struct listing *listing, const char *host, const struct ip_address *ip,
                uint16_t port, uint16_t priority, uint16_t weight)
{
    struct upstream_server *server = find(listing->entries, listing->count, host, ip, port);

    if (server)
        return true;
    server = find(listing->known, listing->known_count, host, ip, port);
    server =
        server ? upstream_server_ref(server) : upstream_server_new(listing->name, host, ip, port);
    if (server)
        listing->entries[listing->count++] = (struct entry){server, priority, weight};
    return server;
}

/* With `first` each written server is a priority of its own. */
static bool take_servers(struct upstream_pool *pool, const struct config_upstream *upstream,
                         const struct upstream_pool *previous)
{
    struct listing listing = {.name = pool->name, .entries = pool->entries};
    bool good = true;

    if (previous) {
        listing.known = previous->entries;
        listing.known_count = previous->count;
    }
    for (unsigned i = 0; good && i < upstream->server_count; i++) {
        const struct config_target *target = &upstream->servers[i];
        unsigned priority = pool->balance == BALANCE_FIRST ? i : 0;

        good = add(&listing, target->name, &target->ip, target->port,
                   (uint16_t)(priority < UINT16_MAX ? priority : UINT16_MAX), 0);
    }
    pool->count = listing.count;
    return good;
}

/* What the previous pool of the same service knows. */
static void take_records(struct upstream_pool *pool, const struct upstream_pool *previous)
{
    pool->is_pending = previous->is_pending;
    pool->error = previous->error;
    for (unsigned i = 0; i < previous->count; i++) {
        pool->entries[i] = previous->entries[i];
        upstream_server_ref(pool->entries[i].server);
    }
    pool->count = previous->count;
}

static bool fill(struct upstream_pool *pool, const struct config_upstream *upstream,
                 const struct upstream_pool *previous)
{
    unsigned most = upstream->server_count;

    if (previous && previous->count > most)
        most = previous->count;
    pool->entries = calloc(most + 1, sizeof *pool->entries);
    if (!pool->entries)
        return false;
    if (!upstream->service)
        return take_servers(pool, upstream, previous);
    pool->is_pending = true;
    if (previous && previous->service && strcasecmp(previous->service, upstream->service) == 0)
        take_records(pool, previous);
    return true;
}

struct upstream_pool *upstream_pool_new(const struct config_upstream *upstream,
                                        struct upstream_pool *previous)
{
    struct upstream_pool *pool = calloc(1, sizeof *pool);
    bool good;

    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pool->balance = upstream->balance;
    pool->name = strdup(upstream->name);
    pool->service = upstream->service ? strdup(upstream->service) : NULL;
    good = pool->name && (!upstream->service || pool->service);
    if (previous)
        pthread_mutex_lock(&previous->lock);
    good = good && fill(pool, upstream, previous);
    if (previous)
        pthread_mutex_unlock(&previous->lock);
    if (good)
        return pool;
    upstream_pool_free(pool);
    return NULL;
}

void upstream_pool_free(struct upstream_pool *pool)
{
    if (!pool)
        return;
    free_entries(pool->entries, pool->count);
    pthread_mutex_destroy(&pool->lock);
    free(pool->name);
    free(pool->service);
    free(pool);
}

bool upstream_pool_set(struct upstream_pool *pool, const struct upstream_record *records,
                       unsigned count)
{
    const struct ip_address none = {0};
    struct listing listing = {.name = pool->name,
                              .entries = calloc(count + 1, sizeof(struct entry))};
    bool good = listing.entries;

    pthread_mutex_lock(&pool->lock);
    listing.known = pool->entries;
    listing.known_count = pool->count;
    for (unsigned i = 0; good && i < count; i++)
        good = add(&listing, records[i].host, &none, records[i].port, records[i].priority,
                   records[i].weight);
    if (good) {
        struct listing old = {.entries = pool->entries, .count = pool->count};

        pool->entries = listing.entries;
        pool->count = listing.count;
        pool->is_pending = false;
        pool->error = (struct stream_error){0};
        listing = old;
    }
    pthread_mutex_unlock(&pool->lock);
    free_entries(listing.entries, listing.count);
    return good;
}

void upstream_pool_set_error(struct upstream_pool *pool, struct stream_error error)
{
    pthread_mutex_lock(&pool->lock);
    pool->is_pending = false;
    if (pool->count == 0)
        pool->error = error;
    pthread_mutex_unlock(&pool->lock);
}

bool upstream_pool_is_pending(struct upstream_pool *pool)
{
    bool is_pending;

    pthread_mutex_lock(&pool->lock);
    is_pending = pool->is_pending;
    pthread_mutex_unlock(&pool->lock);
    return is_pending;
}

struct stream_error upstream_pool_error(struct upstream_pool *pool)
{
    struct stream_error error;

    pthread_mutex_lock(&pool->lock);
    error = pool->error;
    pthread_mutex_unlock(&pool->lock);
    return error;
}

struct upstream_server **upstream_pool_servers(struct upstream_pool *pool, unsigned *ret_count)
{
    struct upstream_server **servers;

    pthread_mutex_lock(&pool->lock);
    servers = calloc(pool->count + 1, sizeof(struct upstream_server *));
    *ret_count = servers ? pool->count : 0;
    for (unsigned i = 0; i < *ret_count; i++)
        servers[i] = upstream_server_ref(pool->entries[i].server);
    pthread_mutex_unlock(&pool->lock);
    return servers;
}

/* ---- the choice */

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
