/* test_socks5.c - the fields of SOCKS5 (RFC 1928, RFC 1929), one by one: each value that is taken
 * and what each one that is not is called. Bytes as the RFCs draw them. */
#include "streams/socks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(socks5, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static void expect_error(const struct stream_error *error, const char *name, int socks5)
{
    char text[STREAM_ERROR_NAME_MAX];

    cr_assert_str_eq(stream_error_name(error, text), name);
    cr_assert_eq(stream_error_reply(error).socks5, socks5, "%s is answered by %d", name,
                 stream_error_reply(error).socks5);
}

static enum parse parse_greeting(const uint8_t *bytes, size_t n, struct socks5_greeting *ret,
                                 struct stream_error *ret_error)
{
    struct cursor in = cursor_over(bytes, n);

    return socks5_parse_greeting(&in, ret, ret_error);
}

static enum parse parse_userpass(const uint8_t *bytes, size_t n, struct socks5_userpass *ret,
                                 struct stream_error *ret_error)
{
    struct cursor in = cursor_over(bytes, n);

    return socks5_parse_userpass(&in, ret, ret_error);
}

static enum parse parse_request(const uint8_t *bytes, size_t n, struct socks_request *ret,
                                struct stream_error *ret_error)
{
    struct cursor in = cursor_over(bytes, n);

    return socks5_parse_request(&in, ret, ret_error);
}

static enum parse parse_reply(const uint8_t *bytes, size_t n, struct stream_error *ret_error)
{
    struct cursor in = cursor_over(bytes, n);
    struct socks_host bound;
    uint16_t port;

    return socks5_parse_reply(&in, &bound, &port, ret_error);
}

Test(socks5, greeting_of_another_version_is_bad_from_its_first_byte)
{
    for (int version = 0; version < 256; version++) {
        uint8_t bytes[] = {(uint8_t)version, 1, 0};
        struct socks5_greeting greeting;
        struct stream_error error = {0};

        if (version == 5)
            continue;
        for (size_t n = 1; n <= sizeof bytes; n++) {
            cr_assert_eq(parse_greeting(bytes, n, &greeting, &error), PARSE_BAD);
            expect_error(&error, "protocol.greeting.bad", 0xFF);
        }
    }
}

Test(socks5, greeting_without_methods_is_bad)
{
    static const uint8_t bytes[] = {5, 0, 0};
    struct socks5_greeting greeting;
    struct stream_error error = {0};

    cr_assert_eq(parse_greeting(bytes, 1, &greeting, &error), PARSE_MORE);
    for (size_t n = 2; n <= sizeof bytes; n++) {
        cr_assert_eq(parse_greeting(bytes, n, &greeting, &error), PARSE_BAD);
        expect_error(&error, "protocol.greeting.bad", 0xFF);
    }
}

/* A method that was not offered must never be chosen. */
Test(socks5, greeting_offers_its_methods_and_no_others)
{
    struct socks5_greeting greeting;
    struct stream_error error;
    uint8_t bytes[257] = {5};

    for (int count = 1; count < 256; count++) {
        bytes[1] = (uint8_t)count;
        for (int i = 0; i < count; i++)
            bytes[2 + i] = (uint8_t)(255 - i);
        memset(&greeting, 0, sizeof greeting); /* what is not offered is there as 0 */
        cr_assert_eq(parse_greeting(bytes, sizeof bytes, &greeting, &error), PARSE_DONE);
        cr_assert_eq(greeting.count, count);
        for (int method = 0; method < 256; method++)
            cr_assert_eq(socks5_greeting_offers(&greeting, (uint8_t)method), method > 255 - count);
    }
}

Test(socks5, greeting_is_written_with_its_methods)
{
    static const uint8_t methods[] = {2, 0};
    uint8_t out[SOCKS5_GREETING_MAX];

    cr_assert_eq(socks5_write_greeting(methods, 2, out), 4);
    cr_assert_arr_eq(out, "\5\2\2\0", 4);
}

Test(socks5, password_of_another_version_is_bad_from_its_first_byte)
{
    for (int version = 0; version < 256; version++) {
        uint8_t bytes[] = {(uint8_t)version, 1, 'u', 1, 'p'};
        struct socks5_userpass userpass;
        struct stream_error error = {0};

        if (version == 1)
            continue;
        for (size_t n = 1; n <= sizeof bytes; n++) {
            cr_assert_eq(parse_userpass(bytes, n, &userpass, &error), PARSE_BAD);
            expect_error(&error, "protocol.request.bad", 1);
        }
    }
}

