/* describe.c - listeners, upstreams and sessions, a function for each object. */
#include "daemon/describe.h"

#include "config/words.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Behind a list that is cut there is place for what ends the answer. */
enum { END_ROOM = 512 };

static void put_text(struct json *json, const char *key, const char *text)
{
    json_string(json, key, *text ? text : NULL);
}

static void put_endpoint(struct json *json, const char *key, const struct ip_endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(endpoint, text);
    json_string(json, key, endpoint->ip.family == IP_NONE ? NULL : text);
}

/* ---- listeners ---- */

static void put_addresses(struct json *json, const struct sockets *sockets, unsigned listener)
{
    json_begin_array(json, "addresses");
    for (unsigned i = 0; i < sockets->count; i++) {
        const struct socket_set *set = &sockets->sets[i];

        if (set->listener == listener && set->unix_path)
            json_string(json, NULL, set->unix_path);
        else if (set->listener == listener)
            put_endpoint(json, NULL, &set->bound);
    }
    json_end_array(json);
}

static void put_protocols(struct json *json, unsigned protocols)
{
    json_begin_array(json, "protocols");
    for (const struct word *word = words_protocol; word->text; word++)
        if (protocols & (unsigned)word->value)
            json_string(json, NULL, word->text);
    json_end_array(json);
}

static void put_refused(struct json *json, const struct gate *gate)
{
    uint64_t refused[GATE_REPORTED];

    gate_refused(gate, refused);
    json_begin_object(json, "refused");
    for (unsigned i = 0; i < GATE_REPORTED; i++)
        json_number(json, gate_refusal_names[i], refused[i]);
    json_end_object(json);
}

static void put_listener(struct json *json, const struct serving *serving, unsigned index)
{
    const struct snapshot_listener *listener = &serving->snapshot->listeners[index];
    const struct config_listener *config = listener->config;
    struct gate *gate = listener->gate;
    struct queue_numbers queue = queue_numbers(&gate->queue);
    struct listener_sum sum = listener_blocks_sum(&gate->counters);

    json_begin_object(json, NULL);
    json_string(json, "name", config->name);
    put_addresses(json, &serving->sockets, index);
    put_protocols(json, config->protocols);
    json_string(json, "security", words_text(words_security, (int)config->tls.security));
    json_number(json, "sessions", atomic_load(&gate->sessions.used));
    json_number(json, "max_sessions", atomic_load(&gate->sessions.max));
    json_number(json, "queue", queue.regular + queue.probation);
    json_number(json, "max_queue", (uint64_t)config->queue);
    json_number(json, "sent", sum.sent);
    json_number(json, "received", sum.received);
    put_refused(json, gate);
    json_end_object(json);
}

void describe_listeners(struct json *json, const char *key, const struct serving *serving)
{
    json_begin_array(json, key);
    for (unsigned i = 0; i < serving->snapshot->config->listener_count; i++)
        put_listener(json, serving, i);
    json_end_array(json);
}

/* ---- upstreams ---- */

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void put_last_error(struct json *json, const struct upstream_server *server)
{
    char name[STREAM_ERROR_NAME_MAX];
    struct stream_error error;
    int64_t at;

    if (upstream_server_last_error(server, &error, &at)) {
        json_string(json, "last_error", stream_error_name(&error, name));
        json_number(json, "last_error_at", (uint64_t)at);
    } else {
        json_null(json, "last_error");
        json_null(json, "last_error_at");
    }
}

static void put_server(struct json *json, struct upstream_server *server, uint64_t now)
{
    uint64_t until = atomic_load(&server->aside_until);
    bool unhealthy = atomic_load(&server->unhealthy);

    json_begin_object(json, NULL);
    json_string(json, "server", server->text);
    json_string(json, "state", unhealthy ? "unhealthy" : now < until ? "set aside" : "good");
    json_number(json, "sessions", atomic_load(&server->sessions));
    json_number(json, "failures", atomic_load(&server->failures));
    json_number(json, "retry_ms", until > now ? until - now : 0);
    put_last_error(json, server);
    put_text(json, "check_error", server->check_error);
    json_end_object(json);
}

