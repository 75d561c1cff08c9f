/* dial_plan.c - rows of the configuration to steps. */
#include "daemon/dial_plan.h"

#include <string.h>
#include <strings.h>

struct dial_client dial_client_of(const struct ip_endpoint *peer, const struct ip_endpoint *reached)
{
    struct dial_client client = {*peer, *reached};

    client.from.ip = ip_unmapped(&client.from.ip);
    client.to.ip = ip_unmapped(&client.to.ip);
    if (client.from.ip.family == IP_NONE || client.from.ip.family == client.to.ip.family)
        return client;
    /* A load balancer's header named a client of the other family, or it came by a unix socket. */
    client.to.ip = (struct ip_address){.family = client.from.ip.family};
    return client;
}

/* RFC 6125, 6.2.1: the name that the user or the configuration has, not one that DNS led to: of a
 * service its domain. `text` is for an address. */
static const char *peer_name_of(const struct config_upstream *upstream,
                                const struct dial_peer *peer, char text[IP_TEXT_MAX])
{
    const char *name = upstream->tls.peer_name;

    if (name)
        return strcasecmp(name, "none") == 0 ? NULL : name;
    if (upstream->service) {
        name = strchr(upstream->service, '.'); /* behind _SERVICE._tcp */
        name = name ? strchr(name + 1, '.') : NULL;
        return name ? name + 1 : upstream->service;
    }
    if (peer->host)
        return peer->host;
    ip_format(&peer->ip, text);
    return text;
}

bool dial_plan_add_connection(struct open_plan *plan, uint8_t hop,
                              const struct config_upstream *upstream, struct tls_context *context,
                              const struct dial_peer *peer, const struct dial_client *client,
                              struct stream_error *ret_error)
{
    char text[IP_TEXT_MAX];
    struct open_step header = {
        .kind = OPEN_PROXY_HEADER,
        .hop = hop,
        .version = upstream->send_proxy == SEND_PROXY_V1 ? 1 : 2,
        .source = client->from,
        .destination = client->to,
    };
    struct open_step tls = {
        .kind = OPEN_TLS,
        .hop = hop,
        .context = context,
    };

    if (upstream->send_proxy != SEND_PROXY_NO && !open_plan_add(plan, &header, ret_error))
        return false;
    if (!context)
        return true;
    tls.peer_name = peer_name_of(upstream, peer, text);
    return open_plan_add(plan, &tls, ret_error);
}

bool dial_plan_add_request(struct open_plan *plan, uint8_t hop, const struct config_upstream *proxy,
                           const struct dial_peer *next, bool binds, struct stream_error *ret_error)
{
    static const uint8_t kinds[] = {
        [UPSTREAM_SOCKS4] = OPEN_SOCKS4,
        [UPSTREAM_SOCKS4A] = OPEN_SOCKS4A,
        [UPSTREAM_SOCKS5] = OPEN_SOCKS5,
        [UPSTREAM_HTTP] = OPEN_HTTP,
    };
    struct open_step step = {
        .kind = kinds[proxy->type],
        .hop = hop,
        .port = next->port,
        .binds = binds,
        .user = proxy->user,
        .password = proxy->secret,
    };
    size_t n = next->host ? strlen(next->host) : 0;

    if (n && (next->ip.family == IP_NONE || config_resolves_remotely(proxy))) {
        if (n > HOST_NAME_LENGTH_MAX) {
            *ret_error = stream_error_of(ERROR_RESOLVER_INVALID);
            return false;
        }
        step.host.name_length = (uint8_t)n;
        memcpy(step.host.name, next->host, n + 1);
    } else {
        step.host.ip = next->ip;
    }
    return open_plan_add(plan, &step, ret_error);
}
