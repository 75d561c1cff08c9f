/* test_policy.c - rules, default and guard together. */
#include "config/policy.h"

#include "tests/unit/rule_text.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(policy, .timeout = 10);

#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_RULES ((const char *const[]){NULL})

/* Four listeners: of each pair of guarded and not the first allows by default and the second denies. */
enum { OPEN, CLOSED, GUARDED, GUARDED_CLOSED };

static struct config_listener listeners[] = {
    [OPEN] = {.is_guarded = false},
    [CLOSED] = {.default_deny = true},
    [GUARDED] = {.is_guarded = true},
    [GUARDED_CLOSED] = {.is_guarded = true, .default_deny = true},
};

static const char *verdict_text(const struct policy_decision *d)
{
    if (d->verdict == POLICY_RESOLVE)
        return "resolve";
    if (d->verdict == POLICY_ALLOW)
        return d->is_guarded ? "allow, guarded" : "allow";
    return stream_error_is(&d->error, ERROR_POLICY_GUARD_DENIED) ? "guard" : "deny";
}

/* `rule`: the number of the decision's rule, -1 for none. */
static void judges(const char *const *rules, unsigned listener, const char *request_text,
                   const char *expected, int rule)
{
    struct rule_list list = {0};
    struct rules_request request = request_from_text(request_text);
    struct config config = {.listeners = listeners, .listener_count = 4};
    struct policy_decision decision;

    for (; *rules; rules++)
        rule_list_add(&list, *rules);
    config.rules_in_order = list.rules;
    config.rule_count = list.count;
    config.rules = rules_new(list.rules, list.count);
    cr_assert(config.rules);
    request.listener = listener;
    decision = policy_judge(&config, &request);
    cr_assert_str_eq(verdict_text(&decision), expected, "%s at %u: %s instead of %s", request_text,
                     listener, verdict_text(&decision), expected);
    cr_assert_eq(decision.rule, rule < 0 ? NULL : &list.rules[rule], "%s", request_text);
    cr_assert_eq(stream_error_set(&decision.error), decision.verdict == POLICY_DENY);
    cr_assert_eq(decision.guard_range != NULL, strcmp(expected, "guard") == 0);
    if (decision.verdict == POLICY_DENY && !decision.guard_range)
        cr_assert(stream_error_is(&decision.error, ERROR_POLICY_RULE_DENIED));
    rules_free(config.rules);
    rule_list_done(&list);
}

Test(policy, without_a_match_the_listeners_default_decides)
{
    judges(NO_RULES, OPEN, "name=a.example", "allow", -1);
    judges(NO_RULES, OPEN, "address=8.8.8.8", "allow", -1);
    judges(NO_RULES, CLOSED, "name=a.example", "deny", -1);
    judges(NO_RULES, CLOSED, "address=8.8.8.8", "deny", -1);
    judges(RULES("destination=b.example"), CLOSED, "name=a.example", "deny", -1);
    judges(RULES("destination=b.example action=deny"), OPEN, "name=a.example", "allow", -1);
}

/* Where a request goes on listener OPEN whose route is the upstream 0, of these upstreams. */
static void goes(struct config_upstream *upstreams, const char *const *rules, bool resolves,
                 const char *request_text, const char *expected, const char *route, bool unresolved)
{
    struct rule_list list = {0};
    struct rules_request request = request_from_text(request_text);
    struct config_listener listener = {.route = &upstreams[0], .resolve_for_rules = resolves};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct policy_decision decision;

    for (; *rules; rules++)
        rule_list_add(&list, *rules);
    for (unsigned i = 0; i < list.count; i++)
        if (list.rules[i].action == RULE_ROUTE)
            list.rules[i].route = &upstreams[1];
    config.rules_in_order = list.rules;
    config.rule_count = list.count;
    config.rules = rules_new(list.rules, list.count);
    cr_assert(config.rules);
    decision = policy_judge(&config, &request);
    cr_assert_str_eq(verdict_text(&decision), expected, "%s: %s instead of %s", request_text,
                     verdict_text(&decision), expected);
    cr_assert_str_eq(decision.route ? decision.route->name : "direct", route, "%s", request_text);
    cr_assert_eq(decision.is_unresolved, unresolved, "%s", request_text);
    rules_free(config.rules);
    rule_list_done(&list);
}

