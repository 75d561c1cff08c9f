/* test_socks.c - what holds for every message of the codec alike, server's and client's, SOCKS4
 * and 5: nothing is done before the message is whole, nothing depends on how it arrived, nothing
 * behind it is touched, and what is written is what was read. The messages are drawn by hand
 * here and not by the writers. What each of them refuses is in test_socks4.c and test_socks5.c. */
#include "streams/socks.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(socks, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Whatever a parse function sets. */
union result {
    struct socks5_greeting greeting;
    struct socks5_userpass userpass;
    struct {
        struct socks_request request;
        size_t userid_length;
    };
    uint8_t method;
    struct {
        struct socks_host bound;
        uint16_t port;
    };
    struct ip_endpoint endpoint;
};

static enum parse parse_greeting(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks5_parse_greeting(in, &ret->greeting, ret_error);
}

static enum parse parse_userpass(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks5_parse_userpass(in, &ret->userpass, ret_error);
}

static enum parse parse_request5(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks5_parse_request(in, &ret->request, ret_error);
}

static enum parse parse_request4(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks4_parse_request(in, &ret->request, &ret->userid_length, ret_error);
}

static enum parse parse_method(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    return socks5_parse_method(in, &ret->method, ret_error);
}

static enum parse parse_status(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    (void)ret;
    return socks5_parse_status(in, ret_error);
}

static enum parse parse_reply5(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    return socks5_parse_reply(in, &ret->bound, &ret->port, ret_error);
}

static enum parse parse_reply4(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    return socks4_parse_reply(in, &ret->endpoint, ret_error);
}

/* The other side's writers. */

static size_t write_greeting(const union result *result, uint8_t *out)
{
    return socks5_write_greeting(result->greeting.methods, result->greeting.count, out);
}

static size_t write_userpass(const union result *result, uint8_t *out)
{
    return socks5_write_userpass(&result->userpass, out);
}

static size_t write_request5(const union result *result, uint8_t *out)
{
    return socks5_write_request(&result->request, out);
}

/* The messages below have USERIDs of `u`. */
static size_t write_request4(const union result *result, uint8_t *out)
{
    char userid[SOCKS4_USERID_MAX + 1] = {0};

    memset(userid, 'u', result->userid_length);
    return socks4_write_request(&result->request, userid, out);
}

static size_t write_method(const union result *result, uint8_t *out)
{
    return socks5_write_method(result->method, out);
}

static size_t write_status(const union result *result, uint8_t *out)
{
    (void)result;
    return socks5_write_status(0, out);
}

/* A server never binds a name: then there is nothing to write. */
static size_t write_reply5(const union result *result, uint8_t *out)
{
    struct ip_endpoint bound = {result->bound.ip, result->port};

    return result->bound.name_length ? 0 : socks5_write_reply(0, &bound, out);
}

static size_t write_reply4(const union result *result, uint8_t *out)
{
    return socks4_write_reply(SOCKS4_GRANTED, &result->endpoint, out);
}

static const struct kind {
    enum parse (*parse)(struct cursor *in, union result *ret, struct stream_error *ret_error);
    size_t (*write)(const union result *result, uint8_t *out);
    size_t max;
} greeting = {parse_greeting, write_greeting, SOCKS5_GREETING_MAX},
  userpass = {parse_userpass, write_userpass, SOCKS5_USERPASS_MAX},
  request5 = {parse_request5, write_request5, SOCKS5_REQUEST_MAX},
  request4 = {parse_request4, write_request4, SOCKS4_REQUEST_MAX},
  method = {parse_method, write_method, SOCKS5_METHOD_SIZE},
  status = {parse_status, write_status, SOCKS5_STATUS_SIZE},
  reply5 = {parse_reply5, write_reply5, SOCKS5_REPLY_MAX},
  reply4 = {parse_reply4, write_reply4, SOCKS4_REPLY_SIZE};

