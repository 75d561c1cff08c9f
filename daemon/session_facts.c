/* session_facts.c - a session's fields as texts and numbers. */
#include "daemon/session_facts.h"

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

static const char *state_name(const struct session *s)
{
    static const char *const names[] = {
        [SESSION_SECURING] = "tls",   [SESSION_HANDSHAKE] = "handshake",
        [SESSION_JUDGING] = "auth",   [SESSION_DIALING] = "connecting",
        [SESSION_BINDING] = "bind",   [SESSION_RELAY] = "relay",
        [SESSION_ASSOCIATED] = "udp", [SESSION_REFUSING] = "refusing",
        [SESSION_ENDED] = "ended",
    };

    if (s->state == SESSION_RELAY && (s->up.state != RELAY_OPEN || s->down.state != RELAY_OPEN))
        return "half-closed";
    return names[s->state];
}

/* As the client asked for it: a name of any bytes, or an address. Returns the length. */
static size_t format_target(const struct session *s, char out[SESSION_TARGET_MAX])
{
    struct ip_endpoint literal = {s->target_ip, s->target_port};
    size_t n = s->target_name_length;

    if (s->target_name) {
        memcpy(out, s->target_name, n);
        return n +
               (size_t)snprintf(out + n, SESSION_TARGET_MAX - n, ":%u", (unsigned)s->target_port);
    }
    if (literal.ip.family == IP_NONE)
        return 0;
    endpoint_format(&literal, out);
    return strlen(out);
}

static uint64_t positive(int64_t n)
{
    return n > 0 ? (uint64_t)n : 0;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static const char *route_name(const struct session *s)
{
    if (!s->is_routed)
        return "";
    return s->route ? s->route->name : "direct";
}

void session_facts(const struct session *s, char target[SESSION_TARGET_MAX],
                   struct session_facts *ret)
{
    static const struct association_counts nothing;
    const struct association_counts *datagrams =
        s->association ? association_counts(s->association) : &nothing;
    /* Of a chain that stands the last one, of one that does not the one that refused or could not be
     * used. */
    const struct upstream_server *told = s->path ? s->path->told : NULL;

    *ret = (struct session_facts){
        .id = s->id,
        .listener = s->listener->config->name,
        .peer = s->peer,
        .user = or_empty(s->user),
        .protocol = or_empty(s->protocol),
        .command = command_name(s->command),
        .target = target,
        .target_length = (uint32_t)format_target(s, target),
        .address = s->address,
        .route = route_name(s),
        .rule = s->rule ? s->rule->name : "",
        .upstream = told      ? told->upstream
                    : s->path ? s->route->name
                              : "",
        .upstream_peer = told ? told->text : "",
        .sent = positive(s->up.bytes) + datagrams->bytes_sent,
        .received = positive(s->down.bytes) + datagrams->bytes_received,
        .age = s->worker->now - s->started,
        .setup = s->replied ? s->replied - s->started : 0,
        .state = state_name(s),
    };
}

void session_facts_client(const struct ip_endpoint *peer, char out[ENDPOINT_TEXT_MAX])
{
    if (peer->ip.family == IP_NONE)
        strcpy(out, "unix");
    else
        endpoint_format(peer, out);
}
