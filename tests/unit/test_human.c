/* test_human.c - numbers for people, and tables of them. */
#include "cli/human.h"

#include "cli/table.h"
#include "cli/top_view.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(human, .timeout = 10);

Test(human, bytes_have_a_unit)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } numbers[] = {
        {0, "0"},           {1023, "1023"},       {1024, "1.0k"},
        {1536, "1.5k"},     {10 * 1024, "10k"},   {1048576, "1.0M"},
        {1023999, "1000k"}, {5ULL << 40, "5.0T"}, {UINT64_MAX, "16E"},
    };
    char out[HUMAN_MAX];

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cr_assert_str_eq(human_bytes(numbers[i].bytes, out), numbers[i].text);
}

Test(human, durations_have_two_units_where_one_says_too_little)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } durations[] = {
        {0, "0.0s"},        {999, "0.9s"},       {9999, "9.9s"},       {10000, "10s"},
        {59999, "59s"},     {60000, "1m00s"},    {304000, "5m04s"},    {3600000, "1h00m"},
        {7620000, "2h07m"}, {86400000, "1d00h"}, {273600000, "3d04h"},
    };
    char out[HUMAN_MAX];

    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        cr_assert_str_eq(human_duration(durations[i].ms, out), durations[i].text);
}

Test(human, no_time_is_a_dash)
{
    char out[HUMAN_MAX];

    cr_assert_str_eq(human_time(0, out), "-");
    cr_assert_eq(strlen(human_time(1700000000, out)), strlen("2023-11-14 22:13:20"));
}

/* ---- tables */

static const struct table_column columns[] = {{"NAME", false}, {"N", true}, {"LAST", false}};

static void expect_table(const struct table *table, size_t rows, unsigned width,
                         const char *expected)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    table_print(table, out, rows, width);
    fclose(out);
    cr_assert_str_eq(text, expected);
    free(text);
}

static struct table some_table(void)
{
    struct table table = {.columns = columns, .column_count = 3};

    table_add(&table, "a");
    table_add_number(&table, 5);
    table_add(&table, "x y");
    table_add(&table, "gr\xC3\xBC\xC3\x9F"
                      "e");
    table_add_format(&table, "%d%%", 100);
    table_add(&table, "");
    return table;
}

Test(human, columns_are_as_wide_as_what_is_in_them)
{
    struct table table = some_table();

    expect_table(&table, SIZE_MAX, 0,
                 "NAME      N  LAST\n"
                 "a         5  x y\n"
                 "gr\xC3\xBC\xC3\x9F"
                 "e  100%  -\n");
    table_done(&table);
}

Test(human, rows_and_columns_are_bounded)
{
    struct table table = some_table();

    expect_table(&table, 1, 0, "NAME  N  LAST\na     5  x y\n");
    expect_table(&table, SIZE_MAX, 4, "NAME\na\ngr\xC3\xBC\xC3\x9F\n");
    expect_table(&table, 0, 0, "NAME  N  LAST\n");
    table_done(&table);
}

/* ---- top */

static char *view_of(struct top_view *view, const char *sessions, double now, unsigned rows)
{
    char status_text[] =
        "{\"version\":\"1\",\"state\":\"serving\",\"uptime_ms\":1000,\"sessions\":2,"
        "\"max_sessions\":9}";
    char *sessions_text = strdup(sessions), *text;
    struct answer *status = answer_parse(status_text), *answer = answer_parse(sessions_text);
    size_t n;
    FILE *out = open_memstream(&text, &n);

    cr_assert(status && answer);
    top_view_print(view, status, answer, now, rows, 0, out);
    fclose(out);
    answer_free(status);
    answer_free(answer);
    free(sessions_text);
    return text;
}

#define SESSION(id, sent)                                                                          \
    "{\"id\":" #id ",\"client\":\"c" #id "\",\"sent\":" #sent ",\"received\":0,\"state\":"         \
    "\"relay\"}"

Test(human, top_shows_first_who_moves_most)
{
    struct top_view view = {0};
    char *text = view_of(&view, "{\"sessions\":[" SESSION(1, 5000) "," SESSION(2, 100) "]}", 10, 0);

    cr_assert(strstr(text, "sent 0/s"), "nothing is known of rates yet: %s", text);
    cr_assert(strstr(text, "c1") < strstr(text, "c2"));
    free(text);
    text = view_of(&view,
                   "{\"sessions\":[" SESSION(1, 5000) "," SESSION(2, 2100) "," SESSION(3, 10) "]}",
                   12, 0);
    cr_assert(strstr(text, "pairsocksd 1  serving  up 1.0s  sessions 2 of 9  sent 1005/s"), "%s",
              text);
    cr_assert(strstr(text, "c2") < strstr(text, "c3"), "%s", text);
    cr_assert(strstr(text, "c3") < strstr(text, "c1"), "%s", text);
    free(text);
    text = view_of(&view, "{\"sessions\":[" SESSION(1, 5000) "," SESSION(2, 2100) "]}", 13, 4);
    cr_assert(strstr(text, "c1") && !strstr(text, "c2"), "only as many lines as there are: %s",
              text);
    free(text);
    top_view_done(&view);
}
