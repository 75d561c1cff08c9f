/* condition.c - reads one condition out of all rules, twice: to count, then to keep. */
#include "config/condition.h"

#include <stdlib.h>

/* Everything that the rules list under one condition, in their order. */
struct listing {
    struct ip_prefix *prefixes;
    const char **texts;
    uint32_t *numbers; /* of each entry; given by the table where there is one */
    uint32_t *rules;   /* that list it */
    size_t count, capacity;
    uint32_t rule; /* that is being read */
};

/* The place of a new entry; SIZE_MAX while they are only counted. */
static size_t add_entry(struct listing *listing)
{
    size_t i = listing->count++;

    if (i >= listing->capacity)
        return SIZE_MAX;
    listing->rules[i] = listing->rule;
    return i;
}

static void list_number(struct listing *listing, uint32_t number)
{
    size_t i = add_entry(listing);

    if (i != SIZE_MAX)
        listing->numbers[i] = number;
}

static void list_text(struct listing *listing, const char *text)
{
    size_t i = add_entry(listing);

    if (i != SIZE_MAX)
        listing->texts[i] = text;
}

static void list_prefix(struct listing *listing, const struct ip_prefix *prefix)
{
    size_t i = add_entry(listing);

    if (i != SIZE_MAX)
        listing->prefixes[i] = *prefix;
}

static void list_listeners(struct listing *listing, const struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->listener_count; i++)
        list_number(listing, rule->listeners[i]);
}

static void list_clients(struct listing *listing, const struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->client_count; i++)
        list_prefix(listing, &rule->clients[i]);
}

static void list_users(struct listing *listing, const struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->user_count; i++)
        list_text(listing, rule->users[i]);
}

static void list_commands(struct listing *listing, const struct config_rule *rule)
{
    for (unsigned i = 0; i < COMMANDS; i++)
        if (rule->commands >> i & 1)
            list_number(listing, i);
}

struct ip_address condition_port(uint16_t port)
{
    return (struct ip_address){.family = IP_V4, .bytes = {(uint8_t)(port >> 8), (uint8_t)port}};
}

/* The largest prefix that starts where the range starts and does not exceed it, and so on. */
static void list_port_range(struct listing *listing, const struct port_range *range)
{
    for (uint32_t first = range->first; first <= range->last;) {
        struct ip_prefix prefix = {.ip = condition_port((uint16_t)first)};
        uint32_t size = first ? first & -first : 0x10000;

        while (first + size - 1 > range->last)
            size /= 2;
        prefix.bits = (uint8_t)(16 - __builtin_ctz(size));
        list_prefix(listing, &prefix);
        first += size;
    }
}

static void list_ports(struct listing *listing, const struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->port_count; i++)
        list_port_range(listing, &rule->ports[i]);
}

static void list_hosts(struct listing *listing, const struct config_rule *rule,
                       enum host_pattern_kind kind)
{
    for (unsigned i = 0; i < rule->destination_count; i++) {
        const struct host_pattern *pattern = &rule->destinations[i];

        if (pattern->kind != kind)
            continue;
        if (kind == PATTERN_PREFIX)
            list_prefix(listing, &pattern->prefix);
        else
            list_text(listing, pattern->name);
    }
}

static void list_names(struct listing *listing, const struct config_rule *rule)
{
    list_hosts(listing, rule, PATTERN_NAME);
}

static void list_suffixes(struct listing *listing, const struct config_rule *rule)
{
    list_hosts(listing, rule, PATTERN_SUFFIX);
}

static void list_addresses(struct listing *listing, const struct config_rule *rule)
{
    list_hosts(listing, rule, PATTERN_PREFIX);
}

enum entry_type { NUMBERS, TEXTS, PREFIXES };

static const struct {
    void (*list)(struct listing *, const struct config_rule *);
    enum entry_type type;
} kinds[CONDITION_KINDS] = {
    [CONDITION_LISTENER] = {list_listeners, NUMBERS},
    [CONDITION_CLIENT] = {list_clients, PREFIXES},
    [CONDITION_USER] = {list_users, TEXTS},
    [CONDITION_COMMAND] = {list_commands, NUMBERS},
    [CONDITION_PORT] = {list_ports, PREFIXES},
    [CONDITION_NAME] = {list_names, TEXTS},
    [CONDITION_SUFFIX] = {list_suffixes, TEXTS},
    [CONDITION_ADDRESS] = {list_addresses, PREFIXES},
};