/* A message is drawn from its parts: bytes, or one byte many times. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1, 1                                                            \
    }
#define TIMES(count, letter)                                                                       \
    {                                                                                              \
        letter, 1, count                                                                           \
    }

static const struct message {
    const char *name;
    const struct kind *kind;
    struct {
        const char *bytes;
        size_t n, times;
    } parts[5];
} messages[] = {
    {"greeting of 1 method", &greeting, {BYTES("\5\1\0")}},
    {"greeting of 3 methods", &greeting, {BYTES("\5\3\2\0\xFF")}},
    {"greeting of 255 methods", &greeting, {BYTES("\5\xFF"), TIMES(255, "u")}},
    {"password of 1 and 1", &userpass, {BYTES("\1\1u\1n")}},
    {"password of 255 and 1", &userpass, {BYTES("\1\xFF"), TIMES(255, "u"), BYTES("\1n")}},
    {"password of 1 and 255", &userpass, {BYTES("\1\1u\xFF"), TIMES(255, "n")}},
    {"password of 255 and 255",
     &userpass,
     {BYTES("\1\xFF"), TIMES(255, "u"), BYTES("\xFF"), TIMES(255, "n")}},
    {"password of zeros", &userpass, {BYTES("\1\2\0\0\2\0\0")}},
    {"request for IPv4", &request5, {BYTES("\5\1\0\1\1\2\3\4\0\x50")}},
    {"request for IPv6", &request5, {BYTES("\5\1\0\4\x20\1\xD\xB8\0\0\0\0\0\0\0\0\0\0\0\1\1\xBB")}},
    {"request for a name of 1", &request5, {BYTES("\5\1\0\3\1n\0\x50")}},
    {"request for a name of 11", &request5, {BYTES("\5\1\0\3\xB"), BYTES("example.com\x1F\x90")}},
    {"request for a name of 255",
     &request5,
     {BYTES("\5\1\0\3\xFF"), TIMES(255, "n"), BYTES("\xFF\xFF")}},
    {"request for a name of zeros", &request5, {BYTES("\5\1\0\3\3\0\0\0\0\0")}},
    {"request to bind", &request5, {BYTES("\5\2\0\1\0\0\0\0\0\0")}},
    {"request for UDP", &request5, {BYTES("\5\3\0\1\0\0\0\0\0\0")}},
    {"request of command 255", &request5, {BYTES("\5\xFF\0\1\xFF\xFF\xFF\xFF\xFF\xFF")}},
    {"method 0", &method, {BYTES("\5\0")}},
    {"method 2", &method, {BYTES("\5\2")}},
    {"no method", &method, {BYTES("\5\xFF")}},
    {"status 0", &status, {BYTES("\1\0")}},
    {"reply with IPv4", &reply5, {BYTES("\5\0\0\1\x7F\0\0\1\4\x38")}},
    {"reply with IPv6", &reply5, {BYTES("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\4\x38")}},
    {"reply with a name of 1", &reply5, {BYTES("\5\0\0\3\1n\0\x50")}},
    {"reply with a name of 255",
     &reply5,
     {BYTES("\5\0\0\3\xFF"), TIMES(255, "n"), BYTES("\0\x50")}},
    {"SOCKS4 without USERID", &request4, {BYTES("\4\1\0\x50\1\2\3\4\0")}},
    {"SOCKS4 with a USERID of 5", &request4, {BYTES("\4\1\0\x50\1\2\3\4uuuuu\0")}},
    {"SOCKS4 with a USERID of 255",
     &request4,
     {BYTES("\4\1\0\x50\1\2\3\4"), TIMES(255, "u"), BYTES("\0")}},
    {"SOCKS4 to 0.0.0.0", &request4, {BYTES("\4\2\0\x50\0\0\0\0u\0")}},
    {"SOCKS4 of zeros behind its version", &request4, {BYTES("\4\0\0\0\0\0\0\0\0")}},
    {"4a with a name of 1", &request4, {BYTES("\4\1\0\x50\0\0\0\1\0n\0")}},
    {"4a with a name of 255",
     &request4,
     {BYTES("\4\1\0\x50\0\0\0\1\0"), TIMES(255, "n"), BYTES("\0")}},
    {"4a with a USERID and a name of 255",
     &request4,
     {BYTES("\4\1\xFF\xFF\0\0\0\1"), TIMES(255, "u"), BYTES("\0"), TIMES(255, "n"), BYTES("\0")}},
    {"SOCKS4 granted", &reply4, {BYTES("\0\x5A\4\x38\1\2\3\4")}},
    {"SOCKS4 granted, zeros", &reply4, {BYTES("\0\x5A\0\0\0\0\0\0")}},
};

enum { MESSAGE_MAX = 600 };

static size_t draw(const struct message *m, uint8_t *out)
{
    uint8_t *at = out;

    for (size_t i = 0; i < COUNT(m->parts); i++)
        for (size_t j = 0; j < m->parts[i].times; j++)
            at = mempcpy(at, m->parts[i].bytes, m->parts[i].n);
    return (size_t)(at - out);
}

/* Parses a copy of exactly `n` bytes, so that a sanitizer sees the first byte read behind it. */
static enum parse parse_copy(const struct message *m, const uint8_t *bytes, size_t n,
                             union result *ret, struct stream_error *ret_error, size_t *ret_used)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct cursor in;
    enum parse parsed;

    cr_assert(copy);
    memcpy(copy, bytes, n);
    in = cursor_over(copy, n);
    parsed = m->kind->parse(&in, ret, ret_error);
    cr_assert(in.at >= copy && in.at <= copy + n && in.end == copy + n);
    *ret_used = (size_t)(in.at - copy);
    free(copy);
    return parsed;
}

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != 0xA5)
            return false;
    return true;
}

