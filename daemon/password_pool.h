/* password_pool.h - compares passwords with hashes in threads of its own: a good hash takes
 * milliseconds on purpose, and no worker has them. A bounded number waits, and of one host only a
 * few. The hosts take turns, one check of each at a time, and a host that keeps failing waits
 * longer and longer for its next turn: who guesses hinders himself alone. What a host asks again
 * while it waits for the answer is not checked again: a browser opens many connections at once. The
 * threads start with the first check.
 *
 * A check belongs to the pool until its owner's inbox has handed it back. */
#ifndef PAIRSOCKS_PASSWORD_POOL_H
#define PAIRSOCKS_PASSWORD_POOL_H

#include "daemon/host_key.h"
#include "daemon/password_check.h"

#define PASSWORD_POOL_CHECKS_MAX 1024 /* that wait, of all hosts */
#define PASSWORD_POOL_HOST_MAX 16     /* and of one */
#define PASSWORD_POOL_HOSTS_MAX 4096  /* whose failures are remembered */
#define PASSWORD_POOL_FORGET_MS (5 * 60 * 1000)

struct password_pool;

/* `threads` at most. NULL without memory. */
struct password_pool *password_pool_new(unsigned threads);

/* Ends the threads; checks that wait are dropped, unanswered. Harmless with NULL. */
void password_pool_free(struct password_pool *pool);

/* The answer comes into the inbox. NULL: too many wait, or there is no memory. */
struct password_check *password_pool_check(struct password_pool *pool,
                                           const struct password_question *question,
                                           struct password_inbox *inbox, void *owner);

/* How long a host waits before its next check after so many failures, in ms. Pure. */
uint64_t password_pool_delay(unsigned failures);

#endif
