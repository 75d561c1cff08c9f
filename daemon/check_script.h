/* check_script.h - the dialogue of a health check: what is said to a server and what it has to answer,
 * step by step. Pure: bytes in, bytes out. Nothing is sent before what is expected has come. */
#ifndef PAIRSOCKS_CHECK_SCRIPT_H
#define PAIRSOCKS_CHECK_SCRIPT_H

#include "config/config.h"

/* Whoever says more than this without a word that is expected, fails; bytes. */
#define CHECK_CHATTER_MAX 65536

struct check_script;

/* The `send` and `expect` steps of the upstream, and before them those that `socks` stands for: the
 * greeting and our credentials (RFC 1928, 3; RFC 1929); with SOCKS4, which has no greeting, a request
 * that can only be refused; with HTTP the method OPTIONS. NULL: no memory. */
struct check_script *check_script_new(const struct config_upstream *upstream);
void check_script_free(struct check_script *script); /* wipes the credentials; harmless with NULL */

/* What is to be sent next; NULL: it is not our turn. */
const uint8_t *check_script_next(const struct check_script *script, size_t *ret_n);

/* So much of it was sent. */
void check_script_sent(struct check_script *script, size_t n);

/* What the server says. A text that is expected has to stand at the beginning of a line, or directly
 * behind the one that was expected before; what else stands there is passed over. False: too much
 * came, or another answer than `socks` takes. */
bool check_script_hear(struct check_script *script, const uint8_t *bytes, size_t n);

bool check_script_is_over(const struct check_script *script);

/* What is waited for, as the file has it, in `out` of `size` bytes; of `socks` and `send` the word
 * alone, for the text may hold a password. */
void check_script_describe(const struct check_script *script, char *out, size_t size);

#endif
