/* wire.c - the pattern that both ends of the benchmark know, and the two helpers that both need
 * (wire.h). */
#define _GNU_SOURCE
#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PERIOD 65521  /* the greatest prime below 64 KiB */
#define SEED_STEP 257 /* the streams of one run start so far apart */

static uint8_t
    pattern[PERIOD + WIRE_CHUNK]; /* repeated, so that a chunk may start anywhere in the period */

void wire_init(void)
{
    uint64_t x = 0x9e3779b97f4a7c15; /* xorshift64 */
    for (size_t i = 0; i < PERIOD; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern[i] = x >> 32;
    }
    for (size_t i = PERIOD; i < sizeof(pattern); i++)
        pattern[i] = pattern[i - PERIOD];
}

const uint8_t *wire_pattern(uint8_t seed, uint64_t at)
{
    return pattern + (at + (uint64_t)seed * SEED_STEP) % PERIOD;
}

void die(int err, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (err)
        fprintf(stderr, "load: %s: %s\n", line, strerror(err));
    else
        fprintf(stderr, "load: %s\n", line);
    exit(1);
}

void raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}