/* Lists the entries of all rules; sets the bits of rules that have some. */
static void list_all(struct listing *listing, enum condition_kind kind,
                     const struct config_rule *rules, uint32_t count, rule_block *listed)
{
    listing->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t before = listing->count;

        listing->rule = i;
        kinds[kind].list(listing, &rules[i]);
        if (listing->count > before)
            rule_bit_set(listed, i);
    }
}

static bool make_room(struct listing *listing, enum entry_type type)
{
    size_t n = listing->count;

    listing->capacity = n;
    listing->numbers = calloc(n + 1, sizeof *listing->numbers);
    listing->rules = calloc(n + 1, sizeof *listing->rules);
    if (type == TEXTS)
        listing->texts = calloc(n + 1, sizeof *listing->texts);
    if (type == PREFIXES)
        listing->prefixes = calloc(n + 1, sizeof *listing->prefixes);
    return listing->numbers && listing->rules && (type != TEXTS || listing->texts) &&
           (type != PREFIXES || listing->prefixes);
}

/* Gives every entry its number. */
static bool number_all(struct condition *condition, struct listing *listing, enum entry_type type)
{
    switch (type) {
    case NUMBERS:
        for (size_t i = 0; i < listing->count; i++)
            if (listing->numbers[i] >= condition->count)
                condition->count = (size_t)listing->numbers[i] + 1;
        return true;
    case TEXTS:
        condition->texts = text_table_new(listing->texts, listing->count, listing->numbers);
        condition->count = condition->texts ? text_table_count(condition->texts) : 0;
        return condition->texts != NULL;
    case PREFIXES:
        condition->prefixes = prefix_table_new(listing->prefixes, listing->count, listing->numbers);
        condition->count = condition->prefixes ? prefix_table_count(condition->prefixes) : 0;
        return condition->prefixes != NULL;
    }
    return false;
}

/* Lets sets that are bits hold the rules of the wider prefixes around theirs, too: then a walk to wider
 * ones ends at the first of them, and a deep nest of prefixes costs no more than a flat one. A wider
 * prefix has a lower number. */
static void include_wider(struct condition *condition)
{
    for (uint32_t i = 0; i < condition->count; i++) {
        uint32_t wider = i;

        if (!rule_set_is_bits(rule_sets_get(&condition->sets, i)))
            continue;
        do {
            wider = prefix_table_wider(condition->prefixes, wider);
            if (wider == PREFIX_NONE)
                break;
            rule_sets_include(&condition->sets, i, wider);
        } while (!rule_set_is_bits(rule_sets_get(&condition->sets, wider)));
    }
}

static void listing_done(struct listing *listing)
{
    free(listing->prefixes);
    free(listing->texts);
    free(listing->numbers);
    free(listing->rules);
}

bool condition_init(struct condition *condition, enum condition_kind kind,
                    const struct config_rule *rules, uint32_t count)
{
    struct listing listing = {0};
    bool ok = false;

    *condition = (struct condition){.listed = calloc(rule_blocks(count) + 1, sizeof(rule_block))};
    if (!condition->listed)
        return false;
    list_all(&listing, kind, rules, count, condition->listed);
    condition->is_open = listing.count == 0;
    if (!make_room(&listing, kinds[kind].type))
        goto out;
    list_all(&listing, kind, rules, count, condition->listed);
    ok = number_all(condition, &listing, kinds[kind].type) &&
         rule_sets_init(&condition->sets, condition->count, count, listing.numbers, listing.rules,
                        listing.count);
    if (ok && condition->prefixes)
        include_wider(condition);
out:
    listing_done(&listing);
    return ok;
}

void condition_done(struct condition *condition)
{
    free(condition->listed);
    prefix_table_free(condition->prefixes);
    text_table_free(condition->texts);
    rule_sets_done(&condition->sets);
    *condition = (struct condition){0};
}
