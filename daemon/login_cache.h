/* login_cache.h - the good logins of the last minute, so that a password is hashed once and not for
 * each connection. Kept are keyed digests alone, with a key that this process drew: nobody who
 * reads them later learns a password. Bounded; whoever finds no place pushes out the one that
 * would be forgotten first. Any thread; short locks, one for each of several parts. */
#ifndef PAIRSOCKS_LOGIN_CACHE_H
#define PAIRSOCKS_LOGIN_CACHE_H

#include "config/users.h"

#include <stdbool.h>
#include <stdint.h>

struct login_cache;

/* 128 bits; equal: the same bytes, for all that anybody can do. */
struct login_digest {
    uint64_t half[2];
};

/* Of a users file's content: with other content another login is meant. NULL has one, too. */
struct login_digest login_digest_of_users(const struct users *users);

/* Of a login against such a file. Bytes of anything, at most 255 of each. */
struct login_digest login_digest_of(const struct login_digest *users, const void *user,
                                    size_t user_length, const void *password,
                                    size_t password_length);

bool login_digest_equal(const struct login_digest *a, const struct login_digest *b);

/* NULL without memory. */
struct login_cache *login_cache_new(void);
void login_cache_free(struct login_cache *cache);

/* `now`: ms. */
bool login_cache_knows(struct login_cache *cache, const struct login_digest *login, uint64_t now);

/* Until `until`, or until others need its place. */
void login_cache_remember(struct login_cache *cache, const struct login_digest *login,
                          uint64_t until);

#endif
