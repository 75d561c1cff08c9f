/* hash.c - SipHash and where its key comes from. One compression round and three at the end are
 * enough for tables: no output is ever seen by anybody. */
#include "daemon/hash.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotated(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* SipRound, section 2.1 of the paper. */
static inline void mix(struct state *s, unsigned rounds)
{
    while (rounds--) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotated(s->v1, 13) ^ s->v0;
        s->v3 = rotated(s->v3, 16) ^ s->v2;
        s->v0 = rotated(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotated(s->v1, 17) ^ s->v2;
        s->v3 = rotated(s->v3, 21) ^ s->v0;
        s->v2 = rotated(s->v2, 32);
    }
}

/* Little-endian; `n` is at most 8. Of no bytes there need not be any. */
static inline uint64_t word_at(const uint8_t *at, size_t n)
{
    uint64_t word = 0;

    if (n > 0)
        memcpy(&word, at, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline uint64_t siphash(unsigned c, unsigned d, const uint8_t *key, const uint8_t *at,
                               size_t n)
{
    uint64_t k0 = word_at(key, 8), k1 = word_at(key + 8, 8), last;
    struct state s = {
        .v0 = k0 ^ 0x736f6d6570736575U, /* "somepseudorandomlygeneratedbytes" */
        .v1 = k1 ^ 0x646f72616e646f6dU,
        .v2 = k0 ^ 0x6c7967656e657261U,
        .v3 = k1 ^ 0x7465646279746573U,
    };

    for (size_t left = n; left >= 8; left -= 8, at += 8) {
        uint64_t word = word_at(at, 8);

        s.v3 ^= word;
        mix(&s, c);
        s.v0 ^= word;
    }
    last = word_at(at, n % 8) | (uint64_t)(n & 0xff) << 56;
    s.v3 ^= last;
    mix(&s, c);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    mix(&s, d);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_siphash(unsigned c, unsigned d, const uint8_t key[HASH_KEY_BYTES], const void *bytes,
                      size_t n)
{
    return siphash(c, d, key, bytes, n);
}

static uint8_t process_key[HASH_KEY_BYTES];
static pthread_once_t key_drawn = PTHREAD_ONCE_INIT;

/* A kernel that cannot give random bytes now (a filter forbids the call) gave every process 16 of
 * them when it started. */
static void draw_key(void)
{
    const void *at_start = (const void *)(uintptr_t)getauxval(AT_RANDOM);
    ssize_t n;

    do {
        n = getrandom(process_key, sizeof process_key, 0);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof process_key && at_start)
        memcpy(process_key, at_start, sizeof process_key);
}

uint64_t hash_bytes(const void *bytes, size_t n)
{
    pthread_once(&key_drawn, draw_key);
    return siphash(1, 3, process_key, bytes, n);
}
