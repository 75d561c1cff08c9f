/* test_http.c - the head of a CONNECT request: what is taken and what is refused, that nothing
 * depends on how it arrived, and where a line and a head are too long. Heads are written out
 * here as a client would send them. Basic credentials are in test_http_credentials.c, the replies
 * in test_http_reply.c. */
#include "streams/http.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(http, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* What came of feeding a head. */
struct outcome {
    enum parse parsed;
    size_t consumed;
    struct http_request request;
    struct stream_error error;
};

/* One call with what is there, in a block of its own so that a sanitizer sees the first byte read
 * behind it. */
static void step(struct outcome *o, const char *head, size_t n)
{
    size_t left = n - o->consumed;
    uint8_t *copy = malloc(left ? left : 1);
    struct cursor in;

    cr_assert(copy);
    memcpy(copy, head + o->consumed, left);
    in = cursor_over(copy, left);
    o->parsed = http_parse_request(&in, &o->request, &o->error);
    cr_assert(in.at >= copy && in.at <= copy + left && in.end == copy + left);
    o->consumed += (size_t)(in.at - copy);
    free(copy);
}

static void begin(struct outcome *o)
{
    memset(o, 0, sizeof *o);
}

static struct outcome feed(const char *head, size_t n)
{
    struct outcome o;

    begin(&o);
    step(&o, head, n);
    return o;
}

static struct outcome feed_text(const char *head)
{
    return feed(head, strlen(head));
}

static struct outcome feed_bytewise(const char *head, size_t n)
{
    struct outcome o;

    begin(&o);
    o.parsed = PARSE_MORE;
    for (size_t have = 0; have <= n && o.parsed == PARSE_MORE; have++)
        step(&o, head, have);
    return o;
}

__attribute__((format(printf, 1, 2))) static struct outcome feed_format(const char *format, ...)
{
    static char head[20000];
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(head, sizeof head, format, arguments);
    va_end(arguments);
    cr_assert(n >= 0 && n < (int)sizeof head);
    return feed(head, (size_t)n);
}

static void expect_bad(const struct outcome *o, enum stream_error_id id, const char *what)
{
    cr_assert_eq(o->parsed, PARSE_BAD, "taken: %s", what);
    cr_assert(stream_error_is(&o->error, id), "another error: %s", what);
}

#define END "\r\n\r\n"
#define BEGIN "CONNECT a.example:443 HTTP/1.1\r\n"

/* ---- requests that are taken */

static const struct {
    const char *head;
    const char *host; /* an address as ip_format() has it */
    uint16_t port;
    bool is_address;
} taken[] = {
    {"CONNECT a.example:443 HTTP/1.1" END, "a.example", 443, false},
    {"CONNECT a.example:443 HTTP/1.0" END, "a.example", 443, false},
    {"CONNECT a.example:443 HTTP/1.9" END, "a.example", 443, false},
    {"CONNECT a.example:443 HTTP/1.1\n\n", "a.example", 443, false},
    {"CONNECT a.example:443 HTTP/1.1\nA: b\r\n\n", "a.example", 443, false},
    {"\r\nCONNECT a.example:443 HTTP/1.1" END, "a.example", 443, false},
    {"\nCONNECT a.example:443 HTTP/1.1" END, "a.example", 443, false},
    {"CONNECT a:1 HTTP/1.1" END, "a", 1, false},
    {"CONNECT a:65535 HTTP/1.1" END, "a", 65535, false},
    {"CONNECT A.Example.:443 HTTP/1.1" END, "A.Example.", 443, false},
    {"CONNECT 192.0.2.1:80 HTTP/1.1" END, "192.0.2.1", 80, true},
    {"CONNECT [2001:DB8::1]:80 HTTP/1.1" END, "2001:db8::1", 80, true},
    {"CONNECT [::]:80 HTTP/1.1" END, "::", 80, true},
    {"CONNECT [::ffff:192.0.2.1]:80 HTTP/1.1" END, "::ffff:192.0.2.1", 80, true},
    /* No names, but that is for host_classify() to say. */
    {"CONNECT 127.1:80 HTTP/1.1" END, "127.1", 80, false},
    {"CONNECT 0x7f000001:80 HTTP/1.1" END, "0x7f000001", 80, false},
    {"CONNECT a_b%20~!$&'()*+,;=:80 HTTP/1.1" END, "a_b%20~!$&'()*+,;=", 80, false},
    {BEGIN "Host: a.example:443" END, "a.example", 443, false},
    {BEGIN "Host: b.example" END, "a.example", 443, false},
    {BEGIN "host:a\r\nHOST:b" END, "a.example", 443, false},
    {BEGIN "User-Agent: curl/8.0 (x; y)\r\nProxy-Connection: Keep-Alive" END, "a.example", 443,
     false},
    {BEGIN "Empty:" END, "a.example", 443, false},
    {BEGIN "Empty: \t " END, "a.example", 443, false},
    {BEGIN "Colons: a:b::" END, "a.example", 443, false},
    {BEGIN "Blanks:\ta \t b\t" END, "a.example", 443, false},
    {BEGIN "Opaque: \x80\xFF\xC3\xA4" END, "a.example", 443, false},
    {BEGIN "!#$%&'*+-.^_`|~09azAZ: x" END, "a.example", 443, false},
    {BEGIN "Content-Length: 0" END, "a.example", 443, false},
    {BEGIN "content-length:0\r\nCONTENT-LENGTH:\t0 " END, "a.example", 443, false},
    {BEGIN "Content-Length-X: 5\r\nX-Transfer-Encoding: chunked" END, "a.example", 443, false},
    {BEGIN "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nA: b" END, "a.example", 443,
     false},
    {BEGIN "Proxy-Authorization: rubbish" END, "a.example", 443, false},
    {BEGIN "Authorization: Basic dTpw\r\nAuthorization: Basic dTpw" END, "a.example", 443, false},
};

