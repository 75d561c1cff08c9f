/* random.h - numbers for tests that try many values: the same ones in every run, so that what
 * failed once fails again. For tests only; nothing in them is hard to guess. */
#ifndef PAIRSOCKS_TESTS_RANDOM_H
#define PAIRSOCKS_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Marsaglia's xorshift64*. The seed is not 0. */
static inline uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545F4914F6CDD1DU;
}

/* 0 .. bound - 1 */
static inline size_t random_below(uint64_t *seed, size_t bound)
{
    return (size_t)(random_next(seed) >> 16) % bound;
}

static inline void random_fill(uint64_t *seed, void *out, size_t n)
{
    uint8_t *at = out;

    while (n--)
        *at++ = (uint8_t)(random_next(seed) >> 32);
}

#endif
