/* policy.c - a request's whole judgement. The rules come first, then the listener's default; the guard
 * may still deny what these allow, unless a rule allowed this very address. */
#include "config/policy.h"

#include "config/guard.h"

#include <string.h>

static struct policy_decision deny(const struct config_rule *rule, enum stream_error_id id,
                                   const char *range)
{
    return (struct policy_decision){
        .verdict = POLICY_DENY,
        .rule = rule,
        .error = stream_error_of(id),
        .guard_range = range,
    };
}

static bool lists_addresses(const struct config_rule *rule)
{
    for (unsigned i = 0; rule && i < rule->destination_count; i++)
        if (rule->destinations[i].kind == PATTERN_PREFIX)
            return true;
    return false;
}

/* The forbidden range of what the client chose; NULL: none that is known yet. A local name's address
 * may be one that the rule lists. Where a proxy resolves, a local name is of the proxy's own network. */
static const char *range_of(const struct rules_request *request, const struct config_rule *rule,
                            bool is_unresolved)
{
    if (request->address.family != IP_NONE)
        return guard_range(&request->address);
    if (!request->name || lists_addresses(rule))
        return NULL;
    if (host_name_is_localhost(request->name, request->name_length))
        return "loopback";
    return is_unresolved && host_name_is_near(request->name, request->name_length) ? "local" : NULL;
}

/* What `local_bypass` means by near; by the name, if there is one, whatever its address. */
static bool is_near(const struct rules_request *request)
{
    return request->name ? host_name_is_near(request->name, request->name_length)
                         : ip_is_near(&request->address);
}

static const struct config_upstream *route_of(const struct config *config,
                                              const struct rules_request *request,
                                              const struct config_rule *rule)
{
    const struct config_upstream *route = rule && rule->action == RULE_ROUTE
                                              ? rule->route
                                              : config->listeners[request->listener].route;

    return route && route->local_bypass && is_near(request) ? NULL : route;
}

/* A name, by a way on which nobody here resolves it. */
static bool is_for_a_proxy(const struct rules_request *request, const struct config_upstream *route)
{
    const struct config_upstream *proxy = config_last_proxy(route);

    return request->name && request->address.family == IP_NONE && proxy &&
           config_resolves_remotely(proxy);
}

/* The rules with addresses need one; but if those without send the name to a proxy that resolves it,
 * it has none. */
static void look_without_address(const struct config *config, const struct rules_request *request,
                                 enum rules_result *result, struct rules_match *match)
{
    struct rules_request question = *request;
    struct rules_match found = {0};
    enum rules_result answer;
    const struct config_rule *rule;

    if (*result != RULES_NEEDS_ADDRESS || config->listeners[request->listener].resolve_for_rules)
        return;
    question.stays_unknown = true;
    answer = rules_find(config->rules, &question, &found);
    rule = answer == RULES_MATCH ? &config->rules_in_order[found.rule] : NULL;
    if (rule ? rule->action == RULE_DENY : config->listeners[request->listener].default_deny)
        return;
    if (!is_for_a_proxy(request, route_of(config, request, rule)))
        return;
    *result = answer;
    *match = found;
}

struct policy_decision policy_judge(const struct config *config,
                                    const struct rules_request *request)
{
    const struct config_listener *listener = &config->listeners[request->listener];
    struct policy_decision decision = {.verdict = POLICY_ALLOW};
    struct rules_match match = {0};
    enum rules_result result =
        config->rules ? rules_find(config->rules, request, &match) : RULES_NONE;
    const char *range;

    look_without_address(config, request, &result, &match);
    if (result != RULES_NONE)
        decision.rule = &config->rules_in_order[match.rule];
    if (result == RULES_NEEDS_ADDRESS) {
        decision.verdict = POLICY_RESOLVE;
        return decision;
    }
    if (decision.rule ? decision.rule->action == RULE_DENY : listener->default_deny)
        return deny(decision.rule, ERROR_POLICY_RULE_DENIED, NULL);
    decision.route = route_of(config, request, decision.rule);
    decision.is_unresolved = is_for_a_proxy(request, decision.route);
    if (!listener->is_guarded || match.by_address)
        return decision;
    range =
        range_of(request, decision.rule, decision.is_unresolved && !listener->resolve_for_rules);
    if (range)
        return deny(NULL, ERROR_POLICY_GUARD_DENIED, range);
    decision.is_guarded = request->address.family != IP_NONE;
    return decision;
}

/* Rule by rule: associations are few, and what is asked is not which one is first. */
struct policy_decision policy_judge_association(const struct config *config,
                                                const struct rules_request *request)
{
    const struct config_listener *listener = &config->listeners[request->listener];
    struct policy_decision decision = {.verdict = POLICY_ALLOW, .route = listener->route};
    bool is_denied = listener->default_deny, some_may_pass = false;

    for (unsigned i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules_in_order[i];
        bool unused;
        enum rules_mismatch mismatch = rules_compare(rule, request, &unused);

        if (mismatch != RULES_MATCHES && mismatch < RULES_OTHER_PORT)
            continue;
        if (rule->port_count == 0 && rule->destination_count == 0) {
            decision.rule = rule;
            is_denied = rule->action == RULE_DENY;
            if (rule->action == RULE_ROUTE)
                decision.route = rule->route;
            break;
        }
        some_may_pass = some_may_pass || rule->action != RULE_DENY;
    }
    return is_denied && !some_may_pass ? deny(decision.rule, ERROR_POLICY_RULE_DENIED, NULL)
                                       : decision;
}