static void expect_taken(size_t i, const struct outcome *o)
{
    const struct socks_host *host = &o->request.host;
    size_t n = strlen(taken[i].host);
    char text[IP_TEXT_MAX];

    cr_assert_eq(o->parsed, PARSE_DONE, "%s", taken[i].head);
    cr_assert_eq(o->consumed, strlen(taken[i].head), "%s", taken[i].head);
    cr_assert_eq(o->request.head_size, o->consumed);
    cr_assert(o->request.is_connect);
    cr_assert_eq(o->request.port, taken[i].port, "%s", taken[i].head);
    cr_assert_not(stream_error_set(&o->error));
    if (taken[i].is_address) {
        cr_assert_eq(host->name_length, 0);
        ip_format(&host->ip, text);
        cr_assert_str_eq(text, taken[i].host);
    } else {
        cr_assert_eq(host->ip.family, IP_NONE);
        cr_assert_eq(host->name_length, n, "%s", taken[i].head);
        cr_assert_str_eq(host->name, taken[i].host);
    }
}

Test(http, requests_are_taken_whole_and_byte_by_byte)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct outcome whole = feed_text(taken[i].head);
        struct outcome slow = feed_bytewise(taken[i].head, strlen(taken[i].head));

        expect_taken(i, &whole);
        expect_taken(i, &slow);
        cr_assert_eq(memcmp(&whole.request, &slow.request, sizeof whole.request), 0, "%s",
                     taken[i].head);
    }
}

Test(http, every_prefix_waits_for_more_and_consumes_its_whole_lines)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        const char *head = taken[i].head;

        for (size_t n = 0; n < strlen(head); n++) {
            const char *lf = memrchr(head, '\n', n);
            struct outcome o = feed(head, n);

            cr_assert_eq(o.parsed, PARSE_MORE, "%s at %zu", head, n);
            cr_assert_eq(o.consumed, lf ? (size_t)(lf + 1 - head) : 0, "%s at %zu", head, n);
            cr_assert_eq(o.request.head_size, o.consumed);
            cr_assert_not(stream_error_set(&o.error));
        }
    }
}

Test(http, every_split_gives_the_same_request)
{
    for (size_t i = 0; i < COUNT(taken); i++) {
        struct outcome whole = feed_text(taken[i].head);
        size_t n = strlen(taken[i].head);

        for (size_t cut = 0; cut <= n; cut++) {
            struct outcome o = feed(taken[i].head, cut);

            if (o.parsed == PARSE_MORE)
                step(&o, taken[i].head, n);
            expect_taken(i, &o);
            cr_assert_eq(memcmp(&whole.request, &o.request, sizeof o.request), 0, "%s at %zu",
                         taken[i].head, cut);
        }
    }
}

