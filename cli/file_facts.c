/* file_facts.c - lists of clients and of addresses, looked through one by one. */
#include "cli/file_facts.h"

static bool holds(const struct host_pattern *patterns, unsigned count, const struct ip_address *ip)
{
    for (unsigned i = 0; i < count; i++)
        if (patterns[i].kind == PATTERN_PREFIX && ip_prefix_contains(&patterns[i].prefix, ip))
            return true;
    return false;
}

static bool has_names(const struct host_pattern *patterns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (patterns[i].kind != PATTERN_PREFIX)
            return true;
    return false;
}

enum client_fact file_facts_client(const struct config_listener *l, const struct ip_address *client)
{
    struct ip_address ip = ip_unmapped(client);

    if (ip.family == IP_NONE)
        return CLIENT_LET_IN;
    if (holds(l->deny, l->deny_count, &ip))
        return CLIENT_KEPT_OUT;
    if (holds(l->allow, l->allow_count, &ip))
        return CLIENT_LET_IN;
    if (l->allow_count && !has_names(l->allow, l->allow_count))
        return CLIENT_KEPT_OUT;
    return l->allow_count || has_names(l->deny, l->deny_count) ? CLIENT_DEPENDS : CLIENT_LET_IN;
}

/* `ip` NULL: any. */
static bool listens(const struct config *config, const struct ip_address *ip, uint16_t port)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        for (unsigned j = 0; j < listener->address_count; j++) {
            const struct config_address *address = &listener->addresses[j];
            struct ip_address own = ip_unmapped(&address->endpoint.ip);

            if (!address->unix_path && address->endpoint.port == port && port != 0 &&
                (!ip || ip_equal(&own, ip)))
                return true;
        }
    }
    return false;
}

bool file_facts_has_port(const struct config *config, uint16_t port)
{
    return listens(config, NULL, port);
}

bool file_facts_is_own(const struct config *config, const struct ip_address *ip, uint16_t port)
{
    struct ip_address wanted = ip_unmapped(ip);

    return listens(config, &wanted, port);
}
