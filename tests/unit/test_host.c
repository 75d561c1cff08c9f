/* test_host.c - address.h's other half: what is a host name, a port, HOST:PORT. A name that gets
 * through here is asked of a resolver and written to the log as it is, so it must mean the same
 * to all of them, and an address in disguise must not get through at all. */
#include "streams/address.h"
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(host, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static enum host_kind classify(const char *text)
{
    struct ip_address ip;

    return host_classify(text, strlen(text), &ip);
}

static const char *const names[] = {
    "a",
    "localhost",
    "LocalHost",
    "example.com",
    "example.com.",
    "www.example.com",
    "xn--bcher-kva.example",
    "_sip._tcp.example.com",
    "a-b",
    "a_b",
    "-",
    "_",
    "1.example",
    "1.2.3.example",
    "3com.com",
    "1a",
    "a1",
    "0xg",
    "0x7f.com",
    "1e3",
    "12-34",
    "1_2",
    "g0x1",
    "127.0.0.1.example",
    "deadbeef",
    "cafe.babe",
};

Test(host, names_are_names)
{
    for (size_t i = 0; i < COUNT(names); i++)
        cr_assert_eq(classify(names[i]), HOST_NAME, "%s", names[i]);
}

static const char *const addresses[] = {"0.0.0.0", "127.0.0.1", "::", "::1", "::ffff:1.2.3.4"};

Test(host, addresses_are_addresses)
{
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct ip_address ip = {0}, expected = {0};

        cr_assert_eq(host_classify(addresses[i], strlen(addresses[i]), &ip), HOST_ADDRESS);
        cr_assert(ip_parse(addresses[i], strlen(addresses[i]), &expected));
        cr_assert(ip_equal(&ip, &expected));
    }
}

static const char *const invalid[] = {
    "",
    ".",
    "..",
    ".a",
    "a..",
    "a..b",
    ".example.com",
    "a b",
    " a",
    "a ",
    "a\tb",
    "a\n",
    "a\r\nb",
    "a/b",
    "a@b",
    "a:b",
    "a,b",
    "a;b",
    "a=b",
    "a\"b",
    "a\\b",
    "a*b",
    "*.example.com",
    "a%b",
    "a\x7F",
    "b\303\274cher.example",
    "\xFF",
    "[::1]",
    "fe80::1%eth0",
    /* addresses in odd spellings, which inet_aton() and so many programs take */
    "1",
    "0",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.01",
    "01.2.3.4",
    "1.2.3.256",
    "1.2.3.4.",
    "1.2.3.4.5",
    "4294967296",
    "0x",
    "1.0x",
    "a.1",
    "a.0x1F",
    "example.123.",
    "1.2.3.00000000000000000000000000000000000000000000004",
};

Test(host, everything_else_is_invalid_and_leaves_the_result_alone)
{
    for (size_t i = 0; i < COUNT(invalid); i++) {
        struct ip_address ip, before;

        memset(&ip, 0xA5, sizeof ip);
        before = ip;
        cr_assert_eq(host_classify(invalid[i], strlen(invalid[i]), &ip), HOST_INVALID, "\"%s\"",
                     invalid[i]);
        cr_assert(ip_equal(&ip, &before));
    }
}

Test(host, only_letters_digits_hyphen_and_underscore_are_bytes_of_a_name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    struct ip_address ip;

    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c, 'b'};
        bool expected = c == '.' || (c && strchr(allowed, c));

        cr_assert_eq(host_classify(text, sizeof text, &ip) == HOST_NAME, expected, "byte %d", c);
    }
}

Test(host, a_label_has_1_to_63_bytes)
{
    char text[80];
    struct ip_address ip;

    memset(text, 'a', sizeof text);
    for (size_t n = 1; n <= 63; n++)
        cr_assert_eq(host_classify(text, n, &ip), HOST_NAME);
    cr_assert_eq(host_classify(text, 64, &ip), HOST_INVALID);
    text[63] = '.';
    cr_assert_eq(host_classify(text, 64, &ip), HOST_NAME);
    cr_assert_eq(host_classify(text, 66, &ip), HOST_NAME);
    text[63] = 'a';
    text[64] = '.';
    cr_assert_eq(host_classify(text, 65, &ip), HOST_INVALID);
    cr_assert_eq(host_classify(text, 67, &ip), HOST_INVALID);
}