/* A client may send its first bytes for the target together with its request. */
Test(http, bytes_behind_the_head_are_not_consumed)
{
    static const char *const behind[] = {"\r\n", "\n", "x", "\x16\x03\x01",
                                         "CONNECT b:1 HTTP/1.1\r\n"};

    for (size_t i = 0; i < COUNT(taken); i++) {
        for (size_t j = 0; j < COUNT(behind); j++) {
            struct outcome o = feed_format("%s%s", taken[i].head, behind[j]);

            expect_taken(i, &o);
        }
    }
}

Test(http, nothing_is_no_request_yet)
{
    struct cursor in = cursor_over(NULL, 0);
    struct http_request request = {0};
    struct stream_error error = {0};

    cr_assert_eq(http_parse_request(&in, &request, &error), PARSE_MORE);
    cr_assert_eq(request.head_size, 0);
}

/* ---- requests that are refused */

#define BAD ERROR_PROTOCOL_REQUEST_BAD
#define METHOD ERROR_PROTOCOL_COMMAND_UNSUPPORTED

#define ROW(head, id)                                                                              \
    {                                                                                              \
        head, sizeof(head) - 1, id                                                                 \
    }

/* The last byte of each is the one that decides. */
static const struct {
    const char *head;
    size_t n;
    enum stream_error_id id;
} refused[] = {
    /* the request line */
    ROW("\r\n\r\n", BAD),
    ROW("\n\n", BAD),
    ROW("x\n", BAD),
    ROW(" \r\n", BAD),
    ROW("CONNECT\r\n", BAD),
    ROW("CONNECT a:1\r\n", BAD),
    ROW("CONNECT a:1 \r\n", BAD),
    ROW("CONNECT  HTTP/1.1\r\n", BAD),
    ROW("CONNECT HTTP/1.1\r\n", BAD),
    ROW(" CONNECT a:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT  a:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1  HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1.1 \r\n", BAD),
    ROW("CONNECT a:1 b HTTP/1.1\r\n", BAD),
    ROW("CONNECT\ta:1\tHTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1\tHTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1.1\r\r\n", BAD),
    ROW("CONNECT a:1\r HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1.1\0\r\n", BAD),
    ROW("CONNECT a\0:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT\0 a:1 HTTP/1.1\r\n", BAD),
    ROW("CONN(ECT a:1 HTTP/1.1\r\n", BAD),
    ROW("CONN\xC3\x84"
        "CT a:1 HTTP/1.1\r\n",
        BAD),
    ROW("CONNECT \xC3\xA4:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a\x7F:1 HTTP/1.1\r\n", BAD),
    ROW("GET /\x7F HTTP/1.1\r\n", BAD),
    ROW("GET / HTTP/1.1\x7F\r\n", BAD),
    ROW("CONNECT a:1 HTTP/2.0\r\n", BAD),
    ROW("PRI * HTTP/2.0\r\n", BAD),
    ROW("CONNECT a:1 HTTP/0.9\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1.\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1.11\r\n", BAD),
    ROW("CONNECT a:1 HTTP/1.x\r\n", BAD),
    ROW("CONNECT a:1 http/1.1\r\n", BAD),
    ROW("CONNECT a:1 HTTPS/1.1\r\n", BAD),
    ROW("CONNECT a:1 ICY/1.1\r\n", BAD),
    ROW("GET /\r\n", BAD),
    ROW("SSH-2.0-x\r\n", BAD),
    ROW("\5\1\0\n", BAD),
    /* the target */
    ROW("CONNECT a HTTP/1.1\r\n", BAD),
    ROW("CONNECT a: HTTP/1.1\r\n", BAD),
    ROW("CONNECT : HTTP/1.1\r\n", BAD),
    ROW("CONNECT :0 HTTP/1.1\r\n", BAD),
    ROW("CONNECT :x HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:0 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:65536 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:99999999999999999999 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:080 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:+80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:-1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:8x HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:https HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1:2 HTTP/1.1\r\n", BAD),
    ROW("CONNECT u@a:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT u:p@a:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a/:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a:1/ HTTP/1.1\r\n", BAD),
    ROW("CONNECT /:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a?b:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a#b:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a\\b:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT \"a\":1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT <a>:1 HTTP/1.1\r\n", BAD),
    ROW("CONNECT * HTTP/1.1\r\n", BAD),
    ROW("CONNECT / HTTP/1.1\r\n", BAD),
    ROW("CONNECT http://a:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT http://a:80/ HTTP/1.1\r\n", BAD),
    ROW("CONNECT ::1:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [::1] HTTP/1.1\r\n", BAD),
    ROW("CONNECT [::1]80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [::1:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT ::1]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT []:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [:]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [[::1]]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [192.0.2.1]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [a.example]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [v1.a:b]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [fe80::1%25eth0]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT [::1%lo]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT a[::1]:80 HTTP/1.1\r\n", BAD),
    ROW("CONNECT :80 HTTP/1.1\r\n", ERROR_RESOLVER_EMPTY),
    ROW("CONNECT :443 HTTP/1.0\n", ERROR_RESOLVER_EMPTY),
    /* fields */
    ROW(BEGIN "x\r\n", BAD),
    ROW(BEGIN ":\r\n", BAD),
    ROW(BEGIN ": x\r\n", BAD),
    ROW(BEGIN " \r\n", BAD),
    ROW(BEGIN "\t\r\n", BAD),
    ROW(BEGIN " A: b\r\n", BAD),
    ROW(BEGIN "\tA: b\r\n", BAD),
    ROW(BEGIN "A: b\r\n c\r\n", BAD),
    ROW(BEGIN "A: b\r\n\tc: d\r\n", BAD),
    ROW(BEGIN "A : b\r\n", BAD),
    ROW(BEGIN "A\t: b\r\n", BAD),
    ROW(BEGIN "A B: c\r\n", BAD),
    ROW(BEGIN "A\0: b\r\n", BAD),
    ROW(BEGIN "A(: b\r\n", BAD),
    ROW(BEGIN "\xC3\x84: b\r\n", BAD),
    ROW(BEGIN "\"A\": b\r\n", BAD),
    ROW(BEGIN "A: b\0c\r\n", BAD),
    ROW(BEGIN "A: b\rc\r\n", BAD),
    ROW(BEGIN "A: b\r\r\n", BAD),
    ROW(BEGIN "A:\r\r\n", BAD),
    ROW(BEGIN "\r\r\n", BAD),
    ROW(BEGIN "A: \x1B[1m\r\n", BAD),
    ROW(BEGIN "A: \x7F\r\n", BAD),
    ROW("GET / HTTP/1.1\r\nA : b\r\n", BAD),
    ROW(BEGIN "Content-Length: 5\r\n", BAD),
    ROW(BEGIN "content-length:5\r\n", BAD),
    ROW(BEGIN "Content-Length: 00\r\n", BAD),
    ROW(BEGIN "Content-Length: +0\r\n", BAD),
    ROW(BEGIN "Content-Length: 0, 0\r\n", BAD),
    ROW(BEGIN "Content-Length: -1\r\n", BAD),
    ROW(BEGIN "Content-Length:\r\n", BAD),
    ROW(BEGIN "Content-Length: x\r\n", BAD),
    ROW(BEGIN "Content-Length: 0\r\nContent-Length: 1\r\n", BAD),
    ROW(BEGIN "Transfer-Encoding: chunked\r\n", BAD),
    ROW(BEGIN "transfer-encoding: identity\r\n", BAD),
    ROW(BEGIN "Transfer-Encoding:\r\n", BAD),
    ROW(BEGIN "Proxy-Authorization: Basic dTpw\r\nProxy-Authorization: Basic dTpw\r\n", BAD),
    ROW(BEGIN "Proxy-Authorization: x\r\nproxy-authorization: y\r\n", BAD),
    ROW(BEGIN "Proxy-Authorization:\r\nA: b\r\nPROXY-AUTHORIZATION:\r\n", BAD),
    /* another method */
    ROW("GET / HTTP/1.1\r\n\r\n", METHOD),
    ROW("GET / HTTP/1.0\n\n", METHOD),
    ROW("\r\nGET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", METHOD),
    ROW("OPTIONS * HTTP/1.1\r\n\r\n", METHOD),
    ROW("connect a:1 HTTP/1.1\r\n\r\n", METHOD),
    ROW("CONNECTX a:1 HTTP/1.1\r\n\r\n", METHOD),
    ROW("CONNEC a:1 HTTP/1.1\r\n\r\n", METHOD),
    ROW("x y HTTP/1.1\r\n\r\n", METHOD),
    ROW("POST http://a/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n", METHOD),
    ROW("POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD),
};

Test(http, what_is_not_a_request_is_refused_whole_and_byte_by_byte)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct outcome whole = feed(refused[i].head, refused[i].n);
        struct outcome slow = feed_bytewise(refused[i].head, refused[i].n);

        expect_bad(&whole, refused[i].id, refused[i].head);
        expect_bad(&slow, refused[i].id, refused[i].head);
        cr_assert_eq(whole.request.is_connect, slow.request.is_connect);
        if (refused[i].id == METHOD)
            cr_assert_not(whole.request.is_connect);
    }
}

