/* login_cache.c - sets of a few entries each; a digest belongs to one set. */
#include "daemon/login_cache.h"

#include "daemon/hash.h"
#include "daemon/short_lock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SETS = 512, WAYS = 8, LOCKS = 16, FIELD_MAX = 255 };

struct entry {
    struct login_digest login;
    uint64_t until; /* 0: free */
};

struct login_cache {
    pthread_mutex_t locks[LOCKS];
    struct entry entries[SETS][WAYS];
};

static uint8_t keys[2][HASH_KEY_BYTES];
static pthread_once_t keys_drawn = PTHREAD_ONCE_INIT;

static void draw_keys(void)
{
    if (getrandom(keys, sizeof keys, 0) != (ssize_t)sizeof keys)
        abort(); /* up to 256 bytes cannot fail on a kernel that has it (getrandom(2)) */
}

static struct login_digest digest(const void *bytes, size_t n)
{
    struct login_digest result;

    pthread_once(&keys_drawn, draw_keys);
    for (int i = 0; i < 2; i++)
        result.half[i] = hash_siphash(2, 4, keys[i], bytes, n);
    return result;
}

struct login_digest login_digest_of_users(const struct users *users)
{
    size_t n = 0;
    const void *content = users ? users_content(users, &n) : "";

    return digest(content, n);
}

struct login_digest login_digest_of(const struct login_digest *users, const void *user,
                                    size_t user_length, const void *password,
                                    size_t password_length)
{
    uint8_t bytes[sizeof *users + 1 + FIELD_MAX + FIELD_MAX], *at = bytes;
    struct login_digest result;

    at = mempcpy(at, users, sizeof *users);
    *at++ = (uint8_t)user_length; /* or `ab` with `c` would be `a` with `bc` */
    at = mempcpy(at, user, user_length);
    at = mempcpy(at, password, password_length);
    result = digest(bytes, (size_t)(at - bytes));
    explicit_bzero(bytes, sizeof bytes);
    return result;
}

struct login_cache *login_cache_new(void)
{
    struct login_cache *cache = calloc(1, sizeof *cache);

    for (int i = 0; cache && i < LOCKS; i++)
        short_lock_init(&cache->locks[i]);
    return cache;
}

void login_cache_free(struct login_cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->locks[i]);
    explicit_bzero(cache->entries, sizeof cache->entries);
    free(cache);
}

static unsigned set_of(const struct login_digest *login)
{
    return (unsigned)(login->half[0] % SETS);
}

bool login_digest_equal(const struct login_digest *a, const struct login_digest *b)
{
    return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

bool login_cache_knows(struct login_cache *cache, const struct login_digest *login, uint64_t now)
{
    const unsigned set = set_of(login);
    const struct entry *entries = cache->entries[set];
    bool known = false;

    pthread_mutex_lock(&cache->locks[set % LOCKS]);
    for (int i = 0; i < WAYS; i++)
        known = known || (entries[i].until > now && login_digest_equal(&entries[i].login, login));
    pthread_mutex_unlock(&cache->locks[set % LOCKS]);
    return known;
}

/* Its own place, else the one that is or will be free first. */
static struct entry *place_for(struct entry *entries, const struct login_digest *login)
{
    struct entry *place = &entries[0];

    for (int i = 0; i < WAYS; i++) {
        if (login_digest_equal(&entries[i].login, login))
            return &entries[i];
        if (entries[i].until < place->until)
            place = &entries[i];
    }
    return place;
}

void login_cache_remember(struct login_cache *cache, const struct login_digest *login,
                          uint64_t until)
{
    const unsigned set = set_of(login);

    pthread_mutex_lock(&cache->locks[set % LOCKS]);
    *place_for(cache->entries[set], login) = (struct entry){*login, until};
    pthread_mutex_unlock(&cache->locks[set % LOCKS]);
}
