/* test_rules_oracle.c - rules_find() and rules_compare() against a third reading, written from the
 * manual and sharing nothing with either but the structs: rule by rule, character by character, bit
 * by bit. The rules and requests are random and made of little, so that most of them nearly match. */
#include "tests/unit/random.h"
#include "tests/unit/rule_text.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

TestSuite(rules_oracle, .timeout = 10);

/* ---- the oracle */

enum truth { NO, YES, UNKNOWN };

static unsigned bit_of(const struct ip_address *ip, unsigned i)
{
    return ip->bytes[i / 8] >> (7 - i % 8) & 1;
}

/* "Clients on [::] that come as ::ffff:a.b.c.d are a.b.c.d before anything looks at them", targets, too. */
static struct ip_address plain(struct ip_address ip)
{
    struct ip_address v4 = {.family = IP_V4};

    for (unsigned i = 0; i < 96; i++)
        if (ip.family != IP_V6 || bit_of(&ip, i) != (i >= 80))
            return ip;
    for (unsigned i = 0; i < 4; i++)
        v4.bytes[i] = ip.bytes[12 + i];
    return v4;
}

static bool is_in_network(struct ip_address ip, const struct ip_prefix *network)
{
    ip = plain(ip);
    if (ip.family != network->ip.family)
        return false;
    for (unsigned i = 0; i < network->bits; i++)
        if (bit_of(&ip, i) != bit_of(&network->ip, i))
            return false;
    return true;
}

/* "Names compare without case and trailing dot." */
static void normalise(const char *name, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        *out++ = (char)tolower((unsigned char)name[i]);
    if (n && name[n - 1] == '.')
        out--;
    *out = '\0';
}

static bool is_same_host(const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0;
}

/* "*.suffix (not the suffix itself)" */
static bool is_below(const char *name, const char *suffix)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
        if (dot > name && strcmp(dot + 1, suffix) == 0)
            return true;
    return false;
}

/* "destination: any; host names, *.suffix, addresses, CIDR" */
static enum truth destination_matches(const struct config_rule *rule,
                                      const struct rules_request *request, bool *ret_by_address)
{
    enum truth truth = rule->destination_count ? NO : YES;
    char name[300] = "";

    *ret_by_address = false;
    if (request->name)
        normalise(request->name, request->name_length, name);
    for (unsigned i = 0; i < rule->destination_count; i++) {
        const struct host_pattern *p = &rule->destinations[i];

        if (p->kind == PATTERN_PREFIX && request->address.family == IP_NONE) {
            truth = truth == YES ? YES : UNKNOWN;
        } else if (p->kind == PATTERN_PREFIX && is_in_network(request->address, &p->prefix)) {
            truth = YES;
            *ret_by_address = true;
        } else if (request->name && p->kind == PATTERN_NAME && is_same_host(name, p->name)) {
            truth = YES;
        } else if (request->name && p->kind == PATTERN_SUFFIX && is_below(name, p->name)) {
            truth = YES;
        }
    }
    return truth;
}

static bool who_and_what_match(const struct config_rule *rule, const struct rules_request *request)
{
    bool listener = rule->listener_count == 0, client = rule->client_count == 0,
         user = rule->user_count == 0, port = rule->port_count == 0, command = rule->commands == 0;

    for (unsigned i = 0; i < rule->listener_count; i++)
        listener |= rule->listeners[i] == request->listener;
    for (unsigned i = 0; i < rule->client_count; i++)
        client |= is_in_network(request->client, &rule->clients[i]);
    for (unsigned i = 0; i < rule->user_count; i++)
        user |= request->user && strcmp(rule->users[i], request->user) == 0;
    for (unsigned i = 0; i < rule->port_count; i++)
        for (unsigned p = rule->ports[i].first; p <= rule->ports[i].last; p++)
            port |= p == request->port;
    command |= rule->commands & request->command;
    return listener && client && user && port && command;
}

/* "in file order, the first that matches decides"; "the pass before resolving stops, undecided, at the
 * first rule that matches in everything but an unknown address" */
static enum rules_result oracle(const struct rule_list *list, const struct rules_request *request,
                                struct rules_match *ret_match)
{
    for (unsigned i = 0; i < list->count; i++) {
        bool by_address;
        enum truth truth = destination_matches(&list->rules[i], request, &by_address);

        if (truth == NO || !who_and_what_match(&list->rules[i], request))
            continue;
        *ret_match = (struct rules_match){i, by_address};
        return truth == UNKNOWN ? RULES_NEEDS_ADDRESS : RULES_MATCH;
    }
    return RULES_NONE;
}

