/* test_socks4.c - the fields of SOCKS4 (Ying-Da Lee's note) and 4a, one by one. The USERID and
 * the name of 4a have no length in front of them: where they end, and that they must end, is
 * what matters most here. */
#include "streams/socks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(socks4, .timeout = 10);

struct sent {
    uint8_t bytes[1024];
    size_t n;
};

/* `head` is the eight bytes up to USERID. */
static struct sent begin(const char *head)
{
    struct sent sent = {.n = 8};

    memcpy(sent.bytes, head, 8);
    return sent;
}

static void add(struct sent *sent, int byte, size_t count)
{
    memset(sent->bytes + sent->n, byte, count);
    sent->n += count;
}

static enum parse parse(const struct sent *sent, size_t n, struct socks_request *ret,
                        size_t *ret_userid_length, struct stream_error *ret_error)
{
    struct cursor in = cursor_over(sent->bytes, n);

    return socks4_parse_request(&in, ret, ret_userid_length, ret_error);
}

static void expect_request_bad(const struct sent *sent, size_t n)
{
    struct stream_error error = {0};
    struct socks_request request;

    cr_assert_eq(parse(sent, n, &request, NULL, &error), PARSE_BAD, "at %zu bytes", n);
    cr_assert(stream_error_is(&error, ERROR_PROTOCOL_REQUEST_BAD));
    cr_assert_eq(stream_error_reply(&error).socks4, 91);
}

#define PLAIN "\4\1\0\x50\1\2\3\4"
#define NAMED "\4\1\0\x50\0\0\0\1"

Test(socks4, request_of_another_version_is_bad_from_its_first_byte)
{
    for (int version = 0; version < 256; version++) {
        struct sent sent = begin(PLAIN);

        if (version == 4)
            continue;
        sent.bytes[0] = (uint8_t)version;
        add(&sent, 0, 1);
        for (size_t n = 1; n <= sent.n; n++)
            expect_request_bad(&sent, n);
    }
}

Test(socks4, every_command_is_reported_as_it_was_sent)
{
    for (int command = 0; command < 256; command++) {
        struct sent sent = begin(PLAIN);
        struct socks_request request;
        struct stream_error error;

        sent.bytes[1] = (uint8_t)command;
        add(&sent, 0, 1);
        cr_assert_eq(parse(&sent, sent.n, &request, NULL, &error), PARSE_DONE);
        cr_assert_eq(request.command, command);
    }
}

Test(socks4, address_and_port_are_read_in_network_order)
{
    struct sent sent = begin("\4\1\x12\x34\x0A\x14\x1E\x28");
    struct socks_request request;
    struct stream_error error;
    char text[IP_TEXT_MAX];

    add(&sent, 0, 1);
    cr_assert_eq(parse(&sent, sent.n, &request, NULL, &error), PARSE_DONE);
    ip_format(&request.host.ip, text);
    cr_assert_str_eq(text, "10.20.30.40");
    cr_assert_eq(request.port, 0x1234);
    cr_assert_eq(request.host.name_length, 0);
}

Test(socks4, userid_of_0_to_255_bytes_is_skipped_and_located)
{
    for (size_t length = 0; length <= SOCKS4_USERID_MAX; length++) {
        struct sent sent = begin(PLAIN);
        struct socks_request request;
        struct stream_error error;
        size_t userid_length = SIZE_MAX;

        for (size_t i = 0; i < length; i++)
            add(&sent, (int)(i % 255 + 1), 1);
        add(&sent, 0, 1);
        cr_assert_eq(parse(&sent, sent.n, &request, &userid_length, &error), PARSE_DONE);
        cr_assert_eq(userid_length, length);
        cr_assert_eq(parse(&sent, sent.n, &request, NULL, &error), PARSE_DONE);
    }
}

Test(socks4, userid_of_256_bytes_is_bad_without_waiting_for_its_end)
{
    struct sent sent = begin(PLAIN);
    struct socks_request request;
    struct stream_error error;

    add(&sent, 'u', 300);
    for (size_t n = 0; n <= 8 + SOCKS4_USERID_MAX; n++)
        cr_assert_eq(parse(&sent, n, &request, NULL, &error), PARSE_MORE, "at %zu bytes", n);
    for (size_t n = 8 + SOCKS4_USERID_MAX + 1; n <= sent.n; n++)
        expect_request_bad(&sent, n);
    sent.bytes[8 + 256] = 0;
    expect_request_bad(&sent, sent.n);
}

