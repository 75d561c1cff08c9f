/* proxy_protocol.c - the PROXY header of either version, read and written. Called by the
 * daemon's listeners, and by its connections to a next hop. Whether the sender may be believed
 * is its caller's business. */
#include "streams/proxy_protocol.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* These n bytes come next, as far as anything has come. */
static enum parse read_literal(struct cursor *at, const char *literal, size_t n)
{
    size_t have = cursor_left(at) < n ? cursor_left(at) : n;

    if (memcmp(at->at, literal, have) != 0)
        return PARSE_BAD;
    return cursor_bytes(at, n) ? PARSE_DONE : PARSE_MORE;
}

/* ---- version 1, a line of text (2.1) */

/* `bytes` and `max` are what an address may be made of, and how long its text is at most. */
static const struct v1_family {
    const char *word;
    enum ip_family family;
    const char *bytes;
    size_t max;
} v1_families[] = {
    {"TCP4 ", IP_V4, "0123456789.", 15},
    {"TCP6 ", IP_V6, "0123456789abcdefABCDEF:.", IP_TEXT_MAX - 1},
    {"UNKNOWN", IP_NONE, "", 0},
};

static enum parse read_family(struct cursor *at, const struct v1_family **ret_family)
{
    enum parse parsed = PARSE_BAD;

    for (size_t i = 0; i < COUNT(v1_families); i++) {
        struct cursor copy = *at;

        switch (read_literal(&copy, v1_families[i].word, strlen(v1_families[i].word))) {
        case PARSE_DONE:
            *ret_family = &v1_families[i];
            *at = copy;
            return PARSE_DONE;
        case PARSE_MORE:
            parsed = PARSE_MORE;
            break;
        case PARSE_BAD:
            break;
        }
    }
    return parsed;
}

/* At most `max` bytes, each of `bytes`, and then `end`, which is consumed. */
static enum parse read_word(struct cursor *at, const char *bytes, size_t max, char end,
                            const char **ret_word, size_t *ret_n)
{
    const char *word = (const char *)at->at;
    size_t n = 0, left = cursor_left(at);

    while (n < left && n < max && word[n] && strchr(bytes, word[n]))
        n++;
    if (n == left)
        return PARSE_MORE;
    if (word[n] != end)
        return PARSE_BAD;
    at->at += n + 1;
    *ret_word = word;
    *ret_n = n;
    return PARSE_DONE;
}

static enum parse read_address(struct cursor *at, const struct v1_family *family,
                               struct ip_address *ret_ip)
{
    const char *word;
    size_t n;
    enum parse parsed = read_word(at, family->bytes, family->max, ' ', &word, &n);

    if (parsed != PARSE_DONE)
        return parsed;
    return ip_parse(word, n, ret_ip) && ret_ip->family == family->family ? PARSE_DONE : PARSE_BAD;
}

static enum parse read_port(struct cursor *at, char end, uint16_t *ret_port)
{
    const char *word;
    size_t n;
    enum parse parsed = read_word(at, "0123456789", 5, end, &word, &n);

    if (parsed != PARSE_DONE)
        return parsed;
    return port_parse(word, n, ret_port) ? PARSE_DONE : PARSE_BAD;
}

/* What a sender may say behind UNKNOWN, and nobody reads: a blank and anything, to the line's end. */
static enum parse skip_unknown(struct cursor *at)
{
    if (cursor_left(at) > 0 && at->at[0] == ' ')
        while (cursor_left(at) > 0 && at->at[0] != '\r' && at->at[0] != '\n')
            at->at++;
    return read_literal(at, "\r\n", 2);
}

static enum parse read_v1(struct cursor *at, struct proxy_header *header)
{
    /* PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT CR LF */
    const struct v1_family *family;
    enum parse parsed = read_literal(at, "PROXY ", 6);

