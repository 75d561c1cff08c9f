/* test_ident.c - the query of the Identification Protocol, and which replies name a user (RFC
 * 1413, 6): only those for the ports that were asked for, in the form of the RFC, of a bounded
 * length. */
#include "streams/ident.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(ident, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* The ports of all replies below; the RFC's example. */
enum { THEIRS = 6193, OURS = 23 };

struct outcome {
    enum parse parsed;
    size_t consumed;
    struct ident_user user;
    struct stream_error error;
};

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != 0xA5)
            return false;
    return true;
}

/* Parses a copy of exactly `n` bytes, so that a sanitizer sees the first byte read behind it. */
static struct outcome parse(const char *reply, size_t n)
{
    char *copy = malloc(n ? n : 1);
    struct outcome o;
    struct cursor in;

    cr_assert(copy);
    memcpy(copy, reply, n);
    memset(&o, 0xA5, sizeof o);
    in = cursor_over(copy, n);
    o.parsed = ident_parse_reply(&in, THEIRS, OURS, &o.user, &o.error);
    o.consumed = (size_t)(in.at - (const uint8_t *)copy);
    free(copy);
    cr_assert_eq(is_filled(&o.error, sizeof o.error), o.parsed != PARSE_BAD);
    if (o.parsed != PARSE_DONE)
        cr_assert(is_filled(&o.user, sizeof o.user));
    if (o.parsed == PARSE_MORE)
        cr_assert_eq(o.consumed, 0);
    return o;
}

static void expect_bad(const char *reply, size_t n)
{
    struct outcome o = parse(reply, n);

    cr_assert_eq(o.parsed, PARSE_BAD, "taken: %s", reply);
    cr_assert(stream_error_is(&o.error, ERROR_AUTH_IDENT_NO_ANSWER), "%s", reply);
}

Test(ident, a_query_is_their_port_and_ours)
{
    char query[IDENT_QUERY_MAX];

    cr_assert_eq(ident_write_query(THEIRS, OURS, query), 11);
    cr_assert_arr_eq(query, "6193 , 23\r\n", 11);
    cr_assert_eq(ident_write_query(0, 1, query), 7);
    cr_assert_arr_eq(query, "0 , 1\r\n", 7);
    cr_assert_eq(ident_write_query(65535, 65535, query), 15);
    cr_assert_arr_eq(query, "65535 , 65535\r\n", 15);
}

static const struct {
    const char *reply;
    const char *user;
} taken[] = {
    {"6193, 23 : USERID : UNIX : stjohns\r\n", "stjohns"}, /* the RFC's */
    {"6193, 23 : USERID : UNIX : stjohns\n", "stjohns"},
    {"6193,23:USERID:UNIX:stjohns\r\n", "stjohns"},
    {"6193 , 23 : USERID : OTHER : StJohns\r\n", "StJohns"},
    {"6193, 23 : USERID : OTHER, US-ASCII : s\r\n", "s"},
    {"6193, 23 : USERID : UNIX,UTF-8 :j\xC3\xB6rg\r\n", "j\xC3\xB6rg"},
    {" \t6193\t,\t23\t:\tUSERID\t:\tUNIX\t:\tu\r\n", "u"},
    {"   6193   ,   23   :   USERID   :   UNIX   :   u\r\n", "u"},
    {"6193,23:userid:unix:u\r\n", "u"},
    {"6193,23:UserId:x y z:u\r\n", "u"},
    {"6193,23:USERID:UNIX:a:b : c\r\n", "a:b : c"},
    {"6193,23:USERID:UNIX: :\r\n", ":"},
    {"6193,23:USERID:UNIX:u \t\r\n", "u \t"}, /* blanks behind it are the user's */
    {"6193,23:USERID:UNIX: \t u v\r\n", "u v"},
    {"6193,23:USERID:UNIX:,\r\n", ","},
    {"6193,23:USERID:UNIX:\x1B\x01\x7F\xFF\r\n", "\x1B\x01\x7F\xFF"},
};

static void expect_user(const char *reply, const struct outcome *o, const char *user)
{
    cr_assert_eq(o->parsed, PARSE_DONE, "%s", reply);
    cr_assert_eq(o->consumed, strlen(reply), "%s", reply);
    cr_assert_eq(o->user.length, strlen(user), "%s", reply);
    cr_assert_str_eq(o->user.name, user, "%s", reply);
}

Test(ident, a_reply_for_our_ports_names_a_user)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct outcome o = parse(taken[i].reply, strlen(taken[i].reply));

        expect_user(taken[i].reply, &o, taken[i].user);
    }
}

