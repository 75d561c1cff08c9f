/* fuzz_socks.c - every parse function of the SOCKS codec over the same bytes. The first byte of
 * an input says which one is meant, so that the corpus can hold each message; the claims are
 * those of socks.h: MORE consumes and sets nothing, MAX bytes are enough to decide, a split
 * changes nothing, BAD stays BAD, and what was read is written and read back the same. */
#include "tests/fuzz/fuzz.h"

#include "streams/socks.h"

#include <string.h>

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

static size_t write_greeting(const union result *result, const uint8_t *sent, uint8_t *out)
{
    (void)sent;
    return socks5_write_greeting(result->greeting.methods, result->greeting.count, out);
}

static enum parse parse_userpass(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks5_parse_userpass(in, &ret->userpass, ret_error);
}

static size_t write_userpass(const union result *result, const uint8_t *sent, uint8_t *out)
{
    (void)sent;
    return socks5_write_userpass(&result->userpass, out);
}

static enum parse parse_request5(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks5_parse_request(in, &ret->request, ret_error);
}

static size_t write_request5(const union result *result, const uint8_t *sent, uint8_t *out)
{
    (void)sent;
    return socks5_write_request(&result->request, out);
}

static enum parse parse_request4(struct cursor *in, union result *ret,
                                 struct stream_error *ret_error)
{
    return socks4_parse_request(in, &ret->request, &ret->userid_length, ret_error);
}

/* The USERID is not kept: it is taken from where it is said to lie. The writer knows one address
 * only that announces a name. */
static size_t write_request4(const union result *result, const uint8_t *sent, uint8_t *out)
{
    char userid[SOCKS4_USERID_MAX + 1] = {0};
    size_t n;

    CLAIM(result->userid_length <= SOCKS4_USERID_MAX);
    CLAIM(sent[8 + result->userid_length] == 0);
    memcpy(userid, sent + 8, result->userid_length);
    CLAIM(strlen(userid) == result->userid_length);
    n = socks4_write_request(&result->request, userid, out);
    if (result->request.host.name_length)
        out[7] = sent[7];
    return n;
}

static enum parse parse_method(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    return socks5_parse_method(in, &ret->method, ret_error);
}

static size_t write_method(const union result *result, const uint8_t *sent, uint8_t *out)
{
    (void)sent;
    return socks5_write_method(result->method, out);
}

static enum parse parse_status(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    (void)ret;
    return socks5_parse_status(in, ret_error);
}

static size_t write_status(const union result *result, const uint8_t *sent, uint8_t *out)
{
    (void)result;
    (void)sent;
    return socks5_write_status(0, out);
}

static enum parse parse_reply5(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    return socks5_parse_reply(in, &ret->bound, &ret->port, ret_error);
}

/* A name is drawn by hand: a server writes none. The reserved byte is not looked at. */
static size_t write_reply5(const union result *result, const uint8_t *sent, uint8_t *out)
{
    struct ip_endpoint bound = {result->bound.ip, result->port};
    struct socks_request request = {.port = result->port, .host = result->bound};
    size_t n = result->bound.name_length ? socks5_write_request(&request, out)
                                         : socks5_write_reply(0, &bound, out);

    out[2] = sent[2];
    return n;
}

static enum parse parse_reply4(struct cursor *in, union result *ret, struct stream_error *ret_error)
{
    return socks4_parse_reply(in, &ret->endpoint, ret_error);
}

static size_t write_reply4(const union result *result, const uint8_t *sent, uint8_t *out)
{
    (void)sent;
    return socks4_write_reply(SOCKS4_GRANTED, &result->endpoint, out);
}

static const struct kind {
    enum parse (*parse)(struct cursor *in, union result *ret, struct stream_error *ret_error);
    size_t (*write)(const union result *result, const uint8_t *sent, uint8_t *out);
    size_t max;
} kinds[] = {
    {parse_greeting, write_greeting, SOCKS5_GREETING_MAX},
    {parse_userpass, write_userpass, SOCKS5_USERPASS_MAX},
    {parse_request5, write_request5, SOCKS5_REQUEST_MAX},
    {parse_request4, write_request4, SOCKS4_REQUEST_MAX},
    {parse_method, write_method, SOCKS5_METHOD_SIZE},
    {parse_status, write_status, SOCKS5_STATUS_SIZE},
    {parse_reply5, write_reply5, SOCKS5_REPLY_MAX},
    {parse_reply4, write_reply4, SOCKS4_REPLY_SIZE},
};

