/* test_rules.c - each condition of a rule, and which rule is the first. Every question is asked of
 * rules_find() and, rule by rule, of rules_compare(). */
#include "tests/unit/rule_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(rules, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})

enum { ANSWER_MAX = 40 };

/* "none", "3", "3 by address" or "3 needs the address". */
static const char *answer(enum rules_result result, const struct rules_match *match, char *out)
{
    static const char *const how[] = {"", " by address"};

    if (result == RULES_NONE)
        return "none";
    snprintf(out, ANSWER_MAX, "%u%s", match->rule,
             result == RULES_NEEDS_ADDRESS ? " needs the address" : how[match->by_address]);
    return out;
}

/* The first rule that is not another one, by the plain reading. */
static enum rules_result first_by_compare(const struct rule_list *list,
                                          const struct rules_request *request, unsigned *ret_rule)
{
    bool needs_address = false;

    for (unsigned i = 0; i < list->count; i++) {
        if (rules_compare(&list->rules[i], request, &needs_address) != RULES_MATCHES)
            continue;
        *ret_rule = i;
        return needs_address ? RULES_NEEDS_ADDRESS : RULES_MATCH;
    }
    return RULES_NONE;
}

static void list_says(const struct rule_list *list, const char *request_text, const char *expected)
{
    struct rules *rules = rules_new(list->rules, list->count);
    struct rules_request request = request_from_text(request_text);
    struct rules_match match = {.rule = 12345};
    enum rules_result result;
    char text[ANSWER_MAX];
    unsigned first = 12345;

    cr_assert(rules);
    result = rules_find(rules, &request, &match);
    cr_assert_str_eq(answer(result, &match, text), expected, "%s: %s instead of %s", request_text,
                     answer(result, &match, text), expected);
    cr_assert_eq(first_by_compare(list, &request, &first), result, "%s", request_text);
    cr_assert_eq(first, match.rule, "%s", request_text);
    rules_free(rules);
}

static void says(const char *const *rules, const char *request, const char *expected)
{
    struct rule_list list = {0};

    for (; *rules; rules++)
        rule_list_add(&list, *rules);
    list_says(&list, request, expected);
    rule_list_done(&list);
}

Test(rules, no_rules_match_nothing)
{
    struct rule_list none = {0};

    list_says(&none, "name=a.example", "none");
    list_says(&none, "address=192.0.2.1", "none");
    rules_free(NULL);
}

Test(rules, rule_without_conditions_matches_everything)
{
    says(RULES(""), "name=a.example", "0");
    says(RULES(""), "address=192.0.2.1", "0");
    says(RULES(""), "name=a.example address=2001:db8::1 listener=7 user=alice port=0 command=udp",
         "0");
}

Test(rules, first_rule_that_matches_decides)
{
    const char *const *rules = RULES("destination=b.example", "destination=a.example port=443",
                                     "destination=*.example", "destination=a.example", "");

    says(rules, "name=a.example port=443", "1");
    says(rules, "name=a.example port=80", "2");
    says(rules, "name=b.example", "0");
    says(rules, "name=c.test", "4");
}

Test(rules, all_conditions_have_to_match)
{
    const char *const *rules = RULES("listener=1 client=10.0.0.0/8 user=alice port=80 command=bind "
                                     "destination=a.example");

    says(rules, "listener=1 client=10.1.1.1 user=alice command=bind name=a.example", "0");
    says(rules, "listener=0 client=10.1.1.1 user=alice command=bind name=a.example", "none");
    says(rules, "listener=1 client=11.1.1.1 user=alice command=bind name=a.example", "none");
    says(rules, "listener=1 client=10.1.1.1 user=bob command=bind name=a.example", "none");
    says(rules, "listener=1 client=10.1.1.1 user=alice command=udp name=a.example", "none");
    says(rules, "listener=1 client=10.1.1.1 user=alice command=bind name=b.example", "none");
    says(rules, "listener=1 client=10.1.1.1 user=alice command=bind name=a.example port=81",
         "none");
}