/* A beginning that is not all: MORE, nothing consumed, nothing set. */
static void expect_more(const struct message *m, const uint8_t *bytes, size_t n)
{
    struct stream_error error;
    union result result;
    size_t used;

    memset(&error, 0xA5, sizeof error);
    memset(&result, 0xA5, sizeof result);
    cr_assert_eq(parse_copy(m, bytes, n, &result, &error, &used), PARSE_MORE,
                 "%s is not MORE at %zu bytes", m->name, n);
    cr_assert_eq(used, 0, "%s consumed %zu of %zu bytes", m->name, used, n);
    cr_assert(is_filled(&result, sizeof result), "%s: result set at %zu bytes", m->name, n);
    cr_assert(is_filled(&error, sizeof error), "%s: error set at %zu bytes", m->name, n);
}

static void expect_done(const struct message *m, const uint8_t *bytes, size_t n, size_t length,
                        union result *ret)
{
    struct stream_error error;
    size_t used;

    memset(&error, 0xA5, sizeof error);
    cr_assert_eq(parse_copy(m, bytes, n, ret, &error, &used), PARSE_DONE, "%s", m->name);
    cr_assert_eq(used, length, "%s consumed %zu bytes of %zu", m->name, used, length);
    cr_assert(is_filled(&error, sizeof error), "%s", m->name);
}

/* What was read, written again: two results that write the same are the same. */
static size_t rewrite(const struct message *m, const union result *result, uint8_t *out)
{
    size_t n = m->kind->write(result, out);

    if (n == 0 && result->bound.name_length) {
        n = result->bound.name_length;
        memcpy(out, result->bound.name, n);
        out[n++] = (uint8_t)(result->port >> 8);
        out[n++] = (uint8_t)result->port;
    }
    return n;
}

Test(socks, every_prefix_of_every_message_waits_for_more)
{
    uint8_t bytes[MESSAGE_MAX];

    for (size_t i = 0; i < COUNT(messages); i++) {
        size_t length = draw(&messages[i], bytes);

        for (size_t n = 0; n < length; n++)
            expect_more(&messages[i], bytes, n);
    }
}

Test(socks, every_message_is_done_when_it_is_whole_and_within_its_max)
{
    uint8_t bytes[MESSAGE_MAX];
    union result result;

    for (size_t i = 0; i < COUNT(messages); i++) {
        size_t length = draw(&messages[i], bytes);

        cr_assert_leq(length, messages[i].kind->max, "%s", messages[i].name);
        expect_done(&messages[i], bytes, length, length, &result);
    }
}