    header->version = 1;
    if (parsed == PARSE_DONE)
        parsed = read_family(at, &family);
    if (parsed != PARSE_DONE)
        return parsed;
    header->is_local = family->family == IP_NONE;
    if (header->is_local)
        return skip_unknown(at);
    parsed = read_address(at, family, &header->source.ip);
    if (parsed == PARSE_DONE)
        parsed = read_address(at, family, &header->destination.ip);
    if (parsed == PARSE_DONE)
        parsed = read_port(at, ' ', &header->source.port);
    if (parsed == PARSE_DONE)
        parsed = read_port(at, '\r', &header->destination.port);
    if (parsed == PARSE_DONE)
        parsed = read_literal(at, "\n", 1);
    return parsed;
}

/* ---- version 2, bytes (2.2) */

enum v2_command { V2_LOCAL = 0x20, V2_PROXY = 0x21 };

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* The 14th byte: address family and protocol. `size` is that of the address block. Whatever has
 * no row is invalid, or of datagrams, which no connection here can have come from. */
static const struct v2_transport {
    uint8_t byte;
    uint8_t size;
    uint8_t family; /* enum ip_family; IP_NONE: the addresses say nothing to us */
} v2_transports[] = {
    {0x00, 0, IP_NONE},   {0x01, 0, IP_NONE},   /* AF_UNSPEC */
    {0x10, 12, IP_NONE},  {0x11, 12, IP_V4},    /* AF_INET */
    {0x20, 36, IP_NONE},  {0x21, 36, IP_V6},    /* AF_INET6 */
    {0x30, 216, IP_NONE}, {0x31, 216, IP_NONE}, /* AF_UNIX */
};

static const struct v2_transport *find_transport(uint8_t byte)
{
    for (size_t i = 0; i < COUNT(v2_transports); i++)
        if (v2_transports[i].byte == byte)
            return &v2_transports[i];
    return NULL;
}

static size_t address_size(uint8_t family)
{
    return family == IP_V4 ? 4 : 16;
}

/* The addresses, then the ports. */
static bool read_block(struct cursor *at, uint8_t family, struct proxy_header *header)
{
    const size_t size = address_size(family);
    const uint8_t *source = cursor_bytes(at, size), *destination = cursor_bytes(at, size);

    header->source.port = cursor_u16(at);
    header->destination.port = cursor_u16(at);
    if (cursor_short(at))
        return false;
    header->source.ip.family = family;
    header->destination.ip.family = family;
    memcpy(header->source.ip.bytes, source, size);
    memcpy(header->destination.ip.bytes, destination, size);
    return true;
}

/* All that is left of the header: type, length and that many bytes, over and over. */
static enum parse skip_tlvs(struct cursor *at, size_t left)
{
    while (left > 0) {
        size_t n;

        if (left < 3)
            return PARSE_BAD;
        cursor_u8(at);
        n = cursor_u16(at);
        if (cursor_short(at))
            return PARSE_MORE;
        left -= 3;
        if (n > left)
            return PARSE_BAD;
        if (!cursor_bytes(at, n))
            return PARSE_MORE;
        left -= n;
    }
    return PARSE_DONE;
}

static enum parse read_v2(struct cursor *at, struct proxy_header *header)
{
    /* +-----------+---------+-----------+--------+-----------+------+
     * | SIGNATURE | COMMAND | TRANSPORT | LENGTH | ADDRESSES | TLVS |
     * +-----------+---------+-----------+--------+-----------+------+ */
    static const struct v2_transport none;
    const struct v2_transport *transport;
    enum parse parsed = read_literal(at, v2_signature, sizeof v2_signature);
    uint8_t command, byte;
    size_t length;