/* 4a: 0.0.0.x with x other than 0 says that a name follows. */
Test(socks4, only_0_0_0_x_announces_a_name)
{
    for (int x = 0; x < 256; x++) {
        struct sent sent = begin(NAMED);
        struct socks_request request;
        struct stream_error error;
        struct cursor in;

        sent.bytes[7] = (uint8_t)x;
        add(&sent, 0, 1);
        add(&sent, 'n', 3);
        add(&sent, 0, 1);
        in = cursor_over(sent.bytes, sent.n);
        cr_assert_eq(socks4_parse_request(&in, &request, NULL, &error), PARSE_DONE);
        cr_assert_eq(request.host.name_length, x ? 3 : 0);
        cr_assert_eq(request.host.ip.family, x ? IP_NONE : IP_V4);
        cr_assert_eq(cursor_left(&in), x ? 0 : 4);
    }
}

/* What follows a plain request belongs to the target. */
Test(socks4, plain_request_never_reads_a_name)
{
    static const char *const heads[] = {"\4\1\0\x50\0\0\1\1", "\4\1\0\x50\0\1\0\1",
                                        "\4\1\0\x50\1\0\0\1", "\4\1\0\x50\0\0\0\0", PLAIN};

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct sent sent = begin(heads[i]);
        struct socks_request request;
        struct stream_error error;
        struct cursor in;

        add(&sent, 'u', 2);
        add(&sent, 0, 1);
        add(&sent, 'n', 3);
        add(&sent, 0, 1);
        in = cursor_over(sent.bytes, sent.n);
        cr_assert_eq(socks4_parse_request(&in, &request, NULL, &error), PARSE_DONE);
        cr_assert_eq(cursor_left(&in), 4);
        cr_assert_eq(request.host.name_length, 0);
        cr_assert_eq(request.host.name[0], '\0');
        cr_assert_arr_eq(request.host.ip.bytes, heads[i] + 4, 4);
    }
}

Test(socks4, name_of_1_to_255_bytes_of_any_kind_but_nul_is_taken_as_it_is)
{
    for (size_t length = 1; length <= HOST_NAME_LENGTH_MAX; length++) {
        struct sent sent = begin(NAMED);
        struct socks_request request;
        struct stream_error error;

        add(&sent, 'u', 1);
        add(&sent, 0, 1);
        for (size_t i = 0; i < length; i++)
            add(&sent, (int)((i + length) % 255 + 1), 1);
        add(&sent, 0, 1);
        cr_assert_eq(parse(&sent, sent.n, &request, NULL, &error), PARSE_DONE);
        cr_assert_eq(request.host.name_length, length);
        cr_assert_arr_eq(request.host.name, sent.bytes + 10, length + 1);
        cr_assert_eq(request.host.ip.family, IP_NONE);
    }
}

Test(socks4, name_of_no_bytes_is_bad)
{
    struct sent sent = begin(NAMED);
    struct socks_request request;
    struct stream_error error;

    add(&sent, 0, 3);
    cr_assert_eq(parse(&sent, 9, &request, NULL, &error), PARSE_MORE);
    expect_request_bad(&sent, 10);
    expect_request_bad(&sent, 11);
}

Test(socks4, name_of_256_bytes_is_bad_without_waiting_for_its_end)
{
    struct sent sent = begin(NAMED);
    struct socks_request request;
    struct stream_error error;

    add(&sent, 'u', SOCKS4_USERID_MAX);
    add(&sent, 0, 1);
    add(&sent, 'n', HOST_NAME_LENGTH_MAX + 2);
    for (size_t n = 0; n < SOCKS4_REQUEST_MAX; n++)
        cr_assert_eq(parse(&sent, n, &request, NULL, &error), PARSE_MORE, "at %zu bytes", n);
    expect_request_bad(&sent, SOCKS4_REQUEST_MAX);
    expect_request_bad(&sent, SOCKS4_REQUEST_MAX + 1);
}

Test(socks4, request_is_written_as_the_note_draws_it)
{
    struct socks_request request = {.command = SOCKS_CONNECT, .port = 0x1234};
    uint8_t out[SOCKS4_REQUEST_MAX];

    request.host.ip = (struct ip_address){IP_V4, {10, 20, 30, 40}};
    cr_assert_eq(socks4_write_request(&request, "me", out), 11);
    cr_assert_arr_eq(out, "\4\1\x12\x34\x0A\x14\x1E\x28me\0", 11);
    request.host = (struct socks_host){.name_length = 3, .name = "a.b"};
    cr_assert_eq(socks4_write_request(&request, "", out), 13);
    cr_assert_arr_eq(out, "\4\1\x12\x34\0\0\0\1\0a.b\0", 13);
}