Test(host, a_name_has_253_bytes_at_most_and_a_trailing_dot)
{
    char text[300];
    struct ip_address ip;

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 50 == 49 ? '.' : 'a';
    cr_assert_eq(host_classify(text, 253, &ip), HOST_NAME);
    cr_assert_eq(host_classify(text, 254, &ip), HOST_INVALID);
    text[253] = '.';
    cr_assert_eq(host_classify(text, 254, &ip), HOST_NAME);
    text[254] = '.';
    cr_assert_eq(host_classify(text, 255, &ip), HOST_INVALID);
    cr_assert_eq(host_classify(text, sizeof text, &ip), HOST_INVALID);
}

/* Nothing that the C library's liberal parser takes as an address may be a name. */
Test(host, whatever_inet_aton_takes_is_no_name)
{
    static const char alphabet[] = "000123789xXabf...";
    uint64_t seed = 1123;

    for (int i = 0; i < 200000; i++) {
        char text[16];
        size_t n = random_below(&seed, sizeof text);
        struct in_addr in;

        for (size_t j = 0; j < n; j++)
            text[j] = alphabet[random_below(&seed, sizeof alphabet - 1)];
        text[n] = '\0';
        if (inet_aton(text, &in))
            cr_assert_neq(classify(text), HOST_NAME, "%s", text);
    }
}

static const struct {
    const char *a, *b;
    bool equal;
} pairs[] = {
    {"example.com", "example.com", true},
    {"example.com", "EXAMPLE.Com", true},
    {"example.com.", "example.com", true},
    {"example.com", "example.com.", true},
    {"example.com.", "example.com.", true},
    {"example.com..", "example.com", false},
    {"example.com", "example.co", false},
    {"example.com", "xexample.com", false},
    {"a", "b", false},
    {"", "", true},
    {".", "", true},
    {"a", "", false},
    {"a@", "a`", false},
    {"a[", "a{", false},
};

Test(host, names_are_the_same_without_case_and_one_trailing_dot)
{
    for (size_t i = 0; i < COUNT(pairs); i++)
        cr_assert_eq(
            host_name_equal(pairs[i].a, strlen(pairs[i].a), pairs[i].b, strlen(pairs[i].b)),
            pairs[i].equal, "%s and %s", pairs[i].a, pairs[i].b);
}

static const struct {
    const char *name;
    bool is_localhost;
} localhosts[] = {
    {"localhost", true},
    {"LOCALHOST", true},
    {"localhost.", true},
    {"a.localhost", true},
    {"a.b.LocalHost.", true},
    {"", false},
    {".", false},
    {"localhos", false},
    {"xlocalhost", false},
    {"localhost.a", false},
    {"localhost..", false},
    {"local-host", false},
    {"localhostx", false},
    {"localhost.localdomain", false},
};

Test(host, localhost_and_what_is_below_it)
{
    for (size_t i = 0; i < COUNT(localhosts); i++)
        cr_assert_eq(host_name_is_localhost(localhosts[i].name, strlen(localhosts[i].name)),
                     localhosts[i].is_localhost, "%s", localhosts[i].name);
}

Test(host, near_are_names_without_a_dot_and_those_that_no_other_network_knows)
{
    static const char *const near[] = {"printer", "printer.", "a.local",   "b.a.LOCAL.",
                                       "local",   "local.",   "localhost", "a.LocalHost."};
    static const char *const far[] = {"a.example", "a.notlocal", "local.example", "printer..",
                                      "a.xlocalhost"};

    for (size_t i = 0; i < COUNT(near); i++)
        cr_assert(host_name_is_near(near[i], strlen(near[i])), "%s", near[i]);
    for (size_t i = 0; i < COUNT(far); i++)
        cr_assert_not(host_name_is_near(far[i], strlen(far[i])), "%s", far[i]);
}

