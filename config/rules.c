/* rules.c - which rule matches first. A request chooses a few sets of rules from each condition: those
 * that list its client, those that list a network around its address ... Their union, and the rules
 * without that condition, is what the condition lets through; what all conditions let through is
 * looked at from the front. Nothing here is allocated or written for a decision: any thread may ask. */
#include "config/rules.h"

#include "config/condition.h"

#include <stdlib.h>
#include <string.h>

/* Rules are judged 64 times this many at a time. */
enum { WINDOW_WORDS = 32 };

/* Most sets that one condition can have chosen; a name has no more labels than this, either. */
enum { CHOICE_MAX = PREFIX_DEPTH_MAX };

struct rules {
    uint32_t count;
    uint64_t *any_destination; /* bits of the rules that list none; owned */
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
    rules->any_destination = calloc(rule_words(count) + 1, sizeof *rules->any_destination);
    for (int kind = 0; kind < CONDITION_KINDS; kind++)
        ok = ok && condition_init(&rules->conditions[kind], kind, list, count);
    if (!rules->any_destination || !ok) {
        rules_free(rules);
        return NULL;
    }
    for (unsigned i = 0; i < count; i++)
        if (list[i].destination_count == 0)
            rules->any_destination[i / 64] |= (uint64_t)1 << i % 64;
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

    for (; number != PREFIX_NONE; number = prefix_table_wider(condition->prefixes, number))
        choose(choice, condition, number);
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

static void add_choice(const struct choice *choice, size_t first, size_t words, uint64_t *window)
{
    for (size_t i = 0; i < choice->count; i++)
        rule_set_add(choice->sets[i], first, words, window);
}

/* Keeps of the candidates those that the condition lets through. False: none is left. */
static bool keep(const struct condition *condition, const struct choice *choice, size_t first,
                 size_t words, uint64_t *candidates)
{
    uint64_t chosen[WINDOW_WORDS] = {0}, left = 0;

    add_choice(choice, first, words, chosen);
    for (size_t i = 0; i < words; i++) {
        candidates[i] &= chosen[i] | ~condition->listed[first + i];
        left |= candidates[i];
    }
    return left != 0;
}

static bool has_bit(const uint64_t *words, size_t bit)
{
    return words[bit / 64] >> bit % 64 & 1;
}

static size_t first_bit(const uint64_t *words)
{
    size_t i = 0;

    while (!words[i])
        i++;
    return i * 64 + (size_t)__builtin_ctzll(words[i]);
}

/* Judges the rules of `words` words from word `first` on. */
static enum rules_result find_in_window(const struct rules *rules, const struct choice *choices,
                                        bool has_address, size_t first, size_t words,
                                        struct rules_match *ret_match)
{
    const struct condition *addresses = &rules->conditions[CONDITION_ADDRESS];
    uint64_t by_address[WINDOW_WORDS] = {0}, matching[WINDOW_WORDS], candidates[WINDOW_WORDS];
    uint64_t left = 0;
    size_t bit;

    memcpy(matching, rules->any_destination + first, words * sizeof *matching);
    add_choice(&choices[CONDITION_NAME], first, words, matching);
    add_choice(&choices[CONDITION_SUFFIX], first, words, matching);
    add_choice(&choices[CONDITION_ADDRESS], first, words, by_address);
    for (size_t i = 0; i < words; i++) {
        matching[i] |= by_address[i];
        candidates[i] = matching[i] | (has_address ? 0 : addresses->listed[first + i]);
        left |= candidates[i];
    }
    if (!left)
        return RULES_NONE;
    for (int kind = CONDITION_LISTENER; kind <= CONDITION_PORT; kind++) {
        const struct condition *condition = &rules->conditions[kind];

        if (!condition->is_open && !keep(condition, &choices[kind], first, words, candidates))
            return RULES_NONE;
    }
    bit = first_bit(candidates);
    *ret_match = (struct rules_match){(unsigned)(first * 64 + bit), has_bit(by_address, bit)};
    return has_bit(matching, bit) ? RULES_MATCH : RULES_NEEDS_ADDRESS;
}

enum rules_result rules_find(const struct rules *rules, const struct rules_request *request,
                             struct rules_match *ret_match)
{
    size_t all = rule_words(rules->count);
    struct choice choices[CONDITION_KINDS];

    choose_all(rules, request, choices);
    for (size_t first = 0; first < all; first += WINDOW_WORDS) {
        size_t words = all - first < WINDOW_WORDS ? all - first : WINDOW_WORDS;
        enum rules_result result = find_in_window(
            rules, choices, request->address.family != IP_NONE, first, words, ret_match);

        if (result != RULES_NONE)
            return result;
    }
    return RULES_NONE;
}