/* The bytes come in two parts, cut anywhere; the first of them may have come one by one. */
Test(socks, every_message_is_the_same_at_every_split)
{
    uint8_t bytes[MESSAGE_MAX], whole[MESSAGE_MAX], split[MESSAGE_MAX];

    for (size_t i = 0; i < COUNT(messages); i++) {
        const struct message *m = &messages[i];
        size_t length = draw(m, bytes), n;
        union result result;

        expect_done(m, bytes, length, length, &result);
        n = rewrite(m, &result, whole);
        for (size_t cut = 1; cut < length; cut++) {
            memset(&result, 0xA5, sizeof result);
            expect_more(m, bytes, cut);
            expect_done(m, bytes, length, length, &result);
            cr_assert_eq(rewrite(m, &result, split), n, "%s", m->name);
            cr_assert_arr_eq(split, whole, n, "%s", m->name);
        }
    }
}

Test(socks, bytes_behind_a_message_are_not_consumed)
{
    uint8_t bytes[MESSAGE_MAX * 2];
    uint64_t seed = 1928;

    for (size_t i = 0; i < COUNT(messages); i++) {
        size_t length = draw(&messages[i], bytes);
        union result result;

        for (size_t behind = 0; behind < 300; behind += 1 + behind / 4) {
            random_fill(&seed, bytes + length, behind);
            expect_done(&messages[i], bytes, length + behind, length, &result);
        }
    }
}

Test(socks, what_was_read_is_written_the_same)
{
    uint8_t bytes[MESSAGE_MAX], again[MESSAGE_MAX];

    for (size_t i = 0; i < COUNT(messages); i++) {
        const struct message *m = &messages[i];
        size_t length = draw(m, bytes), n;
        union result result;

        expect_done(m, bytes, length, length, &result);
        n = m->kind->write(&result, again);
        if (n == 0 && result.bound.name_length)
            continue; /* replies with names are read but never written */
        cr_assert_eq(n, length, "%s", m->name);
        cr_assert_arr_eq(again, bytes, length, "%s", m->name);
    }
}

/* Whoever sends more than the longest message gets an answer, whatever it is that he sends. */
Test(socks, max_bytes_of_anything_are_enough_to_decide)
{
    uint8_t bytes[MESSAGE_MAX], drawn[MESSAGE_MAX];
    uint64_t seed = 1929;

    for (size_t i = 0; i < COUNT(messages); i++) {
        const struct message *m = &messages[i];
        size_t length = draw(m, drawn);

        for (int round = 0; round < 500; round++) {
            struct stream_error error = {0};
            union result result;
            size_t used;

            if (round % 2)
                memset(bytes, (int)random_next(&seed), m->kind->max);
            else
                random_fill(&seed, bytes, m->kind->max);
            memcpy(bytes, drawn, random_below(&seed, length + 1)); /* begins like a good one */
            cr_assert_neq(parse_copy(m, bytes, m->kind->max, &result, &error, &used), PARSE_MORE,
                          "%s", m->name);
        }
    }
}

/* A message that is refused is refused with the same error however it is cut, and from the byte
 * on that spoils it: what was BAD never becomes MORE or DONE with further bytes. */
Test(socks, once_bad_stays_bad_with_the_same_error)
{
    uint8_t bytes[MESSAGE_MAX];
    uint64_t seed = 1930;

    for (size_t i = 0; i < COUNT(messages); i++) {
        const struct message *m = &messages[i];

        for (int round = 0; round < 200; round++) {
            size_t length = draw(m, bytes), at = random_below(&seed, length < 12 ? length : 12);
            struct stream_error first = {0};
            bool was_bad = false;

            bytes[at] = (uint8_t)random_next(&seed);
            for (size_t n = 0; n <= length; n++) {
                struct stream_error error = {0};
                union result result;
                size_t used;
                enum parse parsed = parse_copy(m, bytes, n, &result, &error, &used);

                cr_assert(!was_bad || parsed == PARSE_BAD, "%s at %zu", m->name, n);
                if (parsed != PARSE_BAD)
                    continue;
                cr_assert(stream_error_set(&error));
                if (!was_bad)
                    first = error;
                was_bad = true;
                cr_assert(first.domain == error.domain && first.subdomain == error.subdomain &&
                              first.code == error.code,
                          "%s at %zu", m->name, n);
            }
        }
    }
}
