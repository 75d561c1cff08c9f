/* address.c - IP addresses and prefixes: text to bytes and back, by hand, for inet_aton and friends take spellings that
 * mean different things to different programs. */
#include "streams/address.h"

#include "streams/address_digits.h"

#include <stdio.h>
#include <string.h>

static bool parse_v4(const char *text, size_t n, uint8_t out[4])
{
    const char *end = text + n;

    for (int i = 0; i < 4; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        const char *part_end = dot ? dot : end;
        unsigned value;

        if ((i < 3) != (dot != NULL) ||
            !parse_decimal(text, (size_t)(part_end - text), 255, &value))
            return false;
        out[i] = (uint8_t)value;
        text = dot ? dot + 1 : end;
    }
    return true;
}

/* One group of 1 to 4 hexadecimal digits at *at. */
static bool parse_group(const char **at, const char *end, uint8_t out[2])
{
    unsigned value = 0;
    int digits = 0;

    while (*at < end && hex_value(**at) >= 0) {
        if (++digits > 4)
            return false;
        value = value << 4 | (unsigned)hex_value(**at);
        (*at)++;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return digits > 0;
}

static bool parse_v6(const char *text, size_t n, uint8_t out[16])
{
    const char *at = text, *end = text + n;
    uint8_t bytes[16] = {0};
    size_t have = 0, gap = SIZE_MAX; /* bytes so far; where "::" stood */

    if (n >= 2 && at[0] == ':' && at[1] == ':') {
        gap = 0;
        at += 2;
    }
    while (at < end) {
        const char *group = at;

        if (have == 16)
            return false;
        if (!parse_group(&at, end,
                         bytes + have)) /* four digits at most, so a dotted quad gets here whole */
            return false;
        if (at < end && *at == '.') {
            if (have > 12 || !parse_v4(group, (size_t)(end - group), bytes + have))
                return false;
            have += 4;
            break;
        }
        have += 2;
        if (at == end)
            break;
        if (*at++ != ':' || at == end)
            return false;
        if (*at == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = have;
            at++;
        }
    }
    if (gap == SIZE_MAX ? have != 16 : have > 14)
        return false;
    memset(out, 0, 16);
    if (gap == SIZE_MAX)
        gap = have;
    memcpy(out, bytes, gap);
    memcpy(out + 16 - (have - gap), bytes + gap, have - gap);
    return true;
}

bool ip_parse(const char *text, size_t n, struct ip_address *ret_ip)
{
    struct ip_address ip = {0};

    if (n >= IP_TEXT_MAX)
        return false;
    if (memchr(text, ':', n)) {
        ip.family = IP_V6;
        if (!parse_v6(text, n, ip.bytes))
            return false;
    } else {
        ip.family = IP_V4;
        if (!parse_v4(text, n, ip.bytes))
            return false;
    }
    *ret_ip = ip;
    return true;
}

static char *put_v4(char *out, const uint8_t *bytes)
{
    for (int i = 0; i < 4; i++) {
        if (i)
            *out++ = '.';
        out = put_decimal(out, bytes[i]);
    }
    return out;
}

/* The longest run of zero groups, the first of equals, of two groups at least (RFC 5952, 4.2). */
static void longest_zeros(const unsigned groups[8], int *ret_first, int *ret_count)
{
    *ret_first = -1;
    *ret_count = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;

        while (i + n < 8 && groups[i + n] == 0)
            n++;
        if (n > *ret_count) {
            *ret_first = i;
            *ret_count = n;
        }
    }
}

static char *put_v6(char *out, const uint8_t *bytes)
{
    static const char hex[] = "0123456789abcdef";
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    unsigned groups[8];
    int first, count;

    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        memcpy(out, "::ffff:", 7);
        return put_v4(out + 7, bytes + 12);
    }
    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    longest_zeros(groups, &first, &count);
    for (int i = 0; i < 8; i++) {
        bool started = false;

        if (i == first) {
            *out++ = ':';
            if (i + count == 8)
                *out++ = ':';
            i += count - 1;
            continue;
        }
        if (i)
            *out++ = ':';
        for (int shift = 12; shift >= 0; shift -= 4) {
            unsigned digit = groups[i] >> shift & 0xF;

            started = started || digit || shift == 0;
            if (started)
                *out++ = hex[digit];
        }
    }
    return out;
}

