/* test_address.c - one spelling means one thing. What is taken here can be dialed, listened on,
 * matched by rules and logged; so the table of what is refused matters more than the one of what
 * is taken. inet_pton() and inet_ntop() serve as a second opinion where their rules are ours. */
#include "streams/address.h"
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(address, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Spelling, and how it is written back (RFC 5952). */
static const struct {
    const char *text, *canonical;
} good[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"1.2.3.4", "1.2.3.4"},
    {"127.0.0.1", "127.0.0.1"},
    {"255.255.255.255", "255.255.255.255"},
    {"10.0.100.200", "10.0.100.200"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"::0", "::"},
    {"0::", "::"},
    {"0::0", "::"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"0000:0000:0000:0000:0000:0000:0000:0001", "::1"},
    {"2001:db8::1", "2001:db8::1"},
    {"2001:0DB8::0001", "2001:db8::1"},               /* RFC 5952, 4.1 and 4.3 */
    {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},        /* 4.2.1 */
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* 4.2.2: one group is not shortened */
    {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  /* but may have been */
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* 4.2.3: the longest run */
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* 4.2.3: the first of equals */
    {"0:0:1:0:0:0:0:0", "0:0:1::"},
    {"0:0:0:1:0:0:0:0", "0:0:0:1::"},
    {"0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"FFFF::AbCd", "ffff::abcd"},
    {"fe80::1", "fe80::1"},
    {"::ffff:1.2.3.4", "::ffff:1.2.3.4"}, /* RFC 4291, 2.5.5.2; RFC 5952, 5 */
    {"::ffff:102:304", "::ffff:1.2.3.4"},
    {"0:0:0:0:0:FFFF:129.144.52.38", "::ffff:129.144.52.38"}, /* RFC 4291, 2.2 */
    {"::13.1.68.3", "::d01:4403"},
    {"::0.0.0.0", "::"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"1::1.2.3.4", "1::102:304"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

Test(address, good_spellings_are_taken_and_written_back_in_one_way)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct ip_address ip, again;
        char text[IP_TEXT_MAX];
        size_t n;

        cr_assert(ip_parse(good[i].text, strlen(good[i].text), &ip), "%s", good[i].text);
        cr_assert_eq(ip.family, strchr(good[i].text, ':') ? IP_V6 : IP_V4);
        n = ip_format(&ip, text);
        cr_assert_str_eq(text, good[i].canonical);
        cr_assert_eq(n, strlen(text));
        cr_assert(ip_parse(text, n, &again) && ip_equal(&ip, &again), "%s", text);
    }
}

/* None of these is an address. */
static const char *const bad[] = {
    "",
    " ",
    ".",
    "...",
    "1",
    "1.2",
    "1.2.3",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "1.2.3.4.",
    ".1.2.3.4",
    "1.2.3.4.5",
    "1.2.3.256",
    "256.1.1.1",
    "1.2.3.999",
    "1.2.3.65536",
    "1.2.3.4294967297",
    "01.2.3.4",
    "1.2.3.04",
    "1.2.3.00",
    "001.002.003.004",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "+1.2.3.4",
    "-1.2.3.4",
    "1.2.3.+4",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2. 3.4",
    "1.2.3.4\n",
    "1.2.3.4/32",
    "1.2.3.4:80",
    "[1.2.3.4]",
    "1,2,3,4",
    "a.b.c.d",
    "1.2.3.a",
    "\xD9\xA1.2.3.4", /* an Arabic digit one */
    ":",
    ":::",
    "::::",
    ":1",
    "1:",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "1:2:3:4:5:6:7:8:",
    ":1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    "1::2::3",
    "::1::",
    "1:::2",
    "::1:",
    ":::1",
    "12345::",
    "::00001",
    "::10000",
    "g::",
    "::g",
    "::1 ",
    " ::1",
    ":: 1",
    "::-1",
    "::+1",
    "::0x1",
    "::1%eth0",
    "fe80::1%1",
    "fe80::1%25eth0",
    "::%",
    "[::1]",
    "[::1",
    "::1]",
    "::1/128",
    "::1.2.3",
    "::1.2.3.4.5",
    "::1.2.3.256",
    "::1.2.3.04",
    "::01.2.3.4",
    "::1.2.3.4:5",
    "::1.2.3.4::",
    "1.2.3.4::",
    "::a.2.3.4",
    "::.1.2.3",
    "::1.2.3.",
    "::127.1",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1:2:3:4:5:1.2.3.4",
    "1:2:3:4:5:6:1.2.3.4::",
    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255:",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
    "::ffff:0x7f.0.0.1",
    "localhost",
    "example.com",
};

static void fill_ip(struct ip_address *ip)
{
    memset(ip, 0xA5, sizeof *ip);
}

static bool ip_is_filled(const struct ip_address *ip)
{
    struct ip_address filled;

    fill_ip(&filled);
    return memcmp(ip, &filled, sizeof filled) == 0;
}

Test(address, bad_spellings_are_refused_and_leave_the_result_alone)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ip_address ip;

        fill_ip(&ip);
        cr_assert_not(ip_parse(bad[i], strlen(bad[i]), &ip), "\"%s\"", bad[i]);
        cr_assert(ip_is_filled(&ip), "\"%s\"", bad[i]);
    }
}