/* RFC 1929, 2: both lengths are 1 to 255. */
Test(socks5, empty_user_and_empty_password_are_bad_as_soon_as_they_are_seen)
{
    static const uint8_t no_user[] = {1, 0, 1, 'p'}, no_password[] = {1, 1, 'u', 0, 0};
    struct socks5_userpass userpass;
    struct stream_error error = {0};

    cr_assert_eq(parse_userpass(no_user, 1, &userpass, &error), PARSE_MORE);
    for (size_t n = 2; n <= sizeof no_user; n++) {
        cr_assert_eq(parse_userpass(no_user, n, &userpass, &error), PARSE_BAD);
        expect_error(&error, "protocol.request.bad", 1);
    }
    cr_assert_eq(parse_userpass(no_password, 3, &userpass, &error), PARSE_MORE);
    for (size_t n = 4; n <= sizeof no_password; n++) {
        cr_assert_eq(parse_userpass(no_password, n, &userpass, &error), PARSE_BAD);
        expect_error(&error, "protocol.request.bad", 1);
    }
}

Test(socks5, user_and_password_are_opaque_bytes_of_every_length)
{
    for (int n = 1; n < 256; n++) {
        struct socks5_userpass written = {.user_length = (uint8_t)n,
                                          .password_length = (uint8_t)(256 - n)},
                               read;
        uint8_t bytes[SOCKS5_USERPASS_MAX];
        struct stream_error error;
        size_t length;

        for (int i = 0; i < 256; i++) {
            written.user[i] = (char)(i * n);
            written.password[i] = (char)(i + n);
        }
        length = socks5_write_userpass(&written, bytes);
        cr_assert_eq(length, 259);
        cr_assert_eq(parse_userpass(bytes, length, &read, &error), PARSE_DONE);
        cr_assert_eq(read.user_length, n);
        cr_assert_eq(read.password_length, 256 - n);
        cr_assert_arr_eq(read.user, written.user, (size_t)n);
        cr_assert_arr_eq(read.password, written.password, 256 - (size_t)n);
        cr_assert_eq(read.user[n], '\0');
        cr_assert_eq(read.password[256 - n], '\0');
    }
}

Test(socks5, request_of_another_version_is_bad_from_its_first_byte)
{
    for (int version = 0; version < 256; version++) {
        uint8_t bytes[] = {(uint8_t)version, 1, 0, 1, 1, 2, 3, 4, 0, 80};
        struct socks_request request;
        struct stream_error error = {0};

        if (version == 5)
            continue;
        for (size_t n = 1; n <= sizeof bytes; n++) {
            cr_assert_eq(parse_request(bytes, n, &request, &error), PARSE_BAD);
            expect_error(&error, "protocol.request.bad", 1);
        }
    }
}

Test(socks5, reserved_byte_that_is_not_0_is_bad)
{
    for (int reserved = 1; reserved < 256; reserved++) {
        uint8_t bytes[] = {5, 1, (uint8_t)reserved, 1, 1, 2, 3, 4, 0, 80};
        struct socks_request request;
        struct stream_error error = {0};

        cr_assert_eq(parse_request(bytes, 2, &request, &error), PARSE_MORE);
        for (size_t n = 3; n <= sizeof bytes; n++) {
            cr_assert_eq(parse_request(bytes, n, &request, &error), PARSE_BAD);
            expect_error(&error, "protocol.request.bad", 1);
        }
    }
}

Test(socks5, address_type_that_is_not_1_3_or_4_is_unsupported)
{
    for (int type = 0; type < 256; type++) {
        uint8_t bytes[SOCKS5_REQUEST_MAX] = {5, 1, 0, (uint8_t)type};
        struct socks_request request;
        struct stream_error error = {0};

        if (type == 1 || type == 3 || type == 4)
            continue;
        cr_assert_eq(parse_request(bytes, 3, &request, &error), PARSE_MORE);
        for (size_t n = 4; n <= 10; n++) {
            cr_assert_eq(parse_request(bytes, n, &request, &error), PARSE_BAD);
            expect_error(&error, "protocol.address.unsupported", 8);
        }
    }
}

Test(socks5, name_of_no_bytes_is_refused_as_soon_as_it_is_seen)
{
    static const uint8_t bytes[] = {5, 1, 0, 3, 0, 0, 80};
    struct socks_request request;
    struct stream_error error = {0};

    cr_assert_eq(parse_request(bytes, 4, &request, &error), PARSE_MORE);
    for (size_t n = 5; n <= sizeof bytes; n++) {
        cr_assert_eq(parse_request(bytes, n, &request, &error), PARSE_BAD);
        expect_error(&error, "resolver.name.invalid", 8);
    }
}

