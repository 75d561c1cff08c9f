/* test_guard.c - what is forbidden and what is public, to the address: the first and the last of every
 * range and their neighbours, and every way in which IPv6 carries IPv4. The tables are written from the
 * registries and RFCs, not from guard.c. */
#include "config/guard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(guard, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* NULL: public. */
static const char *range(const char *text)
{
    struct ip_address ip;

    cr_assert(ip_parse(text, strlen(text), &ip), "%s", text);
    return guard_range(&ip);
}

static void is_in(const char *text, const char *expected)
{
    const char *found = range(text);

    cr_assert(expected ? found && strcmp(found, expected) == 0 : !found, "%s is %s instead of %s",
              text, found ? found : "public", expected ? expected : "public");
}

/* First and last of a range, and what is before and behind it. */
static const struct edges {
    const char *name, *first, *last;
    const char *before, *range_before, *after, *range_after; /* ranges: NULL is public */
} v4_edges[] = {
    {"this-network", "0.0.0.0", "0.255.255.255", NULL, NULL, "1.0.0.0", NULL},
    {"private", "10.0.0.0", "10.255.255.255", "9.255.255.255", NULL, "11.0.0.0", NULL},
    {"shared", "100.64.0.0", "100.127.255.255", "100.63.255.255", NULL, "100.128.0.0", NULL},
    {"loopback", "127.0.0.0", "127.255.255.255", "126.255.255.255", NULL, "128.0.0.0", NULL},
    {"link-local", "169.254.0.0", "169.254.255.255", "169.253.255.255", NULL, "169.255.0.0", NULL},
    {"metadata", "169.254.169.254", "169.254.169.254", "169.254.169.253", "link-local",
     "169.254.169.255", "link-local"},
    {"metadata", "168.63.129.16", "168.63.129.16", "168.63.129.15", NULL, "168.63.129.17", NULL},
    {"metadata", "100.100.100.200", "100.100.100.200", "100.100.100.199", "shared",
     "100.100.100.201", "shared"},
    {"metadata", "192.0.0.192", "192.0.0.192", "192.0.0.191", "reserved", "192.0.0.193",
     "reserved"},
    {"private", "172.16.0.0", "172.31.255.255", "172.15.255.255", NULL, "172.32.0.0", NULL},
    {"reserved", "192.0.0.0", "192.0.0.255", "191.255.255.255", NULL, "192.0.1.0", NULL},
    {"documentation", "192.0.2.0", "192.0.2.255", "192.0.1.255", NULL, "192.0.3.0", NULL},
    {"6to4-relay", "192.88.99.0", "192.88.99.255", "192.88.98.255", NULL, "192.88.100.0", NULL},
    {"private", "192.168.0.0", "192.168.255.255", "192.167.255.255", NULL, "192.169.0.0", NULL},
    {"benchmarking", "198.18.0.0", "198.19.255.255", "198.17.255.255", NULL, "198.20.0.0", NULL},
    {"documentation", "198.51.100.0", "198.51.100.255", "198.51.99.255", NULL, "198.51.101.0",
     NULL},
    {"documentation", "203.0.113.0", "203.0.113.255", "203.0.112.255", NULL, "203.0.114.0", NULL},
    {"multicast", "224.0.0.0", "239.255.255.255", "223.255.255.255", NULL, "240.0.0.0", "reserved"},
    {"reserved", "240.0.0.0", "255.255.255.254", "239.255.255.255", "multicast", "255.255.255.255",
     "broadcast"},
    {"broadcast", "255.255.255.255", "255.255.255.255", "255.255.255.254", "reserved", NULL, NULL},
};

#define LAST ":ffff:ffff:ffff:ffff"