Test(ident, every_prefix_waits_for_more)
{
    for (size_t i = 0; i < COUNT(taken); i++)
        for (size_t n = 0; n < strlen(taken[i].reply); n++)
            cr_assert_eq(parse(taken[i].reply, n).parsed, PARSE_MORE, "%s at %zu", taken[i].reply,
                         n);
}

Test(ident, nothing_behind_the_line_is_consumed)
{
    static const char *const behind[] = {"\n", "\r\n", "x", "6193,23:USERID:UNIX:root\r\n"};

    for (size_t i = 0; i < COUNT(taken); i++) {
        for (size_t j = 0; j < COUNT(behind); j++) {
            char reply[200];
            struct outcome o;

            strcpy(stpcpy(reply, taken[i].reply), behind[j]);
            o = parse(reply, strlen(reply));
            expect_user(taken[i].reply, &o, taken[i].user);
        }
    }
}

#define ROW(reply)                                                                                 \
    {                                                                                              \
        reply, sizeof(reply) - 1                                                                   \
    }

/* The last byte of each is the one that decides. */
static const struct {
    const char *reply;
    size_t n;
} refused[] = {
    ROW("\r\n"),
    ROW("\n"),
    ROW("x\r\n"),
    ROW(":::::::\r\n"),
    ROW("6193, 23 : ERROR : NO-USER\r\n"),
    ROW("6193, 23 : ERROR : HIDDEN-USER : root\r\n"),
    ROW("6193, 23 : ERROR : UNIX : root\r\n"),
    ROW("0, 0 : ERROR : INVALID-PORT\r\n"),
    /* other ports */
    ROW("6194, 23 : USERID : UNIX : root\r\n"),
    ROW("6193, 24 : USERID : UNIX : root\r\n"),
    ROW("23, 6193 : USERID : UNIX : root\r\n"),
    ROW("0, 0 : USERID : UNIX : root\r\n"),
    ROW("71729, 23 : USERID : UNIX : root\r\n"), /* 6193 + 65536 */
    ROW("6193, 65559 : USERID : UNIX : root\r\n"),
    /* no ports */
    ROW("06193, 23 : USERID : UNIX : root\r\n"),
    ROW("6193, 023 : USERID : UNIX : root\r\n"),
    ROW("+6193, 23 : USERID : UNIX : root\r\n"),
    ROW("6193x, 23 : USERID : UNIX : root\r\n"),
    ROW("61 93, 23 : USERID : UNIX : root\r\n"),
    ROW(", 23 : USERID : UNIX : root\r\n"),
    ROW("6193, : USERID : UNIX : root\r\n"),
    ROW("6193 23 : USERID : UNIX : root\r\n"),
    ROW("6193 : 23 : USERID : UNIX : root\r\n"),
    ROW("6193, 23, 1 : USERID : UNIX : root\r\n"),
    ROW("6193,, 23 : USERID : UNIX : root\r\n"),
    ROW("USERID : UNIX : root\r\n"),
    /* no user */
    ROW("6193, 23\r\n"),
    ROW("6193, 23 :\r\n"),
    ROW("6193, 23 : USERID\r\n"),
    ROW("6193, 23 : USERID :\r\n"),
    ROW("6193, 23 : USERID : UNIX\r\n"),
    ROW("6193, 23 : USERID : UNIX :\r\n"),
    ROW("6193, 23 : USERID : UNIX : \t \r\n"),
    ROW("6193, 23 : USERID : UNIX :\n"),
    ROW("6193, 23 : USERID :: root\r\n"),
    ROW("6193, 23 : USERID : \t : root\r\n"),
    /* another word */
    ROW("6193, 23 : : UNIX : root\r\n"),
    ROW("6193, 23 : USER : UNIX : root\r\n"),
    ROW("6193, 23 : USERIDS : UNIX : root\r\n"),
    ROW("6193, 23 : USER ID : UNIX : root\r\n"),
    ROW("6193, 23 : UNIX : USERID : root\r\n"),
    /* octets that no line holds */
    ROW("6193, 23 : USERID : UNIX : ro\0ot\r\n"),
    ROW("6193, 23 : USERID : UNIX : root\0\r\n"),
    ROW("6193, 23 : USERID : UNIX\0 : root\r\n"),
    ROW("6193\0, 23 : USERID : UNIX : root\r\n"),
    ROW("6193, 23 : USERID : UNIX : ro\rot\r\n"),
    ROW("6193, 23 : USERID : UNIX : root\r\r\n"),
    ROW("6193, 23 : USERID : UNIX : \r\r\n"),
    ROW("\r6193, 23 : USERID : UNIX : root\r\n"),
};