size_t ip_format(const struct ip_address *ip, char *out)
{
    char *end = out;

    if (ip->family == IP_V4)
        end = put_v4(out, ip->bytes);
    else if (ip->family == IP_V6)
        end = put_v6(out, ip->bytes);
    else
        *end++ = '-';
    *end = '\0';
    return (size_t)(end - out);
}

bool ip_equal(const struct ip_address *a, const struct ip_address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct ip_address ip_unmapped(const struct ip_address *ip)
{
    static const uint8_t prefix[12] = {[10] = 0xFF, [11] = 0xFF};
    struct ip_address v4 = {.family = IP_V4};

    if (ip->family != IP_V6 || memcmp(ip->bytes, prefix, sizeof prefix) != 0)
        return *ip;
    memcpy(v4.bytes, ip->bytes + 12, 4);
    return v4;
}

static unsigned ip_bits(const struct ip_address *ip)
{
    return ip->family == IP_V4 ? 32 : 128;
}

/* Clears all bits from number `bits` on. */
static void clear_behind(struct ip_address *ip, unsigned bits)
{
    for (unsigned i = 0; i < sizeof ip->bytes; i++) {
        if (bits >= 8 * (i + 1))
            continue;
        ip->bytes[i] &= bits > 8 * i ? (uint8_t)(0xFF << (8 * (i + 1) - bits)) : 0;
    }
}

bool ip_prefix_parse(const char *text, size_t n, struct ip_prefix *ret)
{
    const char *slash = memchr(text, '/', n);
    size_t length = slash ? (size_t)(slash - text) : n;
    struct ip_address ip, unmapped;
    unsigned bits;

    if (!ip_parse(text, length, &ip))
        return false;
    bits = ip_bits(&ip);
    if (slash && !parse_decimal(slash + 1, n - length - 1, bits, &bits))
        return false;
    unmapped = ip_unmapped(&ip);
    if (unmapped.family != ip.family && bits >= 96) {
        ip = unmapped;
        bits -= 96;
    }
    clear_behind(&ip, bits);
    *ret = (struct ip_prefix){ip, (uint8_t)bits};
    return true;
}

size_t ip_prefix_format(const struct ip_prefix *prefix, char *out)
{
    size_t n = ip_format(&prefix->ip, out);

    if (prefix->bits < ip_bits(&prefix->ip))
        n += (size_t)snprintf(out + n, IP_PREFIX_TEXT_MAX - n, "/%u", (unsigned)prefix->bits);
    return n;
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_address *ip)
{
    unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;

    if (ip->family == IP_NONE || ip->family != prefix->ip.family ||
        memcmp(ip->bytes, prefix->ip.bytes, whole) != 0)
        return false;
    return rest == 0 || (ip->bytes[whole] ^ prefix->ip.bytes[whole]) >> (8 - rest) == 0;
}

bool ip_is_loopback(const struct ip_address *ip)
{
    static const struct ip_address v6 = {.family = IP_V6, .bytes = {[15] = 1}};

    return ip->family == IP_V4 ? ip->bytes[0] == 127 : ip_equal(ip, &v6);
}

bool ip_is_unspecified(const struct ip_address *ip)
{
    static const uint8_t zero[16];

    return ip->family != IP_NONE && memcmp(ip->bytes, zero, sizeof zero) == 0;
}

bool ip_is_near(const struct ip_address *ip)
{
    /* RFC 1122, 3.2.1.3; RFC 1918; RFC 4291, 2.5.3; RFC 4193. */
    static const struct ip_prefix near[] = {
        {{IP_V4, {127}}, 8},       {{IP_V4, {10}}, 8},   {{IP_V4, {172, 16}}, 12},
        {{IP_V4, {192, 168}}, 16}, {{IP_V6, {0xFC}}, 7}, {{IP_V6, {[15] = 1}}, 128},
    };
    struct ip_address plain = ip_unmapped(ip);

    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
        if (ip_prefix_contains(&near[i], &plain))
            return true;
    return false;
}
