/* test_json.c - what is written is JSON, whatever bytes it is of, and never more than was allowed. */
#include "daemon/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(json, .timeout = 10);

static void expect(struct json *json, const char *expected)
{
    size_t n;
    const char *text = json_text(json, &n);

    cr_assert_not_null(text);
    cr_assert_str_eq(text, expected);
    cr_assert_eq(n, strlen(expected));
    json_done(json);
}

static void expect_string(const char *bytes, size_t n, const char *expected)
{
    struct json json;

    json_init(&json, 4096);
    json_bytes(&json, NULL, bytes, n);
    expect(&json, expected);
}

#define EXPECT_STRING(bytes, expected) expect_string(bytes, sizeof bytes - 1, expected)

Test(json, nothing_is_an_empty_text)
{
    struct json json;

    json_init(&json, 10);
    expect(&json, "");
}

Test(json, values_nest_with_commas_between_them)
{
    struct json json;

    json_init(&json, 4096);
    json_begin_object(&json, NULL);
    json_string(&json, "name", "a");
    json_begin_array(&json, "list");
    json_number(&json, NULL, 0);
    json_number(&json, NULL, UINT64_MAX);
    json_begin_object(&json, NULL);
    json_end_object(&json);
    json_begin_array(&json, NULL);
    json_end_array(&json);
    json_end_array(&json);
    json_bool(&json, "yes", true);
    json_bool(&json, "no", false);
    json_null(&json, "nothing");
    json_string(&json, "none", NULL);
    json_end_object(&json);
    expect(&json,
           "{\"name\":\"a\",\"list\":[0,18446744073709551615,{},[]],\"yes\":true,\"no\":false,"
           "\"nothing\":null,\"none\":null}");
}

Test(json, reals_are_numbers_or_null)
{
    struct json json;

    json_init(&json, 4096);
    json_begin_array(&json, NULL);
    json_real(&json, NULL, 0.25);
    json_real(&json, NULL, -3);
    json_real(&json, NULL, 1e300);
    json_real(&json, NULL, NAN);
    json_real(&json, NULL, INFINITY);
    json_end_array(&json);
    expect(&json, "[0.25,-3,1e+300,null,null]");
}

Test(json, controls_quotes_and_backslashes_are_escaped)
{
    EXPECT_STRING("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
    EXPECT_STRING("\0\n\x1b\x1f \x7f", "\"\\u0000\\u000a\\u001b\\u001f \\u007f\"");
}

Test(json, utf8_stays_what_it_is)
{
    EXPECT_STRING("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x91 \xF4\x8F\xBF\xBF",
                  "\"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x91 \xF4\x8F\xBF\xBF\"");
}

Test(json, what_orders_a_terminal_about_is_escaped_in_utf8_too)
{
    EXPECT_STRING("\xC2\x9B\x32J", "\"\\u009b2J\"");
    EXPECT_STRING("\xE2\x80\xAE\xE2\x81\xA6\xE2\x80\xA8\xE2\x80\x8F",
                  "\"\\u202e\\u2066\\u2028\\u200f\"");
}

#define BAD "\xEF\xBF\xBD"

Test(json, each_byte_that_is_not_utf8_is_replaced)
{
    EXPECT_STRING("a\xFFz", "\"a" BAD "z\"");
    EXPECT_STRING("\x80", "\"" BAD "\"");
    EXPECT_STRING("\xC0\xAF", "\"" BAD BAD "\"");                 /* overlong */
    EXPECT_STRING("\xE0\x80\xAF", "\"" BAD BAD BAD "\"");         /* overlong */
    EXPECT_STRING("\xED\xA0\x80", "\"" BAD BAD BAD "\"");         /* a surrogate */
    EXPECT_STRING("\xF4\x90\x80\x80", "\"" BAD BAD BAD BAD "\""); /* beyond U+10FFFF */
    EXPECT_STRING("\xE2\x82", "\"" BAD BAD "\"");                 /* cut */
    EXPECT_STRING("\xE2\x82\"", "\"" BAD BAD "\\\"\"");           /* the quote is not part of it */
}

Test(json, keys_are_escaped_too)
{
    struct json json;

    json_init(&json, 4096);
    json_begin_object(&json, NULL);
    json_number(&json, "a\"\xFF", 1);
    json_end_object(&json);
    expect(&json, "{\"a\\\"" BAD "\":1}");
}

Test(json, any_length_is_written)
{
    enum { N = 100000 };
    struct json json;
    size_t n;
    const char *text;

    json_init(&json, 10 * N);
    json_begin_array(&json, NULL);
    for (unsigned i = 0; i < N; i++)
        json_number(&json, NULL, i % 10);
    json_end_array(&json);
    text = json_text(&json, &n);
    cr_assert_not_null(text);
    cr_assert_eq(n, 2 * N + 1);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(text[1 + 2 * i], (char)('0' + i % 10));
    json_done(&json);
}

Test(json, bound_is_met_exactly_and_never_crossed)
{
    struct json json;
    size_t n;

    json_init(&json, 5);
    json_string(&json, NULL, "abc");
    expect(&json, "\"abc\"");
    for (size_t max = 0; max < 5; max++) {
        json_init(&json, max);
        json_string(&json, NULL, "abc");
        cr_assert_null(json_text(&json, &n), "%zu", max);
        json_done(&json);
    }
}

Test(json, what_finds_no_place_can_be_taken_back)
{
    struct json json;
    struct json_mark mark;

    json_init(&json, 10);
    json_begin_array(&json, NULL);
    mark = json_mark(&json);
    json_string(&json, NULL, "too long for it");
    json_return(&json, mark);
    json_string(&json, NULL, "abc");
    mark = json_mark(&json);
    json_string(&json, NULL, "abc");
    json_return(&json, mark);
    json_number(&json, NULL, 1);
    json_end_array(&json);
    expect(&json, "[\"abc\",1]");
}

Test(json, room_is_what_the_bound_leaves)
{
    struct json json;

    json_init(&json, 10);
    cr_assert_eq(json_room(&json), 10);
    json_string(&json, NULL, "abc");
    cr_assert_eq(json_room(&json), 5);
    json_string(&json, NULL, "abc");
    cr_assert_eq(json_room(&json), 0);
    json_done(&json);
}
