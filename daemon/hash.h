/* hash.h - a keyed hash for tables whose keys peers choose: addresses of clients, names of users.
 * Without the key, which is drawn once per process, nobody can find keys that meet in one place
 * of a table and make every look at it slow. SipHash (Aumasson, Bernstein, "SipHash: a fast
 * short-input PRF", 2012). Any thread. */
#ifndef PAIRSOCKS_HASH_H
#define PAIRSOCKS_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_KEY_BYTES 16

/* SipHash-1-3 with this process's key: the same bytes give the same number until the process
 * ends, never a number to be stored or shown. Cannot fail. */
uint64_t hash_bytes(const void *bytes, size_t n);

/* SipHash-c-d itself; pure. */
uint64_t hash_siphash(unsigned c, unsigned d, const uint8_t key[HASH_KEY_BYTES], const void *bytes,
                      size_t n);

#endif
