/* test_pac.c - what a browser is told of a listener, and by which address. */
#include "daemon/pac.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(pac, .timeout = 10);

static struct ip_address ip(const char *text)
{
    struct ip_address address = {0};

    cr_assert(!*text || ip_parse(text, strlen(text), &address));
    return address;
}

/* The address by which who has reached us at `local` can reach what is bound to `bound`; "": none. */
static const char *way(const char *bound, const char *local)
{
    static char text[ENDPOINT_TEXT_MAX];
    struct pac_asker asker = {.local = ip(local)};
    struct ip_endpoint endpoint = {ip(bound), 1080}, address;

    if (!pac_address(&endpoint, &asker, &address))
        return "";
    endpoint_format(&address, text);
    return text;
}

Test(pac, address_is_one_that_the_asker_can_reach)
{
    static const struct {
        const char *bound, *local, *address;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", "127.0.0.1:1080"},
        {"::1", "127.0.0.1", "[::1]:1080"},
        {"127.0.0.1", "192.0.2.1", ""},
        {"192.0.2.1", "127.0.0.1", "192.0.2.1:1080"},
        {"192.0.2.1", "192.0.2.9", "192.0.2.1:1080"},
        {"0.0.0.0", "127.0.0.1", "127.0.0.1:1080"},
        {"0.0.0.0", "192.0.2.1", "192.0.2.1:1080"},
        {"0.0.0.0", "::ffff:192.0.2.1", "192.0.2.1:1080"},
        {"0.0.0.0", "2001:db8::1", ""},
        {"::", "2001:db8::1", "[2001:db8::1]:1080"},
        {"::", "::1", "[::1]:1080"},
        {"0.0.0.0", "", "127.0.0.1:1080"},
        {"127.0.0.1", "", "127.0.0.1:1080"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_str_eq(way(rows[i].bound, rows[i].local), rows[i].address, "%s from %s",
                         rows[i].bound, rows[i].local);
}

Test(pac, ways_are_those_that_a_browser_can_go)
{
    static const struct {
        unsigned protocols, auth;
        int security;
        bool behind_proxy_header;
        const char *ways;
    } rows[] = {
        {PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5 | PROTOCOL_HTTP, AUTH_NONE, SECURITY_NONE, false,
         "SOCKS5 10.0.0.1:1; SOCKS 10.0.0.1:1; PROXY 10.0.0.1:1"},
        {PROTOCOL_SOCKS5, AUTH_NONE, SECURITY_NONE, false, "SOCKS5 10.0.0.1:1"},
        {PROTOCOL_SOCKS5 | PROTOCOL_HTTP, AUTH_PASSWORD, SECURITY_NONE, false, "PROXY 10.0.0.1:1"},
        {PROTOCOL_SOCKS5 | PROTOCOL_HTTP, AUTH_NONE, SECURITY_NEGOTIATED, false,
         "HTTPS 10.0.0.1:1"},
        {PROTOCOL_SOCKS5, AUTH_NONE, SECURITY_NEGOTIATED, false, ""},
        {PROTOCOL_FORWARD, AUTH_NONE, SECURITY_NONE, false, ""},
        {PROTOCOL_HTTP, AUTH_NONE, SECURITY_NONE, true, ""},
    };
    const struct ip_endpoint address = {ip("10.0.0.1"), 1};
    char ways[PAC_WAYS_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_listener listener = {
            .protocols = rows[i].protocols,
            .auth = rows[i].auth,
            .tls.security = rows[i].security,
            .proxy_protocol = rows[i].behind_proxy_header,
        };

        pac_ways(&listener, &address, ways);
        cr_assert_str_eq(ways, rows[i].ways);
    }
}
