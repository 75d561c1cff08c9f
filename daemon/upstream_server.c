/* upstream_server.c - a few numbers that many threads look at, and few change. */
#include "daemon/upstream_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const char *host, const struct ip_address *ip, uint16_t port)
{
    char text[ENDPOINT_TEXT_MAX], *copy;

    if (host)
        return asprintf(&copy, "%s:%u", host, port) < 0 ? NULL : copy;
    endpoint_format(&(struct ip_endpoint){*ip, port}, text);
    return strdup(text);
}

struct upstream_server *upstream_server_new(const char *upstream, const char *host,
                                            const struct ip_address *ip, uint16_t port)
{
    struct upstream_server *server = calloc(1, sizeof *server);

    if (!server)
        return NULL;
    atomic_init(&server->references, 1);
    server->port = port;
    server->upstream = strdup(upstream);
    server->host = host ? strdup(host) : NULL;
    if (!host)
        server->ip = *ip;
    server->text = text_of(host, ip, port);
    if (server->upstream && server->text && (!host || server->host))
        return server;
    upstream_server_unref(server);
    return NULL;
}

struct upstream_server *upstream_server_ref(struct upstream_server *server)
{
    atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    return server;
}

void upstream_server_unref(struct upstream_server *server)
{
    if (!server || atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) != 1)
        return;
    free(server->upstream);
    free(server->host);
    free(server->text);
    free(server);
}

bool upstream_server_is(const struct upstream_server *server, const char *host,
                        const struct ip_address *ip, uint16_t port)
{
    if (server->port != port || !server->host != !host)
        return false;
    return host ? host_name_equal(server->host, strlen(server->host), host, strlen(host))
                : ip_equal(&server->ip, ip);
}

bool upstream_server_is_usable(struct upstream_server *server, uint64_t now)
{
    return now >= atomic_load(&server->aside_until) && now >= atomic_load(&server->tried_until) &&
           !atomic_load(&server->unhealthy);
}

static uint64_t pause_after(unsigned failures)
{
    uint64_t pause = UPSTREAM_PAUSE_MIN;

    for (; failures > 1 && pause < UPSTREAM_PAUSE_MAX; failures--)
        pause *= 2;
    return pause < UPSTREAM_PAUSE_MAX ? pause : UPSTREAM_PAUSE_MAX;
}

void upstream_server_enter(struct upstream_server *server, uint64_t now)
{
    unsigned failures = atomic_load(&server->failures);

    if (failures && now >= atomic_load(&server->aside_until))
        atomic_store(&server->tried_until, now + pause_after(failures));
    atomic_fetch_add(&server->sessions, 1);
}

void upstream_server_leave(struct upstream_server *server)
{
    atomic_fetch_sub(&server->sessions, 1);
}

void upstream_server_failed(struct upstream_server *server, uint64_t now)
{
    uint64_t until = atomic_load(&server->aside_until);
    unsigned failures = atomic_load(&server->failures) + 1;

    if (now >= until &&
        atomic_compare_exchange_strong(&server->aside_until, &until, now + pause_after(failures)))
        atomic_store(&server->failures, failures);
}

void upstream_server_worked(struct upstream_server *server)
{
    if (atomic_load(&server->failures) == 0)
        return; /* the usual case writes nothing */
    atomic_store(&server->failures, 0);
    atomic_store(&server->aside_until, 0);
    atomic_store(&server->tried_until, 0);
}

bool upstream_server_checked(struct upstream_server *server, bool good)
{
    if (good)
        upstream_server_worked(server);
    return atomic_exchange(&server->unhealthy, !good) == good;
}

_Static_assert(sizeof(struct stream_error) == sizeof(uint64_t), "an error is packed into a number");

void upstream_server_note_error(struct upstream_server *server, struct stream_error error,
                                int64_t at)
{
    uint64_t packed;

    memcpy(&packed, &error, sizeof packed);
    atomic_store(&server->last_error_at, at);
    atomic_store(&server->last_error, packed);
}

bool upstream_server_last_error(const struct upstream_server *server,
                                struct stream_error *ret_error, int64_t *ret_at)
{
    uint64_t packed = atomic_load(&server->last_error);

    if (!packed)
        return false;
    memcpy(ret_error, &packed, sizeof packed);
    *ret_at = atomic_load(&server->last_error_at);
    return true;
}
