/* rules_compare.c - one rule and one request, read as the manual reads. Nothing of it is shared with
 * rules_find(): each is the other's proof, and `explain` asks both. */
#include "config/rules.h"

#include <string.h>

static bool lists_listener(const struct config_rule *rule, const struct rules_request *request)
{
    for (unsigned i = 0; i < rule->listener_count; i++)
        if (rule->listeners[i] == request->listener)
            return true;
    return rule->listener_count == 0;
}

static bool lists_client(const struct config_rule *rule, const struct rules_request *request)
{
    struct ip_address client = ip_unmapped(&request->client);

    for (unsigned i = 0; i < rule->client_count; i++)
        if (ip_prefix_contains(&rule->clients[i], &client))
            return true;
    return rule->client_count == 0;
}

static bool lists_user(const struct config_rule *rule, const struct rules_request *request)
{
    for (unsigned i = 0; i < rule->user_count; i++)
        if (request->user && strcmp(rule->users[i], request->user) == 0)
            return true;
    return rule->user_count == 0;
}

static bool lists_command(const struct config_rule *rule, const struct rules_request *request)
{
    return rule->commands == 0 || (rule->commands & request->command) != 0;
}

static bool lists_port(const struct config_rule *rule, const struct rules_request *request)
{
    for (unsigned i = 0; i < rule->port_count; i++)
        if (rule->ports[i].first <= request->port && request->port <= rule->ports[i].last)
            return true;
    return rule->port_count == 0;
}

/* Below, and not the suffix itself. */
static bool is_below(const char *name, size_t n, const char *suffix)
{
    size_t length = strlen(suffix);

    if (n && name[n - 1] == '.')
        n--;
    return n > length + 1 && name[n - length - 1] == '.' &&
           host_name_equal(name + n - length, length, suffix, length);
}

static bool matches_pattern(const struct host_pattern *pattern, const struct rules_request *request,
                            const struct ip_address *address)
{
    switch (pattern->kind) {
    case PATTERN_NAME:
        return request->name && host_name_equal(request->name, request->name_length, pattern->name,
                                                strlen(pattern->name));
    case PATTERN_SUFFIX:
        return request->name && is_below(request->name, request->name_length, pattern->name);
    case PATTERN_PREFIX:
        return ip_prefix_contains(&pattern->prefix, address);
    }
    return false;
}

/* An address that is not known yet may be in any prefix. */
static bool lists_destination(const struct config_rule *rule, const struct rules_request *request,
                              bool *ret_needs_address)
{
    struct ip_address address = ip_unmapped(&request->address);
    bool may_match = false;

    *ret_needs_address = false;
    for (unsigned i = 0; i < rule->destination_count; i++) {
        if (matches_pattern(&rule->destinations[i], request, &address))
            return true;
        may_match = may_match || (rule->destinations[i].kind == PATTERN_PREFIX &&
                                  address.family == IP_NONE && !request->stays_unknown);
    }
    *ret_needs_address = may_match;
    return may_match || rule->destination_count == 0;
}

enum rules_mismatch rules_compare(const struct config_rule *rule,
                                  const struct rules_request *request, bool *ret_needs_address)
{
    bool needs_address;

    if (!lists_listener(rule, request))
        return RULES_OTHER_LISTENER;
    if (!lists_client(rule, request))
        return RULES_OTHER_CLIENT;
    if (!lists_user(rule, request))
        return RULES_OTHER_USER;
    if (!lists_command(rule, request))
        return RULES_OTHER_COMMAND;
    if (!lists_port(rule, request))
        return RULES_OTHER_PORT;
    if (!lists_destination(rule, request, &needs_address))
        return RULES_OTHER_DESTINATION;
    *ret_needs_address = needs_address;
    return RULES_MATCHES;
}