static void put_servers(struct json *json, struct upstream_pool *pool)
{
    struct upstream_server **servers;
    uint64_t now = monotonic_ms();
    unsigned count = 0;

    servers = pool ? upstream_pool_servers(pool, &count) : NULL;
    json_begin_array(json, "servers");
    for (unsigned i = 0; servers && i < count; i++) {
        put_server(json, servers[i], now);
        upstream_server_unref(servers[i]);
    }
    json_end_array(json);
    free(servers);
}

/* Listeners, rules and upstreams that go this way. */
static void put_used_by(struct json *json, const struct config *config,
                        const struct config_upstream *upstream)
{
    json_begin_array(json, "used_by");
    for (unsigned i = 0; i < config->listener_count; i++)
        if (config->listeners[i].route == upstream)
            json_string(json, NULL, config->listeners[i].name);
    for (unsigned i = 0; i < config->rule_count; i++)
        if (config->rules_in_order[i].route == upstream)
            json_string(json, NULL, config->rules_in_order[i].name);
    for (unsigned i = 0; i < config->upstream_count; i++)
        if (config->upstreams[i].via == upstream)
            json_string(json, NULL, config->upstreams[i].name);
    json_end_array(json);
}

/* Why a service has no servers. */
static void put_service_error(struct json *json, struct upstream_pool *pool)
{
    char name[STREAM_ERROR_NAME_MAX];
    struct stream_error error = {0};

    if (pool)
        error = upstream_pool_error(pool);
    json_string(json, "error", stream_error_set(&error) ? stream_error_name(&error, name) : NULL);
}

static void put_upstream(struct json *json, const struct snapshot *snapshot, unsigned index)
{
    const struct config_upstream *upstream = &snapshot->config->upstreams[index];

    json_begin_object(json, NULL);
    json_string(json, "name", upstream->name);
    json_string(json, "type", words_text(words_upstream_type, upstream->type));
    json_string(json, "balance", words_text(words_balance, upstream->balance));
    json_string(json, "security", words_text(words_security, (int)upstream->tls.security));
    json_string(json, "service", upstream->service);
    json_string(json, "via", upstream->via ? upstream->via->name : NULL);
    put_used_by(json, snapshot->config, upstream);
    put_service_error(json, snapshot->pools[index]);
    json_number(json, "check_interval_ms", (uint64_t)upstream->check_interval);
    put_servers(json, snapshot->pools[index]);
    json_end_object(json);
}

void describe_upstreams(struct json *json, const char *key, const struct snapshot *snapshot)
{
    json_begin_array(json, key);
    for (unsigned i = 0; i < snapshot->config->upstream_count; i++)
        put_upstream(json, snapshot, i);
    json_end_array(json);
}

/* ---- sessions ---- */

static void put_session(struct json *json, const struct session_facts *facts)
{
    char client[ENDPOINT_TEXT_MAX];

    session_facts_client(&facts->peer, client);
    json_begin_object(json, NULL);
    json_number(json, "id", facts->id);
    json_string(json, "listener", facts->listener);
    json_string(json, "client", client);
    put_text(json, "user", facts->user);
    put_text(json, "protocol", facts->protocol);
    put_text(json, "command", facts->command);
    if (facts->target_length)
        json_bytes(json, "target", facts->target, facts->target_length);
    else
        json_null(json, "target");
    put_endpoint(json, "address", &facts->address);
    put_text(json, "route", facts->route);
    put_text(json, "rule", facts->rule);
    put_text(json, "upstream", facts->upstream);
    put_text(json, "upstream_peer", facts->upstream_peer);
    json_number(json, "sent", facts->sent);
    json_number(json, "received", facts->received);
    json_number(json, "setup_ms", facts->setup);
    json_number(json, "age_ms", facts->age);
    json_string(json, "state", facts->state);
    json_end_object(json);
}

unsigned describe_sessions(struct json *json, const char *key, const struct inspect_answer *answer)
{
    unsigned written = 0;

    json_begin_array(json, key);
    for (; written < answer->count; written++) {
        struct json_mark mark = json_mark(json);

        put_session(json, &answer->sessions[written]);
        if (json_room(json) < END_ROOM) {
            json_return(json, mark);
            break;
        }
    }
    json_end_array(json);
    return written;
}
