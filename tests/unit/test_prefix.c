/* test_prefix.c - CIDR prefixes of address.h. A rule or a whitelist that is read a bit wider than it
 * was written lets a stranger in, so what is taken, what is cut off and where a prefix ends are
 * tables here. */
#include "streams/address.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(prefix, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct ip_address address(const char *text)
{
    struct ip_address ip;

    cr_assert(ip_parse(text, strlen(text), &ip), "%s", text);
    return ip;
}

static struct ip_prefix prefix(const char *text)
{
    struct ip_prefix parsed;

    cr_assert(ip_prefix_parse(text, strlen(text), &parsed), "%s", text);
    return parsed;
}

/* As it is written, and as it is written back. */
static const struct {
    const char *text, *canonical;
    uint8_t family, bits;
} good[] = {
    {"0.0.0.0/0", "0.0.0.0/0", IP_V4, 0},
    {"255.255.255.255/0", "0.0.0.0/0", IP_V4, 0},
    {"255.255.255.255/1", "128.0.0.0/1", IP_V4, 1},
    {"10.0.0.0/8", "10.0.0.0/8", IP_V4, 8},
    {"10.0.0.1/8", "10.0.0.0/8", IP_V4, 8},
    {"10.255.255.255/8", "10.0.0.0/8", IP_V4, 8},
    {"10.255.255.255/9", "10.128.0.0/9", IP_V4, 9},
    {"172.31.255.255/12", "172.16.0.0/12", IP_V4, 12},
    {"100.127.0.1/10", "100.64.0.0/10", IP_V4, 10},
    {"255.255.255.255/31", "255.255.255.254/31", IP_V4, 31},
    {"1.2.3.4/32", "1.2.3.4", IP_V4, 32},
    {"1.2.3.4", "1.2.3.4", IP_V4, 32},
    {"::/0", "::/0", IP_V6, 0},
    {"ffff::/0", "::/0", IP_V6, 0},
    {"ffff::/1", "8000::/1", IP_V6, 1},
    {"2001:db8::1/32", "2001:db8::/32", IP_V6, 32},
    {"2001:db8:ffff::/33", "2001:db8:8000::/33", IP_V6, 33},
    {"fe80::1/10", "fe80::/10", IP_V6, 10},
    {"febf::1/10", "fe80::/10", IP_V6, 10},
    {"1:2:3:4:5:6:7:8/64", "1:2:3:4::/64", IP_V6, 64},
    {"1:2:3:4:ffff::/65", "1:2:3:4:8000::/65", IP_V6, 65},
    {"::1/127", "::/127", IP_V6, 127},
    {"::1/128", "::1", IP_V6, 128},
    {"::1", "::1", IP_V6, 128},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     IP_V6, 128},
    /* IPv4-mapped: of 96 bits and more it is an IPv4 prefix, of fewer it holds more than those */
    {"::ffff:10.1.2.3", "10.1.2.3", IP_V4, 32},
    {"::ffff:10.1.2.3/128", "10.1.2.3", IP_V4, 32},
    {"::ffff:10.1.2.3/127", "10.1.2.2/31", IP_V4, 31},
    {"::ffff:10.1.2.3/104", "10.0.0.0/8", IP_V4, 8},
    {"::ffff:10.1.2.3/97", "0.0.0.0/1", IP_V4, 1},
    {"::ffff:10.1.2.3/96", "0.0.0.0/0", IP_V4, 0},
    {"::ffff:10.1.2.3/95", "::fffe:0:0/95", IP_V6, 95},
    {"::ffff:10.1.2.3/80", "::/80", IP_V6, 80},
};