static char remote_name[] = "remote", local_name[] = "local", tls_name[] = "tls";

Test(policy, name_for_a_proxy_that_resolves_is_judged_by_names_alone)
{
    struct config_upstream u[] = {{.name = remote_name, .type = UPSTREAM_SOCKS5},
                                  {.name = local_name, .type = UPSTREAM_SOCKS4}};

    goes(u, NO_RULES, false, "name=a.example", "allow", "remote", true);
    goes(u, NO_RULES, false, "address=8.8.8.8", "allow", "remote", false);
    goes(u, RULES("destination=10.0.0.0/8 action=deny"), false, "name=a.example", "allow", "remote",
         true);
    goes(u, RULES("destination=10.0.0.0/8 action=deny"), true, "name=a.example", "resolve",
         "direct", false);
    goes(u, RULES("destination=10.0.0.0/8 action=deny"), false, "address=10.0.0.1", "deny",
         "direct", false);
    goes(u, RULES("destination=10.0.0.0/8 action=deny", "action=route"), false, "name=a.example",
         "resolve", "direct", false);
    goes(u, RULES("destination=10.0.0.0/8 action=allow", "destination=*.example action=deny"),
         false, "name=a.example", "resolve", "direct", false);
    goes(u, RULES("destination=10.0.0.0/8,*.example action=allow"), false, "name=a.example",
         "allow", "remote", true);
}

Test(policy, behind_a_direct_upstream_the_proxy_on_the_way_resolves)
{
    struct config_upstream proxy = {.name = remote_name, .type = UPSTREAM_SOCKS5};
    struct config_upstream u[] = {{.name = tls_name, .type = UPSTREAM_DIRECT, .via = &proxy},
                                  {.name = local_name, .type = UPSTREAM_DIRECT}};

    goes(u, NO_RULES, false, "name=a.example", "allow", "tls", true);
    goes(u, RULES("action=route"), false, "name=a.example", "allow", "local", false);
}

Test(policy, near_targets_bypass_an_upstream_that_says_so)
{
    struct config_upstream u[] = {
        {.name = remote_name, .type = UPSTREAM_SOCKS5, .local_bypass = true},
        {.name = local_name, .type = UPSTREAM_SOCKS4}};
    static const char *const near_ones[] = {
        "name=printer",     "name=printer.",     "name=a.local",     "name=a.LOCAL.",
        "name=a.localhost", "address=127.0.0.1", "address=10.1.2.3", "address=192.168.1.1",
        "address=fd00::1",  "address=::1",
    };
    static const char *const far_ones[] = {"name=a.example", "name=locals.a.example",
                                           "name=a.notlocal", "address=8.8.8.8", "address=2600::1"};

    for (size_t i = 0; i < sizeof near_ones / sizeof near_ones[0]; i++)
        goes(u, NO_RULES, false, near_ones[i], "allow", "direct", false);
    for (size_t i = 0; i < sizeof far_ones / sizeof far_ones[0]; i++)
        goes(u, NO_RULES, false, far_ones[i], "allow", "remote", far_ones[i][0] == 'n');
    u[0].local_bypass = false;
    goes(u, NO_RULES, false, "name=printer", "allow", "remote", true);
}

Test(policy, no_table_of_rules_is_none)
{
    struct config config = {.listeners = listeners, .listener_count = 4};
    struct rules_request request = request_from_text("address=10.0.0.1");
    struct policy_decision decision = policy_judge(&config, &request);

    cr_assert_str_eq(verdict_text(&decision), "allow");
    request.listener = GUARDED_CLOSED;
    decision = policy_judge(&config, &request);
    cr_assert_str_eq(verdict_text(&decision), "deny");
}