    header->version = 2;
    if (parsed != PARSE_DONE)
        return parsed;
    command = cursor_u8(at);
    if (!cursor_short(at) && command != V2_LOCAL && command != V2_PROXY)
        return PARSE_BAD;
    byte = cursor_u8(at);
    transport = command == V2_LOCAL ? &none : find_transport(byte); /* of LOCAL it is ignored */
    if (!cursor_short(at) && !transport)
        return PARSE_BAD;
    length = cursor_u16(at);
    if (cursor_short(at))
        return PARSE_MORE;
    if (length < transport->size || length > PROXY_V2_MAX - PROXY_V2_HEADER)
        return PARSE_BAD;
    /* Of addresses that say nothing, nothing is read, and not what is behind them either. */
    header->is_local = transport->family == IP_NONE;
    if (header->is_local)
        return cursor_bytes(at, length) ? PARSE_DONE : PARSE_MORE;
    if (!read_block(at, transport->family, header))
        return PARSE_MORE;
    return skip_tlvs(at, length - transport->size);
}

/* ---- either */

enum parse proxy_parse_header(struct cursor *in, struct proxy_header *ret_header,
                              struct stream_error *ret_error)
{
    struct cursor at = *in;
    struct proxy_header header = {0};
    size_t have = cursor_left(in);
    enum parse parsed;

    if (have == 0)
        return PARSE_MORE;
    if (at.at[0] == 'P') {
        at.end = have > PROXY_V1_MAX ? at.at + PROXY_V1_MAX : at.end;
        parsed = read_v1(&at, &header);
        if (parsed == PARSE_MORE && have >= PROXY_V1_MAX)
            parsed = PARSE_BAD;
    } else {
        parsed = read_v2(&at, &header);
    }
    if (parsed == PARSE_BAD)
        *ret_error = stream_error_of(ERROR_PROTOCOL_PROXY_BAD);
    if (parsed == PARSE_DONE) {
        *ret_header = header;
        in->at = at.at;
    }
    return parsed;
}

static size_t write_v1(const struct ip_endpoint *source, const struct ip_endpoint *destination,
                       uint8_t *out)
{
    char from[IP_TEXT_MAX], to[IP_TEXT_MAX];

    if (source->ip.family == IP_NONE)
        return (size_t)snprintf((char *)out, PROXY_V1_MAX, "PROXY UNKNOWN\r\n");
    ip_format(&source->ip, from);
    ip_format(&destination->ip, to);
    return (size_t)snprintf((char *)out, PROXY_V1_MAX, "PROXY TCP%u %s %s %u %u\r\n",
                            (unsigned)source->ip.family, from, to, (unsigned)source->port,
                            (unsigned)destination->port);
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return out + n;
}

static uint8_t *put_u16(uint8_t *out, size_t value)
{
    *out++ = (uint8_t)(value >> 8);
    *out++ = (uint8_t)value;
    return out;
}

static size_t write_v2(const struct ip_endpoint *source, const struct ip_endpoint *destination,
                       uint8_t *out)
{
    const uint8_t family = source->ip.family;
    const size_t size = address_size(family);
    uint8_t *at = put_bytes(out, v2_signature, sizeof v2_signature);

    *at++ = family == IP_NONE ? V2_LOCAL : V2_PROXY;
    if (family == IP_NONE) {
        *at++ = 0x00;
        at = put_u16(at, 0);
        return (size_t)(at - out);
    }
    *at++ = family == IP_V4 ? 0x11 : 0x21;
    at = put_u16(at, 2 * size + 4);
    at = put_bytes(at, source->ip.bytes, size);
    at = put_bytes(at, destination->ip.bytes, size);
    at = put_u16(at, source->port);
    at = put_u16(at, destination->port);
    return (size_t)(at - out);
}

size_t proxy_write_header(unsigned version, const struct ip_endpoint *source,
                          const struct ip_endpoint *destination, uint8_t *out)
{
    static const struct ip_endpoint unknown;

    assert(version == 1 || version == 2);
    if (source->ip.family != destination->ip.family)
        source = destination = &unknown;
    return version == 1 ? write_v1(source, destination, out) : write_v2(source, destination, out);
}
