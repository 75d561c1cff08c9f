/* test_login_cache.c - what is remembered, for whom, how long, and what it is bound to. */
#include "daemon/login_cache.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(login_cache, .timeout = 10);

static struct users *users_of(const char *text)
{
    char *copy = strdup(text);
    FILE *in = fmemopen(copy, strlen(copy), "r");
    struct users *users = users_read(in, "users", stderr);

    fclose(in);
    free(copy);
    cr_assert(users);
    return users;
}

static struct login_digest login(const char *content, const char *user, const char *password)
{
    struct users *users = users_of(content);
    struct login_digest file = login_digest_of_users(users);

    users_unref(users);
    return login_digest_of(&file, user, strlen(user), password, strlen(password));
}

#define FILE_A "a:$5$rounds=1000$x$W1DfaBOXWTLSpAIZWkBDTsl4qLZZjgO0jhWGb3YWaX6\n"

Test(login_cache, only_the_same_login_is_known)
{
    struct login_cache *cache = login_cache_new();
    struct login_digest good = login(FILE_A, "ab", "c");
    const struct login_digest others[] = {
        login(FILE_A, "a", "bc"),
        login(FILE_A, "abc", ""),
        login(FILE_A, "ab", "d"),
        login(FILE_A, "ab", "cc"),
        login("# other\n" FILE_A, "ab", "c"),
    };
    struct login_digest again = login(FILE_A, "ab", "c");

    login_cache_remember(cache, &good, 100);
    cr_assert(login_cache_knows(cache, &again, 0));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(login_cache_knows(cache, &others[i], 0), "row %zu", i);
    login_cache_free(cache);
}

Test(login_cache, a_login_is_forgotten_in_time)
{
    struct login_cache *cache = login_cache_new();
    struct login_digest good = login(FILE_A, "a", "b");

    login_cache_remember(cache, &good, 1000);
    cr_assert(login_cache_knows(cache, &good, 999));
    cr_assert_not(login_cache_knows(cache, &good, 1000));
    login_cache_remember(cache, &good, 2000);
    cr_assert(login_cache_knows(cache, &good, 1999));
    login_cache_free(cache);
}

Test(login_cache, bytes_of_any_kind_and_the_longest_fields_are_told_apart)
{
    struct login_cache *cache = login_cache_new();
    struct login_digest file = login_digest_of_users(NULL), one, other;
    char bytes[255] = {0};

    one = login_digest_of(&file, bytes, 255, bytes, 255);
    bytes[254] = 1;
    other = login_digest_of(&file, bytes, 255, bytes, 255);
    login_cache_remember(cache, &one, 1);
    cr_assert(login_cache_knows(cache, &one, 0));
    cr_assert_not(login_cache_knows(cache, &other, 0));
    login_cache_free(cache);
}

/* However many there are, the latest are there, and memory is what it was. */
Test(login_cache, a_crowd_pushes_out_who_would_go_first)
{
    enum { CROWD = 100000, LATEST = 100 };
    struct login_cache *cache = login_cache_new();
    struct login_digest file = login_digest_of_users(NULL);
    unsigned known = 0;

    for (unsigned i = 0; i < CROWD; i++) {
        struct login_digest one = login_digest_of(&file, &i, sizeof i, "", 0);

        login_cache_remember(cache, &one, 1000 + i);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        struct login_digest one = login_digest_of(&file, &i, sizeof i, "", 0);
        bool is_known = login_cache_knows(cache, &one, 0);

        known += is_known;
        cr_assert(is_known || i < CROWD - LATEST);
    }
    cr_assert_lt(known, CROWD / 10);
    login_cache_free(cache);
}
