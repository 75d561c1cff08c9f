/* health.c - a timer for each upstream; a server has one check at a time. */
#include "daemon/health.h"

#include "daemon/health_check.h"
#include "daemon/log.h"

#include <stdio.h>
#include <stdlib.h>

struct patient {
    struct health *health; /* borrowed */
    const struct config_upstream *upstream;
    struct upstream_pool *pool;
    unsigned turn; /* where the next round begins: nobody waits for ever */
    ev_timer timer;
};

struct running {
    struct running *next;
    struct health_check *check; /* owned */
};

struct health {
    struct ev_loop *loop; /* borrowed */
    struct resolver *resolver;
    struct buffer_pool pool;
    struct snapshot *snapshot; /* a reference; NULL: none yet */
    struct patient *patients;  /* owned */
    unsigned count;
    struct running *running; /* owned */
    unsigned running_count;
};

struct health *health_new(struct ev_loop *loop, const struct resolver_options *options)
{
    struct health *health = calloc(1, sizeof *health);

    if (!health)
        return NULL;
    health->loop = loop;
    health->resolver = resolver_new(loop, options);
    if (health->resolver)
        return health;
    free(health);
    return NULL;
}

static void forget(struct health *health)
{
    while (health->running) {
        struct running *running = health->running;

        health->running = running->next;
        health_check_free(running->check);
        free(running);
    }
    health->running_count = 0;
    for (unsigned i = 0; i < health->count; i++)
        ev_timer_stop(health->loop, &health->patients[i].timer);
    free(health->patients);
    health->patients = NULL;
    health->count = 0;
    snapshot_unref(health->snapshot);
    health->snapshot = NULL;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    forget(health);
    resolver_free(health->resolver);
    buffer_pool_done(&health->pool);
    free(health);
}

static void tell(struct upstream_server *server, const char *why)
{
    snprintf(server->check_error, sizeof server->check_error, "%s", why ? why : "");
    if (!upstream_server_checked(server, !why))
        return;
    if (why)
        log_message(LOG_LEVEL_WARNING, "check",
                    "[upstream %s] %s is not used while others are good: %s", server->upstream,
                    server->text, why);
    else
        log_message(LOG_LEVEL_NOTICE, "check", "[upstream %s] %s is good again", server->upstream,
                    server->text);
}

static void on_finished(void *context, struct health_check *check, const char *why)
{
    struct health *health = context;
    struct running **at = &health->running, *found;

    tell(health_check_server(check), why);
    while ((*at)->check != check)
        at = &(*at)->next;
    found = *at;
    *at = found->next;
    health->running_count--;
    free(found);
    health_check_free(check);
}

static bool is_running(const struct health *health, const struct upstream_server *server)
{
    for (const struct running *r = health->running; r; r = r->next)
        if (health_check_server(r->check) == server)
            return true;
    return false;
}

static void start(struct patient *patient, struct upstream_server *server)
{
    struct health *health = patient->health;
    struct health_check_options options = {
        .snapshot = health->snapshot,
        .upstream = patient->upstream,
        .server = server,
        .loop = health->loop,
        .resolver = health->resolver,
        .pool = &health->pool,
        .finished = on_finished,
        .context = health,
    };
    struct running *running = calloc(1, sizeof *running);

    if (running)
        running->check = health_check_start(&options);
    if (!running || !running->check) {
        free(running); /* it says nothing of the server; the next round may do better */
        return;
    }
    running->next = health->running;
    health->running = running;
    health->running_count++;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct patient *patient = w->data;
    unsigned count;
    struct upstream_server **servers = upstream_pool_servers(patient->pool, &count);

    (void)loop;
    (void)revents;
    for (unsigned i = 0; i < count && patient->health->running_count < HEALTH_CHECKS_MAX; i++) {
        struct upstream_server *server = servers[patient->turn++ % count];

        if (!is_running(patient->health, server))
            start(patient, server);
    }
    for (unsigned i = 0; i < count; i++)
        upstream_server_unref(servers[i]);
    free(servers);
}

static void add_patient(struct health *health, unsigned index)
{
    struct patient *patient = &health->patients[health->count++];
    double interval = (double)health->snapshot->config->upstreams[index].check_interval / 1000.;

    *patient = (struct patient){
        .health = health,
        .upstream = &health->snapshot->config->upstreams[index],
        .pool = health->snapshot->pools[index],
    };
    ev_timer_init(&patient->timer, on_timer, 0., interval);
    patient->timer.data = patient;
    ev_timer_start(health->loop, &patient->timer);
}

/* A server that nobody checks any more has no bad checks. */
static void acquit(struct upstream_pool *pool)
{
    unsigned count;
    struct upstream_server **servers = upstream_pool_servers(pool, &count);

    for (unsigned i = 0; i < count; i++) {
        atomic_store(&servers[i]->unhealthy, false);
        upstream_server_unref(servers[i]);
    }
    free(servers);
}

void health_follow(struct health *health, struct snapshot *snapshot)
{
    const struct config *config = snapshot->config;
    struct resolver_options options = {
        .nameservers = config->nameservers,
        .search_domains = config->search_domains,
    };

    forget(health);
    health->snapshot = snapshot_ref(snapshot);
    health->patients = calloc(config->upstream_count + 1, sizeof *health->patients);
    if (!health->patients || !resolver_configure(health->resolver, &options))
        log_message(LOG_LEVEL_ERROR, "check", "no memory: checks stay as they are");
    for (unsigned i = 0; health->patients && i < config->upstream_count; i++) {
        if (!snapshot->pools[i])
            continue;
        if (config->upstreams[i].check_interval)
            add_patient(health, i);
        else
            acquit(snapshot->pools[i]);
    }
}
