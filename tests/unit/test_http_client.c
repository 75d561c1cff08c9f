/* test_http_client.c - the request for a tunnel, and the heads that answer it. */
#include "streams/http_client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(http_client, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* A head, and what it is: a status of 2xx, or the name of an error. `behind` is what is not of it. */
static const struct head {
    const char *head, *behind;
    int status;
    const char *error;
} heads[] = {
    {"HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n", 200, NULL},
    {"HTTP/1.0 200 Connection established\r\nProxy-agent: x/1\r\n\r\n", "", 200, NULL},
    {"HTTP/1.1 200\r\n\r\n", "\r\n", 200, NULL},
    {"HTTP/1.1 200 \r\n\r\n", "\n", 200, NULL},
    {"HTTP/1.1 299 \xC3\xA4\t!\n\n", "\n", 299, NULL},
    {"HTTP/1.1 204 No\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "hello", 204,
     NULL},
    {"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103\n\nHTTP/1.1 200 OK\r\n\r\n", "x", 200,
     NULL},
    {"HTTP/1.1 200 OK\r\nA:\r\nb:c:d\r\n e f\r\n\t\r\n\r\n", "x", 200, NULL},
    {"HTTP/1.1 200 OK\r\n odd\r\n\r\n", "x", 200, NULL},
    {"HTTP/1.1 407 ", NULL, 0, "http.status.407"},
    {"HTTP/1.1 403\n", NULL, 0, "http.status.403"},
    {"HTTP/1.1 502\r", NULL, 0, "http.status.502"},
    {"HTTP/1.1 301 ", NULL, 0, "http.status.301"},
    {"HTTP/1.1 999 ", NULL, 0, "http.status.999"},
    {"HTTP/1.1 101 ", NULL, 0, "http.status.101"},
    {"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 504 ", NULL, 0, "http.status.504"},
    {"HTTP/1.1 0", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 2000", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 20 ", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 20x", NULL, 0, "http.response.bad"},
    {"HTTP/1.1\n", NULL, 0, "http.response.bad"},
    {"HTTP/1.1  ", NULL, 0, "http.response.bad"},
    {"HTTP/1.x", NULL, 0, "http.response.bad"},
    {"HTTP/2", NULL, 0, "http.response.bad"},
    {"h", NULL, 0, "http.response.bad"},
    {"\r", NULL, 0, "http.response.bad"},
    {"\5", NULL, 0, "http.response.bad"},
    {"S", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 O\rK", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 O\x7F", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200\r\r", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 OK\r\n:", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 OK\r\nA ", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 OK\r\nA\r", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 OK\r\nA\n", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 OK\r\nA: \1", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 200 OK\r\n\rx", NULL, 0, "http.response.bad"},
    {"HTTP/1.1 100 Go\r\n\r\nx", NULL, 0, "http.response.bad"},
};

static void expect_end(const struct head *h, enum parse parsed, const struct http_response *r,
                       const struct stream_error *error)
{
    char name[STREAM_ERROR_NAME_MAX];

    cr_assert_eq(parsed, h->error ? PARSE_BAD : PARSE_DONE, "%s", h->head);
    if (h->error)
        cr_assert_str_eq(stream_error_name(error, name), h->error, "%s: %s", h->head, name);
    else
        cr_assert_eq(r->status, h->status);
}

/* In two pieces, at every place, with MORE between that has taken all. */
static void expect_split(const struct head *h, size_t cut)
{
    struct http_response r = {0};
    struct stream_error error = {0};
    char text[256];
    size_t n = strlen(h->head);
    struct cursor in;

    snprintf(text, sizeof text, "%s%s", h->head, h->behind ? h->behind : "");
    in = cursor_over(text, cut);
    cr_assert_eq(http_parse_response(&in, &r, &error), PARSE_MORE, "%s: %zu", h->head, cut);
    cr_assert_eq(cursor_left(&in), 0);
    cr_assert_not(stream_error_set(&error));
    in = cursor_over(text + cut, strlen(text) - cut);
    expect_end(h, http_parse_response(&in, &r, &error), &r, &error);
    cr_assert_eq((const char *)in.at, text + n, "%s: %zu: right behind the head", h->head, cut);
}

Test(http_client, a_head_is_the_same_at_every_split)
{
    for (size_t i = 0; i < COUNT(heads); i++)
        for (size_t cut = 0; cut < strlen(heads[i].head); cut++)
            expect_split(&heads[i], cut);
}

Test(http_client, every_status_is_a_success_or_has_its_number)
{
    for (int status = 102; status < 1000; status++) {
        struct http_response r = {0};
        struct stream_error error = {0};
        char text[32], name[STREAM_ERROR_NAME_MAX], expected[STREAM_ERROR_NAME_MAX];
        struct cursor in;
        enum parse parsed;

        snprintf(text, sizeof text, "HTTP/1.1 %d \r\n\r\n", status);
        in = cursor_over(text, strlen(text));
        parsed = http_parse_response(&in, &r, &error);
        cr_assert_eq(parsed,
                     status < 200   ? PARSE_MORE
                     : status < 300 ? PARSE_DONE
                                    : PARSE_BAD,
                     "%d", status);
        snprintf(expected, sizeof expected, "http.status.%d", status);
        if (parsed == PARSE_BAD)
            cr_assert_str_eq(stream_error_name(&error, name), expected);
    }
}

static enum parse parse_filled(size_t size, const char *filler)
{
    static char head[2 * HTTP_HEAD_MAX];
    struct http_response r = {0};
    struct stream_error error = {0};
    size_t n = (size_t)sprintf(head, "%s", filler);
    struct cursor in;
    enum parse parsed;

    memset(head + n, 'x', size - n);
    memcpy(head + size - 4, "\r\n\r\n", 4);
    in = cursor_over(head, size);
    parsed = http_parse_response(&in, &r, &error);
    cr_assert(parsed != PARSE_BAD || stream_error_is(&error, ERROR_HTTP_RESPONSE_BAD));
    return parsed;
}

Test(http_client, all_heads_together_are_bounded)
{
    static const char interim[] = "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\nA: ";
    struct http_response r = {0};
    struct stream_error error = {0};
    enum parse parsed = PARSE_MORE;
    size_t consumed = 0;

    cr_assert_eq(parse_filled(HTTP_HEAD_MAX, "HTTP/1.1 200 "), PARSE_DONE);
    cr_assert_eq(parse_filled(HTTP_HEAD_MAX + 1, "HTTP/1.1 200 "), PARSE_BAD);
    cr_assert_eq(parse_filled(HTTP_HEAD_MAX, interim), PARSE_DONE);
    cr_assert_eq(parse_filled(HTTP_HEAD_MAX + 1, interim), PARSE_BAD);
    while (parsed == PARSE_MORE) {
        struct cursor in = cursor_over("HTTP/1.1 100 x\r\n\r\n", 18);

        parsed = http_parse_response(&in, &r, &error);
        consumed += 18 - cursor_left(&in);
        cr_assert_leq(consumed, HTTP_HEAD_MAX);
    }
    cr_assert(stream_error_is(&error, ERROR_HTTP_RESPONSE_BAD));
}

static void expect_request(const struct socks_host *host, uint16_t port, const char *user,
                           const char *password, const char *expected)
{
    uint8_t out[HTTP_CONNECT_MAX + 1];
    size_t n = http_write_connect(host, port, user, password, out);

    cr_assert_leq(n, HTTP_CONNECT_MAX);
    out[n] = '\0';
    cr_assert_str_eq((char *)out, expected);
}

Test(http_client, a_request_is_written_as_the_rfcs_have_it)
{
    struct socks_host name = {.name_length = 6, .name = "a.test"}, v4 = {0}, v6 = {0};

    ip_parse("192.0.2.7", 9, &v4.ip);
    ip_parse("2001:db8::1", 11, &v6.ip);
    expect_request(&name, 443, NULL, NULL,
                   "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    expect_request(&v4, 1, NULL, NULL, "CONNECT 192.0.2.7:1 HTTP/1.1\r\nHost: 192.0.2.7:1\r\n\r\n");
    expect_request(&v6, 65535, NULL, NULL,
                   "CONNECT [2001:db8::1]:65535 HTTP/1.1\r\nHost: [2001:db8::1]:65535\r\n\r\n");
    /* RFC 7617, 2 */
    expect_request(&name, 80, "Aladdin", "open sesame",
                   "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n"
                   "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    expect_request(&name, 80, "ab", NULL,
                   "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n"
                   "Proxy-Authorization: Basic YWI6\r\n\r\n");
}

/* What is written is read by the other side of the same codec, at every length. */
Test(http_client, credentials_of_every_length_are_read_as_they_were_written)
{
    struct socks_host host = {.name_length = 255};
    char user[256] = {0}, password[256] = {0};

    memset(host.name, 'n', 255);
    for (size_t n = 0; n < 256; n++) {
        struct http_request request = {0};
        struct stream_error error = {0};
        uint8_t out[HTTP_CONNECT_MAX];
        struct cursor in;

        if (n) {
            user[n - 1] = (char)(n == ':' ? 'x' : n);
            password[n - 1] = (char)(256 - n);
        }
        in = cursor_over(out, http_write_connect(&host, 65535, user, password, out));
        cr_assert_leq(cursor_left(&in), HTTP_CONNECT_MAX);
        cr_assert_eq(http_parse_request(&in, &request, &error), PARSE_DONE, "%zu", n);
        cr_assert_str_eq(request.credentials.user, user);
        cr_assert_str_eq(request.credentials.password, password);
        cr_assert_eq(request.host.name_length, 255);
    }
}
