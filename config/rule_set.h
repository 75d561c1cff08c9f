/* rule_set.h - for each of many keys (the names of a table, its prefixes ...) the set of rules that
 * list it. A set is a list of rule numbers while it is small and bits when it is not, whichever is
 * cheaper; so the sets take memory in proportion to what is written in the rules. Used by rules
 * only. Pure.
 *
 * As bits, rules stand in blocks of 512 (vectors, which compilers know how to treat as one). They are
 * looked at through a window of some blocks, because as many as there are rules would not fit on a
 * stack. */
#ifndef PAIRSOCKS_RULE_SET_H
#define PAIRSOCKS_RULE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Not aligned to its size, for malloc() does not do that. */
typedef uint64_t rule_block __attribute__((vector_size(64), aligned(8)));

enum { RULES_A_BLOCK = 512 };

/* How many blocks the bits of `rules` take. */
static inline size_t rule_blocks(size_t rules)
{
    return (rules + RULES_A_BLOCK - 1) / RULES_A_BLOCK;
}

static inline void rule_bit_set(rule_block *blocks, size_t rule)
{
    blocks[rule / RULES_A_BLOCK][rule / 64 % 8] |= (uint64_t)1 << rule % 64;
}

static inline bool rule_bit(const rule_block *blocks, size_t rule)
{
    return blocks[rule / RULES_A_BLOCK][rule / 64 % 8] >> rule % 64 & 1;
}

/* The first of `count` blocks' bits; SIZE_MAX: none. */
size_t rule_bit_first(const rule_block *blocks, size_t count);

struct rule_set;

struct rule_sets {
    struct rule_set *sets; /* owned, as the other two: one for each key */
    uint32_t *lists;
    rule_block *bits;
    size_t blocks; /* of the bits of all rules */
};

/* The sets of the keys 0 to `key_count` - 1: the set of keys[i] holds rules[i]. A rule may come for
 * a key more than once, and rules[] never goes down. False without memory; *sets can be given to
 * rule_sets_done() in any case. */
bool rule_sets_init(struct rule_sets *sets, size_t key_count, size_t rule_count,
                    const uint32_t *keys, const uint32_t *rules, size_t count);
void rule_sets_done(struct rule_sets *sets);

const struct rule_set *rule_sets_get(const struct rule_sets *sets, uint32_t key);

/* A set that is bits can take more rules for nothing. */
bool rule_set_is_bits(const struct rule_set *set);

/* Adds the rules of `other` to the set of `key`, which is bits. */
void rule_sets_include(struct rule_sets *sets, uint32_t key, uint32_t other);

/* Sets the bits of all rules of the `n` sets in a window: `count` blocks, of which window[0] is block
 * `first` of all. */
void rule_set_add_all(const struct rule_set *const *sets, size_t n, size_t first, size_t count,
                      rule_block *window);

#endif
