/* test_answer.c - what the daemon writes is read back, and whatever else comes is refused or harmless. */
#include "cli/answer.h"

#include "daemon/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(answer, .timeout = 10);

static struct answer *parse(const char *text)
{
    static char copy[4096];

    cr_assert(strlen(text) < sizeof copy);
    return answer_parse(strcpy(copy, text));
}

static void expect_text(const char *text, const char *expected)
{
    struct answer *answer = parse(text);

    cr_assert_not_null(answer, "%s", text);
    cr_assert_eq(answer->kind, ANSWER_TEXT);
    cr_assert_str_eq(answer->text, expected);
    answer_free(answer);
}

Test(answer, members_are_found_and_what_is_not_there_is_nothing)
{
    struct answer *answer = parse(
        " { \"ok\" : true, \"n\":18446744073709551615 , \"t\":\"x\",\"z\":null,\"l\":[ 1 ,2]}\n");

    cr_assert_not_null(answer);
    cr_assert(answer_is(answer, "ok"));
    cr_assert_eq(answer_number(answer, "n"), UINT64_MAX);
    cr_assert_str_eq(answer_text(answer, "t"), "x");
    cr_assert_eq(answer_member(answer, "l")->first->next->number, 2);
    cr_assert_str_eq(answer_text(answer, "z"), "");
    cr_assert_str_eq(answer_text(answer, "n"), "");
    cr_assert_eq(answer_number(answer, "t"), 0);
    cr_assert_not(answer_is(answer, "absent"));
    cr_assert_eq(answer_member(answer, "absent")->kind, ANSWER_NULL);
    cr_assert_null(answer_member(answer_member(answer, "absent"), "deeper")->first);
    answer_free(answer);
}

Test(answer, numbers_are_whole_and_never_below_0)
{
    static const struct {
        const char *text;
        uint64_t number;
    } numbers[] = {{"0", 0}, {"-5", 0}, {"1.9", 1}, {"12e0", 12}, {"7", 7}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct answer *answer = parse(numbers[i].text);

        cr_assert_not_null(answer, "%s", numbers[i].text);
        cr_assert_eq(answer->number, numbers[i].number, "%s", numbers[i].text);
        answer_free(answer);
    }
}

Test(answer, escapes_are_what_they_mean)
{
    expect_text("\"a\\\"b\\\\c\\/d\"", "a\"b\\c/d");
    expect_text("\"\\u00fc\\u20AC\\ud83d\\udc11\"", "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x90\x91");
    expect_text("\"\\ud83d!\"", "\xEF\xBF\xBD!");
    expect_text("\"\\u0000\"", "\xEF\xBF\xBD");
}

Test(answer, no_text_orders_a_terminal_about)
{
    expect_text("\"a\\n\\u001b[2J\\u007f\\u009b\\u202e\\u2066z\"", "a??[2J????z");
}

Test(answer, what_is_no_json_is_refused)
{
    static const char *const bad[] = {
        "",     " ",      "{",          "}",           "[",           "[1",        "[1,",
        "[1,]", "{\"a\"", "{\"a\":",    "{\"a\":1,}",  "{a:1}",       "{\"a\" 1}", "nul",
        "tru",  "01",     "-",          "1.",          "1e",          ".5",        "+1",
        "\"",   "\"\\",   "\"\\x\"",    "\"\\u12\"",   "\"\\u12g4\"", "\"a\nb\"",  "1 2",
        "{}}",  "[]]",    "true false", "\"a\" \"b\"",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_null(parse(bad[i]), "%s", bad[i]);
}

Test(answer, depth_is_bounded)
{
    char text[2 * ANSWER_DEPTH_MAX + 8];
    struct answer *answer;

    for (int depth = ANSWER_DEPTH_MAX; depth <= ANSWER_DEPTH_MAX + 2; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        answer = answer_parse(text);
        cr_assert_eq(answer != NULL, depth <= ANSWER_DEPTH_MAX + 1, "%d", depth);
        answer_free(answer);
    }
}

Test(answer, whatever_bytes_the_daemon_writes_are_read)
{
    for (unsigned i = 0; i < 256 * 256; i += 7) {
        char bytes[] = {(char)(i >> 8), (char)i, 'x'};
        struct answer *answer;
        struct json json;
        const char *text;
        char copy[64];
        size_t n;

        json_init(&json, 64);
        json_bytes(&json, NULL, bytes, sizeof bytes);
        text = json_text(&json, &n);
        cr_assert_not_null(text);
        answer = answer_parse(strcpy(copy, text));
        cr_assert_not_null(answer, "%s", text);
        cr_assert_eq(answer->text[strlen(answer->text) - 1], 'x');
        answer_free(answer);
        json_done(&json);
    }
}