Test(http, a_refusal_waits_for_the_end_of_its_line)
{
    for (size_t i = 0; i < COUNT(refused); i++)
        for (size_t n = 0; n < refused[i].n; n++)
            cr_assert_eq(feed(refused[i].head, n).parsed, PARSE_MORE, "%s at %zu", refused[i].head,
                         n);
}

Test(http, what_is_refused_is_refused_with_anything_behind_it)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        char head[300];
        struct outcome o;

        memcpy(head, refused[i].head, refused[i].n);
        strcpy(head + refused[i].n, "A: b\r\n\r\n");
        o = feed(head, refused[i].n + strlen("A: b\r\n\r\n"));
        expect_bad(&o, refused[i].id, refused[i].head);
    }
}

/* Each byte in each part of a request: what is taken is just what the RFC lists. */
static bool is_token(int byte)
{
    return byte && strchr("!#$%&'*+-.^_`|~0123456789"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                          byte);
}

static void expect_byte(const char *before, int byte, const char *behind, bool is_good)
{
    char head[200];
    size_t n = strlen(before);
    enum parse parsed;

    memcpy(head, before, n);
    head[n] = (char)byte;
    strcpy(head + n + 1, behind);
    parsed = feed(head, n + 1 + strlen(behind)).parsed;
    cr_assert_eq(parsed, is_good ? PARSE_DONE : PARSE_BAD, "byte %d behind %s", byte, before);
}

