/* guard.c - the special-purpose ranges as a table, and the ways in which IPv6 carries IPv4. The
 * sources are IANA's registries of special-purpose addresses for IPv4 and IPv6 and of the IPv6
 * address space, and the addresses at which clouds answer their own machines. */
#include "config/guard.h"

#include <string.h>

/* The first row that holds an address decides; no name: it is public. */
struct range {
    const char *name;
    struct ip_prefix prefix;
};

/* clang-format off */
#define V4(a, b, c, d, bits) {{IP_V4, {a, b, c, d}}, bits}
#define V6(bits, ...)        {{IP_V6, {__VA_ARGS__}}, bits}

static const struct range v4_ranges[] = {
    {"metadata",      V4(169, 254, 169, 254, 32)}, /* most clouds */
    {"metadata",      V4(168, 63, 129, 16, 32)},   /* Azure; looks public */
    {"metadata",      V4(100, 100, 100, 200, 32)}, /* Alibaba */
    {"metadata",      V4(192, 0, 0, 192, 32)},     /* Oracle */
    {"this-network",  V4(0, 0, 0, 0, 8)},          /* RFC 791, 3.2: Linux takes 0.0.0.0 for loopback */
    {"private",       V4(10, 0, 0, 0, 8)},         /* RFC 1918 */
    {"shared",        V4(100, 64, 0, 0, 10)},      /* RFC 6598 */
    {"loopback",      V4(127, 0, 0, 0, 8)},        /* RFC 1122, 3.2.1.3 */
    {"link-local",    V4(169, 254, 0, 0, 16)},     /* RFC 3927 */
    {"private",       V4(172, 16, 0, 0, 12)},      /* RFC 1918 */
    {"reserved",      V4(192, 0, 0, 0, 24)},       /* RFC 6890; its two anycast services (PCP, TURN) are
                                                      the nearest router's, so never public */
    {"documentation", V4(192, 0, 2, 0, 24)},       /* RFC 5737 */
    {"6to4-relay",    V4(192, 88, 99, 0, 24)},     /* RFC 7526 */
    {"private",       V4(192, 168, 0, 0, 16)},     /* RFC 1918 */
    {"benchmarking",  V4(198, 18, 0, 0, 15)},      /* RFC 2544 */
    {"documentation", V4(198, 51, 100, 0, 24)},    /* RFC 5737 */
    {"documentation", V4(203, 0, 113, 0, 24)},     /* RFC 5737 */
    {"multicast",     V4(224, 0, 0, 0, 4)},        /* RFC 5771 */
    {"broadcast",     V4(255, 255, 255, 255, 32)}, /* RFC 8190 */
    {"reserved",      V4(240, 0, 0, 0, 4)},        /* RFC 1112, 4 */
};

static const struct range v6_ranges[] = {
    {"unspecified",     V6(128, 0)},                /* RFC 4291, 2.5.2: Linux takes it for loopback */
    {"loopback",        V6(128, [15] = 1)},         /* RFC 4291, 2.5.3 */
    {"IPv4-compatible", V6(96, 0)},                 /* RFC 4291, 2.5.5.1: of no use to anybody, whatever is
                                                       inside */
    {NULL,              V6(96, 0x00, 0x64, 0xFF, 0x9B)}, /* RFC 6052: NAT64, what is inside */
    {"local-NAT64",     V6(48, 0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01)}, /* RFC 8215 */
    {"discard",         V6(64, 0x01, 0x00)},        /* RFC 6666 */
    {NULL,              V6(32, 0x20, 0x01, 0x00, 0x00)}, /* RFC 4380: Teredo, what is inside */
    {"benchmarking",    V6(48, 0x20, 0x01, 0x00, 0x02)}, /* RFC 5180 */
    {NULL,              V6(32, 0x20, 0x01, 0x00, 0x03)}, /* RFC 7450: AMT */
    {NULL,              V6(48, 0x20, 0x01, 0x00, 0x04, 0x01, 0x12)}, /* RFC 7535: AS112 */
    {NULL,              V6(28, 0x20, 0x01, 0x00, 0x20)}, /* RFC 7343: ORCHIDv2 */
    {NULL,              V6(28, 0x20, 0x01, 0x00, 0x30)}, /* RFC 9374: drone identifiers */
    {"reserved",        V6(23, 0x20, 0x01)},        /* RFC 2928: all the rest of it; its anycast services are
                                                       the nearest router's */
    {"documentation",   V6(32, 0x20, 0x01, 0x0D, 0xB8)}, /* RFC 3849 */
    {"documentation",   V6(20, 0x3F, 0xFF)},        /* RFC 9637 */
    {"metadata",        V6(128, 0xFD, 0x00, 0x0E, 0xC2, [14] = 0x02, 0x54)}, /* Amazon: fd00:ec2::254 */
    {"metadata",        V6(128, 0xFD, 0x20, 0x00, 0xCE, [14] = 0x02, 0x54)}, /* Google: fd20:ce::254 */
    {"private",         V6(7, 0xFC)},               /* RFC 4193: unique local */
    {"link-local",      V6(10, 0xFE, 0x80)},        /* RFC 4291, 2.5.6 */
    {"site-local",      V6(10, 0xFE, 0xC0)},        /* RFC 3879 */
    {"multicast",       V6(8, 0xFF)},               /* RFC 4291, 2.7 */
    {"segment-routing", V6(16, 0x5F, 0x00)},        /* RFC 9602 */
    {"reserved",        V6(3, 0x00)},               /* RFC 4291, 4: only 2000::/3 is given out, so an */
    {"reserved",        V6(2, 0x40)},               /* address beyond it is public nowhere; in use it is */
    {"reserved",        V6(1, 0x80)},               /* some network's own */
};