Test(policy, first_matching_rule_decides_whatever_the_default)
{
    const char *const *rules =
        RULES("destination=a.example action=deny", "destination=*.example action=allow",
              "destination=b.test action=route");

    for (unsigned listener = OPEN; listener <= CLOSED; listener++) {
        judges(rules, listener, "name=a.example", "deny", 0);
        judges(rules, listener, "name=b.example", "allow", 1);
        judges(rules, listener, "name=b.test address=8.8.8.8", "allow", 2);
    }
}

Test(policy, rule_that_needs_the_address_says_resolve)
{
    judges(RULES("destination=10.0.0.0/8 action=deny"), OPEN, "name=a.example", "resolve", 0);
    judges(RULES("destination=10.0.0.0/8"), CLOSED, "name=a.example", "resolve", 0);
    judges(RULES("destination=10.0.0.0/8"), GUARDED, "name=a.example", "resolve", 0);
    judges(RULES("destination=10.0.0.0/8 port=22"), GUARDED, "name=a.example port=80", "allow", -1);
}

Test(policy, listener_without_guard_allows_private_addresses)
{
    judges(NO_RULES, OPEN, "address=10.0.0.1", "allow", -1);
    judges(NO_RULES, OPEN, "address=127.0.0.1", "allow", -1);
    judges(NO_RULES, OPEN, "name=localhost", "allow", -1);
}

Test(policy, guard_denies_private_addresses_in_any_spelling)
{
    static const char *const requests[] = {
        "address=127.0.0.1",
        "address=10.0.0.1",
        "address=169.254.169.254",
        "address=::1",
        "address=::ffff:10.0.0.1",
        "address=64:ff9b::10.0.0.1",
        "name=a.example address=192.168.0.1",
        "name=a.example address=fe80::1",
        "address=0.0.0.0",
        "address=::",
        "address=224.0.0.1 command=udp",
    };

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        judges(NO_RULES, GUARDED, requests[i], "guard", -1);
    judges(NO_RULES, GUARDED_CLOSED, "address=10.0.0.1", "deny", -1);
}

Test(policy, guarded_public_address_is_allowed_and_said_to_be_guarded)
{
    judges(NO_RULES, GUARDED, "address=8.8.8.8", "allow, guarded", -1);
    judges(NO_RULES, GUARDED, "name=a.example address=2a00::1", "allow, guarded", -1);
    judges(RULES(""), GUARDED_CLOSED, "address=8.8.8.8", "allow, guarded", 0);
    judges(NO_RULES, GUARDED, "name=a.example", "allow", -1); /* each address is still to come */
}

Test(policy, local_names_are_denied_without_an_address)
{
    judges(NO_RULES, GUARDED, "name=localhost", "guard", -1);
    judges(NO_RULES, GUARDED, "name=LocalHost.", "guard", -1);
    judges(NO_RULES, GUARDED, "name=a.localhost", "guard", -1);
    judges(RULES("destination=localhost"), GUARDED, "name=localhost", "guard", -1);
    judges(RULES(""), GUARDED_CLOSED, "name=a.localhost.", "guard", -1);
    judges(NO_RULES, GUARDED, "name=notlocalhost", "allow", -1);
    judges(NO_RULES, GUARDED, "name=localhost.example", "allow", -1);
}

Test(policy, local_name_is_resolved_when_a_rule_needs_the_address)
{
    const char *const *rules = RULES("destination=127.0.0.1 port=5432");

    judges(rules, GUARDED, "name=localhost port=5432", "resolve", 0);
    judges(rules, GUARDED, "name=localhost port=80", "guard", -1);
    judges(rules, GUARDED, "name=localhost port=5432 address=127.0.0.1", "allow", 0);
    judges(rules, GUARDED, "name=localhost port=5432 address=::1", "guard", -1);
}