/* ---- random rules and requests */

/* How they are made: a condition is there in one of `every` rules, and has `width` values or so. */
struct world {
    uint64_t seed;
    size_t every, width;
};

struct line {
    char text[600];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    line->n +=
        (size_t)vsnprintf(line->text + line->n, sizeof line->text - line->n, format, arguments);
    va_end(arguments);
    cr_assert_lt(line->n, sizeof line->text);
}

static unsigned pick(struct world *world, size_t bound)
{
    return (unsigned)random_below(&world->seed, bound);
}

/* One to three labels out of few, in either case if `wild`. */
static void add_name(struct world *world, struct line *line, bool wild)
{
    unsigned labels = 1 + pick(world, 3);

    for (unsigned i = 0; i < labels; i++) {
        char first = (char)((wild && pick(world, 2) ? 'A' : 'a') + pick(world, world->width) % 26);

        add(line, "%s%c%s", i ? "." : "", first, pick(world, 4) ? "" : "a");
    }
    if (wild && pick(world, 3) == 0)
        add(line, ".");
}

static void add_address(struct world *world, struct line *line)
{
    unsigned a = pick(world, 2), b = pick(world, world->width);

    switch (pick(world, 4)) {
    case 0:
        add(line, "10.0.%u.%u", a, b);
        break;
    case 1:
        add(line, "::ffff:10.0.%u.%u", a, b);
        break;
    case 2:
        add(line, "fd00::%x:%x", a, b);
        break;
    default:
        add(line, "::%x:%x", a, b);
    }
}

/* As above, and mostly a few bits shorter. */
static void add_network(struct world *world, struct line *line)
{
    size_t start = line->n;
    bool v4, mapped;
    unsigned bits;

    add_address(world, line);
    v4 = !strchr(line->text + start, ':');
    mapped = !v4 && strchr(line->text + start, '.');
    switch (pick(world, 4)) {
    case 0:
        return;
    case 1:
        bits = mapped ? 80 + pick(world, 49) : pick(world, v4 ? 33 : 129);
        break;
    default:
        bits = (v4 ? 32 : 128) - pick(world, 11);
    }
    add(line, "/%u", bits);
}

static void add_destination(struct world *world, struct line *line)
{
    switch (pick(world, 3)) {
    case 0:
        add(line, "*.");
        add_name(world, line, false);
        break;
    case 1:
        add_name(world, line, false);
        break;
    default:
        add_network(world, line);
    }
}

static void add_user(struct world *world, struct line *line)
{
    static const char *const users[] = {"alice", "Alice", "ident:alice", "cert:alice", "bob"};

    add(line, "%s", users[pick(world, 5)]);
    if (world->width > 4)
        add(line, "%u", pick(world, world->width));
}

static void add_listener(struct world *world, struct line *line)
{
    add(line, "%u", pick(world, world->width));
}

static void add_ports(struct world *world, struct line *line)
{
    unsigned first = pick(world, 4) ? pick(world, 2 * world->width) : 65535 - pick(world, 3);
    unsigned length = pick(world, 2) ? pick(world, world->width) : 0;

    add(line, "%u-%u", first, first + length > 65535 ? 65535 : first + length);
}

static void add_command(struct world *world, struct line *line)
{
    static const char *const commands[] = {"connect", "bind", "udp"};

    add(line, "%s", commands[pick(world, 3)]);
}

static void add_condition(struct world *world, struct line *line, const char *key,
                          void (*add_value)(struct world *, struct line *))
{
    unsigned values = 1 + pick(world, 3);

    if (pick(world, world->every))
        return;
    add(line, " %s=", key);
    for (unsigned i = 0; i < values; i++) {
        add(line, "%s", i ? "," : "");
        add_value(world, line);
    }
}

static void add_rule(struct world *world, struct rule_list *list)
{
    struct line line = {.n = 0};

    add_condition(world, &line, "listener", add_listener);
    add_condition(world, &line, "client", add_network);
    add_condition(world, &line, "user", add_user);
    add_condition(world, &line, "port", add_ports);
    add_condition(world, &line, "command", add_command);
    if (pick(world, 8))
        add_condition(world, &line, "destination", add_destination);
    else
        add(&line, " destination=10.0.0.%u,a.example", pick(world, world->width));
    rule_list_add(list, line.text);
}

