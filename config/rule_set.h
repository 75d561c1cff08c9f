/* rule_set.h - for each of many keys (the names of a table, its prefixes ...) the set of rules that
 * list it. A set is a list of rule numbers while it is small and bits when it is not, whichever is
 * cheaper; so the sets take memory in proportion to what is written in the rules. Used by rules
 * only. Pure.
 *
 * Bits of rules stand in words of 64, rule r in bit r % 64 of word r / 64. They are looked at through
 * a window of some words, because as many as there are rules would not fit on a stack. */
#ifndef PAIRSOCKS_RULE_SET_H
#define PAIRSOCKS_RULE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rule_set;

struct rule_sets {
    struct rule_set *sets; /* owned, as the other two: one for each key */
    uint32_t *lists;
    uint64_t *bits;
};

/* How many words the bits of `rules` take. */
static inline size_t rule_words(size_t rules)
{
    return (rules + 63) / 64;
}

/* The sets of the keys 0 to `key_count` - 1: the set of keys[i] holds rules[i]. A rule may come for
 * a key more than once, and rules[] never goes down. False without memory; *sets can be given to
 * rule_sets_done() in any case. */
bool rule_sets_init(struct rule_sets *sets, size_t key_count, size_t rule_count,
                    const uint32_t *keys, const uint32_t *rules, size_t count);
void rule_sets_done(struct rule_sets *sets);

const struct rule_set *rule_sets_get(const struct rule_sets *sets, uint32_t key);

/* Sets the bits of the set's rules in a window: `words` words, of which window[0] is word `first`
 * of all. */
void rule_set_add(const struct rule_set *set, size_t first, size_t words, uint64_t *window);

#endif
