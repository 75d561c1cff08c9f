/* session_policy.c - asks the rules and the guard: once with what the client asked for, and again
 * for each address that would be connected. */
#include "config/policy.h"
#include "daemon/own_address.h"
#include "daemon/session_machine.h"

static unsigned command_bit(uint8_t command)
{
    switch (command) {
    case SOCKS_BIND:
        return COMMAND_BIND;
    case SOCKS_UDP_ASSOCIATE:
        return COMMAND_UDP;
    default:
        return COMMAND_CONNECT;
    }
}

static struct policy_decision judge(struct session *s, const struct ip_address *address)
{
    const struct config *config = s->listener->snapshot->config;
    struct rules_request request = {
        .listener = s->listener->index,
        .client = s->peer.ip,
        .user = s->user,
        .name = s->asked_ip.family == IP_NONE ? s->target_name : NULL,
        .name_length = s->asked_ip.family == IP_NONE ? s->target_name_length : 0,
        .address = *address,
        .port = s->target_port,
        .command = command_bit(s->command),
    };
    struct policy_decision decision = policy_judge(config, &request);

    /* One that needs the address has not decided, and never will if there is none. */
    s->rule = decision.verdict == POLICY_RESOLVE ? NULL : decision.rule;
    return decision;
}

/* The way that the first address goes, the others go, too. */
static void choose_route(struct session *s, const struct config_rule *rule)
{
    if (s->is_routed)
        return;
    s->is_routed = true;
    s->route = rule && rule->action == RULE_ROUTE ? rule->route : s->listener->config->route;
    s->bind_address = s->listener->config->bind_address;
    if (s->route && s->route->bind_address.family != IP_NONE)
        s->bind_address = s->route->bind_address;
}

/* Through us a client must not reach what we listen on: it would come from our address, and could
 * go round in circles. */
static bool is_ourselves(const struct session *s, const struct ip_address *address)
{
    return snapshot_has_port(s->listener->snapshot, s->target_port) && is_own_address(address);
}

static bool judge_address(struct session *s, const struct ip_address *address,
                          struct stream_error *ret_error)
{
    struct policy_decision decision = judge(s, address);

    if (decision.is_guarded && is_ourselves(s, address)) {
        decision.verdict = POLICY_DENY;
        s->rule = NULL; /* it is the guard's word */
        decision.error = stream_error_of(ERROR_POLICY_GUARD_DENIED);
    }
    if (decision.verdict == POLICY_DENY)
        *ret_error = decision.error;
    if (decision.verdict == POLICY_ALLOW)
        choose_route(s, decision.rule);
    return decision.verdict != POLICY_DENY;
}

bool session_judge_request(struct session *s, struct stream_error *ret_error)
{
    return judge_address(s, &s->asked_ip, ret_error);
}

bool session_judge_address(void *target, const struct ip_endpoint *address,
                           struct stream_error *ret_error)
{
    return judge_address(SESSION_OF(target, target), &address->ip, ret_error);
}
