/* service_watch.c - one timer and one question at a time for each service. */
#include "daemon/service_watch.h"

#include "daemon/log.h"

#include <stdlib.h>

/* s; between questions that get no answer. */
enum { RETRY_MIN = 1, RETRY_MAX = 60 };

struct service {
    struct service_watch *watch; /* borrowed */
    const struct config_upstream *upstream;
    struct upstream_pool *pool;
    struct resolver_lookup *lookup; /* while it is asked for */
    ev_timer timer;                 /* until it is asked for again */
    unsigned retry;                 /* s; 0: the last answer was good */
};

struct service_watch {
    struct ev_loop *loop; /* borrowed */
    struct resolver *resolver;
    struct snapshot *snapshot; /* a reference; NULL: none yet */
    struct service *services;  /* owned */
    unsigned count;
};

struct service_watch *service_watch_new(struct ev_loop *loop,
                                        const struct resolver_options *options)
{
    struct service_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->resolver = resolver_new(loop, options);
    if (watch->resolver)
        return watch;
    free(watch);
    return NULL;
}

static void forget(struct service_watch *watch)
{
    for (unsigned i = 0; i < watch->count; i++) {
        if (watch->services[i].lookup)
            resolver_cancel(watch->services[i].lookup);
        ev_timer_stop(watch->loop, &watch->services[i].timer);
    }
    free(watch->services);
    watch->services = NULL;
    watch->count = 0;
    snapshot_unref(watch->snapshot);
    watch->snapshot = NULL;
}

void service_watch_free(struct service_watch *watch)
{
    if (!watch)
        return;
    forget(watch);
    resolver_free(watch->resolver);
    free(watch);
}

static void ask_later(struct service *service, unsigned seconds)
{
    ev_timer_set(&service->timer, seconds, 0.);
    ev_timer_start(service->watch->loop, &service->timer);
}

/* The first failure of several is said. */
static void failed(struct service *service, struct stream_error error)
{
    char name[STREAM_ERROR_NAME_MAX];

    if (!service->retry)
        log_message(LOG_LEVEL_WARNING, "service", "[upstream %s] %s: %s", service->upstream->name,
                    service->upstream->service, stream_error_name(&error, name));
    upstream_pool_set_error(service->pool, error);
    service->retry = service->retry ? service->retry * 2 : RETRY_MIN;
    if (service->retry > RETRY_MAX)
        service->retry = RETRY_MAX;
    ask_later(service, service->retry);
}

static bool set(struct upstream_pool *pool, const struct srv_answer *answer)
{
    struct upstream_record records[SRV_RECORDS_MAX];

    for (unsigned i = 0; i < answer->count; i++)
        records[i] = (struct upstream_record){
            .host = answer->records[i].target,
            .port = answer->records[i].port,
            .priority = answer->records[i].priority,
            .weight = answer->records[i].weight,
        };
    return upstream_pool_set(pool, records, answer->count);
}

static void on_answer(void *context, const struct srv_answer *answer,
                      const struct stream_error *error)
{
    struct service *service = context;
    uint32_t ttl;

    service->lookup = NULL;
    if (!answer || !set(service->pool, answer)) {
        failed(service, answer ? stream_error_of(ERROR_RESOLVER_SERVER_FAILED) : *error);
        return;
    }
    service->retry = 0;
    ttl = answer->ttl < SERVICE_TTL_MIN ? SERVICE_TTL_MIN : answer->ttl;
    ask_later(service, ttl < SERVICE_TTL_MAX ? ttl : SERVICE_TTL_MAX);
}

static void ask(struct service *service)
{
    service->lookup = resolver_start_service(service->watch->resolver, service->upstream->service,
                                             on_answer, service);
    if (!service->lookup)
        failed(service, stream_error_of(ERROR_RESOLVER_SERVER_FAILED));
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    ask(w->data);
}

static void start(struct service_watch *watch, unsigned index)
{
    struct service *service = &watch->services[watch->count++];

    *service = (struct service){
        .watch = watch,
        .upstream = &watch->snapshot->config->upstreams[index],
        .pool = watch->snapshot->pools[index],
    };
    ev_init(&service->timer, on_timer);
    service->timer.data = service;
    ask(service);
}

void service_watch_follow(struct service_watch *watch, struct snapshot *snapshot)
{
    const struct config *config = snapshot->config;
    struct resolver_options options = {
        .nameservers = config->nameservers,
        .search_domains = config->search_domains,
    };

    forget(watch);
    watch->snapshot = snapshot_ref(snapshot);
    watch->services = calloc(config->upstream_count + 1, sizeof *watch->services);
    if (!watch->services || !resolver_configure(watch->resolver, &options))
        log_message(LOG_LEVEL_ERROR, "service", "no memory: services stay as they are");
    for (unsigned i = 0; watch->services && i < config->upstream_count; i++)
        if (config->upstreams[i].service && snapshot->pools[i])
            start(watch, i);
}
