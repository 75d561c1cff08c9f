/* test_cursor.c - every parser stands on the cursor: it never reads behind its end, and once
 * short it stays short, so that one question after many reads is enough. */
#include "streams/cursor.h"

#include <criterion/criterion.h>

TestSuite(cursor, .timeout = 10);

static const uint8_t bytes[] = {1, 2, 3, 0xFF, 0xFE};

Test(cursor, reads_in_order_and_in_network_order)
{
    struct cursor c = cursor_over(bytes, sizeof bytes);

    cr_assert_eq(cursor_u8(&c), 1);
    cr_assert_eq(cursor_u16(&c), 0x0203);
    cr_assert_eq(cursor_left(&c), 2);
    cr_assert_eq(cursor_u16(&c), 0xFFFE);
    cr_assert_eq(cursor_left(&c), 0);
    cr_assert_not(cursor_short(&c));
}

Test(cursor, the_last_byte_can_be_read_and_not_the_one_behind_it)
{
    struct cursor c = cursor_over(bytes, 1);

    cr_assert_eq(cursor_u8(&c), 1);
    cr_assert_not(cursor_short(&c));
    cr_assert_eq(cursor_u8(&c), 0);
    cr_assert(cursor_short(&c));
}

Test(cursor, half_a_number_is_none_and_consumes_nothing)
{
    struct cursor c = cursor_over(bytes, 1);

    cr_assert_eq(cursor_u16(&c), 0);
    cr_assert(cursor_short(&c));
    cr_assert_eq(c.at, bytes);
}

Test(cursor, short_stays_short_even_for_reads_that_would_fit)
{
    struct cursor c = cursor_over(bytes, sizeof bytes);

    cr_assert_null(cursor_bytes(&c, sizeof bytes + 1));
    cr_assert_eq(cursor_u8(&c), 0);
    cr_assert_eq(cursor_u16(&c), 0);
    cr_assert_null(cursor_bytes(&c, 1));
    cr_assert_null(cursor_bytes(&c, 0));
    cr_assert(cursor_short(&c));
    cr_assert_eq(c.at, bytes);
}

Test(cursor, every_count_of_bytes_is_given_or_short)
{
    for (size_t n = 0; n <= sizeof bytes + 2; n++) {
        struct cursor c = cursor_over(bytes, sizeof bytes);
        const uint8_t *got = cursor_bytes(&c, n);

        cr_assert_eq(got != NULL, n <= sizeof bytes);
        cr_assert_eq(cursor_short(&c), n > sizeof bytes);
        cr_assert_eq(cursor_left(&c), n <= sizeof bytes ? sizeof bytes - n : sizeof bytes);
    }
}

Test(cursor, a_count_as_large_as_can_be_is_short)
{
    struct cursor c = cursor_over(bytes, sizeof bytes);

    cr_assert_null(cursor_bytes(&c, SIZE_MAX));
    cr_assert(cursor_short(&c));
}

Test(cursor, over_nothing_is_empty_and_not_short)
{
    struct cursor c = cursor_over(NULL, 0);

    cr_assert_eq(cursor_left(&c), 0);
    cr_assert_not(cursor_short(&c));
    cr_assert_eq(cursor_u8(&c), 0);
    cr_assert(cursor_short(&c));
}

Test(cursor, a_copy_goes_on_alone)
{
    struct cursor c = cursor_over(bytes, sizeof bytes), copy = c;

    cursor_bytes(&copy, sizeof bytes + 1);
    cr_assert(cursor_short(&copy));
    cr_assert_not(cursor_short(&c));
    cr_assert_eq(cursor_u8(&c), 1);
}

static const struct {
    const char *bytes;
    size_t max;
    enum parse parsed;
    const char *line; /* of DONE */
    size_t left;
} lines[] = {
    {"", 4, PARSE_MORE, NULL, 0},          {"\n", 4, PARSE_DONE, "", 0},
    {"\r\n", 4, PARSE_DONE, "", 0},        {"\r\r\n", 4, PARSE_DONE, "\r", 0},
    {"\r", 4, PARSE_MORE, NULL, 1},        {"ab\n", 4, PARSE_DONE, "ab", 0},
    {"ab\r\n", 4, PARSE_DONE, "ab", 0},    {"a\rb\n", 4, PARSE_DONE, "a\rb", 0},
    {"abc\n", 4, PARSE_DONE, "abc", 0},    {"abc", 4, PARSE_MORE, NULL, 3},
    {"abc\r", 4, PARSE_BAD, NULL, 4},      {"abc\r\n", 4, PARSE_BAD, NULL, 5},
    {"abcd\n", 4, PARSE_BAD, NULL, 5},     {"\n\n", 4, PARSE_DONE, "", 1},
    {"a\r\nb\r\n", 4, PARSE_DONE, "a", 3}, {"\n", 0, PARSE_BAD, NULL, 1},
    {"", 0, PARSE_BAD, NULL, 0},
};

Test(cursor, a_line_ends_in_lf_or_cr_lf_within_its_max)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct cursor c = cursor_over(lines[i].bytes, strlen(lines[i].bytes));
        const char *line = NULL;
        size_t n = 99;

        cr_assert_eq(cursor_line(&c, lines[i].max, &line, &n), lines[i].parsed, "row %zu", i);
        cr_assert_eq(cursor_left(&c), lines[i].left, "row %zu", i);
        cr_assert_not(cursor_short(&c));
        if (lines[i].parsed == PARSE_DONE)
            cr_assert(n == strlen(lines[i].line) && memcmp(line, lines[i].line, n) == 0, "row %zu",
                      i);
        else
            cr_assert(!line && n == 99, "row %zu: result set", i);
    }
}

Test(cursor, a_cursor_over_nothing_has_no_line)
{
    struct cursor c = cursor_over(NULL, 0);
    const char *line;
    size_t n;

    cr_assert_eq(cursor_line(&c, 10, &line, &n), PARSE_MORE);
}
