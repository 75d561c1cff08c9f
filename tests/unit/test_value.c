/* test_value.c - the types of values in the ini file. All of the text must be the value: `10 s`,
 * `1e3` and `0x10` are mistakes that are told and not numbers that are guessed. */
#include "config/value.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(value, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* For every type: `good` sets the result, what is not good leaves it alone. */
struct row {
    const char *text;
    bool good;
    int64_t value;
};

static void expect_rows(bool (*parse)(const char *text, int64_t *ret), const struct row *rows,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -4711;

        cr_assert_eq(parse(rows[i].text, &value), rows[i].good, "\"%s\"", rows[i].text);
        cr_assert_eq(value, rows[i].good ? rows[i].value : -4711, "\"%s\"", rows[i].text);
    }
}

static const struct row numbers[] = {
    {"0", true, 0},
    {"1", true, 1},
    {"10", true, 10},
    {"007", true, 7},
    {"4294967296", true, 4294967296},
    {"999999999999999999", true, 999999999999999999},
    {"1000000000000000000", false, 0},
    {"9999999999999999999999999999999999999", false, 0},
    {"", false, 0},
    {" ", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"1 2", false, 0},
    {"-1", false, 0},
    {"+1", false, 0},
    {"1.0", false, 0},
    {"1,000", false, 0},
    {"1e3", false, 0},
    {"0x10", false, 0},
    {"ten", false, 0},
    {"1k", false, 0},
    {"\xD9\xA1", false, 0},
};

Test(value, numbers_are_decimal_and_nothing_else)
{
    expect_rows(value_number, numbers, COUNT(numbers));
}

static const struct row durations[] = {
    {"0", true, 0},
    {"0ms", true, 0},
    {"0h", true, 0},
    {"1ms", true, 1},
    {"500ms", true, 500},
    {"10s", true, 10000},
    {"5m", true, 300000},
    {"2h", true, 7200000},
    {"999999999999999999ms", true, 999999999999999999},
    {"2562047788015h", true, 2562047788015 * 3600000},
    {"2562047788016h", false, 0},
    {"999999999999999999h", false, 0},
    {"999999999999999999m", false, 0},
    {"1000000000000000000ms", false, 0},
    {"", false, 0},
    {"10", false, 0},
    {"00", false, 0},
    {"s", false, 0},
    {"ms", false, 0},
    {"10 s", false, 0},
    {" 10s", false, 0},
    {"10s ", false, 0},
    {"10S", false, 0},
    {"10sec", false, 0},
    {"10d", false, 0},
    {"10us", false, 0},
    {"1.5s", false, 0},
    {"-1s", false, 0},
    {"+1s", false, 0},
    {"1m30s", false, 0},
    {"1s,", false, 0},
};

Test(value, durations_have_a_unit_and_become_milliseconds)
{
    expect_rows(value_duration, durations, COUNT(durations));
}

static const struct row sizes[] = {
    {"0", true, 0},
    {"1", true, 1},
    {"65536", true, 65536},
    {"64k", true, 65536},
    {"64K", true, 65536},
    {"10M", true, 10485760},
    {"1G", true, 1073741824},
    {"8589934591G", true, 8589934591 * 1073741824},
    {"8589934592G", false, 0},
    {"999999999999999999G", false, 0},
    {"999999999999999999", true, 999999999999999999},
    {"", false, 0},
    {"k", false, 0},
    {"64 k", false, 0},
    {"64kB", false, 0},
    {"64KiB", false, 0},
    {"10m", false, 0},
    {"1g", false, 0},
    {"1T", false, 0},
    {"1.5k", false, 0},
    {"-1k", false, 0},
    {"0x1k", false, 0},
};

Test(value, sizes_are_bytes_in_powers_of_1024)
{
    expect_rows(value_size, sizes, COUNT(sizes));
}

static const struct {
    int64_t ms;
    const char *text;
} written[] = {
    {0, "0"},         {1, "1ms"},        {999, "999ms"},
    {1000, "1s"},     {1500, "1500ms"},  {60000, "1m"},
    {61000, "61s"},   {90000, "90s"},    {3600000, "1h"},
    {5400000, "90m"}, {86400000, "24h"}, {999999999999999999, "999999999999999999ms"},
};

Test(value, durations_are_written_in_the_largest_unit_that_says_them_exactly)
{
    for (size_t i = 0; i < COUNT(written); i++) {
        char text[VALUE_DURATION_TEXT_MAX];
        int64_t ms;

        value_duration_format(written[i].ms, text);
        cr_assert_str_eq(text, written[i].text);
        cr_assert(value_duration(text, &ms) && ms == written[i].ms);
    }
}

static const struct {
    int64_t size;
    const char *text;
} written_sizes[] = {
    {0, "0"},
    {1, "1"},
    {1023, "1023"},
    {1024, "1k"},
    {1025, "1025"},
    {65536, "64k"},
    {10485760, "10M"},
    {10486784, "10241k"},
    {1000000, "1000000"},
    {1073741824, "1G"},
    {1099511627776, "1024G"},
    {INT64_MAX, "9223372036854775807"},
};

Test(value, sizes_are_written_in_the_largest_unit_that_says_them_exactly)
{
    char text[VALUE_SIZE_TEXT_MAX];

    for (size_t i = 0; i < COUNT(written_sizes); i++) {
        value_size_format(written_sizes[i].size, text);
        cr_assert_str_eq(text, written_sizes[i].text);
    }
}

/* `|` stands between the entries that are found. */
static const struct {
    const char *text, *entries;
} lists[] = {
    {"a", "a|"},
    {"a,b", "a|b|"},
    {"a, b ,\tc", "a|b|c|"},
    {"  a  ", "a|"},
    {"a b, c d", "a b|c d|"},
    {"", "|"},
    {" ", "|"},
    {",", "||"},
    {"a,", "a||"},
    {",a", "|a|"},
    {"a,,b", "a||b|"},
    {" , , ", "|||"},
    {"a;b", "a;b|"},
};

Test(value, lists_are_split_at_commas_and_an_empty_entry_is_seen)
{
    for (size_t i = 0; i < COUNT(lists); i++) {
        const char *at = lists[i].text, *item = NULL;
        char found[64] = "";
        size_t n;

        while (value_list_next(&at, &item, &n)) {
            strncat(found, item, n);
            strcat(found, "|");
        }
        cr_assert_str_eq(found, lists[i].entries);
        cr_assert_not(value_list_next(&at, &item, &n));
    }
}
