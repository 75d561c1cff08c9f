/* rule_set.c - rules grouped by key with a counting sort, which keeps them in order. */
#include "config/rule_set.h"

#include <stdlib.h>
#include <string.h>

struct rule_set {
    union {
        uint32_t *list; /* rule numbers going up; borrowed from the rule_sets */
        uint64_t *bits; /* likewise */
    };
    uint32_t count;
    bool is_bits;
};

/* A rule in a list costs about as much as two words of bits, in memory and in time. */
static bool is_cheaper_as_bits(size_t count, size_t words)
{
    return 2 * count >= words;
}

static void set_bit(uint64_t *words, uint32_t bit)
{
    words[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* Points the set of each key to its part of `lists`, and copies the rules there. */
static void group_by_key(struct rule_sets *sets, size_t key_count, const uint32_t *keys,
                         const uint32_t *rules, size_t count)
{
    uint32_t *start = sets->lists;

    for (size_t i = 0; i < count; i++)
        sets->sets[keys[i]].count++;
    for (size_t k = 0; k < key_count; k++) {
        sets->sets[k].list = start;
        start += sets->sets[k].count;
        sets->sets[k].count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct rule_set *set = &sets->sets[keys[i]];

        if (set->count == 0 || set->list[set->count - 1] != rules[i])
            set->list[set->count++] = rules[i];
    }
}

static void turn_into_bits(struct rule_set *set, uint64_t *bits)
{
    for (uint32_t i = 0; i < set->count; i++)
        set_bit(bits, set->list[i]);
    set->bits = bits;
    set->is_bits = true;
}

/* Large sets become bits, and the lists of the others move together. */
static bool compact(struct rule_sets *sets, size_t key_count, size_t words)
{
    uint32_t *list = sets->lists;
    uint64_t *bits;
    size_t large = 0;

    for (size_t k = 0; k < key_count; k++)
        large += is_cheaper_as_bits(sets->sets[k].count, words);
    bits = sets->bits = calloc(large * words + 1, sizeof *bits);
    if (!bits)
        return false;
    for (size_t k = 0; k < key_count; k++) {
        struct rule_set *set = &sets->sets[k];

        if (is_cheaper_as_bits(set->count, words)) {
            turn_into_bits(set, bits);
            bits += words;
        } else {
            set->list = memmove(list, set->list, set->count * sizeof *list);
            list += set->count;
        }
    }
    return true;
}

bool rule_sets_init(struct rule_sets *sets, size_t key_count, size_t rule_count,
                    const uint32_t *keys, const uint32_t *rules, size_t count)
{
    *sets = (struct rule_sets){
        .sets = calloc(key_count + 1, sizeof *sets->sets),
        .lists = calloc(count + 1, sizeof *sets->lists),
    };
    if (!sets->sets || !sets->lists)
        return false;
    group_by_key(sets, key_count, keys, rules, count);
    return compact(sets, key_count, rule_words(rule_count));
}

void rule_sets_done(struct rule_sets *sets)
{
    free(sets->sets);
    free(sets->lists);
    free(sets->bits);
    *sets = (struct rule_sets){0};
}

const struct rule_set *rule_sets_get(const struct rule_sets *sets, uint32_t key)
{
    return &sets->sets[key];
}

/* The place of the first number that is not below `least`. */
static uint32_t lower_bound(const uint32_t *list, uint32_t count, size_t least)
{
    uint32_t at = 0;

    while (count) {
        uint32_t half = count / 2;

        if (list[at + half] < least) {
            at += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return at;
}

void rule_set_add(const struct rule_set *set, size_t first, size_t words, uint64_t *window)
{
    size_t start = first * 64, end = start + words * 64;

    if (set->is_bits) {
        for (size_t i = 0; i < words; i++)
            window[i] |= set->bits[first + i];
        return;
    }
    for (uint32_t i = lower_bound(set->list, set->count, start);
         i < set->count && set->list[i] < end; i++)
        set_bit(window, set->list[i] - (uint32_t)start);
}
