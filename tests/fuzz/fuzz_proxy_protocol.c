/* fuzz_proxy_protocol.c - a header of either version. The claims are those of proxy_protocol.h:
 * MORE consumes and sets nothing, PROXY_V1_MAX or PROXY_V2_MAX bytes are enough to decide, a
 * split changes nothing, BAD stays BAD, and what was read is written and read back the same in
 * both versions. */
#include "tests/fuzz/fuzz.h"

#include "streams/proxy_protocol.h"

#include <string.h>

enum { FILL = 0xA5 };

struct outcome {
    enum parse parsed;
    size_t consumed;
    struct proxy_header header;
    struct stream_error error;
};

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != FILL)
            return false;
    return true;
}

static size_t max_of(const uint8_t *bytes)
{
    return bytes[0] == 'P' ? PROXY_V1_MAX : PROXY_V2_MAX;
}

/* One call, with what proxy_protocol.h says of each of its results. `bytes` is copied to a block
 * of just its size: a sanitizer then sees any read behind it. */
static struct outcome parse_once(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct outcome o;
    struct cursor in;

    CLAIM(copy);
    memset(&o, FILL, sizeof o);
    if (n)
        memcpy(copy, bytes, n);
    in = cursor_over(copy, n);
    o.parsed = proxy_parse_header(&in, &o.header, &o.error);
    CLAIM(in.at >= copy && in.at <= copy + n && in.end == copy + n);
    o.consumed = (size_t)(in.at - copy);
    free(copy);
    switch (o.parsed) {
    case PARSE_DONE:
        CLAIM(o.consumed >= 15 && o.consumed <= max_of(bytes));
        CLAIM(is_filled(&o.error, sizeof o.error));
        break;
    case PARSE_MORE:
        CLAIM(n == 0 || n < max_of(bytes));
        CLAIM(o.consumed == 0);
        CLAIM(is_filled(&o.header, sizeof o.header) && is_filled(&o.error, sizeof o.error));
        break;
    case PARSE_BAD:
        CLAIM(n > 0 && is_filled(&o.header, sizeof o.header));
        CLAIM(stream_error_is(&o.error, ERROR_PROTOCOL_PROXY_BAD));
        break;
    }
    return o;
}

static bool same_header(const struct proxy_header *a, const struct proxy_header *b)
{
    return a->is_local == b->is_local && endpoint_equal(&a->source, &b->source) &&
           endpoint_equal(&a->destination, &b->destination);
}

static void check_header(const struct proxy_header *header, const uint8_t *bytes)
{
    static const struct ip_endpoint none;

    CLAIM(header->version == (bytes[0] == 'P' ? 1 : 2));
    CLAIM(header->source.ip.family == header->destination.ip.family);
    CLAIM(header->is_local == (header->source.ip.family == IP_NONE));
    if (header->is_local)
        CLAIM(endpoint_equal(&header->source, &none) &&
              endpoint_equal(&header->destination, &none));
}

static void check_written(const struct proxy_header *header)
{
    for (unsigned version = 1; version <= 2; version++) {
        uint8_t written[PROXY_V1_MAX];
        size_t n = proxy_write_header(version, &header->source, &header->destination, written);
        struct outcome back;

        CLAIM(n > 0 && n <= sizeof written);
        back = parse_once(written, n);
        CLAIM(back.parsed == PARSE_DONE && back.consumed == n && back.header.version == version);
        CLAIM(same_header(&back.header, header));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < PROXY_V2_MAX + 1 ? size : PROXY_V2_MAX + 1;
    struct outcome whole = parse_once(data, size);
    bool decided = false;

    for (size_t length = 0; length <= n; length++) {
        struct outcome part = parse_once(data, length);

        CLAIM(!decided || part.parsed != PARSE_MORE);
        decided = part.parsed != PARSE_MORE;
        CLAIM(!decided || part.parsed == whole.parsed);
        if (part.parsed == PARSE_DONE)
            CLAIM(part.consumed == whole.consumed && same_header(&part.header, &whole.header));
    }
    if (whole.parsed == PARSE_DONE) {
        check_header(&whole.header, data);
        check_written(&whole.header);
    }
    return 0;
}
