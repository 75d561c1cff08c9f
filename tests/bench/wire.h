/* wire.h - what the clients (load.c) and the target (target.c) say to each other through a
 * proxy. Both check every byte, so a proxy that loses, mixes up or invents one never gets a
 * figure.
 *
 * The first byte of a connection says what the target does with it:
 *   'E'                        echo: this byte and all that follow come back
 *   'U', seed, length (8, BE)  up: the client sends `length` bytes of the pattern; the target
 *                              checks them and answers with UP_GOOD
 *   'D', seed, length (8, BE)  down: the target sends `length` bytes of the pattern
 * The client ends its direction first, always; then the target ends the other. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { WIRE_ECHO = 'E', WIRE_UP = 'U', WIRE_DOWN = 'D', WIRE_UP_GOOD = 'K' };

#define WIRE_HEADER 10         /* bytes of an up or down command */
#define WIRE_CHUNK (256 << 10) /* most bytes in one read or write */

/* Pseudo-random bytes that repeat after a prime, so that no power of two that a proxy might slip
 * by hides. Call wire_init() first. */
void wire_init(void);

/* WIRE_CHUNK bytes of the pattern of stream `seed`, from its byte `at` on. */
const uint8_t *wire_pattern(uint8_t seed, uint64_t at);

/* Writes a line on stderr and ends the process with status 1: a benchmark has no second chance.
 * errno is added if `err` is not 0. */
void die(int err, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* Raises the soft limit of descriptors to the hard one. */
void raise_descriptor_limit(void);

/* Serves on `port` of every address of the loopback interface, prints "ready", and returns when stdin ends. */
void target_run(uint16_t port);

#endif