/* Only 2000::/3 is given out (RFC 4291, 4): what is beyond it is reserved at least. */
static const struct edges v6_edges[] = {
    {"unspecified", "::", "::", NULL, NULL, "::1", "loopback"},
    {"loopback", "::1", "::1", "::", "unspecified", "::2", "IPv4-compatible"},
    {"IPv4-compatible", "::2", "::255.255.255.255", "::1", "loopback", "::1:0:0", "reserved"},
    {"reserved", "::fffe:ffff:ffff", "::fffe:ffff:ffff", NULL, NULL, "::1:0:0:0", "reserved"},
    {"local-NAT64", "64:ff9b:1::", "64:ff9b:1:ffff" LAST, "64:ff9b:0:ffff" LAST, "reserved",
     "64:ff9b:2::", "reserved"},
    {"discard", "100::", "100::ffff:ffff:ffff:ffff", "ff:ffff:ffff:ffff" LAST, "reserved",
     "100:0:0:1::", "reserved"},
    {"reserved", "200::", "1fff:ffff:ffff:ffff" LAST, "1ff:ffff:ffff:ffff" LAST, "reserved",
     "2000::", NULL},
    {"reserved", "2001:1::", "2001:1:ffff:ffff" LAST, NULL, NULL, "2001:2::", "benchmarking"},
    {"benchmarking", "2001:2::", "2001:2:0:ffff" LAST, "2001:1:ffff:ffff" LAST, "reserved",
     "2001:2:1::", "reserved"},
    {NULL, "2001:3::", "2001:3:ffff:ffff" LAST, "2001:2:ffff:ffff" LAST, "reserved",
     "2001:4::", "reserved"},
    {NULL, "2001:4:112::", "2001:4:112:ffff" LAST, "2001:4:111:ffff" LAST, "reserved",
     "2001:4:113::", "reserved"},
    {"reserved", "2001:10::", "2001:1f:ffff:ffff" LAST, "2001:f:ffff:ffff" LAST, "reserved",
     "2001:20::", NULL},
    {NULL, "2001:20::", "2001:3f:ffff:ffff" LAST, "2001:1f:ffff:ffff" LAST, "reserved",
     "2001:40::", "reserved"},
    {"reserved", "2001:40::", "2001:1ff:ffff:ffff" LAST, "2001:3f:ffff:ffff" LAST, NULL,
     "2001:200::", NULL},
    {"documentation", "2001:db8::", "2001:db8:ffff:ffff" LAST, "2001:db7:ffff:ffff" LAST, NULL,
     "2001:db9::", NULL},
    {NULL, "2003::", "3ffe:ffff:ffff:ffff" LAST, NULL, NULL, "3fff::", "documentation"},
    {"documentation", "3fff::", "3fff:fff:ffff:ffff" LAST, "3ffe:ffff:ffff:ffff" LAST, NULL,
     "3fff:1000::", NULL},
    {"reserved", "4000::", "5eff:ffff:ffff:ffff" LAST, "3fff:ffff:ffff:ffff" LAST, NULL,
     "5f00::", "segment-routing"},
    {"segment-routing", "5f00::", "5f00:ffff:ffff:ffff" LAST, "5eff:ffff:ffff:ffff" LAST,
     "reserved", "5f01::", "reserved"},
    {"reserved", "8000::", "fbff:ffff:ffff:ffff" LAST, "7fff:ffff:ffff:ffff" LAST, "reserved",
     "fc00::", "private"},
    {"private", "fc00::", "fdff:ffff:ffff:ffff" LAST, "fbff:ffff:ffff:ffff" LAST, "reserved",
     "fe00::", "reserved"},
    {"metadata", "fd00:ec2::254", "fd00:ec2::254", "fd00:ec2::253", "private", "fd00:ec2::255",
     "private"},
    {"metadata", "fd20:ce::254", "fd20:ce::254", "fd20:ce::253", "private", "fd20:ce::255",
     "private"},
    {"link-local", "fe80::", "febf:ffff:ffff:ffff" LAST, "fe7f:ffff:ffff:ffff" LAST, "reserved",
     "fec0::", "site-local"},
    {"site-local", "fec0::", "feff:ffff:ffff:ffff" LAST, "febf:ffff:ffff:ffff" LAST, "link-local",
     "ff00::", "multicast"},
    {"multicast", "ff00::", "ffff:ffff:ffff:ffff" LAST, "feff:ffff:ffff:ffff" LAST, "site-local",
     NULL, NULL},
};

static void check_edges(const struct edges *edges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        is_in(edges[i].first, edges[i].name);
        is_in(edges[i].last, edges[i].name);
        if (edges[i].before)
            is_in(edges[i].before, edges[i].range_before);
        if (edges[i].after)
            is_in(edges[i].after, edges[i].range_after);
    }
}

Test(guard, ipv4_ranges_begin_and_end_where_the_registry_says)
{
    check_edges(v4_edges, COUNT(v4_edges));
}

Test(guard, ipv6_ranges_begin_and_end_where_the_registry_says)
{
    check_edges(v6_edges, COUNT(v6_edges));
}

static const char *const public_addresses[] = {
    "1.1.1.1",         "8.8.8.8",         "93.184.215.14", "192.31.196.1", "192.52.193.1",
    "192.175.48.1",    "223.255.255.255", "2000::",        "2001:200::1",  "2001:4860:4860::8888",
    "2606:4700::1111", "2620:4f:8000::1", "2a00::1",       "3ffe::1",
};

Test(guard, public_addresses_are_public)
{
    static const struct ip_address none = {.family = IP_NONE};

    for (size_t i = 0; i < COUNT(public_addresses); i++)
        is_in(public_addresses[i], NULL);
    cr_assert_null(guard_range(&none));
}

/* How IPv6 writes one IPv4 address; %1 and %2 its two halves, ~1 and ~2 their complements. */
static const char *const embeddings[] = {
    "::ffff:%1:%2",
    "64:ff9b::%1:%2",
    "2002:%1:%2::",
    "2002:%1:%2::1",
    "2002:%1:%2:ffff:ffff:ffff:ffff:ffff",
    "2001:0:%1:%2::f7f7:f7f7", /* Teredo: the server; its client is 8.8.8.8 */
    "2001:0:%1:%2:8000:63bf:f7f7:f7f7",
    "2001:0:808:808::~1:~2", /* the client; its server is 8.8.8.8 */
    "2001:0:808:808:8000:63bf:~1:~2",
    "2a00::5efe:%1:%2", /* ISATAP in a public network */
    "2a00:1:2:3:200:5efe:%1:%2",
    "2002:808:808::5efe:%1:%2", /* in one of 6to4 */
    "2002:808:808:1:200:5efe:%1:%2",
    "2002:%1:%2::5efe:808:808",
};

