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

#include "config/users.h"
#include "daemon/host_key.h"
#include "daemon/login_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_POOL_CHECKS_MAX 1024 /* that wait, of all hosts */
#define PASSWORD_POOL_HOST_MAX 16     /* and of one */
#define PASSWORD_POOL_HOSTS_MAX 4096  /* whose failures are remembered */
#define PASSWORD_POOL_FORGET_MS (5 * 60 * 1000)

struct password_check {
    struct password_check *next;
    struct password_inbox *inbox;
    struct password_check *followers; /* that ask the same */
    void *owner; /* the owner's, in its thread; NULL: it does not wait any more */
    struct users *users;
    struct login_digest login;
    uint8_t user_length, password_length;
    char user[USERS_NAME_MAX + 1];
    char password[256]; /* wiped once it is checked */
    bool matches;       /* the answer */
    atomic_bool is_cancelled;
};

/* Answered checks, waiting for their owner: one for each thread that owns any. It must outlive the
 * pool's threads. */
struct password_inbox {
    pthread_mutex_t lock;
    struct password_check *first, **last;
    void (*wake)(void *context); /* in a thread of the pool */
    void *context;
};

void password_inbox_init(struct password_inbox *inbox, void (*wake)(void *context), void *context);

/* Frees the answers that nobody has taken. */
void password_inbox_done(struct password_inbox *inbox);

/* The next answer; NULL: none. To be freed with password_check_free(). */
struct password_check *password_inbox_next(struct password_inbox *inbox);
void password_check_free(struct password_check *check);

struct password_pool;

/* `threads` at most. NULL without memory. */
struct password_pool *password_pool_new(unsigned threads);

/* Ends the threads; checks that wait are dropped, unanswered. Harmless with NULL. */
void password_pool_free(struct password_pool *pool);

/* What is to be checked: bytes of anything, at most 255 of each. */
struct password_question {
    struct users *users;       /* borrowed */
    struct login_digest login; /* login_digest_of() them, the user and the password */
    const void *user, *password;
    uint8_t user_length, password_length;
    struct ip_address host; /* the client's */
};

/* The answer comes into the inbox. NULL: too many wait, or there is no memory. */
struct password_check *password_pool_check(struct password_pool *pool,
                                           const struct password_question *question,
                                           struct password_inbox *inbox, void *owner);

/* The owner does not wait any more; the check goes by itself. The owner's thread. */
void password_check_cancel(struct password_check *check);

/* How long a host waits before its next check after so many failures, in ms. Pure. */
uint64_t password_pool_delay(unsigned failures);

/* Whether the password is the user's. An unknown user takes the time of a known one. Milliseconds. */
bool password_matches(const struct users *users, const void *user, size_t user_length,
                      const void *password, size_t password_length);

#endif