/* Which of them are served is not the codec's business. */
Test(socks5, every_command_is_reported_as_it_was_sent)
{
    for (int command = 0; command < 256; command++) {
        uint8_t bytes[] = {5, (uint8_t)command, 0, 1, 1, 2, 3, 4, 0, 80};
        struct socks_request request;
        struct stream_error error;

        cr_assert_eq(parse_request(bytes, sizeof bytes, &request, &error), PARSE_DONE);
        cr_assert_eq(request.command, command);
    }
}

Test(socks5, name_of_1_to_255_bytes_of_any_kind_is_taken_as_it_is)
{
    for (int n = 1; n < 256; n++) {
        uint8_t bytes[SOCKS5_REQUEST_MAX] = {5, 1, 0, 3, (uint8_t)n};
        struct socks_request request;
        struct stream_error error;

        for (int i = 0; i < n; i++)
            bytes[5 + i] = (uint8_t)(i + n);
        cr_assert_eq(parse_request(bytes, 7 + (size_t)n, &request, &error), PARSE_DONE);
        cr_assert_eq(request.host.name_length, n);
        cr_assert_arr_eq(request.host.name, bytes + 5, (size_t)n);
        cr_assert_eq(request.host.name[n], '\0');
        cr_assert_eq(request.host.ip.family, IP_NONE);
    }
}

static const uint8_t v6_request[] = {5, 1, 0,    4, 0x20, 1,    0xD,  0xB8, 1, 2, 3,
                                     4, 5, 0xFF, 7, 8,    0xFE, 0xDC, 0,    1, 0, 80};

Test(socks5, address_is_read_in_network_order)
{
    static const uint8_t v4_request[] = {5, 1, 0, 1, 10, 20, 30, 40, 0x12, 0x34};
    struct socks_request request;
    struct stream_error error;
    char text[IP_TEXT_MAX];

    cr_assert_eq(parse_request(v4_request, sizeof v4_request, &request, &error), PARSE_DONE);
    ip_format(&request.host.ip, text);
    cr_assert_str_eq(text, "10.20.30.40");
    cr_assert_eq(request.host.name_length, 0);
    cr_assert_eq(request.port, 0x1234);
    cr_assert_eq(parse_request(v6_request, sizeof v6_request, &request, &error), PARSE_DONE);
    ip_format(&request.host.ip, text);
    cr_assert_str_eq(text, "2001:db8:102:304:5ff:708:fedc:1");
    cr_assert_eq(request.host.name_length, 0);
}

Test(socks5, every_port_is_read_and_written_in_network_order)
{
    for (int port = 0; port < 65536; port++) {
        struct socks_request request = {.command = 1, .port = (uint16_t)port}, read;
        uint8_t bytes[SOCKS5_REQUEST_MAX];
        struct stream_error error;
        size_t n = socks5_write_request(&request, bytes);

        cr_assert(n == 10 && bytes[8] == port >> 8 && bytes[9] == (port & 0xFF));
        cr_assert_eq(parse_request(bytes, n, &read, &error), PARSE_DONE);
        cr_assert_eq(read.port, port);
    }
}

Test(socks5, method_and_status_are_written_as_the_rfcs_draw_them)
{
    uint8_t out[2];

    for (int byte = 0; byte < 256; byte++) {
        cr_assert_eq(socks5_write_method((uint8_t)byte, out), SOCKS5_METHOD_SIZE);
        cr_assert(out[0] == 5 && out[1] == byte);
        cr_assert_eq(socks5_write_status((uint8_t)byte, out), SOCKS5_STATUS_SIZE);
        cr_assert(out[0] == 1 && out[1] == byte);
    }
}

Test(socks5, reply_is_written_with_the_bound_address)
{
    struct ip_endpoint v4 = {{IP_V4, {127, 0, 0, 1}}, 1080}, v6 = {{IP_V6, {[15] = 1}}, 1080};
    uint8_t out[SOCKS5_REPLY_MAX];

    cr_assert_eq(socks5_write_reply(0, &v4, out), 10);
    cr_assert_arr_eq(out, "\5\0\0\1\x7F\0\0\1\4\x38", 10);
    cr_assert_eq(socks5_write_reply(0, &v6, out), 22);
    cr_assert_arr_eq(out, "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\4\x38", 22);
    for (int code = 0; code < 256; code++) {
        cr_assert_eq(socks5_write_reply((uint8_t)code, &v4, out), 10);
        cr_assert_eq(out[1], code);
    }
}

