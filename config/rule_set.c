/* rule_set.c - rules grouped by key with a counting sort, which keeps them in order. */
#include "config/rule_set.h"

#include <stdlib.h>
#include <string.h>

struct rule_set {
    union {
        uint32_t *list;   /* rule numbers going up; borrowed from the rule_sets */
        rule_block *bits; /* likewise */
    };
    uint32_t count;
    bool is_bits;
};

size_t rule_bit_first(const rule_block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t word = 0; word < 8; word++)
            if (blocks[i][word])
                return i * RULES_A_BLOCK + word * 64 + (size_t)__builtin_ctzll(blocks[i][word]);
    return SIZE_MAX;
}

/* A list takes no more memory up to 16 rules a block, and no more time up to about 4. */
static bool is_cheaper_as_bits(size_t count, size_t blocks)
{
    return count > 4 * blocks;
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

static void turn_into_bits(struct rule_set *set, rule_block *bits)
{
    for (uint32_t i = 0; i < set->count; i++)
        rule_bit_set(bits, set->list[i]);
    set->bits = bits;
    set->is_bits = true;
}

/* Large sets become bits, and the lists of the others move together. */
static bool compact(struct rule_sets *sets, size_t key_count)
{
    size_t blocks = sets->blocks;
    uint32_t *list = sets->lists;
    rule_block *bits;
    size_t large = 0;

    for (size_t k = 0; k < key_count; k++)
        large += is_cheaper_as_bits(sets->sets[k].count, blocks);
    bits = sets->bits = calloc(large * blocks + 1, sizeof *bits);
    if (!bits)
        return false;
    for (size_t k = 0; k < key_count; k++) {
        struct rule_set *set = &sets->sets[k];

        if (is_cheaper_as_bits(set->count, blocks)) {
            turn_into_bits(set, bits);
            bits += blocks;
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
        .blocks = rule_blocks(rule_count),
    };
    if (!sets->sets || !sets->lists)
        return false;
    group_by_key(sets, key_count, keys, rules, count);
    return compact(sets, key_count);
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

bool rule_set_is_bits(const struct rule_set *set)
{
    return set->is_bits;
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

static void add_list(const struct rule_set *set, size_t start, size_t end, rule_block *window)
{
    uint32_t i = start ? lower_bound(set->list, set->count, start) : 0;

    for (; i < set->count && set->list[i] < end; i++)
        rule_bit_set(window, set->list[i] - start);
}

void rule_set_add_all(const struct rule_set *const *sets, size_t n, size_t first, size_t count,
                      rule_block *window)
{
    for (size_t i = 0; i < n; i++)
        if (!sets[i]->is_bits)
            add_list(sets[i], first * RULES_A_BLOCK, (first + count) * RULES_A_BLOCK, window);
    /* Block by block, so that a sum over many sets stays in registers. */
    for (size_t block = 0; block < count; block++) {
        rule_block sum = window[block];

        for (size_t i = 0; i < n; i++)
            if (sets[i]->is_bits)
                sum |= sets[i]->bits[first + block];
        window[block] = sum;
    }
}

void rule_sets_include(struct rule_sets *sets, uint32_t key, uint32_t other)
{
    const struct rule_set *added = &sets->sets[other];

    rule_set_add_all(&added, 1, 0, sets->blocks, sets->sets[key].bits);
}