enum { KINDS = sizeof kinds / sizeof kinds[0], FILL = 0xA5 };

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != FILL)
            return false;
    return true;
}

struct outcome {
    enum parse parsed;
    size_t consumed;
    union result result;
    struct stream_error error;
};

/* One call, with what socks.h says of each of its results. `bytes` is copied to a block of just
 * its size: a sanitizer then sees any read behind it. */
static struct outcome parse_once(const struct kind *kind, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct outcome o;
    struct cursor in;

    CLAIM(copy);
    memset(&o, FILL, sizeof o);
    if (n)
        memcpy(copy, bytes, n);
    in = cursor_over(copy, n);
    o.parsed = kind->parse(&in, &o.result, &o.error);
    CLAIM(in.at >= copy && in.at <= copy + n && in.end == copy + n);
    o.consumed = (size_t)(in.at - copy);
    free(copy);
    switch (o.parsed) {
    case PARSE_DONE:
        CLAIM(o.consumed > 0 && o.consumed <= kind->max);
        CLAIM(is_filled(&o.error, sizeof o.error));
        break;
    case PARSE_MORE:
        CLAIM(n < kind->max);
        CLAIM(o.consumed == 0);
        CLAIM(is_filled(&o.result, sizeof o.result));
        CLAIM(is_filled(&o.error, sizeof o.error));
        break;
    case PARSE_BAD:
        CLAIM(is_filled(&o.result, sizeof o.result));
        CLAIM(!is_filled(&o.error, sizeof o.error) && stream_error_set(&o.error));
        break;
    }
    return o;
}

static size_t write_again(const struct kind *kind, const struct outcome *o, const uint8_t *sent,
                          uint8_t *out)
{
    return kind->write(&o->result, sent, out);
}

static void check_done(const struct kind *kind, const struct outcome *o, const uint8_t *bytes)
{
    uint8_t written[SOCKS4_REQUEST_MAX], again[SOCKS4_REQUEST_MAX];
    size_t n = write_again(kind, o, bytes, written);
    struct outcome back;

    CLAIM(n == o->consumed && memcmp(written, bytes, n) == 0);
    back = parse_once(kind, written, n);
    CLAIM(back.parsed == PARSE_DONE && back.consumed == n);
    CLAIM(write_again(kind, &back, written, again) == n && memcmp(again, written, n) == 0);
}

/* The same bytes as they come in: MORE, MORE ... and then, from one byte on, always the same. */
static void check_prefixes(const struct kind *kind, const struct outcome *whole,
                           const uint8_t *bytes, size_t n)
{
    bool decided = false;

    if (n > kind->max + 1)
        n = kind->max + 1;
    for (size_t length = 0; length <= n; length++) {
        struct outcome part = parse_once(kind, bytes, length);

        CLAIM(!decided || part.parsed != PARSE_MORE);
        if (part.parsed == PARSE_MORE)
            continue;
        decided = true;
        CLAIM(part.parsed == whole->parsed);
        if (part.parsed == PARSE_BAD) {
            CLAIM(part.error.domain == whole->error.domain &&
                  part.error.subdomain == whole->error.subdomain &&
                  part.error.code == whole->error.code);
        } else {
            CLAIM(length >= whole->consumed && part.consumed == whole->consumed);
            check_done(kind, &part, bytes);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kind *kind;
    struct outcome whole;

    if (size == 0)
        return 0;
    kind = &kinds[data[0] % KINDS];
    whole = parse_once(kind, data + 1, size - 1);
    if (whole.parsed == PARSE_DONE)
        check_done(kind, &whole, data + 1);
    check_prefixes(kind, &whole, data + 1, size - 1);
    return 0;
}