Test(address, a_nul_byte_is_no_end)
{
    struct ip_address ip;

    cr_assert_not(ip_parse("1.2.3.4\0", 8, &ip));
    cr_assert_not(ip_parse("1.2.3.4\0.example", 16, &ip));
    cr_assert_not(ip_parse("::1\0", 4, &ip));
    cr_assert_not(ip_parse("\0", 1, &ip));
}

/* The length is the end, whatever stands behind it. */
Test(address, nothing_is_read_behind_the_length)
{
    struct ip_address ip;
    char text[IP_TEXT_MAX];

    cr_assert(ip_parse("1.2.3.45", 7, &ip));
    ip_format(&ip, text);
    cr_assert_str_eq(text, "1.2.3.4");
    cr_assert(ip_parse("::12", 3, &ip));
    ip_format(&ip, text);
    cr_assert_str_eq(text, "::1");
}

/* The prefixes of good spellings are good or bad just as inet_pton() says, whose rules for whole
 * strings are the same; so are strings of the bytes that addresses are made of. */
static void compare_with_pton(const char *text)
{
    struct ip_address ip = {0};
    uint8_t v4[4], v6[16];
    bool taken = ip_parse(text, strlen(text), &ip);
    bool is_v4 = inet_pton(AF_INET, text, v4) == 1, is_v6 = inet_pton(AF_INET6, text, v6) == 1;

    cr_assert_eq(taken, is_v4 || is_v6, "\"%s\"", text);
    if (taken)
        cr_assert(is_v4 ? ip.family == IP_V4 && memcmp(ip.bytes, v4, 4) == 0
                        : ip.family == IP_V6 && memcmp(ip.bytes, v6, 16) == 0,
                  "\"%s\"", text);
}

Test(address, inet_pton_is_of_the_same_mind)
{
    static const char alphabet[] = "0011234567899aFf....::::::x";
    uint64_t seed = 4291;

    for (size_t i = 0; i < COUNT(good); i++) {
        char text[IP_TEXT_MAX];

        snprintf(text, sizeof text, "%s", good[i].text);
        for (size_t n = strlen(text); n; n--) {
            text[n] = '\0';
            compare_with_pton(text);
        }
    }
    for (int i = 0; i < 100000; i++) {
        char text[24];
        size_t n = random_below(&seed, sizeof text);

        for (size_t j = 0; j < n; j++)
            text[j] = alphabet[random_below(&seed, sizeof alphabet - 1)];
        text[n] = '\0';
        compare_with_pton(text);
    }
}

/* One byte of a good spelling changed, dropped or doubled. */
Test(address, inet_pton_is_of_the_same_mind_about_slips_of_the_pen)
{
    static const char alphabet[] = "019afF.:xg%[] ";

    for (size_t i = 0; i < COUNT(good); i++) {
        const char *from = good[i].text;
        size_t n = strlen(from);

        for (size_t at = 0; at < n; at++) {
            char text[64];

            for (const char *c = alphabet; *c; c++) {
                strcpy(text, from);
                text[at] = *c;
                compare_with_pton(text);
            }
            snprintf(text, sizeof text, "%.*s%s", (int)at, from, from + at + 1);
            compare_with_pton(text);
            snprintf(text, sizeof text, "%.*s%s", (int)at + 1, from, from + at);
            compare_with_pton(text);
        }
    }
}