Test(http, a_field_name_is_a_token)
{
    for (int byte = 0; byte < 256; byte++)
        if (byte != '\n' && byte != ':')
            expect_byte(BEGIN "A", byte, "B: c" END, is_token(byte));
}

Test(http, a_field_value_holds_no_control_characters)
{
    for (int byte = 0; byte < 256; byte++)
        if (byte != '\n')
            expect_byte(BEGIN "A: b", byte, "c" END, byte == '\t' || (byte >= ' ' && byte != 0x7F));
}

Test(http, a_name_is_of_bytes_that_a_uri_may_hold)
{
    for (int byte = 0; byte < 256; byte++)
        if (byte != '\n')
            expect_byte("CONNECT a", byte, "b:1 HTTP/1.1" END,
                        (is_token(byte) && !strchr("#^`|", byte)) ||
                            (byte && strchr("(),;=", byte)));
}

Test(http, a_method_is_a_token)
{
    for (int byte = 0; byte < 256; byte++) {
        char head[] = "CON.NECT a:1 HTTP/1.1" END;
        struct outcome o;

        if (byte == '\n')
            continue;
        head[3] = (char)byte;
        o = feed(head, sizeof head - 1);
        expect_bad(&o, is_token(byte) ? METHOD : BAD, "a method");
    }
}

Test(http, a_name_of_255_bytes_is_taken_and_one_of_256_is_no_name)
{
    for (int n = 1; n <= 3000; n += n < 300 ? 1 : 300) {
        struct outcome o = feed_format("CONNECT %0*d:443 HTTP/1.1" END, n, 0);

        if (n > HOST_NAME_LENGTH_MAX) {
            expect_bad(&o, ERROR_RESOLVER_INVALID, "a long name");
            continue;
        }
        cr_assert_eq(o.parsed, PARSE_DONE);
        cr_assert_eq(o.request.host.name_length, n);
        cr_assert_eq(strlen(o.request.host.name), (size_t)n);
    }
}

