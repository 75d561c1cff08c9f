/* gate.c - the parts of a gate put together. */
#include "daemon/gate.h"

#include "daemon/log.h"

#include <stdlib.h>
#include <string.h>

struct gate *gate_new(const struct config_listener *config)
{
    struct gate *gate = calloc(1, sizeof *gate);

    if (!gate)
        return NULL;
    gate->name = strdup(config->name);
    if (!gate->name || !queue_init(&gate->queue, (unsigned)config->queue)) {
        free(gate->name);
        free(gate);
        return NULL;
    }
    atomic_init(&gate->references, 1);
    limit_init(&gate->sessions, (uint64_t)config->max_connections);
    host_table_init(&gate->hosts);
    host_table_init(&gate->users);
    atomic_init(&gate->max_per_host, (uint64_t)config->max_per_host);
    atomic_init(&gate->max_per_user, (uint64_t)config->max_per_user);
    return gate;
}

struct gate *gate_ref(struct gate *gate)
{
    atomic_fetch_add_explicit(&gate->references, 1, memory_order_relaxed);
    return gate;
}

void gate_unref(struct gate *gate)
{
    if (!gate || atomic_fetch_sub_explicit(&gate->references, 1, memory_order_acq_rel) != 1)
        return;
    queue_done(&gate->queue);
    host_table_done(&gate->hosts);
    host_table_done(&gate->users);
    tls_ticket_keys_unref(gate->ticket_keys);
    listener_blocks_done(&gate->counters);
    free(gate->name);
    free(gate);
}

bool gate_configure(struct gate *gate, const struct config_listener *config)
{
    if (!queue_set_max(&gate->queue, (unsigned)config->queue))
        log_message(LOG_LEVEL_ERROR, "reload", "listener %s keeps its queue: no memory",
                    gate->name);
    atomic_store(&gate->max_per_host, (uint64_t)config->max_per_host);
    atomic_store(&gate->max_per_user, (uint64_t)config->max_per_user);
    return limit_set_max(&gate->sessions, (uint64_t)config->max_connections);
}

bool gate_enter_host(struct gate *gate, const struct ip_address *client, bool *ret_counted)
{
    uint64_t max = atomic_load_explicit(&gate->max_per_host, memory_order_relaxed);
    struct host_key key = host_key(client);

    /* Counted without a bound, too: a reload may set one. */
    *ret_counted =
        client->family != IP_NONE && host_table_take(&gate->hosts, &key, sizeof key, max);
    return client->family == IP_NONE || *ret_counted || max == 0;
}

void gate_leave_host(struct gate *gate, const struct ip_address *client)
{
    struct host_key key = host_key(client);

    host_table_give(&gate->hosts, &key, sizeof key);
}

bool gate_enter_user(struct gate *gate, const char *user, bool *ret_counted)
{
    uint64_t max = atomic_load_explicit(&gate->max_per_user, memory_order_relaxed);

    *ret_counted = host_table_take(&gate->users, user, strlen(user), max);
    return *ret_counted || max == 0;
}

void gate_leave_user(struct gate *gate, const char *user)
{
    host_table_give(&gate->users, user, strlen(user));
}

void gate_count(struct gate *gate, enum gate_refusal why)
{
    atomic_fetch_add_explicit(&gate->refused[why], 1, memory_order_relaxed);
}

const char *const gate_refusal_names[GATE_REPORTED] = {"whitelist", "queue", "host",
                                                       "user",      "proxy", "descriptors"};

void gate_refused(const struct gate *gate, uint64_t ret[GATE_REPORTED])
{
    const _Atomic uint64_t *const counts[GATE_REPORTED] = {
        &gate->refused[GATE_WHITELIST], &gate->queue.evicted,
        &gate->refused[GATE_HOST],      &gate->refused[GATE_USER],
        &gate->refused[GATE_PROXY],     &gate->refused[GATE_DESCRIPTORS],
    };

    for (unsigned i = 0; i < GATE_REPORTED; i++)
        ret[i] = atomic_load(counts[i]);
}
