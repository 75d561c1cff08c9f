/* policy.c - a request's whole judgement. The rules come first, then the listener's default; the guard
 * may still deny what these allow, unless a rule allowed this very address. */
#include "config/policy.h"

#include "config/guard.h"

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
 * may be one that the rule lists. */
static const char *range_of(const struct rules_request *request, const struct config_rule *rule)
{
    if (request->address.family != IP_NONE)
        return guard_range(&request->address);
    if (lists_addresses(rule))
        return NULL;
    return request->name && host_name_is_localhost(request->name, request->name_length) ? "loopback"
                                                                                        : NULL;
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

    if (result != RULES_NONE)
        decision.rule = &config->rules_in_order[match.rule];
    if (result == RULES_NEEDS_ADDRESS) {
        decision.verdict = POLICY_RESOLVE;
        return decision;
    }
    if (decision.rule ? decision.rule->action == RULE_DENY : listener->default_deny)
        return deny(decision.rule, ERROR_POLICY_RULE_DENIED, NULL);
    if (!listener->is_guarded || match.by_address)
        return decision;
    range = range_of(request, decision.rule);
    if (range)
        return deny(NULL, ERROR_POLICY_GUARD_DENIED, range);
    decision.is_guarded = request->address.family != IP_NONE;
    return decision;
}