/* ---- limits */

/* A head with a field line of `line` bytes, its end included. */
static size_t draw_line(char *out, size_t line, const char *end)
{
    size_t start = strlen(BEGIN), n = line - strlen(end);

    memcpy(out, BEGIN, start);
    memset(out + start, 'v', n);
    memcpy(out + start, "A: ", 3);
    strcpy(out + start + n, end);
    return start + line;
}

Test(http, a_line_of_4000_bytes_is_taken_and_4001_are_too_many)
{
    static const char *const ends[] = {"\r\n", "\n"};
    char head[2 * HTTP_LINE_MAX];

    for (size_t i = 0; i < COUNT(ends); i++) {
        size_t n = draw_line(head, HTTP_LINE_MAX, ends[i]);
        struct outcome o = feed(head, n - 1);

        cr_assert_eq(o.parsed, PARSE_MORE);
        step(&o, head, n);
        cr_assert_eq(o.parsed, PARSE_MORE);
        cr_assert_eq(o.consumed, n);
        n = draw_line(head, HTTP_LINE_MAX + 1, ends[i]);
        o = feed(head, n);
        expect_bad(&o, BAD, "4001 bytes");
        o = feed(head, n - 1); /* told without its end */
        expect_bad(&o, BAD, "4000 bytes without an end");
        o = feed(head, n - 2);
        cr_assert_eq(o.parsed, PARSE_MORE);
    }
}

Test(http, a_request_line_is_bounded_like_any_other)
{
    static char head[HTTP_LINE_MAX + 1];
    struct outcome o;

    memset(head, 'G', sizeof head);
    o = feed(head, HTTP_LINE_MAX - 1);
    cr_assert_eq(o.parsed, PARSE_MORE);
    for (size_t n = HTTP_LINE_MAX; n <= sizeof head; n++) {
        o = feed(head, n);
        expect_bad(&o, BAD, "no end");
    }
}

/* A head of `size` bytes, of lines of 1000. */
static void draw_head(char *out, size_t size)
{
    memset(out, 'v', size);
    memcpy(out, BEGIN, strlen(BEGIN));
    for (size_t at = strlen(BEGIN); at + 10 < size; at += 1000)
        memcpy(out + at - 2, "\r\nA:", 4);
    memcpy(out + size - 4, END, 4);
}

Test(http, a_head_of_8192_bytes_is_taken_and_8193_are_too_many)
{
    static char head[HTTP_HEAD_MAX + 100];
    struct outcome o;

    draw_head(head, HTTP_HEAD_MAX);
    o = feed(head, HTTP_HEAD_MAX - 1);
    cr_assert_eq(o.parsed, PARSE_MORE);
    step(&o, head, HTTP_HEAD_MAX);
    cr_assert_eq(o.parsed, PARSE_DONE);
    cr_assert_eq(o.request.head_size, HTTP_HEAD_MAX);
    o = feed(head, HTTP_HEAD_MAX);
    cr_assert_eq(o.parsed, PARSE_DONE);
    for (size_t size = HTTP_HEAD_MAX + 1; size <= HTTP_HEAD_MAX + 5; size++) {
        draw_head(head, size);
        o = feed(head, size);
        expect_bad(&o, BAD, "a long head");
        o = feed(head, HTTP_HEAD_MAX); /* nothing that could come would make it good */
        expect_bad(&o, BAD, "8192 bytes without an end");
        o = feed(head, HTTP_HEAD_MAX - 1);
        cr_assert_eq(o.parsed, PARSE_MORE);
    }
}

Test(http, a_head_without_end_is_refused_at_8192_bytes_however_it_comes)
{
    static char head[HTTP_HEAD_MAX + 100];
    struct outcome o;

    memcpy(head, BEGIN, strlen(BEGIN));
    for (size_t n = strlen(BEGIN); n + 3 <= sizeof head; n += 3)
        memcpy(head + n, "A:\n", 3);
    o = feed_bytewise(head, HTTP_HEAD_MAX - 1);
    cr_assert_eq(o.parsed, PARSE_MORE);
    o = feed_bytewise(head, HTTP_HEAD_MAX);
    expect_bad(&o, BAD, "no end");
}