/* Many zeros, so that there are runs to be shortened. */
static struct ip_address random_ip(uint64_t *seed)
{
    struct ip_address ip = {.family = random_next(seed) >> 62 ? IP_V6 : IP_V4};
    size_t n = ip.family == IP_V6 ? 16 : 4;

    random_fill(seed, ip.bytes, n);
    for (size_t i = 0; i < n; i += 2)
        if (random_below(seed, 2))
            ip.bytes[i] = ip.bytes[i + 1] = 0;
    if (ip.family == IP_V6 && random_below(seed, 16) == 0) {
        memset(ip.bytes, 0, 10);
        memset(ip.bytes + 10, 0xFF, 2);
    }
    return ip;
}

Test(address, what_is_written_is_read_back_the_same)
{
    uint64_t seed = 5952;

    for (int i = 0; i < 50000; i++) {
        struct ip_endpoint endpoint = {random_ip(&seed), (uint16_t)random_next(&seed)}, back;
        char text[ENDPOINT_TEXT_MAX];
        struct ip_address ip;
        size_t n = ip_format(&endpoint.ip, text);

        cr_assert(n == strlen(text) && n < IP_TEXT_MAX);
        cr_assert(ip_parse(text, n, &ip) && ip_equal(&ip, &endpoint.ip), "%s", text);
        n = endpoint_format(&endpoint, text);
        cr_assert(n == strlen(text) && n < ENDPOINT_TEXT_MAX);
        cr_assert(endpoint_parse(text, n, &back) && endpoint_equal(&back, &endpoint), "%s", text);
    }
}

/* Apart from ::/96, where inet_ntop() writes a dotted quad that RFC 5952 does not ask for. */
Test(address, inet_ntop_writes_the_same)
{
    static const uint8_t zero[12];
    uint64_t seed = 5953;

    for (int i = 0; i < 50000; i++) {
        struct ip_address ip = random_ip(&seed);
        char ours[IP_TEXT_MAX], theirs[INET6_ADDRSTRLEN];

        if (ip.family == IP_V6 && memcmp(ip.bytes, zero, sizeof zero) == 0)
            continue;
        ip_format(&ip, ours);
        inet_ntop(ip.family == IP_V6 ? AF_INET6 : AF_INET, ip.bytes, theirs, sizeof theirs);
        cr_assert_str_eq(ours, theirs);
    }
}

Test(address, no_address_is_written_as_a_dash)
{
    struct ip_endpoint none = {.port = 1080};
    char text[ENDPOINT_TEXT_MAX];

    cr_assert_eq(ip_format(&none.ip, text), 1);
    cr_assert_str_eq(text, "-");
    cr_assert_eq(endpoint_format(&none, text), 1);
    cr_assert_str_eq(text, "-");
}

static struct ip_address ip_of(const char *text)
{
    struct ip_address ip;

    cr_assert(ip_parse(text, strlen(text), &ip), "%s", text);
    return ip;
}

Test(address, families_and_bytes_are_compared)
{
    struct ip_address v4 = ip_of("1.2.3.4"), mapped = ip_of("::ffff:1.2.3.4");
    struct ip_address other = ip_of("1.2.3.5"), none = {0}, any = ip_of("0.0.0.0");

    cr_assert(ip_equal(&v4, &v4));
    cr_assert_not(ip_equal(&v4, &mapped));
    cr_assert_not(ip_equal(&v4, &other));
    cr_assert_not(ip_equal(&none, &any));
    cr_assert(endpoint_equal(&(struct ip_endpoint){v4, 1}, &(struct ip_endpoint){v4, 1}));
    cr_assert_not(endpoint_equal(&(struct ip_endpoint){v4, 1}, &(struct ip_endpoint){v4, 2}));
    cr_assert_not(endpoint_equal(&(struct ip_endpoint){v4, 1}, &(struct ip_endpoint){other, 1}));
}

