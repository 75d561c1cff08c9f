/* fuzz_http.c - the head of an HTTP request, and the replies. The claims are those of http.h:
 * MORE consumes whole lines and no more, the limits are enough to decide, byte by byte gives the
 * same result as the whole, and what was read of a CONNECT is read again from a head that is
 * written for it. */
#include "tests/fuzz/fuzz.h"

#include "streams/http.h"

#include <string.h>

struct outcome {
    enum parse parsed;
    size_t consumed;
    struct http_request request;
    struct stream_error error;
};

static void begin(struct outcome *o)
{
    memset(o, 0, sizeof *o);
    o->parsed = PARSE_MORE;
}

/* MORE: what is left is one line that has no end yet, and may still get one. */
static void check_more(const struct outcome *o, const uint8_t *bytes, size_t n)
{
    size_t left = n - o->consumed;

    CLAIM(o->consumed == 0 || bytes[o->consumed - 1] == '\n');
    CLAIM(left == 0 || !memchr(bytes + o->consumed, '\n', left));
    CLAIM(left < HTTP_LINE_MAX && n < HTTP_HEAD_MAX);
}

/* One call with what is there of `bytes`, in a block of just its size: a sanitizer then sees any
 * read behind it. */
static void step(struct outcome *o, const uint8_t *bytes, size_t n)
{
    size_t left = n - o->consumed;
    uint8_t *copy = malloc(left ? left : 1);
    struct cursor in;

    CLAIM(copy);
    if (left)
        memcpy(copy, bytes + o->consumed, left);
    in = cursor_over(copy, left);
    o->parsed = http_parse_request(&in, &o->request, &o->error);
    CLAIM(in.at >= copy && in.at <= copy + left && in.end == copy + left);
    o->consumed += (size_t)(in.at - copy);
    free(copy);
    CLAIM(stream_error_set(&o->error) == (o->parsed == PARSE_BAD));
    CLAIM(o->request.head_size == o->consumed && o->consumed <= HTTP_HEAD_MAX);
    if (o->parsed == PARSE_MORE)
        check_more(o, bytes, n);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    CLAIM(a->parsed == b->parsed && a->consumed == b->consumed);
    CLAIM(memcmp(&a->request, &b->request, sizeof a->request) == 0);
    CLAIM(memcmp(&a->error, &b->error, sizeof a->error) == 0);
}

static void check_credentials(const struct http_credentials *credentials)
{
    if (!credentials->present || credentials->is_bad)
        CLAIM(credentials->user_length == 0 && credentials->password_length == 0);
    if (!credentials->present)
        CLAIM(!credentials->is_bad);
    CLAIM(!memchr(credentials->user, ':', credentials->user_length));
    CLAIM(credentials->user[credentials->user_length] == '\0');
    CLAIM(credentials->password[credentials->password_length] == '\0');
}

static void check_host(const struct socks_host *host)
{
    CLAIM((host->name_length > 0) == (host->ip.family == IP_NONE));
    CLAIM(strlen(host->name) == host->name_length);
    for (const char *at = host->name; *at; at++)
        CLAIM(*at > ' ' && *at < 0x7F && !strchr("/@?#[]:\\", *at));
}

static char *put_base64(char *out, const struct http_credentials *credentials)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t pair[HTTP_USER_MAX + 1 + HTTP_PASSWORD_MAX + 2] = {0};
    size_t n = credentials->user_length;

    memcpy(pair, credentials->user, n);
    pair[n++] = ':';
    memcpy(pair + n, credentials->password, credentials->password_length);
    n += credentials->password_length;
    for (size_t i = 0; i < n; i += 3) {
        unsigned bits = (unsigned)pair[i] << 16 | (unsigned)pair[i + 1] << 8 | pair[i + 2];

        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[bits & 63] : '=';
    }
    return out;
}

static size_t write_head(const struct http_request *request, char *out)
{
    char host[HOST_NAME_LENGTH_MAX + 1], *at = out;

    if (request->host.name_length)
        memcpy(host, request->host.name, sizeof host);
    else
        ip_format(&request->host.ip, host);
    at += sprintf(at, request->host.ip.family == IP_V6 ? "CONNECT [%s]:%u" : "CONNECT %s:%u", host,
                  (unsigned)request->port);
    at = stpcpy(at, " HTTP/1.1\r\n");
    if (request->credentials.present) {
        at = stpcpy(at, "Proxy-Authorization: ");
        if (!request->credentials.is_bad)
            at = put_base64(stpcpy(at, "Basic "), &request->credentials);
        at = stpcpy(at, "\r\n");
    }
    return (size_t)(stpcpy(at, "\r\n") - out);
}

static void check_done(const struct outcome *o, const uint8_t *bytes)
{
    char head[2048];
    struct outcome back;
    size_t n;

    CLAIM(o->request.is_connect && o->request.port != 0);
    CLAIM(bytes[o->consumed - 1] == '\n');
    check_host(&o->request.host);
    check_credentials(&o->request.credentials);
    n = write_head(&o->request, head);
    begin(&back);
    step(&back, (const uint8_t *)head, n);
    CLAIM(back.parsed == PARSE_DONE && back.consumed == n);
    back.request.head_size = o->request.head_size;
    CLAIM(memcmp(&back.request, &o->request, sizeof back.request) == 0);
}

/* A reply to `error`: one head, and a body as long as it says. */
static void check_reply(const struct stream_error *error)
{
    char reply[HTTP_REPLY_MAX + 1], *body, *length;
    size_t n = http_write_reply(error, reply);

    CLAIM(n <= HTTP_REPLY_MAX);
    CLAIM((n == 0) == (stream_error_reply(error).http == 0));
    if (n == 0 || stream_error_reply(error).http == 200)
        return;
    reply[n] = '\0';
    CLAIM(strlen(reply) == n);
    body = strstr(reply, "\r\n\r\n");
    length = strstr(reply, "Content-Length: ");
    CLAIM(body && length && length < body);
    CLAIM(strtoul(length + strlen("Content-Length: "), NULL, 10) == strlen(body + 4));
}

/* Any error at all: what the first bytes say. */
static void check_any_reply(const uint8_t *data, size_t size)
{
    struct stream_error error;

    if (size < 8)
        return;
    error = (struct stream_error){
        .domain = data[0] % 16,
        .subdomain = data[1] % 8,
        .code = (int32_t)((uint32_t)data[2] << 24 | (uint32_t)data[3] << 16 |
                          (uint32_t)data[4] << 8 | data[5]),
    };
    if (data[6] % 2)
        error.code = data[5];
    check_reply(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < HTTP_HEAD_MAX + 1 ? size : HTTP_HEAD_MAX + 1;
    struct outcome whole, slow;

    begin(&whole);
    step(&whole, data, n);
    begin(&slow);
    for (size_t have = 0; have <= n && slow.parsed == PARSE_MORE; have++)
        step(&slow, data, have);
    check_same(&whole, &slow);
    if (whole.parsed == PARSE_DONE)
        check_done(&whole, data);
    if (whole.parsed == PARSE_BAD)
        check_reply(&whole.error);
    check_any_reply(data, size);
    return 0;
}