Test(rules, compare_names_the_first_condition_that_fails)
{
    static const struct {
        const char *request;
        enum rules_mismatch mismatch;
    } table[] = {
        {"listener=0 client=11.1.1.1", RULES_OTHER_LISTENER},
        {"listener=1 client=11.1.1.1", RULES_OTHER_CLIENT},
        {"listener=1 client=10.1.1.1", RULES_OTHER_USER},
        {"listener=1 client=10.1.1.1 user=alice", RULES_OTHER_COMMAND},
        {"listener=1 client=10.1.1.1 user=alice command=bind", RULES_OTHER_PORT},
        {"listener=1 client=10.1.1.1 user=alice command=bind port=81", RULES_OTHER_DESTINATION},
        {"listener=1 client=10.1.1.1 user=alice command=bind port=81 name=a.example",
         RULES_MATCHES},
    };
    struct rule_list list = {0};

    rule_list_add(&list, "listener=1 client=10.0.0.0/8 user=alice port=81 command=bind "
                         "destination=a.example");
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rules_request request = request_from_text(table[i].request);
        bool needs_address = true;

        cr_assert_eq(rules_compare(&list.rules[0], &request, &needs_address), table[i].mismatch);
        cr_assert_eq(needs_address, table[i].mismatch != RULES_MATCHES, "%s", table[i].request);
    }
    rule_list_done(&list);
}

Test(rules, any_of_a_list_is_enough)
{
    says(RULES("listener=0,2"), "listener=2 name=a", "0");
    says(RULES("listener=0,2"), "listener=1 name=a", "none");
    says(RULES("listener=0,2"), "listener=3 name=a", "none");
    says(RULES("listener=0,2"), "listener=60000 name=a", "none");
    says(RULES("client=192.0.2.1,10.0.0.0/8"), "client=10.0.0.1 name=a", "0");
    says(RULES("user=alice,bob"), "user=bob name=a", "0");
    says(RULES("port=1,80,90-99"), "name=a", "0");
    says(RULES("command=connect,udp"), "command=udp name=a", "0");
    says(RULES("command=connect,udp"), "command=bind name=a", "none");
    says(RULES("destination=b,192.0.2.1,*.c,a"), "name=a", "0");
    says(RULES("destination=a,a,a,192.0.2.1,192.0.2.1 port=80,80,1-100"), "name=a", "0");
}

Test(rules, names_compare_without_case_and_trailing_dot)
{
    const char *const *rules = RULES("destination=www.example.com");

    says(rules, "name=www.example.com", "0");
    says(rules, "name=WWW.Example.COM", "0");
    says(rules, "name=www.example.com.", "0");
    says(rules, "name=wWw.eXample.com.", "0");
    says(rules, "name=www.example.com..", "none");
    says(rules, "name=ww.example.com", "none");
    says(rules, "name=wwww.example.com", "none");
    says(rules, "name=www.example.co", "none");
    says(rules, "name=www.example.com.com", "none");
    says(rules, "name=example.com", "none");
    says(rules, "name=a.www.example.com", "none");
}

Test(rules, suffix_is_every_name_below_and_not_itself)
{
    const char *const *rules = RULES("destination=*.example.com");

    says(rules, "name=a.example.com", "0");
    says(rules, "name=a.b.c.d.example.com", "0");
    says(rules, "name=A.EXAMPLE.com.", "0");
    says(rules, "name=example.com", "none");
    says(rules, "name=example.com.", "none");
    says(rules, "name=notexample.com", "none");
    says(rules, "name=a.notexample.com", "none");
    says(rules, "name=a.example.com.evil", "none");
    says(rules, "name=com", "none");
    says(rules, "name=.example.com", "none"); /* nor what is no name */
    says(RULES("destination=*.com"), "name=a.example.com", "0");
    says(RULES("destination=*.com"), "name=com", "none");
    says(RULES("destination=*.a.a"), "name=a.a.a", "0");
    says(RULES("destination=*.a.a"), "name=a.a", "none");
}

Test(rules, suffix_and_name_of_the_same_text_are_different)
{
    const char *const *rules = RULES("destination=*.example.com", "destination=example.com");

    says(rules, "name=example.com", "1");
    says(rules, "name=a.example.com", "0");
}

