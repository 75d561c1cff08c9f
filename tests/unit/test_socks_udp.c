/* test_socks_udp.c - the header of SOCKS5's datagrams (RFC 1928, 7). */
#include "streams/socks_udp.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(socks_udp, .timeout = 10);

static const struct {
    const char *what, *bytes;
    size_t n, size;
    uint8_t fragment;
    const char *host;
    uint16_t port;
} good[] = {
    {"IPv4", "\0\0\0\1\1\2\3\4\0\x35hello", 15, 10, 0, "1.2.3.4", 53},
    {"IPv4 without data", "\0\0\0\1\1\2\3\4\xff\xff", 10, 10, 0, "1.2.3.4", 65535},
    {"IPv6", "\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1x", 23, 22, 0, "::1", 1},
    {"a name", "\0\0\0\3\4test\1\0data", 15, 11, 0, "test", 256},
    {"a name of one byte", "\0\0\0\3\1a\0\1", 8, 8, 0, "a", 1},
    {"a fragment", "\0\0\x81\1\1\2\3\4\0\x35", 10, 10, 0x81, "1.2.3.4", 53},
};

static void assert_host(const struct socks_udp_header *header, const char *host, const char *what)
{
    char text[IP_TEXT_MAX];

    if (header->name_length) {
        cr_assert_eq(header->name_length, strlen(host), "%s", what);
        cr_assert_eq(memcmp(header->name, host, header->name_length), 0, "%s", what);
        cr_assert_eq(header->ip.family, IP_NONE, "%s", what);
        return;
    }
    ip_format(&header->ip, text);
    cr_assert_str_eq(text, host, "%s", what);
}

Test(socks_udp, header_is_read_and_the_data_stand_behind_it)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct socks_udp_header header;

        cr_assert(socks_udp_parse((const uint8_t *)good[i].bytes, good[i].n, &header), "%s",
                  good[i].what);
        cr_assert_eq(header.size, good[i].size, "%s", good[i].what);
        cr_assert_eq(header.port, good[i].port, "%s", good[i].what);
        cr_assert_eq(header.fragment, good[i].fragment, "%s", good[i].what);
        assert_host(&header, good[i].host, good[i].what);
    }
}

/* Each prefix in memory of just its size: a sanitizer sees any read behind it. */
Test(socks_udp, header_that_is_cut_at_any_byte_is_bad_and_sets_nothing)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t n = 0; n < good[i].size; n++) {
            struct socks_udp_header header = {.size = 77};
            uint8_t *copy = malloc(n ? n : 1);

            memcpy(copy, good[i].bytes, n);
            cr_assert_not(socks_udp_parse(copy, n, &header), "%s, %zu", good[i].what, n);
            cr_assert_eq(header.size, 77);
            free(copy);
        }
    }
}

Test(socks_udp, what_is_no_header_is_bad)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
    } bad[] = {
        {"RSV", "\1\0\0\1\1\2\3\4\0\x35", 10},
        {"the other byte of RSV", "\0\1\0\1\1\2\3\4\0\x35", 10},
        {"ATYP 0", "\0\0\0\0\1\2\3\4\0\x35", 10},
        {"ATYP 2", "\0\0\0\2\1\2\3\4\0\x35", 10},
        {"ATYP 5", "\0\0\0\5\1\2\3\4\0\x35", 10},
        {"an empty name", "\0\0\0\3\0\0\x35xxxx", 11},
        {"port 0", "\0\0\0\1\1\2\3\4\0\0", 10},
    };
    struct socks_udp_header header;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(socks_udp_parse((const uint8_t *)bad[i].bytes, bad[i].n, &header), "%s",
                      bad[i].what);
}

Test(socks_udp, what_is_written_is_read_as_the_same)
{
    static const char *const endpoints[] = {"1.2.3.4:53", "[2001:db8::1]:65535"};
    uint8_t out[SOCKS_UDP_HEADER_MAX];
    char name[HOST_NAME_LENGTH_MAX];
    struct socks_udp_header header;

    for (size_t i = 0; i < 2; i++) {
        struct ip_endpoint endpoint;

        cr_assert(endpoint_parse(endpoints[i], strlen(endpoints[i]), &endpoint));
        cr_assert_eq(socks_udp_write(&endpoint, out), socks_udp_size(&endpoint));
        cr_assert_leq(socks_udp_size(&endpoint), SOCKS_UDP_IP_HEADER_MAX);
        cr_assert(socks_udp_parse(out, socks_udp_size(&endpoint), &header));
        cr_assert(ip_equal(&header.ip, &endpoint.ip));
        cr_assert_eq(header.port, endpoint.port);
        cr_assert_eq(header.fragment, 0);
    }
    memset(name, 'x', sizeof name);
    cr_assert_eq(socks_udp_write_name(name, 255, 80, out), SOCKS_UDP_HEADER_MAX);
    cr_assert(socks_udp_parse(out, sizeof out, &header));
    cr_assert_eq(header.name_length, 255);
    cr_assert_eq(memcmp(header.name, name, 255), 0);
    cr_assert_eq(header.port, 80);
    cr_assert_eq(header.size, SOCKS_UDP_HEADER_MAX);
}