static void make_request(struct world *world, struct line *line)
{
    unsigned target =
        pick(world, 4); /* a name, a literal, both (a candidate); hardly ever neither */

    add(line, "listener=");
    add_listener(world, line);
    if (pick(world, 5)) {
        add(line, " client=");
        add_address(world, line);
    }
    if (pick(world, 3)) {
        add(line, " user=");
        add_user(world, line);
    }
    add(line, " port=%u command=", pick(world, 8) ? pick(world, 2 * world->width) : 65535);
    add_command(world, line);
    if (target != 1 && (target || pick(world, 8))) {
        add(line, " name=");
        add_name(world, line, true);
    }
    if (target == 1 || target == 2) {
        add(line, " address=");
        add_address(world, line);
    }
}

/* ---- the comparison */

struct tally {
    unsigned results[3], by_address;
};

static void compare_once(const struct rule_list *list, const struct rules *rules, const char *text,
                         uint64_t seed, struct tally *tally)
{
    struct rules_request request = request_from_text(text);
    struct rules_match expected = {UINT32_MAX, false}, found = {UINT32_MAX, false};
    enum rules_result expected_result = oracle(list, &request, &expected);
    enum rules_result result = rules_find(rules, &request, &found);

    cr_assert_eq(result, expected_result, "seed %llu: %s: %d instead of %d",
                 (unsigned long long)seed, text, result, expected_result);
    cr_assert_eq(found.rule, expected.rule, "seed %llu: %s: rule %u instead of %u",
                 (unsigned long long)seed, text, found.rule, expected.rule);
    cr_assert_eq(found.by_address, expected.by_address, "seed %llu: %s: by_address",
                 (unsigned long long)seed, text);
    for (unsigned i = 0; i < list->count && i <= expected.rule; i++) {
        bool needs_address = false;
        bool matches = rules_compare(&list->rules[i], &request, &needs_address) == RULES_MATCHES;

        cr_assert_eq(matches, i == expected.rule, "seed %llu: %s: rule %u compared",
                     (unsigned long long)seed, text, i);
        cr_assert_eq(needs_address, matches && expected_result == RULES_NEEDS_ADDRESS,
                     "seed %llu: %s: rule %u needs the address", (unsigned long long)seed, text, i);
    }
    tally->results[result]++;
    tally->by_address += found.by_address;
}

/* Every set of rules has a seed of its own, which is what a failure prints. */
static void compare_many(size_t every, size_t width, unsigned most_rules, unsigned sets,
                         unsigned requests, struct tally *tally)
{
    for (unsigned i = 0; i < sets; i++) {
        uint64_t seed = 1000003U * (i + 1) + every * 101 + width * 10007 + most_rules;
        struct world world = {seed, every, width};
        struct rule_list list = {0};
        struct rules *rules;

        for (unsigned n = 1 + pick(&world, most_rules); n; n--)
            add_rule(&world, &list);
        rules = rules_new(list.rules, list.count);
        cr_assert(rules);
        for (unsigned j = 0; j < requests; j++) {
            struct line line = {.n = 0};

            make_request(&world, &line);
            compare_once(&list, rules, line.text, seed, tally);
        }
        rules_free(rules);
        rule_list_done(&list);
    }
}

/* A comparison in which most answers are the same compares little. */
static void report(const struct tally *tally)
{
    unsigned all = tally->results[0] + tally->results[1] + tally->results[2];

    cr_log_info("%u questions: %u none, %u match (%u by address), %u need the address\n", all,
                tally->results[RULES_NONE], tally->results[RULES_MATCH], tally->by_address,
                tally->results[RULES_NEEDS_ADDRESS]);
    cr_assert_gt(tally->results[RULES_NONE], all / 50);
    cr_assert_gt(tally->results[RULES_MATCH], all / 50);
    cr_assert_gt(tally->by_address, all / 100);
    cr_assert_gt(tally->results[RULES_NEEDS_ADDRESS], all / 50);
}

Test(rules_oracle, few_rules_agree)
{
    struct tally tally = {.by_address = 0};

    compare_many(2, 2, 4, 2000, 25, &tally);
    compare_many(3, 3, 8, 1000, 25, &tally);
    report(&tally);
}

Test(rules_oracle, rules_with_one_condition_agree)
{
    struct tally tally = {.by_address = 0};

    compare_many(5, 4, 3, 2000, 20, &tally);
    report(&tally);
}

Test(rules_oracle, rules_around_the_size_of_a_word_agree)
{
    struct tally tally = {.by_address = 0};

    compare_many(1, 3, 140, 300, 50, &tally);
    report(&tally);
}

Test(rules_oracle, thousands_of_rules_agree)
{
    struct tally tally = {.by_address = 0};

    compare_many(1, 8, 6000, 5, 200, &tally);
    report(&tally);
}