Test(policy, local_name_is_resolved_when_its_rule_lists_addresses_beside_it)
{
    const char *const *rules = RULES("destination=localhost,127.0.0.1");

    judges(rules, GUARDED, "name=localhost", "allow", 0);
    judges(rules, GUARDED, "name=localhost address=127.0.0.1", "allow", 0);
    judges(rules, GUARDED, "name=localhost address=::1", "guard", -1);
    judges(RULES("destination=localhost", "destination=127.0.0.1"), GUARDED, "name=localhost",
           "guard", -1);
}

Test(policy, rule_that_lists_the_address_or_its_network_overrides_the_guard)
{
    judges(RULES("destination=10.0.0.1"), GUARDED, "address=10.0.0.1", "allow", 0);
    judges(RULES("destination=10.0.0.0/8"), GUARDED, "address=10.0.0.1", "allow", 0);
    judges(RULES("destination=10.0.0.0/8 action=route"), GUARDED, "address=10.0.0.1", "allow", 0);
    judges(RULES("destination=10.0.0.0/8"), GUARDED, "name=a.example address=10.0.0.1", "allow", 0);
    judges(RULES("destination=10.0.0.0/8"), GUARDED_CLOSED, "address=::ffff:10.0.0.1", "allow", 0);
    judges(RULES("destination=a.example,10.0.0.0/8"), GUARDED, "name=a.example address=10.0.0.1",
           "allow", 0);
    judges(RULES("destination=10.0.0.0/8"), GUARDED, "address=192.168.0.1", "guard", -1);
    judges(RULES("destination=10.0.0.0/8"), GUARDED, "address=64:ff9b::10.0.0.1", "guard", -1);
    judges(RULES("destination=8.8.8.8"), GUARDED, "address=8.8.8.8", "allow", 0);
}

Test(policy, rule_with_a_name_never_overrides_the_guard)
{
    judges(RULES("destination=a.example"), GUARDED, "name=a.example address=10.0.0.1", "guard", -1);
    judges(RULES("destination=*.example action=route"), GUARDED, "name=a.example address=10.0.0.1",
           "guard", -1);
    judges(RULES(""), GUARDED, "address=10.0.0.1", "guard", -1);
    judges(RULES("user=alice"), GUARDED, "address=10.0.0.1 user=alice", "guard", -1);
    judges(RULES("destination=a.example,192.168.0.0/16"), GUARDED,
           "name=a.example address=10.0.0.1", "guard", -1);
    /* nor does an address of a rule that does not decide */
    judges(RULES("destination=a.example", "destination=10.0.0.0/8"), GUARDED,
           "name=a.example address=10.0.0.1", "guard", -1);
}

Test(policy, deny_rule_is_what_is_told_before_the_guard)
{
    judges(RULES("destination=10.0.0.0/8 action=deny"), GUARDED, "address=10.0.0.1", "deny", 0);
    judges(RULES("destination=*.example action=deny"), GUARDED, "name=a.example address=10.0.0.1",
           "deny", 0);
    judges(RULES("destination=localhost action=deny"), GUARDED, "name=localhost", "deny", 0);
}

Test(policy, guard_says_which_range)
{
    struct config config = {.listeners = listeners, .listener_count = 4};
    static const char *const table[][2] = {
        {"address=10.0.0.1", "private"},
        {"address=169.254.169.254", "metadata"},
        {"address=64:ff9b::127.0.0.1", "loopback"},
        {"name=localhost", "loopback"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct rules_request request = request_from_text(table[i][0]);

        request.listener = GUARDED;
        cr_assert_str_eq(policy_judge(&config, &request).guard_range, table[i][1]);
    }
}

/* A name that is public when it is judged first and private later (DNS rebinding) is judged by each
 * address, and by nothing else. */
Test(policy, every_address_of_a_name_is_judged_for_itself)
{
    const char *const *rules = RULES("destination=a.example");

    judges(rules, GUARDED, "name=a.example", "allow", 0);
    judges(rules, GUARDED, "name=a.example address=8.8.8.8", "allow, guarded", 0);
    judges(rules, GUARDED, "name=a.example address=127.0.0.1", "guard", -1);
    judges(rules, GUARDED, "name=a.example address=8.8.4.4", "allow, guarded", 0);
}