Test(prefix, good_spellings_are_taken_masked_and_written_back_in_one_way)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct ip_prefix parsed = prefix(good[i].text), again;
        char text[IP_PREFIX_TEXT_MAX];
        size_t n = ip_prefix_format(&parsed, text);

        cr_assert_str_eq(text, good[i].canonical);
        cr_assert_eq(n, strlen(text));
        cr_assert_eq(parsed.ip.family, good[i].family, "%s", good[i].text);
        cr_assert_eq(parsed.bits, good[i].bits, "%s", good[i].text);
        again = prefix(text);
        cr_assert(ip_equal(&again.ip, &parsed.ip) && again.bits == parsed.bits, "%s", text);
    }
}

static const char *const bad[] = {
    "",
    " ",
    "/",
    "/8",
    "//",
    "1.2.3.4/",
    "1.2.3.4//8",
    "1.2.3.4/8/8",
    "1.2.3.4/33",
    "1.2.3.4/128",
    "1.2.3.4/256",
    "1.2.3.4/288",
    "1.2.3.4/65544",
    "1.2.3.4/4294967304",
    "1.2.3.4/01",
    "1.2.3.4/00",
    "1.2.3.4/08",
    "1.2.3.4/-1",
    "1.2.3.4/+8",
    "1.2.3.4/ 8",
    "1.2.3.4/8 ",
    "1.2.3.4 /8",
    " 1.2.3.4/8",
    "1.2.3.4/8x",
    "1.2.3.4/0x8",
    "1.2.3.4/255.0.0.0",
    "10/8",
    "10.0.0/8",
    "10.0.0.0.0/8",
    "010.0.0.0/8",
    "256.0.0.0/8",
    "1.2.3.4\\8",
    "::/129",
    "::/256",
    "::/",
    "::/01",
    "::ffff:1.2.3.4/129",
    "[::]/0",
    "fe80::1%eth0/64",
    "fe80::/10%eth0",
    "example.com",
    "example.com/24",
    "*",
    "localhost",
};

Test(prefix, bad_spellings_are_refused_and_touch_nothing)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ip_prefix before = prefix("192.0.2.0/24"), after = before;

        cr_assert_not(ip_prefix_parse(bad[i], strlen(bad[i]), &after), "%s", bad[i]);
        cr_assert(ip_equal(&after.ip, &before.ip) && after.bits == before.bits, "%s", bad[i]);
    }
}

Test(prefix, text_ends_where_its_length_says)
{
    struct ip_prefix parsed;

    cr_assert(ip_prefix_parse("10.0.0.0/88", 10, &parsed));
    cr_assert_eq(parsed.bits, 8);
    cr_assert(ip_prefix_parse("10.0.0.0/8", 8, &parsed));
    cr_assert_eq(parsed.bits, 32);
    cr_assert_not(ip_prefix_parse("10.0.0.0/8", 9, &parsed));
    cr_assert_not(ip_prefix_parse("10.0.0.0/8\0", 11, &parsed));
    cr_assert_not(ip_prefix_parse("10.0.0.0/8", 0, &parsed));
}