Test(ident, what_is_no_answer_is_refused_at_the_end_of_its_line)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        for (size_t n = 0; n < refused[i].n; n++)
            cr_assert_eq(parse(refused[i].reply, n).parsed, PARSE_MORE, "%s at %zu",
                         refused[i].reply, n);
        expect_bad(refused[i].reply, refused[i].n);
    }
}

/* What was said first counts. */
Test(ident, a_good_line_behind_a_bad_one_saves_nothing)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        char reply[200];

        memcpy(reply, refused[i].reply, refused[i].n);
        strcpy(reply + refused[i].n, taken[0].reply);
        expect_bad(reply, refused[i].n + strlen(taken[0].reply));
    }
}

Test(ident, a_user_is_of_any_octets_but_three)
{
    for (int byte = 0; byte < 256; byte++) {
        char reply[] = "6193, 23 : USERID : UNIX : u.v\r\n";
        struct outcome o;

        if (byte == '\n')
            continue;
        *strchr(reply, '.') = (char)byte;
        o = parse(reply, sizeof reply - 1);
        cr_assert_eq(o.parsed, byte == 0 || byte == '\r' ? PARSE_BAD : PARSE_DONE, "byte %d", byte);
    }
}

Test(ident, a_user_of_255_bytes_is_taken_and_one_of_256_is_not)
{
    for (size_t n = 1; n < 600; n++) {
        char reply[700] = "6193,23:USERID:UNIX: ";
        size_t start = strlen(reply);
        struct outcome o;

        memset(reply + start, 'u', n);
        strcpy(reply + start + n, "\r\n");
        if (n > IDENT_USER_MAX) {
            expect_bad(reply, strlen(reply));
            continue;
        }
        o = parse(reply, strlen(reply));
        cr_assert_eq(o.parsed, PARSE_DONE, "%zu bytes", n);
        cr_assert_eq(o.user.length, n);
        cr_assert_eq(strlen(o.user.name), n);
    }
}

/* A reply of `n` bytes: blanks are free where the RFC has them. */
static void draw(char *out, size_t n)
{
    static const char end[] = ":USERID:UNIX:u\r\n";

    memset(out, ' ', n);
    memcpy(out, "6193,23", 7);
    memcpy(out + n - strlen(end), end, strlen(end));
}

Test(ident, a_line_of_1024_bytes_is_taken_and_one_of_1025_is_not)
{
    char reply[IDENT_REPLY_MAX + 10];
    struct outcome o;

    draw(reply, IDENT_REPLY_MAX);
    cr_assert_eq(parse(reply, IDENT_REPLY_MAX - 1).parsed, PARSE_MORE);
    o = parse(reply, IDENT_REPLY_MAX);
    cr_assert_eq(o.parsed, PARSE_DONE);
    cr_assert_str_eq(o.user.name, "u");
    for (size_t n = IDENT_REPLY_MAX + 1; n <= sizeof reply; n++) {
        draw(reply, n);
        expect_bad(reply, n);
        expect_bad(reply, IDENT_REPLY_MAX); /* told without its end */
        cr_assert_eq(parse(reply, IDENT_REPLY_MAX - 1).parsed, PARSE_MORE);
    }
}

Test(ident, every_pair_of_ports_is_compared_whole)
{
    static const uint16_t ports[] = {0, 1, 23, 113, 255, 256, 6193, 32768, 65535};

    for (size_t i = 0; i < COUNT(ports) * COUNT(ports); i++) {
        for (size_t j = 0; j < COUNT(ports) * COUNT(ports); j++) {
            uint16_t asked[] = {ports[i / COUNT(ports)], ports[i % COUNT(ports)]};
            uint16_t told[] = {ports[j / COUNT(ports)], ports[j % COUNT(ports)]};
            struct stream_error error;
            struct ident_user user;
            char reply[100];
            size_t n = ident_write_query(told[0], told[1], reply) - 2;
            struct cursor in;

            strcpy(reply + n, " : USERID : UNIX : u\r\n");
            in = cursor_over(reply, strlen(reply));
            cr_assert_eq(ident_parse_reply(&in, asked[0], asked[1], &user, &error),
                         i == j ? PARSE_DONE : PARSE_BAD, "%s", reply);
        }
    }
}

Test(ident, rubbish_names_nobody)
{
    uint64_t seed = 1413;

    for (int round = 0; round < 20000; round++) {
        char reply[64];
        struct outcome o;

        random_fill(&seed, reply, sizeof reply);
        reply[sizeof reply - 1] = '\n';
        o = parse(reply, sizeof reply);
        cr_assert_eq(o.parsed, PARSE_BAD);
    }
}
