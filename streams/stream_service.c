/* stream_service.c - a pair to a service: its SRV records are asked for, and their hosts tried one after
 * the other as RFC 2782 has it, until one can be connected. */
#include "streams/resolver.h"
#include "streams/stream_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct service {
    struct resolver_lookup *lookup; /* owned while it runs */
    struct srv_answer answer;       /* those that were not tried yet */
    struct srv_record server;       /* that is tried; target "": none yet */
    struct stream_error error;      /* the most telling one so far */
};

const char *connection_service_domain(const char *service)
{
    const char *dot;

    while (*service == '_' && (dot = strchr(service, '.')))
        service = dot + 1;
    return service;
}

const struct srv_record *connection_server(const struct connection *c)
{
    return c->service && c->service->server.target[0] ? &c->service->server : NULL;
}

/* Of those with the lowest priority one by lot, the heavier the likelier; a weight of 0 has a small
 * chance. */
static unsigned draw(const struct srv_answer *answer)
{
    uint16_t lowest = UINT16_MAX;
    uint32_t sum = 0, lot = 0;
    unsigned last = 0;

    for (unsigned i = 0; i < answer->count; i++)
        if (answer->records[i].priority < lowest)
            lowest = answer->records[i].priority;
    for (unsigned i = 0; i < answer->count; i++)
        if (answer->records[i].priority == lowest)
            sum += answer->records[i].weight + 1u;
    if (getrandom(&lot, sizeof lot, GRND_NONBLOCK) != sizeof lot)
        lot = 0;
    lot %= sum ? sum : 1;
    for (unsigned i = 0; i < answer->count; i++) {
        if (answer->records[i].priority != lowest)
            continue;
        last = i;
        if (lot < answer->records[i].weight + 1u)
            break;
        lot -= answer->records[i].weight + 1u;
    }
    return last;
}

/* Another server may do better where this one could not be reached; whose certificate is wrong is
 * not passed over. */
static bool is_worth_another(const struct stream_error *error)
{
    return error->domain == ERROR_DOMAIN_SYSTEM || error->domain == ERROR_DOMAIN_RESOLVER ||
           error->domain == ERROR_DOMAIN_SOCKS;
}

bool connection_try_next(struct connection *c)
{
    struct service *service = c->service;
    struct stream_error error = {0};
    unsigned next;

    if (!service || service->lookup || c->pair.state != PAIR_ERROR)
        return false;
    if (service->server.target[0] || service->answer.count == 0)
        stream_error_keep_telling(&service->error, c->pair.error);
    if (service->answer.count == 0 || !is_worth_another(&c->pair.error)) {
        if (is_worth_another(&c->pair.error))
            c->pair.error = service->error;
        return false;
    }
    next = draw(&service->answer);
    service->server = service->answer.records[next];
    service->answer.records[next] = service->answer.records[--service->answer.count];
    pair_close(&c->pair);
    c->pair.should_close = true;
    if (!connection_prepare(c, &error))
        pair_fail(&c->pair, error);
    else
        connection_connect(c); /* which leaves an error, if any */
    return true;
}

static void on_answer(void *context, const struct srv_answer *answer,
                      const struct stream_error *error)
{
    struct connection *c = context;

    c->service->lookup = NULL;
    if (answer)
        c->service->answer = *answer;
    pair_fail(&c->pair, answer ? stream_error_of(ERROR_RESOLVER_NO_ADDRESS) : *error);
    c->pair.on_event(&c->pair); /* goes on with the first server, or tells the error */
}

bool connection_look_up(struct connection *c)
{
    const char *name = connection_text(c, STREAM_REMOTE_SERVICE);

    connection_drop_service(c);
    pair_announce(&c->pair);
    c->service = calloc(1, sizeof *c->service);
    if (c->service && c->resolver)
        c->service->lookup = resolver_start_service(c->resolver, name, on_answer, c);
    if (c->service && c->service->lookup)
        return true;
    pair_fail(&c->pair, c->resolver ? stream_error_connect(ENOMEM)
                                    : stream_error_of(ERROR_RESOLVER_SERVER_FAILED));
    return !c->resolver;
}

void connection_drop_service(struct connection *c)
{
    if (c->service && c->service->lookup)
        resolver_cancel(c->service->lookup);
    free(c->service);
    c->service = NULL;
}
