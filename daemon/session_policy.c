/* session_policy.c - asks the rules and the guard: once with what the client asked for, and again
 * for each address that would be connected. */
#include "config/policy.h"
#include "daemon/own_address.h"
#include "daemon/session_machine.h"

#include <errno.h>

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
static void choose_route(struct session *s, const struct config_upstream *route)
{
    if (s->is_routed)
        return;
    s->is_routed = true;
    s->route = route;
}

struct ip_address session_source(const struct session *s)
{
    return s->route && s->route->bind_address.family != IP_NONE ? s->route->bind_address
                                                                : s->listener->config->bind_address;
}

/* Through us a client must not reach what we listen on: it would come from our address, and could
 * go round in circles. */
static bool is_ourselves(const struct session *s, const struct ip_address *address, uint16_t port)
{
    return snapshot_has_port(s->listener->snapshot, port) && is_own_address(address);
}

static bool judge_address(struct session *s, const struct ip_address *address,
                          struct stream_error *ret_error)
{
    struct policy_decision decision = judge(s, address);

    if (decision.is_guarded && is_ourselves(s, address, s->target_port)) {
        decision.verdict = POLICY_DENY;
        s->rule = NULL; /* it is the guard's word */
        decision.error = stream_error_of(ERROR_POLICY_GUARD_DENIED);
    }
    if (decision.verdict == POLICY_DENY)
        *ret_error = decision.error;
    if (decision.verdict == POLICY_ALLOW) {
        choose_route(s, decision.route);
        s->worker->source = session_source(s);
    }
    if (s->is_routed && s->command == SOCKS_BIND && !config_can_bind(s->route)) {
        *ret_error = stream_error_of(ERROR_PROTOCOL_COMMAND_UNSUPPORTED);
        return false;
    }
    return decision.verdict != POLICY_DENY;
}

bool session_judge_request(struct session *s, struct stream_error *ret_error)
{
    return judge_address(s, &s->asked_ip, ret_error);
}

bool session_judge_peer(struct session *s, const struct ip_address *address,
                        struct stream_error *ret_error)
{
    *ret_error = stream_error_of(ERROR_POLICY_RULE_DENIED); /* of one whose address nobody knows */
    return judge_address(s, address, ret_error) && address->family != IP_NONE;
}

/* One that proxies lead to is not connected here, but kept for them; the rule of the first is the
 * session's. */
static bool offer_address(struct session *s, const struct ip_address *address,
                          const struct config_rule *rule_before, struct stream_error *ret_error)
{
    if (s->dial)
        s->rule = rule_before;
    else
        session_prepare_dial(s);
    if (s->dial)
        dial_offer(s->dial, address);
    *ret_error = stream_error_connect(ENOMEM); /* of no interest unless there is no dial */
    return false;
}

bool session_judge_address(void *target, const struct ip_endpoint *address,
                           struct stream_error *ret_error)
{
    struct session *s = SESSION_OF(target, target);
    const struct config_rule *before = s->rule;

    session_count_resolved(s);
    if (!judge_address(s, &address->ip, ret_error)) {
        if (s->dial)
            s->rule = before;
        return false;
    }
    return !dial_is_for(s->route) || offer_address(s, &address->ip, before, ret_error);
}

bool session_judge_association(struct session *s, struct stream_error *ret_error)
{
    struct rules_request request = {
        .listener = s->listener->index,
        .client = s->peer.ip,
        .user = s->user,
        .command = COMMAND_UDP,
    };
    struct policy_decision decision =
        policy_judge_association(s->listener->snapshot->config, &request);

    s->rule = decision.rule;
    if (decision.verdict == POLICY_DENY) {
        *ret_error = decision.error;
        return false;
    }
    choose_route(s, decision.route);
    return true;
}

struct policy_decision session_judge_datagram(struct session *s, const struct rules_request *target)
{
    struct rules_request request = *target;
    struct policy_decision decision;

    request.listener = s->listener->index;
    request.client = s->peer.ip;
    request.user = s->user;
    request.command = COMMAND_UDP;
    decision = policy_judge(s->listener->snapshot->config, &request);
    if (decision.is_guarded && is_ourselves(s, &request.address, request.port)) {
        decision.verdict = POLICY_DENY;
        decision.rule = NULL; /* it is the guard's word */
        decision.error = stream_error_of(ERROR_POLICY_GUARD_DENIED);
    }
    return decision;
}