/* What the guard and the rules ask. */
static const struct {
    const char *text, *unmapped;
    bool loopback, unspecified;
} kinds[] = {
    {"0.0.0.0", "0.0.0.0", false, true},
    {"0.0.0.1", "0.0.0.1", false, false},
    {"::", "::", false, true},
    {"::1", "::1", true, false},
    {"::2", "::2", false, false},
    {"1::", "1::", false, false},
    {"1::1", "1::1", false, false},
    {"126.255.255.255", "126.255.255.255", false, false},
    {"127.0.0.0", "127.0.0.0", true, false},
    {"127.255.255.255", "127.255.255.255", true, false},
    {"128.0.0.0", "128.0.0.0", false, false},
    {"7f00::", "7f00::", false, false},
    {"::ffff:127.0.0.1", "127.0.0.1", false, false},
    {"::ffff:0.0.0.0", "0.0.0.0", false, false},
    {"::ffff:169.254.169.254", "169.254.169.254", false, false},
    {"::fffe:1.2.3.4", "::fffe:102:304", false, false},
    {"::ffff:0:1.2.3.4", "::ffff:0:102:304", false, false},
    {"1::ffff:1.2.3.4", "1::ffff:102:304", false, false},
    {"64:ff9b::1.2.3.4", "64:ff9b::102:304", false, false},
};

Test(address, kinds_of_addresses_are_told_apart)
{
    struct ip_address none = {0}, unmapped;

    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct ip_address ip = ip_of(kinds[i].text), expected = ip_of(kinds[i].unmapped);

        unmapped = ip_unmapped(&ip);
        cr_assert(ip_equal(&unmapped, &expected), "%s", kinds[i].text);
        cr_assert_eq(ip_is_loopback(&ip), kinds[i].loopback, "%s", kinds[i].text);
        cr_assert_eq(ip_is_unspecified(&ip), kinds[i].unspecified, "%s", kinds[i].text);
    }
    unmapped = ip_unmapped(&none);
    cr_assert_eq(unmapped.family, IP_NONE);
    cr_assert_not(ip_is_loopback(&none));
    cr_assert_not(ip_is_unspecified(&none));
}

Test(address, near_are_loopback_and_private_addresses)
{
    static const char *const near[] = {
        "127.0.0.1",      "10.0.0.0",    "10.255.255.255",  "172.16.0.0",
        "172.31.255.255", "192.168.0.1", "::ffff:10.0.0.1", "::1",
        "fc00::",         "fdff::1"};
    static const char *const far[] = {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0",
                                      "192.167.1.1",   "8.8.8.8",  "169.254.1.1",    "::2",
                                      "fe00::1",       "2600::1",  "::ffff:8.8.8.8"};

    for (size_t i = 0; i < COUNT(near); i++) {
        struct ip_address ip = ip_of(near[i]);

        cr_assert(ip_is_near(&ip), "%s", near[i]);
    }
    for (size_t i = 0; i < COUNT(far); i++) {
        struct ip_address ip = ip_of(far[i]);

        cr_assert_not(ip_is_near(&ip), "%s", far[i]);
    }
}

Test(address, the_kernels_form_and_back_is_the_same)
{
    uint64_t seed = 3493;

    for (int i = 0; i < 1000; i++) {
        struct ip_endpoint endpoint = {random_ip(&seed), (uint16_t)random_next(&seed)}, back;
        struct sockaddr_storage sa;
        socklen_t n = endpoint_to_sockaddr(&endpoint, &sa);

        cr_assert_eq(n, endpoint.ip.family == IP_V4 ? sizeof(struct sockaddr_in)
                                                    : sizeof(struct sockaddr_in6));
        cr_assert_eq(sa.ss_family, endpoint.ip.family == IP_V4 ? AF_INET : AF_INET6);
        back = endpoint_from_sockaddr(&sa);
        cr_assert(endpoint_equal(&endpoint, &back));
    }
}

Test(address, ports_stand_in_network_order_in_the_kernels_form)
{
    struct ip_endpoint endpoint = {ip_of("1.2.3.4"), 0x1234};
    struct sockaddr_storage sa;

    endpoint_to_sockaddr(&endpoint, &sa);
    cr_assert_eq(((struct sockaddr_in *)&sa)->sin_port, htons(0x1234));
    cr_assert_eq(((struct sockaddr_in *)&sa)->sin_addr.s_addr, htonl(0x01020304));
}

Test(address, a_family_that_is_no_ip_is_none)
{
    struct sockaddr_storage sa = {.ss_family = AF_UNIX};
    struct ip_endpoint none = endpoint_from_sockaddr(&sa);

    cr_assert_eq(none.ip.family, IP_NONE);
    cr_assert_eq(none.port, 0);
    cr_assert_eq(endpoint_to_sockaddr(&none, &sa), sizeof sa.ss_family);
    cr_assert_eq(sa.ss_family, AF_UNSPEC);
}
