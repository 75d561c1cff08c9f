/* fuzz_http_client.c - the head that answers a CONNECT. The claims are those of http_client.h: MORE
 * consumes everything, DONE stands right behind an empty line, the bound holds, and byte by byte
 * gives the same result as the whole. And a request, of whatever name and credentials, is read by
 * the parser of requests as what it was written for. */
#include "tests/fuzz/fuzz.h"

#include "streams/http_client.h"

#include <string.h>

struct outcome {
    enum parse parsed;
    size_t consumed;
    struct http_response response;
    struct stream_error error;
};

/* One call with `n` bytes of what follows, in a block of just that size. */
static void step(struct outcome *o, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct cursor in;
    size_t used;

    CLAIM(copy);
    memcpy(copy, bytes + o->consumed, n);
    in = cursor_over(copy, n);
    o->parsed = http_parse_response(&in, &o->response, &o->error);
    used = (size_t)(in.at - copy);
    CLAIM(used <= n && in.end == copy + n);
    CLAIM(o->parsed != PARSE_MORE || used == n);
    CLAIM(stream_error_set(&o->error) == (o->parsed == PARSE_BAD));
    CLAIM(o->response.head_size <= HTTP_HEAD_MAX);
    o->consumed += used;
    free(copy);
}

static void check_done(const struct outcome *o, const uint8_t *bytes)
{
    size_t n = o->consumed;

    CLAIM(o->response.status >= 200 && o->response.status < 300);
    CLAIM(n >= 2 && n == o->response.head_size && bytes[n - 1] == '\n');
    CLAIM(bytes[n - 2] == '\n' || (n >= 3 && bytes[n - 2] == '\r' && bytes[n - 3] == '\n'));
    CLAIM(!memchr(bytes, 0, n) && memcmp(bytes, "HTTP/1.", 7) == 0);
}

static void check_bad(const struct outcome *o)
{
    if (o->error.domain == ERROR_DOMAIN_HTTP && o->error.subdomain == SUBDOMAIN_HTTP_STATUS)
        CLAIM(o->error.code == o->response.status && o->response.status / 100 != 2);
    else
        CLAIM(stream_error_is(&o->error, ERROR_HTTP_RESPONSE_BAD));
}

/* `data` as a name, a user and a password, cut by what its first bytes say. */
static void check_request(const uint8_t *data, size_t size)
{
    struct http_request request = {0};
    struct socks_host host = {0};
    char user[256] = {0}, password[256] = {0};
    uint8_t out[HTTP_CONNECT_MAX];
    struct stream_error error = {0};
    struct cursor in;
    size_t n;

    if (size < 8)
        return;
    host.name_length = (uint8_t)(data[0] < size - 2 ? data[0] : size - 2);
    memcpy(host.name, data + 1, host.name_length);
    n = size - 1 - host.name_length;
    strncpy(user, (const char *)data + 1 + host.name_length, n < 255 ? n : 255);
    strncpy(password, (const char *)data, size < 255 ? size : 255);
    if (!http_is_name(host.name, host.name_length) || strchr(user, ':'))
        return;
    n = http_write_connect(&host, 443, user, password, out);
    CLAIM(n <= sizeof out);
    in = cursor_over(out, n);
    CLAIM(http_parse_request(&in, &request, &error) == PARSE_DONE && cursor_left(&in) == 0);
    CLAIM(request.port == 443 && !request.credentials.is_bad);
    CLAIM(strcmp(request.credentials.user, user) == 0);
    CLAIM(strcmp(request.credentials.password, password) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < HTTP_HEAD_MAX + 1 ? size : HTTP_HEAD_MAX + 1;
    struct outcome whole = {.parsed = PARSE_MORE}, slow = {.parsed = PARSE_MORE};

    if (size == 0)
        return 0;
    step(&whole, data, n);
    while (slow.consumed < n && slow.parsed == PARSE_MORE)
        step(&slow, data, 1);
    CLAIM(whole.parsed == slow.parsed && whole.consumed == slow.consumed);
    CLAIM(memcmp(&whole.response, &slow.response, sizeof whole.response) == 0);
    CLAIM(memcmp(&whole.error, &slow.error, sizeof whole.error) == 0);
    if (whole.parsed == PARSE_DONE)
        check_done(&whole, data);
    if (whole.parsed == PARSE_BAD)
        check_bad(&whole);
    CLAIM(whole.parsed != PARSE_MORE || n < HTTP_HEAD_MAX);
    check_request(data, size);
    return 0;
}
