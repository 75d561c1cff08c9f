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
