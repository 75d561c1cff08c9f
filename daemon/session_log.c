/* session_log.c - the one line that says how a session went. */
#include "daemon/log.h"
#include "daemon/session.h"

#include <stdio.h>
#include <string.h>

static const char *command_name(uint8_t command)
{
    switch (command) {
    case SOCKS_CONNECT:
        return "connect";
    case SOCKS_BIND:
        return "bind";
    case SOCKS_UDP_ASSOCIATE:
        return "udp";
    default:
        return command ? "unknown" : "";
    }
}

static void put_endpoint(struct log_record *record, const char *key,
                         const struct ip_endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(endpoint, text);
    log_record_string(record, key, endpoint->ip.family == IP_NONE ? "" : text);
}

/* As the client asked for it: a name of any bytes, or an address. */
static void put_target(struct log_record *record, const struct session *s)
{
    struct ip_endpoint literal = {s->target_ip, s->target_port};
    char text[HOST_PORT_TEXT_MAX + 8];
    size_t n;

    if (!s->target_name) {
        put_endpoint(record, "target", &literal);
        return;
    }
    n = s->target_name_length;
    memcpy(text, s->target_name, n);
    n += (size_t)snprintf(text + n, sizeof text - n, ":%u", (unsigned)s->target_port);
    log_record_bytes(record, "target", text, n);
}

static uint64_t positive(int64_t n)
{
    return n > 0 ? (uint64_t)n : 0;
}

void session_log_client(struct log_record *record, const struct session *s)
{
    if (s->peer.ip.family == IP_NONE)
        log_record_string(record, "client", "unix");
    else
        put_endpoint(record, "client", &s->peer);
}

static const char *route_name(const struct session *s)
{
    if (!s->is_routed)
        return "";
    return s->route ? s->route->name : "direct";
}

/* The server whose answer it was: of a chain that stands the last one, of one that does not the one that
 * refused or could not be used. */
static void put_upstream(struct log_record *record, const struct session *s)
{
    const struct upstream_server *told = s->path ? s->path->told : NULL;

    log_record_string(record, "upstream", told ? told->upstream : s->path ? s->route->name : "");
    log_record_string(record, "upstream_peer", told ? told->text : "");
}

void session_log(const struct session *s)
{
    char name[STREAM_ERROR_NAME_MAX];
    struct log_record record;

    if (!log_wants(LOG_LEVEL_INFO))
        return;
    log_begin_session(&record);
    log_record_number(&record, "id", s->id);
    log_record_string(&record, "listener", s->listener->config->name);
    session_log_client(&record, s);
    log_record_string(&record, "user", s->user ? s->user : "");
    log_record_string(&record, "protocol", s->protocol ? s->protocol : "");
    log_record_string(&record, "command", command_name(s->command));
    put_target(&record, s);
    put_endpoint(&record, "address", &s->address);
    log_record_string(&record, "route", route_name(s));
    log_record_string(&record, "rule", s->rule ? s->rule->name : "");
    put_upstream(&record, s);
    log_record_number(&record, "sent", positive(s->up.bytes));
    log_record_number(&record, "received", positive(s->down.bytes));
    log_record_number(&record, "setup_ms", s->replied ? s->replied - s->started : 0);
    log_record_number(&record, "duration_ms", s->worker->now - s->started);
    log_record_string(&record, "error", stream_error_name(&s->error, name));
    if (stream_error_is(&s->error, ERROR_SYSTEM_CONNECT_OTHER) &&
        stream_error_errno_name(&s->error))
        log_record_string(&record, "errno", stream_error_errno_name(&s->error));
    log_commit(&record);
}