Test(rules, longest_name_and_most_labels_are_found)
{
    char name[256], rule[300], request[300];

    for (size_t i = 0; i < 253; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[253] = '\0';
    snprintf(rule, sizeof rule, "destination=%s", name);
    snprintf(request, sizeof request, "name=%s", name);
    says(RULES(rule), request, "0");
    snprintf(request, sizeof request, "name=%s.", name);
    says(RULES(rule), request, "0");
    snprintf(rule, sizeof rule, "destination=*.%s", name + 2);
    says(RULES(rule), request, "0");
    says(RULES("destination=*.a"), request, "0");
}

Test(rules, every_suffix_of_a_name_is_looked_at)
{
    struct rule_list list = {0};
    char name[254], request[300], rule[300], expected[12];

    for (size_t i = 0; i < 253; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[253] = '\0';
    snprintf(request, sizeof request, "name=%s", name);
    for (size_t i = 2; i < 253; i += 2) {
        snprintf(rule, sizeof rule, "destination=*.%s port=%zu", name + i, 1000 + i / 2);
        rule_list_add(&list, rule);
    }
    for (unsigned i = 0; i < list.count; i++) {
        snprintf(request, sizeof request, "name=%s port=%u", name, 1001 + i);
        snprintf(expected, sizeof expected, "%u", i);
        list_says(&list, request, expected);
    }
    rule_list_done(&list);
}

Test(rules, name_that_is_longer_than_any_is_no_name_of_a_rule)
{
    char request[400] = "name=";

    memset(request + 5, 'a', 300);
    says(RULES("destination=a", "destination=*.a"), request, "none");
    memcpy(request + 303, ".a", 3);
    says(RULES("destination=a"), request, "none");
    says(RULES(""), request, "0");
}

Test(rules, addresses_and_prefixes_hold_addresses)
{
    const char *const *rules =
        RULES("destination=192.0.2.1", "destination=192.0.2.0/25", "destination=2001:db8::/32",
              "destination=0.0.0.0/0", "destination=::/0");

    says(rules, "address=192.0.2.1", "0 by address");
    says(rules, "address=192.0.2.0", "1 by address");
    says(rules, "address=192.0.2.127", "1 by address");
    says(rules, "address=192.0.2.128", "3 by address");
    says(rules, "address=2001:db8:ffff::", "2 by address");
    says(rules, "address=2001:db9::", "4 by address");
}

Test(rules, narrower_prefixes_hide_no_wider_ones)
{
    const char *const *rules =
        RULES("destination=10.0.0.0/8 port=1", "destination=10.1.2.3 port=2",
              "destination=10.1.0.0/16 port=3", "destination=10.1.2.0/24 port=4",
              "destination=10.2.0.0/16 port=1", "destination=0.0.0.0/0 port=5");

    says(rules, "address=10.1.2.3 port=1", "0 by address");
    says(rules, "address=10.1.2.3 port=2", "1 by address");
    says(rules, "address=10.1.2.3 port=3", "2 by address");
    says(rules, "address=10.1.2.3 port=4", "3 by address");
    says(rules, "address=10.1.2.3 port=5", "5 by address");
    says(rules, "address=10.1.3.3 port=4", "none");
    says(rules, "address=10.3.0.0 port=1", "0 by address");
    says(rules, "address=11.0.0.0 port=5", "5 by address");
}

Test(rules, mapped_address_is_judged_as_ipv4)
{
    says(RULES("destination=10.0.0.0/8"), "address=::ffff:10.0.0.1", "0 by address");
    says(RULES("destination=::/0"), "address=::ffff:10.0.0.1", "none");
    says(RULES("destination=::ffff:10.0.0.0/104"), "address=10.0.0.1", "0 by address");
    says(RULES("destination=::ffff:10.0.0.0/104"), "address=::ffff:a00:1", "0 by address");
    says(RULES("destination=::/64"), "address=::ffff:10.0.0.1", "none");
    says(RULES("client=10.0.0.0/8"), "client=::ffff:10.0.0.1 name=a", "0");
    says(RULES("client=::/0"), "client=::ffff:10.0.0.1 name=a", "none");
}

Test(rules, families_have_nothing_in_common)
{
    says(RULES("destination=0.0.0.0/0"), "address=::", "none");
    says(RULES("destination=::/0"), "address=0.0.0.0", "none");
    says(RULES("destination=0.0.0.0/0,::/0"), "address=::", "0 by address");
    says(RULES("destination=1000::/4"), "address=16.0.0.0", "none");
    says(RULES("destination=16.0.0.0/4"), "address=1000::", "none");
}

Test(rules, literal_has_no_name)
{
    says(RULES("destination=*.1", "destination=a"), "address=192.0.2.1", "none");
    says(RULES("destination=a,192.0.2.1"), "address=192.0.2.1", "0 by address");
}

Test(rules, name_or_address_is_enough_and_by_address_says_which)
{
    const char *const *rules = RULES("destination=a.example,192.0.2.0/24");

    says(rules, "name=a.example address=192.0.2.1", "0 by address");
    says(rules, "name=a.example address=198.51.100.1", "0");
    says(rules, "name=b.example address=192.0.2.1", "0 by address");
    says(rules, "name=b.example address=198.51.100.1", "none");
}

Test(rules, by_address_is_of_the_rule_that_decides)
{
    const char *const *rules =
        RULES("destination=a.example", "destination=192.0.2.1", "", "destination=0.0.0.0/0");

    says(rules, "name=a.example address=192.0.2.1", "0");
    says(rules, "name=b.example address=192.0.2.1", "1 by address");
    says(rules, "name=b.example address=192.0.2.2", "2");
}

Test(rules, rule_with_addresses_needs_the_address_of_a_name)
{
    says(RULES("destination=192.0.2.1"), "name=a.example", "0 needs the address");
    says(RULES("destination=::/0"), "name=a.example", "0 needs the address");
    says(RULES("destination=a.example", "destination=192.0.2.1"), "name=a.example", "0");
    says(RULES("destination=a.example", "destination=192.0.2.1"), "name=b.example",
         "1 needs the address");
    says(RULES("destination=192.0.2.1", "destination=a.example"), "name=a.example",
         "0 needs the address");
    says(RULES("destination=192.0.2.1", ""), "name=a.example", "0 needs the address");
    says(RULES("", "destination=192.0.2.1"), "name=a.example", "0");
}

Test(rules, rule_needs_no_address_when_something_else_fails)
{
    says(RULES("destination=192.0.2.1 port=443"), "name=a.example", "none");
    says(RULES("destination=192.0.2.1 user=alice"), "name=a.example user=bob", "none");
    says(RULES("destination=192.0.2.1 port=443", "destination=*.example"), "name=a.example", "1");
    says(RULES("destination=192.0.2.1 client=10.0.0.0/8"), "name=a.example client=11.0.0.0",
         "none");
    says(RULES("destination=192.0.2.1 command=bind"), "name=a.example", "none");
    says(RULES("destination=192.0.2.1 listener=1"), "name=a.example", "none");
}

Test(rules, rule_with_addresses_needs_none_when_its_name_matches)
{
    says(RULES("destination=192.0.2.1,a.example"), "name=a.example", "0");
    says(RULES("destination=192.0.2.1,*.example"), "name=a.example", "0");
    says(RULES("destination=192.0.2.1,*.example"), "name=example", "0 needs the address");
}

Test(rules, known_address_is_never_needed)
{
    says(RULES("destination=192.0.2.1"), "name=a.example address=192.0.2.2", "none");
    says(RULES("destination=192.0.2.1", ""), "name=a.example address=::1", "1");
}

Test(rules, client_without_an_address_is_in_no_list)
{
    says(RULES("client=0.0.0.0/0,::/0"), "name=a", "none");
    says(RULES("client=0.0.0.0/0,::/0", ""), "name=a", "1");
    says(RULES("client=0.0.0.0/0,::/0"), "client=::1 name=a", "0");
}

Test(rules, users_compare_exactly)
{
    says(RULES("user=alice"), "user=alice name=a", "0");
    says(RULES("user=alice"), "user=Alice name=a", "none");
    says(RULES("user=alice"), "user=alice. name=a", "none");
    says(RULES("user=alice"), "user=alic name=a", "none");
    says(RULES("user=alice"), "user=ident:alice name=a", "none");
    says(RULES("user=ident:alice"), "user=ident:alice name=a", "0");
    says(RULES("user=cert:alice"), "user=cert:alice name=a", "0");
    says(RULES("user=alice"), "name=a", "none");
}

Test(rules, ports_match_from_first_to_last)
{
    static const struct {
        uint16_t first, last;
    } ranges[] = {
        {0, 0},       {0, 1},       {1, 1},         {80, 80},       {8000, 8999},
        {1, 65535},   {0, 65535},   {0, 65534},     {1, 65534},     {65535, 65535},
        {1024, 2047}, {1023, 2048}, {32767, 32768}, {49152, 65535}, {21845, 43690},
    };

    for (size_t i = 0; i < COUNT(ranges); i++) {
        struct rule_list list = {0};
        struct rules *rules;
        char text[40];

        snprintf(text, sizeof text, "port=%u-%u", ranges[i].first, ranges[i].last);
        rule_list_add(&list, text);
        rules = rules_new(list.rules, list.count);
        cr_assert(rules);
        for (unsigned port = 0; port <= 65535; port++) {
            struct rules_request request = {.port = (uint16_t)port, .command = COMMAND_UDP};
            bool expected = ranges[i].first <= port && port <= ranges[i].last, unused;
            struct rules_match match;

            cr_assert_eq(rules_find(rules, &request, &match) == RULES_MATCH, expected);
            cr_assert_eq(rules_compare(&list.rules[0], &request, &unused) == RULES_MATCHES,
                         expected);
        }
        rules_free(rules);
        rule_list_done(&list);
    }
}

/* One rule among many that do not match. */
static void rule_is_found_at(struct rule_list *list, unsigned at)
{
    struct config_rule hidden = list->rules[at];
    struct rule_list one = {0};
    char number[40];

    rule_list_add(&one, "destination=this.example,192.0.2.1 client=10.0.0.1");
    list->rules[at] = one.rules[0];
    snprintf(number, sizeof number, "%u", at);
    list_says(list, "name=this.example client=10.0.0.1 address=192.0.2.2", number);
    snprintf(number, sizeof number, "%u by address", at);
    list_says(list, "address=192.0.2.1 client=10.0.0.1", number);
    list_says(list, "address=192.0.2.1 client=10.0.0.2", "none");
    list->rules[at] = hidden;
    rule_list_done(&one);
}

/* The sizes at which the bits fill a word, and the words a window. */
Test(rules, one_rule_is_found_wherever_it_stands)
{
    static const unsigned counts[] = {1, 2, 63, 64, 65, 127, 128, 129, 2047, 2048, 2049, 4097};
    static const unsigned places[] = {0, 1, 62, 63, 64, 65, 126, 127, 128, 2046, 2047, 2048, 4096};

    for (size_t i = 0; i < COUNT(counts); i++) {
        struct rule_list list = {0};

        while (list.count < counts[i])
            rule_list_add(&list, "destination=other.example,198.51.100.0/24 client=10.0.0.0/8");
        for (size_t j = 0; j < COUNT(places) && places[j] < counts[i]; j++)
            rule_is_found_at(&list, places[j]);
        rule_list_done(&list);
    }
}

Test(rules, any_rule_behind_others_is_found_at_any_place)
{
    static const unsigned places[] = {0, 1, 62, 63, 64, 65, 127, 128, 2047, 2048, 4999, 9999};

    for (size_t i = 0; i < COUNT(places); i++) {
        struct rule_list list = {0};
        char number[12];

        for (unsigned at = 0; at < places[i]; at++)
            rule_list_add(&list, "user=nobody");
        rule_list_add(&list, "");
        rule_list_add(&list, "");
        snprintf(number, sizeof number, "%u", places[i]);
        list_says(&list, "name=a.example user=somebody", number);
        rule_list_done(&list);
    }
}

/* The i-th of many different rules, or the request that only it matches. */
static const char *nth(unsigned i, bool is_rule)
{
    static char text[100];

    switch (i % 4) {
    case 0:
        snprintf(text, sizeof text,
                 is_rule ? "destination=n%u.example" : "name=N%u.example. address=192.0.2.1", i);
        break;
    case 1:
        snprintf(text, sizeof text,
                 is_rule ? "destination=*.n%u.example" : "name=a.n%u.example address=192.0.2.1", i);
        break;
    case 2:
        snprintf(text, sizeof text, is_rule ? "destination=10.%u.%u.0/24" : "address=10.%u.%u.9",
                 i >> 8, i & 255);
        break;
    default:
        snprintf(text, sizeof text,
                 is_rule ? "client=172.%u.%u.7" : "address=192.0.2.1 client=172.%u.%u.7", i >> 8,
                 i & 255);
    }
    return text;
}

Test(rules, ten_thousand_rules_of_all_kinds_are_told_apart)
{
    struct rule_list list = {0};
    struct rules *rules;

    while (list.count < 10000)
        rule_list_add(&list, nth(list.count, true));
    rules = rules_new(list.rules, list.count);
    cr_assert(rules);
    for (unsigned i = 0; i < list.count; i++) {
        const char *text = nth(i, false);
        struct rules_request request = request_from_text(text);
        struct rules_match match;

        cr_assert_eq(rules_find(rules, &request, &match), RULES_MATCH, "%s", text);
        cr_assert_eq(match.rule, i, "%s", text);
        cr_assert_eq(match.by_address, i % 4 == 2, "%s", text);
        request.client = (struct ip_address){.family = IP_NONE};
        request.name = NULL;
        if (i % 4 != 2)
            cr_assert_eq(rules_find(rules, &request, &match), RULES_NONE, "%s", text);
    }
    rules_free(rules);
    rule_list_done(&list);
}