Test(host, every_port_is_read_from_its_decimal_form)
{
    for (unsigned n = 0; n <= 65535; n++) {
        char text[8];
        uint16_t port = 1;
        int length = snprintf(text, sizeof text, "%u", n);

        cr_assert(port_parse(text, (size_t)length, &port) && port == n, "%u", n);
    }
}

Test(host, what_is_no_port_is_refused_and_leaves_the_result_alone)
{
    static const char *const ports[] = {
        "",           " ",   "65536", "65540", "70000", "99999", "100000",
        "4294967376", "00",  "080",   "-1",    "+80",   " 80",   "80 ",
        "8 0",        "80.", "0x50",  "8o",    "http",  "80\n",  "\xB2",
    };

    for (size_t i = 0; i < COUNT(ports); i++) {
        uint16_t port = 4711;

        cr_assert_not(port_parse(ports[i], strlen(ports[i]), &port), "\"%s\"", ports[i]);
        cr_assert_eq(port, 4711);
    }
}

static const struct {
    const char *text, *host; /* NULL: refused */
    uint16_t port;
    bool is_endpoint;
} splits[] = {
    {"1.2.3.4:80", "1.2.3.4", 80, true},
    {"0.0.0.0:0", "0.0.0.0", 0, true},
    {"[::1]:1080", "::1", 1080, true},
    {"[::]:65535", "::", 65535, true},
    {"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1, true},
    {"example.com:443", "example.com", 443, false},
    {"localhost:0", "localhost", 0, false},
    {"*:80", "*", 80, false},
    {"01.2.3.4:80", "01.2.3.4", 80, false},
    {"[fe80::1%eth0]:80", "fe80::1%eth0", 80, false},
    {"", NULL, 0, false},
    {":", NULL, 0, false},
    {":80", NULL, 0, false},
    {"80", NULL, 0, false},
    {"1.2.3.4", NULL, 0, false},
    {"1.2.3.4:", NULL, 0, false},
    {"1.2.3.4:65536", NULL, 0, false},
    {"1.2.3.4:080", NULL, 0, false},
    {"1.2.3.4:80 ", NULL, 0, false},
    {"1.2.3.4:80:90", NULL, 0, false},
    {"::1:80", NULL, 0, false},
    {"::1", NULL, 0, false},
    {"[::1]", NULL, 0, false},
    {"[::1]:", NULL, 0, false},
    {"[::1]80", NULL, 0, false},
    {"[::1]x:80", NULL, 0, false},
    {"[::1:80", NULL, 0, false},
    {"::1]:80", NULL, 0, false},
    {"[]:80", NULL, 0, false},
    {"[:80", NULL, 0, false},
    {"[1.2.3.4]:80", NULL, 0, false},
    {"[example.com]:80", NULL, 0, false},
};

Test(host, host_and_port_are_split_in_one_way_only)
{
    for (size_t i = 0; i < COUNT(splits); i++) {
        const char *text = splits[i].text, *host = "before";
        size_t n = strlen(text), length = 4711;
        uint16_t port = 4711;

        cr_assert_eq(host_port_split(text, n, &host, &length, &port), splits[i].host != NULL,
                     "\"%s\"", text);
        if (splits[i].host) {
            cr_assert_eq(port, splits[i].port);
            cr_assert(length == strlen(splits[i].host) && memcmp(host, splits[i].host, length) == 0,
                      "%s", text);
            cr_assert(host >= text && host + length <= text + n);
        } else {
            cr_assert_str_eq(host, "before");
            cr_assert(length == 4711 && port == 4711, "\"%s\"", text);
        }
    }
}

Test(host, an_endpoint_is_an_address_and_a_port)
{
    for (size_t i = 0; i < COUNT(splits); i++) {
        struct ip_endpoint endpoint, before;

        memset(&endpoint, 0xA5, sizeof endpoint);
        before = endpoint;
        cr_assert_eq(endpoint_parse(splits[i].text, strlen(splits[i].text), &endpoint),
                     splits[i].is_endpoint, "\"%s\"", splits[i].text);
        if (splits[i].is_endpoint)
            cr_assert_eq(endpoint.port, splits[i].port);
        else
            cr_assert(endpoint_equal(&endpoint, &before), "\"%s\"", splits[i].text);
    }
}