Test(socks4, longest_request_is_as_long_as_max_says)
{
    struct socks_request request = {.command = 1, .host = {.name_length = 255}}, read;
    char userid[SOCKS4_USERID_MAX + 1] = {0};
    struct sent sent = {.n = 0};
    struct stream_error error;

    memset(userid, 'u', SOCKS4_USERID_MAX);
    memset(request.host.name, 'n', 255);
    sent.n = socks4_write_request(&request, userid, sent.bytes);
    cr_assert_eq(sent.n, SOCKS4_REQUEST_MAX);
    cr_assert_eq(parse(&sent, sent.n, &read, NULL, &error), PARSE_DONE);
    cr_assert_str_eq(read.host.name, request.host.name);
}

Test(socks4, reply_is_written_as_the_note_draws_it)
{
    struct ip_endpoint v4 = {{IP_V4, {10, 20, 30, 40}}, 0x1234};
    struct ip_endpoint v6 = {{IP_V6, {0x20, 1, 0xD, 0xB8, [15] = 1}}, 0x1234};
    uint8_t out[SOCKS4_REPLY_SIZE];

    for (int code = SOCKS4_GRANTED; code <= SOCKS4_ID_CONFLICT; code++) {
        cr_assert_eq(socks4_write_reply((uint8_t)code, &v4, out), SOCKS4_REPLY_SIZE);
        cr_assert_eq(out[0], 0); /* not 4: the note has it so */
        cr_assert_eq(out[1], code);
        cr_assert_arr_eq(out + 2, "\x12\x34\x0A\x14\x1E\x28", 6);
    }
    cr_assert_eq(socks4_write_reply(90, &v6, out), SOCKS4_REPLY_SIZE);
    cr_assert_arr_eq(out, "\0\x5A\x12\x34\0\0\0\0", 8);
    cr_assert_eq(socks4_write_reply(91, NULL, out), SOCKS4_REPLY_SIZE);
    cr_assert_arr_eq(out, "\0\x5B\0\0\0\0\0\0", 8);
}

Test(socks4, reply_without_an_address_is_0_0_0_0_port_0)
{
    struct ip_endpoint none = {.port = 1080};
    uint8_t out[SOCKS4_REPLY_SIZE];

    cr_assert_eq(socks4_write_reply(91, &none, out), SOCKS4_REPLY_SIZE);
    cr_assert_arr_eq(out, "\0\x5B\0\0\0\0\0\0", 8);
}

Test(socks4, server_of_another_version_is_named_by_it_from_its_first_byte)
{
    for (int version = 1; version < 256; version++) {
        uint8_t bytes[SOCKS4_REPLY_SIZE] = {(uint8_t)version, 90};

        for (size_t n = 1; n <= sizeof bytes; n++) {
            struct cursor in = cursor_over(bytes, n);
            struct ip_endpoint bound;
            struct stream_error error = {0};

            cr_assert_eq(socks4_parse_reply(&in, &bound, &error), PARSE_BAD);
            cr_assert(stream_error_is(&error, ERROR_SOCKS_VERSION));
            cr_assert_eq(error.code, version);
        }
    }
}

Test(socks4, every_reply_but_90_is_known_by_its_second_byte_and_passed_on)
{
    for (int code = 0; code < 256; code++) {
        uint8_t bytes[SOCKS4_REPLY_SIZE] = {0, (uint8_t)code};

        if (code == SOCKS4_GRANTED)
            continue;
        for (size_t n = 2; n <= sizeof bytes; n++) {
            struct cursor in = cursor_over(bytes, n);
            struct ip_endpoint bound;
            struct stream_error error = {0};

            cr_assert_eq(socks4_parse_reply(&in, &bound, &error), PARSE_BAD);
            cr_assert_eq(error.domain, ERROR_DOMAIN_SOCKS);
            cr_assert_eq(error.subdomain, SUBDOMAIN_SOCKS_SOCKS4_RESPONSE);
            cr_assert_eq(error.code, code);
            cr_assert_eq(stream_error_reply(&error).socks4,
                         code == 92 || code == 93 ? code : SOCKS4_FAILED);
        }
    }
}

Test(socks4, granted_reply_carries_address_and_port)
{
    static const uint8_t bytes[] = {0, 90, 0x12, 0x34, 10, 20, 30, 40};
    struct ip_endpoint bound, expected = {{IP_V4, {10, 20, 30, 40}}, 0x1234};
    struct cursor in = cursor_over(bytes, sizeof bytes);
    struct stream_error error;

    cr_assert_eq(socks4_parse_reply(&in, &bound, &error), PARSE_DONE);
    cr_assert(endpoint_equal(&bound, &expected));
}
