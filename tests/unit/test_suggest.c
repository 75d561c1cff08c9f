/* test_suggest.c - which word is near to which. */
#include "config/suggest.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(suggest, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define FAR (SUGGEST_DISTANCE_MAX + 1)

static const struct {
    const char *a, *b;
    unsigned distance;
} pairs[] = {
    {"", "", 0},
    {"queue", "queue", 0},
    {"Queue", "qUEUE", 0},
    {"", "ab", 2},
    {"quee", "queue", 1},   /* inserted */
    {"queuee", "queue", 1}, /* removed */
    {"qveue", "queue", 1},  /* replaced */
    {"uqeue", "queue", 1},  /* exchanged */
    {"uqeeu", "queue", 2},
    {"loglevel", "log_level", 1},
    {"log_levle", "log_level", 1},
    {"ca", "abc", FAR}, /* c and a are exchanged, but b stands between them then */
    {"kitten", "sitting", FAR},
    {"abcdef", "fedcba", FAR},
    {"a", "abcd", FAR},
    {"abcd", "a", FAR},
    {"", "abc", FAR},
};

Test(suggest, distance_counts_letters_inserted_removed_replaced_and_exchanged)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        cr_assert_eq(suggest_distance(pairs[i].a, pairs[i].b), pairs[i].distance, "%s %s",
                     pairs[i].a, pairs[i].b);
        cr_assert_eq(suggest_distance(pairs[i].b, pairs[i].a), pairs[i].distance, "%s %s",
                     pairs[i].b, pairs[i].a);
    }
}

Test(suggest, words_of_any_length_can_be_asked_for)
{
    char a[300], b[300];

    memset(a, 'x', sizeof a);
    a[127] = '\0';
    strcpy(b, a);
    b[5] = 'y';
    cr_assert_eq(suggest_distance(a, b), 1);
    memset(a, 'x', sizeof a);
    a[128] = '\0';
    cr_assert_eq(suggest_distance(a, a), FAR);
    a[128] = 'x';
    a[299] = '\0';
    cr_assert_eq(suggest_distance(a, "x"), FAR);
    cr_assert_eq(suggest_distance("x", a), FAR);
}

static const char *nearest(const char *word, const char *const *candidates)
{
    struct suggestion suggestion = {.word = word};

    for (; *candidates; candidates++)
        suggestion_offer(&suggestion, *candidates);
    return suggestion.best;
}

Test(suggest, nearest_word_is_offered_and_none_when_all_are_far)
{
    static const char *const words[] = {"any", "no", "yes", "allow", "deny", "queue", "auth", NULL};

    cr_assert_str_eq(nearest("alow", words), "allow");
    cr_assert_str_eq(nearest("denny", words), "deny");
    cr_assert_str_eq(nearest("que", words), "queue");
    cr_assert_str_eq(nearest("yse", words), "yes");
    cr_assert_str_eq(nearest("on", words), "no");
    cr_assert_null(nearest("", words));
    cr_assert_null(nearest("x", words));
    cr_assert_null(nearest("nu", (const char *const[]){"yes", NULL}));
    cr_assert_null(nearest("x:y", words));
    cr_assert_null(nearest("workers", words));
}

Test(suggest, first_of_the_nearest_wins)
{
    cr_assert_str_eq(nearest("socks", (const char *const[]){"socks4", "socks5", NULL}), "socks4");
    cr_assert_str_eq(nearest("sockz5", (const char *const[]){"socks4", "socks5", NULL}), "socks5");
}
