/* whitelist.c - a client against two lists. */
#include "daemon/whitelist.h"

#include <stdlib.h>

struct whitelist {
    const struct config_listener *config; /* borrowed */
};

struct whitelist *whitelist_new(const struct config_listener *config)
{
    struct whitelist *whitelist = calloc(1, sizeof *whitelist);

    if (whitelist)
        whitelist->config = config;
    return whitelist;
}

void whitelist_free(struct whitelist *whitelist)
{
    free(whitelist);
}

static bool lists(const struct host_pattern *patterns, unsigned count, const struct ip_address *ip)
{
    for (unsigned i = 0; i < count; i++)
        if (patterns[i].kind == PATTERN_PREFIX && ip_prefix_contains(&patterns[i].prefix, ip))
            return true;
    return false;
}

bool whitelist_allows(const struct whitelist *whitelist, const struct ip_address *client)
{
    const struct config_listener *config = whitelist->config;
    struct ip_address ip = ip_unmapped(client);

    if (ip.family == IP_NONE)
        return true;
    if (lists(config->deny, config->deny_count, &ip))
        return false;
    return config->allow_count == 0 || lists(config->allow, config->allow_count, &ip);
}