/* Where IPv4 addresses are carried; a row of v6_ranges says what else the address is. */
static const struct embedding {
    struct ip_prefix prefix;
    unsigned offset;  /* of the IPv4 address, in bytes */
    bool is_inverted; /* all its bits */
} embeddings[] = {
    {V6(96, 0x00, 0x64, 0xFF, 0x9B), 12, false}, /* NAT64: RFC 6052, 2.1 */
    {V6(16, 0x20, 0x02), 2, false},              /* 6to4: RFC 3056, 2 */
    {V6(32, 0x20, 0x01, 0x00, 0x00), 4, false},  /* Teredo, the server: RFC 4380, 4 */
    {V6(32, 0x20, 0x01, 0x00, 0x00), 12, true},  /* Teredo, the client behind its NAT */
};
/* clang-format on */

static const char *range_in(const struct range *ranges, size_t count, const struct ip_address *ip)
{
    for (size_t i = 0; i < count; i++)
        if (ip_prefix_contains(&ranges[i].prefix, ip))
            return ranges[i].name;
    return NULL;
}

static const char *v4_range(const struct ip_address *ip)
{
    return range_in(v4_ranges, sizeof v4_ranges / sizeof v4_ranges[0], ip);
}

static const char *embedded_range(const struct ip_address *ip, unsigned offset, bool is_inverted)
{
    struct ip_address v4 = {.family = IP_V4};

    for (unsigned i = 0; i < 4; i++)
        v4.bytes[i] = is_inverted ? (uint8_t)~ip->bytes[offset + i] : ip->bytes[offset + i];
    return v4_range(&v4);
}

/* An interface identifier of 00-00-5E-FE or 02-00-5E-FE and an IPv4 address, in any network
 * (RFC 5214, 6.1). */
static bool is_isatap(const struct ip_address *ip)
{
    static const uint8_t identifier[3] = {0x00, 0x5E, 0xFE};

    return (ip->bytes[8] & ~0x02) == 0 && memcmp(ip->bytes + 9, identifier, sizeof identifier) == 0;
}

/* An address may carry several (ISATAP in 6to4): one that is forbidden is enough. */
static const char *any_embedded_range(const struct ip_address *ip)
{
    const char *name = NULL;

    for (size_t i = 0; !name && i < sizeof embeddings / sizeof embeddings[0]; i++)
        if (ip_prefix_contains(&embeddings[i].prefix, ip))
            name = embedded_range(ip, embeddings[i].offset, embeddings[i].is_inverted);
    if (!name && is_isatap(ip))
        name = embedded_range(ip, 12, false);
    return name;
}

const char *guard_range(const struct ip_address *ip)
{
    struct ip_address unmapped = ip_unmapped(ip);
    const char *name;

    if (unmapped.family == IP_V4)
        return v4_range(&unmapped);
    name = any_embedded_range(&unmapped);
    return name ? name : range_in(v6_ranges, sizeof v6_ranges / sizeof v6_ranges[0], &unmapped);
}