Test(socks5, reply_without_an_address_is_0_0_0_0_port_0)
{
    struct ip_endpoint none = {.port = 1080};
    uint8_t out[SOCKS5_REPLY_MAX];

    cr_assert_eq(socks5_write_reply(4, NULL, out), 10);
    cr_assert_arr_eq(out, "\5\4\0\1\0\0\0\0\0\0", 10);
    cr_assert_eq(socks5_write_reply(4, &none, out), 10);
    cr_assert_arr_eq(out, "\5\4\0\1\0\0\0\0\0\0", 10);
}

static void expect_version_error(const struct stream_error *error, int version)
{
    char name[STREAM_ERROR_NAME_MAX];

    snprintf(name, sizeof name, "socks.version.%d", version);
    expect_error(error, name, 1);
}

Test(socks5, server_of_another_version_is_named_by_it_from_its_first_byte)
{
    for (int version = 0; version < 256; version++) {
        uint8_t bytes[] = {(uint8_t)version, 0, 0, 1, 0, 0, 0, 0, 0, 0}, method;
        struct stream_error error = {0};

        for (size_t n = 1; n <= sizeof bytes; n++) {
            struct cursor in = cursor_over(bytes, n);

            if (version != 5) {
                cr_assert_eq(socks5_parse_method(&in, &method, &error), PARSE_BAD);
                expect_version_error(&error, version);
                cr_assert_eq(parse_reply(bytes, n, &error), PARSE_BAD);
                expect_version_error(&error, version);
            }
            in = cursor_over(bytes, n);
            if (version != 1) {
                cr_assert_eq(socks5_parse_status(&in, &error), PARSE_BAD);
                expect_version_error(&error, version);
            }
        }
    }
}

Test(socks5, every_method_is_handed_to_the_caller)
{
    for (int byte = 0; byte < 256; byte++) {
        uint8_t bytes[] = {5, (uint8_t)byte}, method = (uint8_t)~byte;
        struct cursor in = cursor_over(bytes, sizeof bytes);
        struct stream_error error;

        cr_assert_eq(socks5_parse_method(&in, &method, &error), PARSE_DONE);
        cr_assert_eq(method, byte);
    }
}

Test(socks5, status_that_is_not_0_is_an_error_of_that_number)
{
    for (int status = 1; status < 256; status++) {
        uint8_t bytes[] = {1, (uint8_t)status};
        struct cursor in = cursor_over(bytes, sizeof bytes);
        struct stream_error error = {0};
        char name[STREAM_ERROR_NAME_MAX];

        cr_assert_eq(socks5_parse_status(&in, &error), PARSE_BAD);
        snprintf(name, sizeof name, "socks.socks5-userpass.%d", status);
        expect_error(&error, name, 1);
    }
}

/* Some servers cut a refusal short: the reason counts. */
Test(socks5, reply_that_refuses_is_known_by_its_second_byte_and_passed_on)
{
    for (int code = 1; code < 256; code++) {
        uint8_t bytes[] = {5, (uint8_t)code, 0, 1, 0, 0, 0, 0, 0, 0};
        struct stream_error error = {0};

        cr_assert_eq(parse_reply(bytes, 1, &error), PARSE_MORE);
        for (size_t n = 2; n <= sizeof bytes; n++) {
            cr_assert_eq(parse_reply(bytes, n, &error), PARSE_BAD);
            cr_assert(stream_error_is(&error, code <= 8 ? ERROR_SOCKS5_GENERAL_FAILURE +
                                                              (enum stream_error_id)(code - 1)
                                                        : ERROR_SOCKS5_RESPONSE));
            cr_assert_eq(error.code, code);
            cr_assert_eq(stream_error_reply(&error).socks5, code <= 8 ? code : 1);
        }
    }
}

Test(socks5, reply_with_an_unknown_address_type_or_an_empty_name_is_bad)
{
    for (int type = 0; type < 256; type++) {
        uint8_t bytes[] = {5, 0, 0, (uint8_t)type, 0, 0, 0, 0, 0, 0};
        struct stream_error error = {0};

        if (type == 1 || type == 4)
            continue;
        cr_assert_eq(parse_reply(bytes, 3, &error), PARSE_MORE);
        for (size_t n = type == 3 ? 5 : 4; n <= sizeof bytes; n++) {
            cr_assert_eq(parse_reply(bytes, n, &error), PARSE_BAD);
            expect_error(&error, "socks.none.bad-response-address", 1);
        }
    }
}
