/* rules.c - which rule matches first. A request chooses a few sets of rules from each condition: those
 * that list its client, those that list a network around its address ... Their union, and the rules
 * without that condition, is what the condition lets through; what all conditions let through is
 * looked at from the front. Nothing here is allocated or written for a decision: any thread may ask. */
#include "config/rules.h"

#include "config/condition.h"

#include <stdlib.h>
#include <string.h>

/* Rules are judged 512 times this many at a time. */
enum { WINDOW = 8 };

/* Most sets that one condition can have chosen; a name has no more labels than this, either. */
enum { CHOICE_MAX = PREFIX_DEPTH_MAX };

struct rules {
    uint32_t count;
    rule_block *any_destination; /* bits of the rules that list none; owned */
    struct condition conditions[CONDITION_KINDS];
};

/* The sets that a request chose from one condition. */
struct choice {
    size_t count;
    const struct rule_set *sets[CHOICE_MAX]; /* borrowed */
};

struct rules *rules_new(const struct config_rule *list, unsigned count)
{
    struct rules *rules = calloc(1, sizeof *rules);
    bool ok = true;

    if (!rules)
        return NULL;
    rules->count = count;
    rules->any_destination = calloc(rule_blocks(count) + 1, sizeof *rules->any_destination);
    for (int kind = 0; kind < CONDITION_KINDS; kind++)
        ok = ok && condition_init(&rules->conditions[kind], kind, list, count);
    if (!rules->any_destination || !ok) {
        rules_free(rules);
        return NULL;
    }
    for (unsigned i = 0; i < count; i++)
        if (list[i].destination_count == 0)
            rule_bit_set(rules->any_destination, i);
    return rules;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    for (int kind = 0; kind < CONDITION_KINDS; kind++)
        condition_done(&rules->conditions[kind]);
    free(rules->any_destination);
    free(rules);
}

static void choose(struct choice *choice, const struct condition *condition, uint32_t number)
{
    if (choice->count < CHOICE_MAX)
        choice->sets[choice->count++] = rule_sets_get(&condition->sets, number);
}

static void choose_number(struct choice *choice, const struct condition *condition, size_t number)
{
    if (number < condition->count)
        choose(choice, condition, (uint32_t)number);
}

static void choose_text(struct choice *choice, const struct condition *condition, const char *text,
                        size_t n)
{
    uint32_t number = text_table_find(condition->texts, text, n);

    if (number != TEXT_NONE)
        choose(choice, condition, number);
}

static void choose_suffixes(struct choice *choice, const struct condition *condition,
                            const char *name, size_t n)
{
    uint32_t numbers[CHOICE_MAX];
    size_t count = text_table_find_behind_dots(condition->texts, name, n, numbers, CHOICE_MAX);

    for (size_t i = 0; i < count; i++)
        choose(choice, condition, numbers[i]);
}

static void choose_prefixes(struct choice *choice, const struct condition *condition,
                            const struct ip_address *ip)
{
    uint32_t number = prefix_table_find(condition->prefixes, ip);

    while (number != PREFIX_NONE) {
        choose(choice, condition, number);
        if (rule_set_is_bits(rule_sets_get(&condition->sets, number)))
            break; /* the wider ones are in it */
        number = prefix_table_wider(condition->prefixes, number);
    }
}

/* The name as rules have it: lower case, no trailing dot. 0: none, or longer than any in a rule. */
static size_t fold_name(const struct rules_request *request, char out[HOST_NAME_LENGTH_MAX])
{
    size_t n = request->name ? request->name_length : 0;

    if (n && request->name[n - 1] == '.')
        n--;
    if (n > HOST_NAME_LENGTH_MAX)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = request->name[i];

        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return n;
}

static void choose_all(const struct rules *rules, const struct rules_request *request,
                       struct choice *choices)
{
    const struct condition *conditions = rules->conditions;
    struct ip_address port = condition_port(request->port);
    char name[HOST_NAME_LENGTH_MAX];
    size_t n = fold_name(request, name);

