/* upstream_pool.c - the servers of an upstream, as they were written or as a service lists them. */
#include "daemon/upstream_pool_private.h"

#include "daemon/short_lock.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
    short_lock_init(&pool->lock);
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
