/* test_http_reply.c - what a client of HTTP is told: that the tunnel stands, or a status and one
 * sentence that holds the error's name. */
#include "streams/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(http_reply, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct reply {
    char text[HTTP_REPLY_MAX + 1];
    size_t n;
};

static struct reply write_reply(struct stream_error error)
{
    struct reply reply;

    memset(&reply, '#', sizeof reply);
    reply.n = http_write_reply(&error, reply.text);
    cr_assert_leq(reply.n, HTTP_REPLY_MAX);
    cr_assert_eq(reply.text[HTTP_REPLY_MAX], '#');
    reply.text[reply.n] = '\0';
    return reply;
}

static const char *body_of(const struct reply *reply)
{
    const char *end = strstr(reply->text, "\r\n\r\n");

    cr_assert(end);
    return end + 4;
}

Test(http_reply, success_is_a_bare_200)
{
    struct reply reply = write_reply(stream_error_of(ERROR_NONE));

    cr_assert_str_eq(reply.text, "HTTP/1.1 200 Connection established\r\n\r\n");
}

Test(http_reply, a_refusal_is_a_status_and_a_sentence)
{
    struct reply reply = write_reply(stream_error_of(ERROR_SYSTEM_CONNECT_REFUSED));

    cr_assert_str_eq(reply.text, "HTTP/1.1 502 Bad Gateway\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 60\r\n"
                                 "Connection: close\r\n"
                                 "\r\n"
                                 "The target refused the connection (system.connect.refused).\n");
}

/* The lines of the reply's head are fields of text, and its body is one sentence of it. */
static void expect_form(const struct reply *reply, const struct stream_error *error)
{
    const char *body = body_of(reply), *field = strstr(reply->text, "\r\nContent-Length: ");
    char name[STREAM_ERROR_NAME_MAX], status[20];

    stream_error_name(error, name);
    snprintf(status, sizeof status, "HTTP/1.1 %u ", (unsigned)stream_error_reply(error).http);
    cr_assert_eq(strncmp(reply->text, status, strlen(status)), 0, "%s", reply->text);
    cr_assert_null(strstr(reply->text, " Failed\r\n"), "no phrase for %s", status);
    cr_assert(field && field < body);
    cr_assert_eq(strtoul(field + strlen("\r\nContent-Length: "), NULL, 10), strlen(body), "%s",
                 reply->text);
    cr_assert(strstr(reply->text, "\r\nContent-Type: text/plain\r\n"));
    cr_assert(strstr(reply->text, "\r\nConnection: close\r\n"));
    cr_assert(strstr(body, name), "%s", body);
    cr_assert(*body >= 'A' && *body <= 'Z', "%s", body);
    cr_assert_str_eq(body + strlen(body) - 3, ").\n");
    for (const char *at = reply->text; *at; at++)
        cr_assert((*at >= ' ' && *at < 0x7F) || *at == '\r' || *at == '\n');
}

Test(http_reply, every_error_with_a_status_has_a_reply_and_every_other_has_none)
{
    for (int id = ERROR_NONE + 1; id < ERROR_ID_COUNT; id++) {
        struct stream_error error = stream_error_of((enum stream_error_id)id);
        struct reply reply;

        if (error.code == ERROR_CODE_ANY)
            error = stream_error_code((enum stream_error_id)id, 250);
        reply = write_reply(error);
        if (stream_error_reply(&error).http == 0)
            cr_assert_eq(reply.n, 0);
        else
            expect_form(&reply, &error);
    }
}

Test(http_reply, errors_with_the_longest_names_fit)
{
    static const struct stream_error unknown = {65535, 65535, INT32_MIN};
    struct stream_error errors[] = {
        unknown,
        stream_error_code(ERROR_SOCKS5_RESPONSE, INT32_MIN),
        stream_error_code(ERROR_SOCKS4_RESPONSE, INT32_MIN),
    };

    for (size_t i = 0; i < COUNT(errors); i++) {
        struct reply reply = write_reply(errors[i]);

        expect_form(&reply, &errors[i]);
    }
}

static const struct {
    enum stream_error_id id;
    const char *has;
} replies[] = {
    {ERROR_PROTOCOL_COMMAND_UNSUPPORTED, "HTTP/1.1 405 Method Not Allowed\r\n"},
    {ERROR_PROTOCOL_COMMAND_UNSUPPORTED, "\r\nAllow: CONNECT\r\n"},
    {ERROR_PROTOCOL_COMMAND_UNSUPPORTED,
     "\nThis is a SOCKS and HTTP CONNECT proxy, nothing else (protocol.command.unsupported).\n"},
    {ERROR_AUTH_PASSWORD_FAILED, "HTTP/1.1 407 Proxy Authentication Required\r\n"},
    {ERROR_AUTH_PASSWORD_FAILED, "\r\nProxy-Authenticate: Basic realm=\"pairsocks\""},
    {ERROR_PROTOCOL_REQUEST_BAD, "HTTP/1.1 400 Bad Request\r\n"},
    {ERROR_POLICY_RULE_DENIED, "HTTP/1.1 403 Forbidden\r\n"},
    {ERROR_TIMEOUT_HANDSHAKE, "HTTP/1.1 408 Request Timeout\r\n"},
    {ERROR_POLICY_LIMIT_USER, "HTTP/1.1 503 Service Unavailable\r\n"},
    {ERROR_SYSTEM_CONNECT_TIMEOUT, "HTTP/1.1 504 Gateway Timeout\r\n"},
    {ERROR_SOCKS5_GENERAL_FAILURE,
     "\nThe connection to the target could not be made (socks.socks5-response.general-failure).\n"},
};

Test(http_reply, replies_say_what_their_status_calls_for)
{
    for (size_t i = 0; i < COUNT(replies); i++) {
        struct reply reply = write_reply(stream_error_of(replies[i].id));

        cr_assert(strstr(reply.text, replies[i].has), "%s", reply.text);
    }
}

Test(http_reply, only_405_allows_and_only_407_asks)
{
    for (int id = ERROR_NONE; id < ERROR_ID_COUNT; id++) {
        struct stream_error error = stream_error_of((enum stream_error_id)id);
        struct reply reply = write_reply(error);
        unsigned status = stream_error_reply(&error).http;

        cr_assert_eq(strstr(reply.text, "\r\nAllow:") != NULL, status == 405);
        cr_assert_eq(strstr(reply.text, "\r\nProxy-Authenticate:") != NULL, status == 407);
    }
}

Test(http_reply, an_errno_without_a_row_of_its_own_is_named)
{
    struct reply reply = write_reply(stream_error_connect(EACCES));

    cr_assert_str_eq(body_of(&reply), "The connection to the target could not be made "
                                      "(system.connect.other, EACCES).\n");
    reply = write_reply(stream_error_connect(999999));
    cr_assert_str_eq(body_of(&reply), "The connection to the target could not be made "
                                      "(system.connect.other).\n");
}
