/* test_check_script.c - the dialogue of a check: in order, at the beginnings of lines, within bounds. */
#include "daemon/check_script.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(check_script, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static uint8_t t220[] = "220", t250[] = "250", t221[] = "221", helo[] = "HELO a\r\n",
               quit[] = "QUIT\r\n", binary[] = "\x05\x00";

static struct config_check smtp[] = {
    {CHECK_CONNECT, NULL, 0}, {CHECK_EXPECT, t220, 3}, {CHECK_SEND, helo, 8},
    {CHECK_EXPECT, t250, 3},  {CHECK_SEND, quit, 6},   {CHECK_EXPECT, t221, 3},
};

static struct check_script *script_of(struct config_check *checks, unsigned count)
{
    struct config_upstream upstream = {
        .type = UPSTREAM_SOCKS5, .checks = checks, .check_count = count};
    struct check_script *script = check_script_new(&upstream);

    cr_assert(script);
    return script;
}

static bool hear(struct check_script *script, const char *text)
{
    return check_script_hear(script, (const uint8_t *)text, strlen(text));
}

static void expect_to_say(struct check_script *script, const void *text, size_t n)
{
    size_t length;
    const uint8_t *next = check_script_next(script, &length);

    cr_assert(next);
    cr_assert_eq(length, n);
    cr_assert_eq(memcmp(next, text, n), 0);
    check_script_sent(script, n);
}

static void expect_silence(const struct check_script *script)
{
    size_t n;

    cr_assert_null(check_script_next(script, &n));
    cr_assert_not(check_script_is_over(script));
}

Test(check_script, smtp_goes_on_only_after_each_code)
{
    struct check_script *script = script_of(smtp, COUNT(smtp));

    expect_silence(script);
    cr_assert(hear(script, "22"));
    expect_silence(script);
    cr_assert(hear(script, "0 mail.example ESMTP\r\n"));
    expect_to_say(script, helo, 8);
    expect_silence(script);
    cr_assert(hear(script, "550 no\r\n250"));
    expect_to_say(script, quit, 6);
    cr_assert(hear(script, " ok\r\n221-bye\r\n"));
    cr_assert(check_script_is_over(script));
    check_script_free(script);
}

Test(check_script, parts_of_what_is_said_are_said_once)
{
    struct check_script *script = script_of(smtp, COUNT(smtp));
    size_t n;

    cr_assert(hear(script, "220"));
    check_script_sent(script, 3);
    cr_assert_eq(memcmp(check_script_next(script, &n), "O a\r\n", 5), 0);
    cr_assert_eq(n, 5);
    check_script_sent(script, 5);
    expect_silence(script);
    cr_assert(hear(script, "\r\n250 a"));
    expect_to_say(script, quit, 6);
    cr_assert(hear(script, "\r\n221 bye\r\n"));
    cr_assert(check_script_is_over(script));
    check_script_free(script);
}

Test(check_script, text_counts_at_the_beginning_of_a_line_alone)
{
    struct check_script *script = script_of(smtp + 1, 1);

    cr_assert(hear(script, " 220\r\nx220\r\n2"));
    expect_silence(script);
    cr_assert(hear(script, "20\r\n"));
    cr_assert(check_script_is_over(script));
    check_script_free(script);
}

Test(check_script, texts_may_follow_each_other_without_a_line)
{
    struct config_check steps[] = {{CHECK_EXPECT, binary, 2}, {CHECK_EXPECT, binary, 2}};
    struct check_script *script = script_of(steps, 2);

    cr_assert(check_script_hear(script, (const uint8_t *)"\5\0\5", 3));
    expect_silence(script);
    cr_assert(check_script_hear(script, (const uint8_t *)"\0", 1));
    cr_assert(check_script_is_over(script));
    check_script_free(script);
}

Test(check_script, answers_that_came_early_count_when_their_turn_comes)
{
    struct check_script *script = script_of(smtp, COUNT(smtp));

    cr_assert(hear(script, "220 a\r\n250 b\r\n221 c\r\n"));
    expect_to_say(script, helo, 8);
    expect_to_say(script, quit, 6);
    cr_assert(check_script_is_over(script));
    check_script_free(script);
}

Test(check_script, chatter_ends_somewhere)
{
    struct check_script *script = script_of(smtp, COUNT(smtp));
    char line[1001];
    unsigned lines = 0;

    memset(line, 'x', 1000);
    line[1000] = '\0';
    while (hear(script, line))
        lines++;
    cr_assert(lines >= 60 && lines <= 65, "%u", lines);
    check_script_free(script);

    script = script_of(smtp, COUNT(smtp)); /* the same while it is our turn */
    cr_assert(hear(script, "220"));
    for (lines = 0; hear(script, line); lines++)
        ;
    cr_assert(lines >= 60 && lines <= 65, "%u", lines);
    check_script_free(script);
}

static struct check_script *socks_of(int type, char *user, char *secret)
{
    static struct config_check socks = {CHECK_SOCKS, NULL, 0};
    struct config_upstream upstream = {
        .type = type, .checks = &socks, .check_count = 1, .user = user, .secret = secret};

    return check_script_new(&upstream);
}

Test(check_script, socks_is_the_greeting_and_the_password)
{
    char user[] = "bob", secret[] = "pw";
    struct check_script *script = socks_of(UPSTREAM_SOCKS5, NULL, NULL);

    expect_to_say(script, "\5\1\0", 3);
    cr_assert(check_script_hear(script, (const uint8_t *)"\5\0", 2));
    cr_assert(check_script_is_over(script));
    check_script_free(script);

    script = socks_of(UPSTREAM_SOCKS5, NULL, NULL);
    expect_to_say(script, "\5\1\0", 3);
    cr_assert_not(check_script_hear(script, (const uint8_t *)"\5\xff", 2));
    check_script_free(script);

    script = socks_of(UPSTREAM_SOCKS5, user, secret);
    expect_to_say(script, "\5\1\2", 3);
    cr_assert(check_script_hear(script, (const uint8_t *)"\5\2", 2));
    expect_to_say(script, "\1\3bob\2pw", 8);
    cr_assert_not(check_script_hear(script, (const uint8_t *)"\1\1", 2));
    check_script_free(script);

    script = socks_of(UPSTREAM_SOCKS4, user, NULL);
    expect_to_say(script, "\4\1\0\0\0\0\0\0bob", 12);
    cr_assert(check_script_hear(script, (const uint8_t *)"\0\x5b", 2));
    cr_assert(check_script_is_over(script));
    check_script_free(script);

    script = socks_of(UPSTREAM_HTTP, NULL, NULL);
    cr_assert(hear(script, ""));
    expect_to_say(script, "OPTIONS * HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n", 54);
    cr_assert_not(hear(script, "SSH-2.0"));
    check_script_free(script);
}

Test(check_script, what_is_waited_for_has_a_text)
{
    struct check_script *script = script_of(smtp, COUNT(smtp));
    char text[32];

    check_script_describe(script, text, sizeof text);
    cr_assert_str_eq(text, "expect 220");
    check_script_describe(script, text, 8);
    cr_assert_str_eq(text, "expect ");
    cr_assert(hear(script, "220"));
    check_script_describe(script, text, sizeof text);
    cr_assert_str_eq(text, "send"); /* and not what */
    check_script_free(script);
}