    for (int kind = 0; kind < CONDITION_KINDS; kind++)
        choices[kind].count = 0;
    choose_number(&choices[CONDITION_LISTENER], &conditions[CONDITION_LISTENER], request->listener);
    choose_prefixes(&choices[CONDITION_CLIENT], &conditions[CONDITION_CLIENT], &request->client);
    if (request->user)
        choose_text(&choices[CONDITION_USER], &conditions[CONDITION_USER], request->user,
                    strlen(request->user));
    for (unsigned i = 0; i < COMMANDS; i++)
        if (request->command >> i & 1)
            choose_number(&choices[CONDITION_COMMAND], &conditions[CONDITION_COMMAND], i);
    choose_prefixes(&choices[CONDITION_PORT], &conditions[CONDITION_PORT], &port);
    choose_prefixes(&choices[CONDITION_ADDRESS], &conditions[CONDITION_ADDRESS], &request->address);
    if (n) {
        choose_text(&choices[CONDITION_NAME], &conditions[CONDITION_NAME], name, n);
        choose_suffixes(&choices[CONDITION_SUFFIX], &conditions[CONDITION_SUFFIX], name, n);
    }
}

static void add_choice(const struct choice *choice, size_t first, size_t count, rule_block *window)
{
    rule_set_add_all(choice->sets, choice->count, first, count, window);
}

/* Keeps of the candidates those that the condition lets through. */
static void keep(const struct condition *condition, const struct choice *choice, size_t first,
                 size_t count, rule_block *candidates)
{
    rule_block chosen[WINDOW];

    memset(chosen, 0, count * sizeof *chosen);
    add_choice(choice, first, count, chosen);
    for (size_t i = 0; i < count; i++)
        candidates[i] &= chosen[i] | ~condition->listed[first + i];
}

/* Judges the rules of `count` blocks from block `first` on. */
static enum rules_result find_in_window(const struct rules *rules, const struct choice *choices,
                                        bool has_address, size_t first, size_t count,
                                        struct rules_match *ret_match)
{
    const struct condition *conditions = rules->conditions;
    rule_block by_address[WINDOW], matching[WINDOW], candidates[WINDOW];
    size_t bit;

    memset(by_address, 0, count * sizeof *by_address);
    memcpy(matching, rules->any_destination + first, count * sizeof *matching);
    add_choice(&choices[CONDITION_NAME], first, count, matching);
    add_choice(&choices[CONDITION_SUFFIX], first, count, matching);
    add_choice(&choices[CONDITION_ADDRESS], first, count, by_address);
    for (size_t i = 0; i < count; i++) {
        matching[i] |= by_address[i];
        candidates[i] = matching[i];
        if (!has_address)
            candidates[i] |= conditions[CONDITION_ADDRESS].listed[first + i];
    }
    for (int kind = CONDITION_LISTENER; kind <= CONDITION_PORT; kind++) {
        if (rule_bit_first(candidates, count) == SIZE_MAX)
            return RULES_NONE;
        if (!conditions[kind].is_open)
            keep(&conditions[kind], &choices[kind], first, count, candidates);
    }
    bit = rule_bit_first(candidates, count);
    if (bit == SIZE_MAX)
        return RULES_NONE;
    *ret_match =
        (struct rules_match){(unsigned)(first * RULES_A_BLOCK + bit), rule_bit(by_address, bit)};
    return rule_bit(matching, bit) ? RULES_MATCH : RULES_NEEDS_ADDRESS;
}

enum rules_result rules_find(const struct rules *rules, const struct rules_request *request,
                             struct rules_match *ret_match)
{
    size_t all = rule_blocks(rules->count);
    bool has_address = request->address.family != IP_NONE || request->stays_unknown;
    struct choice choices[CONDITION_KINDS];

    choose_all(rules, request, choices);
    for (size_t first = 0; first < all; first += WINDOW) {
        size_t count = all - first < WINDOW ? all - first : WINDOW;
        enum rules_result result =
            find_in_window(rules, choices, has_address, first, count, ret_match);

        if (result != RULES_NONE)
            return result;
    }
    return RULES_NONE;
}