/* First and last inside, one before and one after (NULL: there is none). */
static const struct {
    const char *prefix, *first, *last, *before, *after;
} edges[] = {
    {"0.0.0.0/0", "0.0.0.0", "255.255.255.255", NULL, NULL},
    {"128.0.0.0/1", "128.0.0.0", "255.255.255.255", "127.255.255.255", NULL},
    {"10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
    {"172.16.0.0/12", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
    {"192.0.2.128/25", "192.0.2.128", "192.0.2.255", "192.0.2.127", "192.0.3.0"},
    {"192.0.2.6/31", "192.0.2.6", "192.0.2.7", "192.0.2.5", "192.0.2.8"},
    {"192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.6", "192.0.2.8"},
    {"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL},
    {"fc00::/7", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"},
    {"2001:db8::/63", "2001:db8::", "2001:db8:0:1:ffff:ffff:ffff:ffff",
     "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:0:2::"},
    {"2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff",
     "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:0:1::"},
    {"2001:db8::/65", "2001:db8::", "2001:db8::7fff:ffff:ffff:ffff",
     "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::8000:0:0:0"},
    {"::2/127", "::2", "::3", "::1", "::4"},
    {"::1", "::1", "::1", "::", "::2"},
};

static bool holds(const char *prefix_text, const char *ip_text)
{
    struct ip_prefix p = prefix(prefix_text);
    struct ip_address ip = address(ip_text);

    return ip_prefix_contains(&p, &ip);
}

Test(prefix, holds_its_first_and_last_address_and_not_their_neighbours)
{
    for (size_t i = 0; i < COUNT(edges); i++) {
        cr_assert(holds(edges[i].prefix, edges[i].first), "%s", edges[i].prefix);
        cr_assert(holds(edges[i].prefix, edges[i].last), "%s", edges[i].prefix);
        cr_assert(!edges[i].before || !holds(edges[i].prefix, edges[i].before), "%s",
                  edges[i].prefix);
        cr_assert(!edges[i].after || !holds(edges[i].prefix, edges[i].after), "%s",
                  edges[i].prefix);
    }
}

Test(prefix, holds_nothing_of_another_family_and_no_address_that_is_none)
{
    static const struct ip_address none = {.family = IP_NONE};
    static const struct ip_prefix nothing = {.bits = 0};
    struct ip_prefix v4 = prefix("0.0.0.0/0"), v6 = prefix("::/0");

    cr_assert_not(holds("0.0.0.0/0", "::"));
    cr_assert_not(holds("0.0.0.0/0", "::ffff:1.2.3.4")); /* the caller unmaps */
    cr_assert_not(holds("::/0", "0.0.0.0"));
    cr_assert_not(ip_prefix_contains(&v4, &none));
    cr_assert_not(ip_prefix_contains(&v6, &none));
    cr_assert_not(ip_prefix_contains(&nothing, &none));
}

/* Flipping bit i of an address leaves a prefix of it exactly when i is one of the prefix's bits. */
Test(prefix, holds_whatever_differs_only_behind_it)
{
    static const char *const ips[] = {"0.0.0.0",
                                      "255.255.255.255",
                                      "85.170.51.204",
                                      "::",
                                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                      "5555:aaaa:3333:cccc:0f0f:f0f0:00ff:ff00"};

    for (size_t i = 0; i < COUNT(ips); i++) {
        unsigned width = strchr(ips[i], ':') ? 128 : 32;

        for (unsigned bits = 0; bits <= width; bits++) {
            struct ip_address ip = address(ips[i]);
            char text[IP_PREFIX_TEXT_MAX];
            struct ip_prefix p;

            snprintf(text, sizeof text, "%s/%u", ips[i], bits);
            p = prefix(text);
            cr_assert(ip_prefix_contains(&p, &ip), "%s", text);
            for (unsigned bit = 0; bit < width; bit++) {
                struct ip_address other = ip;

                other.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
                cr_assert_eq(ip_prefix_contains(&p, &other), bit >= bits, "%s, bit %u", text, bit);
            }
        }
    }
}

Test(prefix, random_ones_survive_being_written_and_read)
{
    uint64_t seed = 20;

    for (int i = 0; i < 20000; i++) {
        bool v4 = random_below(&seed, 2);
        struct ip_address ip = {.family = v4 ? IP_V4 : IP_V6};
        char text[IP_PREFIX_TEXT_MAX], again[IP_PREFIX_TEXT_MAX];
        struct ip_prefix p;
        size_t n;

        random_fill(&seed, ip.bytes, v4 ? 4 : 16);
        n = ip_format(&ip, text);
        snprintf(text + n, sizeof text - n, "/%zu", random_below(&seed, v4 ? 33 : 129));
        p = prefix(text);
        cr_assert(ip_prefix_contains(&p, &ip), "%s", text);
        ip_prefix_format(&p, text);
        p = prefix(text);
        ip_prefix_format(&p, again);
        cr_assert_str_eq(text, again);
    }
}
