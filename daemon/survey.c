/* survey.c - reads what others write: no lock but the short ones of queues and pools. */
#include "daemon/survey.h"

#include "daemon/log.h"

#include <stdlib.h>

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void add_listener(struct listener_sum *total, const struct listener_sum *one)
{
    total->accepted += one->accepted;
    total->started += one->started;
    total->ended += one->ended;
    total->now += one->now;
    total->sent += one->sent;
    total->received += one->received;
    for (unsigned i = 0; i < COUNTERS_TLS; i++)
        total->tls[i] += one->tls[i];
}

static void take_listener(struct survey_listener *listener, const struct snapshot_listener *served)
{
    listener->config = served->config;
    listener->sum = listener_blocks_sum(&served->gate->counters);
    listener->queue = queue_numbers(&served->gate->queue);
    gate_refused(served->gate, listener->refused);
}

static struct survey_server survey_server_of(struct upstream_server *server, uint64_t now)
{
    return (struct survey_server){
        .server = server,
        .sessions = atomic_load(&server->sessions),
        .failures = atomic_load(&server->failures),
        .is_usable = upstream_server_is_usable(server, now),
    };
}

/* False without memory. */
static bool take_upstream(struct survey_upstream *upstream, struct upstream_pool *pool,
                          uint64_t now)
{
    struct upstream_server **servers;
    unsigned count = 0;

    if (!pool)
        return true;
    servers = upstream_pool_servers(pool, &count);
    upstream->servers = calloc(count ? count : 1, sizeof *upstream->servers);
    for (unsigned i = 0; i < count; i++) {
        if (upstream->servers)
            upstream->servers[upstream->server_count++] = survey_server_of(servers[i], now);
        else
            upstream_server_unref(servers[i]);
    }
    free(servers);
    return upstream->servers != NULL;
}

bool survey_take(struct survey *survey, const struct serving *serving)
{
    const struct snapshot *snapshot = serving->snapshot;
    const struct config *config = snapshot->config;
    uint64_t now = monotonic_ms();
    bool whole = true;

    *survey = (struct survey){
        .serving = serving,
        .config = config,
        .listeners = calloc(config->listener_count, sizeof *survey->listeners),
        .upstreams = calloc(config->upstream_count + 1, sizeof *survey->upstreams),
        .log_lost = log_lost(),
        .now = time(NULL),
        .is_draining = atomic_load(&serving->workers.worker[0].command) != WORKER_SERVE,
    };
    if (!survey->listeners || !survey->upstreams)
        goto fail;
    for (unsigned i = 0; i < serving->workers.count; i++)
        whole &= counters_sum_add(&survey->counters, serving->workers.worker[i].counters);
    for (unsigned i = 0; i < config->listener_count; i++) {
        take_listener(&survey->listeners[i], &snapshot->listeners[i]);
        add_listener(&survey->total, &survey->listeners[i].sum);
    }
    for (unsigned i = 0; i < config->upstream_count; i++) {
        survey->upstreams[i].config = &config->upstreams[i];
        whole &= take_upstream(&survey->upstreams[i], snapshot->pools[i], now);
    }
    if (whole)
        return true;
fail:
    survey_done(survey);
    return false;
}

void survey_done(struct survey *survey)
{
    for (unsigned i = 0; survey->upstreams && i < survey->config->upstream_count; i++) {
        struct survey_upstream *upstream = &survey->upstreams[i];

        for (unsigned j = 0; j < upstream->server_count; j++)
            upstream_server_unref(upstream->servers[j].server);
        free(upstream->servers);
    }
    free(survey->upstreams);
    free(survey->listeners);
    counters_sum_done(&survey->counters);
    survey->upstreams = NULL;
    survey->listeners = NULL;
}
