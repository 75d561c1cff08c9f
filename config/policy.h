/* policy.h - the whole judgement of a request: rules, the listener's default, the guard. Pure.
 * The daemon asks before it resolves (with no address) and again for each address that it would
 * connect to; `pairsocks explain` asks the same. */
#ifndef PAIRSOCKS_POLICY_H
#define PAIRSOCKS_POLICY_H

#include "config/rules.h"
#include "streams/error.h"

enum policy_verdict {
    POLICY_ALLOW, /* without an address: so far; each address is still to be judged */
    POLICY_DENY,
    POLICY_RESOLVE, /* a rule needs the address: resolve here, judge each */
};

struct policy_decision {
    enum policy_verdict verdict;
    const struct config_rule *rule; /* that decides or needs the address; NULL: the default, or
                                       the guard */
    struct stream_error error;      /* with POLICY_DENY: policy.rule.denied, policy.guard.denied */
    const char *guard_range;        /* with policy.guard.denied: guard_range() */
    const struct config_upstream *route; /* with POLICY_ALLOW: the way it goes; NULL: direct */
    bool is_unresolved; /* with POLICY_ALLOW: a name that a proxy on this way resolves: no address
                           will be judged */
    bool is_guarded;    /* with POLICY_ALLOW and an address: the guard had a say, so this host's own
                        listening ports are to be denied, too */
};

/* Near targets bypass an upstream that says so: they go direct. A name that goes to a proxy which
 * resolves it is judged by the rules with names alone, unless the listener resolves for its rules.
 * Names below localhost are denied by the guard without an address, unless the rule that matches
 * needs the address or lists any. */
struct policy_decision policy_judge(const struct config *config,
                                    const struct rules_request *request);

#endif