static const char *embed(const char *pattern, const char *v4_text)
{
    static char out[100];
    struct ip_address v4;
    unsigned halves[2];
    size_t n = 0;

    cr_assert(ip_parse(v4_text, strlen(v4_text), &v4), "%s", v4_text);
    halves[0] = (unsigned)(v4.bytes[0] << 8 | v4.bytes[1]);
    halves[1] = (unsigned)(v4.bytes[2] << 8 | v4.bytes[3]);
    for (; *pattern; pattern++) {
        if (*pattern == '%' || *pattern == '~') {
            unsigned half = halves[pattern[1] - '1'];

            n += (size_t)snprintf(out + n, sizeof out - n, "%x",
                                  *pattern == '~' ? ~half & 0xFFFF : half);
            pattern++;
        } else {
            out[n++] = *pattern;
        }
    }
    out[n] = '\0';
    return out;
}

Test(guard, every_forbidden_ipv4_address_is_forbidden_in_every_embedding)
{
    for (size_t i = 0; i < COUNT(embeddings); i++) {
        for (size_t j = 0; j < COUNT(v4_edges); j++) {
            is_in(embed(embeddings[i], v4_edges[j].first), v4_edges[j].name);
            is_in(embed(embeddings[i], v4_edges[j].last), v4_edges[j].name);
        }
    }
}

Test(guard, every_public_ipv4_address_is_public_in_every_embedding)
{
    for (size_t i = 0; i < COUNT(embeddings); i++) {
        for (size_t j = 0; j < COUNT(v4_edges); j++) {
            if (v4_edges[j].before && !v4_edges[j].range_before)
                is_in(embed(embeddings[i], v4_edges[j].before), NULL);
            if (v4_edges[j].after && !v4_edges[j].range_after)
                is_in(embed(embeddings[i], v4_edges[j].after), NULL);
        }
        is_in(embed(embeddings[i], "8.8.8.8"), NULL);
    }
}

Test(guard, compatible_addresses_are_forbidden_whatever_is_inside)
{
    is_in("::8.8.8.8", "IPv4-compatible");
    is_in("::127.0.0.1", "IPv4-compatible");
    is_in("::10.0.0.1", "IPv4-compatible");
}

Test(guard, isatap_with_a_public_address_is_what_its_network_is)
{
    is_in("fe80::5efe:8.8.8.8", "link-local");
    is_in("fe80::200:5efe:8.8.8.8", "link-local");
    is_in("fd00::5efe:8.8.8.8", "private");
    is_in("2001:db8::5efe:8.8.8.8", "documentation");
    is_in("2a00::5efe:8.8.8.8", NULL);
    /* identifiers that only look like it */
    is_in("2a00::100:5efe:10.0.0.1", NULL);
    is_in("2a00::300:5efe:10.0.0.1", NULL);
    is_in("2a00::1:5efe:10.0.0.1", NULL);
    is_in("2a00::5eff:10.0.0.1", NULL);
}

Test(guard, neighbours_of_embeddings_carry_nothing)
{
    is_in("2003:a00:1::", NULL);
    is_in("64:ff9b::1:10.0.0.1", "reserved");
    is_in("64:ff9b::1:8.8.8.8", "reserved");
    is_in("64:ff9b:1::8.8.8.8", "local-NAT64");
    is_in("::ffff:0:8.8.8.8", "reserved"); /* IPv4-translated, RFC 2765 */
    is_in("::fffe:808:808", "reserved");
}

/* The list of protocols.md; 127.1, 0x7f000001 and 2130706433 are no addresses to anybody here. */
Test(guard, dangerous_spellings_are_all_seen)
{
    static const char *const texts[] = {
        "::ffff:169.254.169.254",
        "::",
        "0.0.0.0",
        "::ffff:0.0.0.0",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::",
        "2002:7f00:1::1",
        "2001:0:808:808::f5ff:fffe",
        "2001:0:a00:1::f7f7:f7f7",
        "fe80::1",
        "fc00::1",
        "fd00::1",
        "100.64.0.1",
        "::ffff:100.64.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
    };
    static const char *const odd[] = {"127.1", "0x7f000001", "2130706433", "0177.0.0.1",
                                      "1.2.3.4."};
    struct ip_address ip;

    for (size_t i = 0; i < COUNT(texts); i++)
        cr_assert_not_null(range(texts[i]), "%s", texts[i]);
    for (size_t i = 0; i < COUNT(odd); i++)
        cr_assert_eq(host_classify(odd[i], strlen(odd[i]), &ip), HOST_INVALID, "%s", odd[i]);
}
