/* test_text_table.c - texts are found whole, their endings behind dots are found, and nothing else. */
#include "config/text_table.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(text_table, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct text_table *table_of(const char *const *texts, size_t count, uint32_t *ret_numbers)
{
    struct text_table *table = text_table_new(texts, count, ret_numbers);

    cr_assert(table);
    return table;
}

static uint32_t find(const struct text_table *table, const char *text)
{
    return text_table_find(table, text, strlen(text));
}

Test(text_table, empty_one_holds_nothing)
{
    struct text_table *table = table_of(NULL, 0, NULL);
    uint32_t numbers[4];

    cr_assert_eq(text_table_count(table), 0);
    cr_assert_eq(find(table, ""), TEXT_NONE);
    cr_assert_eq(find(table, "a"), TEXT_NONE);
    cr_assert_eq(text_table_find_behind_dots(table, "a.b", 3, numbers, COUNT(numbers)), 0);
    text_table_free(table);
    text_table_free(NULL);
}

Test(text_table, equal_texts_have_one_number_and_others_another)
{
    static const char *const texts[] = {"a", "b", "a", "A", "", "ab", "ba", "b", ""};
    uint32_t numbers[COUNT(texts)];
    struct text_table *table = table_of(texts, COUNT(texts), numbers);

    cr_assert_eq(text_table_count(table), 6);
    for (size_t i = 0; i < COUNT(texts); i++) {
        cr_assert_lt(numbers[i], 6);
        cr_assert_eq(find(table, texts[i]), numbers[i]);
        for (size_t j = 0; j < COUNT(texts); j++)
            cr_assert_eq(numbers[i] == numbers[j], strcmp(texts[i], texts[j]) == 0);
    }
    cr_assert_eq(find(table, "aa"), TEXT_NONE);
    cr_assert_eq(find(table, "B"), TEXT_NONE);
    cr_assert_eq(text_table_find(table, "a\0", 2), TEXT_NONE);
    cr_assert_eq(text_table_find(table, "abc", 2), numbers[5]);
    text_table_free(table);
}

Test(text_table, endings_are_those_behind_dots)
{
    static const char *const texts[] = {"c", "b.c", "a.b.c", "bb.c", "", "x", "c."};
    uint32_t given[COUNT(texts)], found[8];
    struct text_table *table = table_of(texts, COUNT(texts), given);

    cr_assert_eq(text_table_find_behind_dots(table, "a.b.c", 5, found, COUNT(found)), 2);
    cr_assert(found[0] == given[0] && found[1] == given[1]);
    cr_assert_eq(text_table_find_behind_dots(table, "z.a.b.c", 7, found, COUNT(found)), 3);
    cr_assert(found[2] == given[2]);
    cr_assert_eq(text_table_find_behind_dots(table, "bb.c", 4, found, COUNT(found)), 1);
    cr_assert_eq(text_table_find_behind_dots(table, ".c", 2, found, COUNT(found)), 0);
    cr_assert_eq(text_table_find_behind_dots(table, "c", 1, found, COUNT(found)), 0);
    cr_assert_eq(text_table_find_behind_dots(table, "x.y", 3, found, COUNT(found)), 0);
    cr_assert_eq(text_table_find_behind_dots(table, "", 0, found, COUNT(found)), 0);
    cr_assert_eq(text_table_find_behind_dots(table, "z.a.b.c", 7, found, 2), 2);
    cr_assert_eq(text_table_find_behind_dots(table, "z.a.b.c", 7, found, 0), 0);
    text_table_free(table);
}

Test(text_table, many_texts_are_told_apart)
{
    enum { MANY = 20000 };
    static char texts[MANY][8];
    static const char *list[MANY];
    static uint32_t numbers[MANY];
    struct text_table *table;

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(texts[i], sizeof texts[i], "%x", i);
        list[i] = texts[i];
    }
    table = table_of(list, MANY / 2, numbers);
    cr_assert_eq(text_table_count(table), MANY / 2);
    for (unsigned i = 0; i < MANY; i++)
        cr_assert_eq(find(table, list[i]), i < MANY / 2 ? numbers[i] : TEXT_NONE);
    text_table_free(table);
}

/* Texts of letters and dots, many of which end in others. */
static size_t random_text(uint64_t *seed, char *out)
{
    size_t n = random_below(seed, 12);

    for (size_t i = 0; i < n; i++)
        out[i] = "ab.."[random_below(seed, 4)];
    out[n] = '\0';
    return n;
}

Test(text_table, says_what_comparing_every_text_says)
{
    uint64_t seed = 815;

    for (int round = 0; round < 300; round++) {
        char texts[40][16], text[16];
        const char *list[COUNT(texts)];
        uint32_t numbers[COUNT(texts)], found[32];
        struct text_table *table;

        for (size_t i = 0; i < COUNT(texts); i++) {
            random_text(&seed, texts[i]);
            list[i] = texts[i];
        }
        table = table_of(list, COUNT(texts), numbers);
        for (int question = 0; question < 100; question++) {
            size_t n = random_text(&seed, text);
            size_t count = text_table_find_behind_dots(table, text, n, found, COUNT(found));

            for (size_t i = 0; i < COUNT(texts); i++) {
                size_t length = strlen(texts[i]);
                bool is_ending = length && n > length + 1 && text[n - length - 1] == '.' &&
                                 strcmp(text + n - length, texts[i]) == 0;
                bool is_found = false;

                for (size_t j = 0; j < count; j++)
                    is_found |= found[j] == numbers[i];
                cr_assert_eq(is_found, is_ending, "round %d: %s in %s", round, texts[i], text);
                cr_assert_eq(text_table_find(table, text, n) == numbers[i],
                             strcmp(text, texts[i]) == 0, "round %d", round);
            }
        }
        text_table_free(table);
    }
}
