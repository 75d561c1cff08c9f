/* password_check.h - one question whether a password is right, from the session that asks to the inbox
 * that has the answer, and the milliseconds in between. Who has his turn when, password_pool.c
 * decides. */
#ifndef PAIRSOCKS_PASSWORD_CHECK_H
#define PAIRSOCKS_PASSWORD_CHECK_H

#include "config/users.h"
#include "daemon/login_cache.h"
#include "streams/address.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What is to be checked: bytes of anything, at most 255 of each. */
struct password_question {
    struct users *users;       /* borrowed */
    struct login_digest login; /* login_digest_of() them, the user and the password */
    const void *user, *password;
    uint8_t user_length, password_length;
    struct ip_address host; /* the client's */
};

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

/* The owner does not wait any more; the check goes by itself. The owner's thread. */
void password_check_cancel(struct password_check *check);

/* Wipes it. */
void password_check_free(struct password_check *check);

/* Whether the password is the user's. An unknown user takes the time of a known one. Milliseconds. */
bool password_matches(const struct users *users, const void *user, size_t user_length,
                      const void *password, size_t password_length);

/* ---- for password_pool.c */

/* NULL without memory. The inbox is borrowed. */
struct password_check *password_check_new(const struct password_question *question,
                                          struct password_inbox *inbox, void *owner);

/* Somebody still waits for the answer, of this one or of its followers. */
bool password_check_is_wanted(const struct password_check *check);

/* It needs no turn of its own: the leader's answer is its own. */
void password_check_follow(struct password_check *leader, struct password_check *check);

/* Finds the answer. Milliseconds; no lock should be held. */
void password_check_run(struct password_check *check);

/* Hands it and its followers back; they are their owners' then. */
void password_check_answer(struct password_check *check);

/* Frees it and its followers. */
void password_check_drop(struct password_check *check);

#endif
