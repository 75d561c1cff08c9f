/* test_config_listener.c - the keys of [listener NAME], but for who may use one
 * (test_config_access.c). */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(config_listener, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

Test(config_listener, every_key_sets_its_field)
{
    struct config *config = ini_load("[listener b.c-d_E9]\n"
                                     "listen = [2001:db8::1]:1081\n"
                                     "unix_mode = 0700\n"
                                     "protocols = socks5\n"
                                     "queue = 1\n"
                                     "max_connections = 2\n"
                                     "max_per_host = 3\n"
                                     "max_per_user = 4\n"
                                     "allow = 192.0.2.0/24\n"
                                     "deny = 192.0.2.1\n"
                                     "open_proxy = yes\n"
                                     "guard = no\n"
                                     "default = deny\n"
                                     "bind_address = 2001:db8::2\n"
                                     "bind = yes\n"
                                     "bind_ports = 40000-40999, 7\n"
                                     "bind_timeout = 9s\n"
                                     "resolve_for_rules = on\n"
                                     "udp = yes\n"
                                     "udp_ports = 4000-4001\n"
                                     "udp_advertise = 192.0.2.9\n"
                                     "udp_max_targets = 5\n"
                                     "udp_rate = 6\n"
                                     "udp_filter = address\n"
                                     "handshake_timeout = 3ms\n"
                                     "connect_timeout = 4s\n"
                                     "write_timeout = 5s\n"
                                     "idle_timeout = 6m\n"
                                     "half_close_timeout = 7s\n"
                                     "keepalive = 8s\n");
    const struct config_listener *l = &config->listeners[0];
    struct ip_endpoint bind = {l->bind_address, 0};

    cr_assert_str_eq(l->name, "b.c-d_E9");
    ini_expect_endpoint(&l->addresses[0].endpoint, "[2001:db8::1]:1081");
    cr_assert_eq(l->unix_mode, 0700);
    cr_assert_eq(l->protocols, PROTOCOL_SOCKS5);
    cr_assert_eq(l->queue, 1);
    cr_assert_eq(l->max_connections, 2);
    cr_assert_eq(l->max_per_host, 3);
    cr_assert_eq(l->max_per_user, 4);
    cr_assert_eq(l->allow_count, 1);
    ini_expect_pattern(&l->allow[0], PATTERN_PREFIX, "192.0.2.0/24");
    cr_assert_eq(l->deny_count, 1);
    ini_expect_pattern(&l->deny[0], PATTERN_PREFIX, "192.0.2.1");
    cr_assert(l->open_proxy);
    cr_assert_eq(l->guard, GUARD_NO);
    cr_assert(l->default_deny);
    ini_expect_endpoint(&bind, "[2001:db8::2]:0");
    cr_assert_eq(l->bind, BIND_YES);
    cr_assert_eq(l->bind_port_count, 2);
    cr_assert(l->bind_ports[0].first == 40000 && l->bind_ports[0].last == 40999);
    cr_assert(l->bind_ports[1].first == 7 && l->bind_ports[1].last == 7);
    cr_assert_eq(l->bind_timeout, 9000);
    cr_assert(l->resolve_for_rules);
    cr_assert_eq(l->commands, COMMAND_CONNECT | COMMAND_BIND | COMMAND_UDP);
    cr_assert_eq(l->udp, UDP_YES);
    cr_assert_eq(l->udp_port_count, 1);
    cr_assert_eq(l->udp_ports[0].first, 4000);
    cr_assert_eq(l->udp_ports[0].last, 4001);
    cr_assert_eq(l->udp_advertise.bytes[3], 9);
    cr_assert_eq(l->udp_max_targets, 5);
    cr_assert_eq(l->udp_rate, 6);
    cr_assert(l->udp_by_address);
    cr_assert_eq(l->handshake_timeout, 3);
    cr_assert_eq(l->connect_timeout, 4000);
    cr_assert_eq(l->write_timeout, 5000);
    cr_assert_eq(l->idle_timeout, 360000);
    cr_assert_eq(l->half_close_timeout, 7000);
    cr_assert_eq(l->keepalive, 8000);
    config_unref(config);
}

Test(config_listener, words_for_nothing_are_the_defaults)
{
    struct config *config = ini_load(LISTENER "allow = any\ndeny = none\nbind_address = none\n");

    cr_assert_eq(config->listeners[0].allow_count, 0);
    cr_assert_eq(config->listeners[0].deny_count, 0);
    cr_assert_eq(config->listeners[0].bind_address.family, IP_NONE);
    config_unref(config);
}

Test(config_listener, unix_sockets_are_paths)
{
    struct config *config =
        ini_load("[listener a]\nlisten = unix:/run/a b, 127.0.0.1:1\nlisten = unix:/x\n");
    const struct config_listener *l = &config->listeners[0];

    cr_assert_eq(l->address_count, 3);
    cr_assert_str_eq(l->addresses[0].unix_path, "/run/a b");
    cr_assert_eq(l->addresses[0].endpoint.ip.family, IP_NONE);
    cr_assert_null(l->addresses[1].unix_path);
    cr_assert_str_eq(l->addresses[2].unix_path, "/x");
    config_unref(config);
}

/* sockaddr_un.sun_path with its NUL (unix(7)). */
Test(config_listener, unix_path_of_107_bytes_is_taken_and_108_do_not_fit)
{
    char text[256], path[109] = "/", expected[512];

    memset(path + 1, 'x', 106);
    snprintf(text, sizeof text, "[listener a]\nlisten = unix:%s\n", path);
    config_unref(ini_load(text));
    path[107] = 'x';
    snprintf(text, sizeof text, "[listener a]\nlisten = unix:%s\n", path);
    snprintf(expected, sizeof expected,
             "p.ini:2: [listener a] listen: the path is too long for a unix socket (at most 107 "
             "bytes): `unix:%s` (accepted: a list of ADDRESS:PORT, [V6]:PORT, localhost:PORT, "
             "unix:/PATH, systemd:NAME)\n",
             path);
    ini_expect_errors(text, expected);
}

/* One spelling means one thing. */
Test(config_listener, mapped_addresses_are_ipv4)
{
    struct config *config = ini_load("[listener a]\nlisten = [::ffff:127.0.0.1]:1\n"
                                     "bind_address = ::ffff:192.0.2.1\nallow = ::ffff:192.0.2.2\n");
    const struct config_listener *l = &config->listeners[0];

    ini_expect_endpoint(&l->addresses[0].endpoint, "127.0.0.1:1");
    cr_assert_eq(l->bind_address.family, IP_V4);
    ini_expect_pattern(&l->allow[0], PATTERN_PREFIX, "192.0.2.2");
    config_unref(config);
}

Test(config_listener, clients_are_addresses_networks_and_names)
{
    struct config *config = ini_load(LISTENER "allow = 10.1.2.3/8, 2001:db8::/32, Example.ORG.\n"
                                              "allow = 192.0.2.1, host\ndeny = x_y.example\n");
    const struct config_listener *l = &config->listeners[0];

    cr_assert_eq(l->allow_count, 5);
    ini_expect_pattern(&l->allow[0], PATTERN_PREFIX, "10.0.0.0/8");
    ini_expect_pattern(&l->allow[1], PATTERN_PREFIX, "2001:db8::/32");
    ini_expect_pattern(&l->allow[2], PATTERN_NAME, "example.org");
    ini_expect_pattern(&l->allow[3], PATTERN_PREFIX, "192.0.2.1");
    ini_expect_pattern(&l->allow[4], PATTERN_NAME, "host");
    ini_expect_pattern(&l->deny[0], PATTERN_NAME, "x_y.example");
    config_unref(config);
}

#define TIME "a duration such as 500ms, 10s, 5m, 2h, from "
#define CLIENTS "a list of ADDRESS, ADDRESS/BITS, NAME"
#define NUMBER_OUT "the number is out of range"
#define TIME_OUT "the duration is out of range"
#define NO_HOST "this is no address, no network and no name"

static const struct ini_values values[] = {
    {"listener a",
     "listen",
     "a list of ADDRESS:PORT, [V6]:PORT, localhost:PORT, unix:/PATH, systemd:NAME",
     {"127.0.0.1:1", "[::1]:1", "localhost:1", "LocalHost.:65535", "0.0.0.0:0,[::]:0", "unix:/x",
      "0.0.0.0:1,192.0.2.1:1,[::]:1", "127.0.0.1:0, 127.0.0.1:0, localhost:0",
      "systemd:web.socket, systemd:b, 127.0.0.1:1"},
     {{"127.0.0.1", NULL, NULL},
      {"1080", NULL, NULL},
      {"::1:1080", NULL, NULL},
      {"127.0.0.1:1,,[::1]:1", "an item of the list is empty", ""},
      {"127.0.0.1:1, example.com:1", "a listening address is given as a number, or as localhost",
       "example.com:1"},
      {"127.1:1", "a listening address is given as a number, or as localhost", NULL},
      {"unix:x", "the path must begin with `/`", NULL},
      {"unix:", "the path must begin with `/`", NULL},
      {"unix:@x", "the path must begin with `/`", NULL},
      {"systemd:", "this can be no name of a socket (FileDescriptorName=)", NULL},
      {"systemd:a:b", "this can be no name of a socket (FileDescriptorName=)", NULL}}},
    {"listener a",
     "unix_mode",
     "an octal number from 0000 to 0777",
     {"0", "0777", "777", "0600", "000"},
     {{"1000", "the mode is out of range", NULL},
      {"00777", NULL, NULL},
      {"0800", NULL, NULL},
      {"rw", NULL, NULL},
      {"0o600", NULL, NULL},
      {"-1", NULL, NULL}}},
    {"listener a",
     "protocols",
     "a list of socks4, socks5, http, forward",
     {"socks4", "socks5", "socks5,socks4", "SOCKS5, socks5", "http"},
     {{"web", NULL, NULL},
      {"socks4,", "an item of the list is empty", ""},
      {"socks4 socks5", NULL, NULL},
      {"socks5, tunnel", NULL, "tunnel"}}},
    {"listener a",
     "queue",
     "a number from 1 to 1000000",
     {"1", "1000000"},
     {{"0", NUMBER_OUT, NULL}, {"1000001", NUMBER_OUT, NULL}}},
    {"listener a",
     "max_connections",
     "a number from 1 to 10000000",
     {"1", "10000000"},
     {{"0", NUMBER_OUT, NULL}, {"10000001", NUMBER_OUT, NULL}}},
    {"listener a",
     "max_per_host",
     "a number from 0 to 10000000",
     {"0", "10000000"},
     {{"none", NULL, NULL}, {"10000001", NUMBER_OUT, NULL}}},
    {"listener a",
     "max_per_user",
     "a number from 0 to 10000000",
     {"0", "10000000"},
     {{"-1", NULL, NULL}, {"10000001", NUMBER_OUT, NULL}}},
    {"listener a",
     "bind",
     "auto, no, yes, off, on, false, true",
     {"auto", "no", "YES", "off", "on"},
     {{"maybe", NULL, NULL}, {"yes, no", NULL, NULL}}},
    {"listener a",
     "bind_ports",
     "any, or a list of PORT, FIRST-LAST, from 1 to 65535",
     {"any", "1", "40000-40999, 65535"},
     {{"0", "there is no port 0", NULL}, {"1, 9-8", "the range ends before it begins", "9-8"}}},
    {"listener a",
     "bind_timeout",
     TIME "1ms to 24h",
     {"1ms", "24h", "2m"},
     {{"0", TIME_OUT, NULL}, {"25h", TIME_OUT, NULL}}},
    {"listener a",
     "allow",
     "any, or " CLIENTS,
     {"any", "ANY", "0.0.0.0/0, ::/0", "localhost", "a-b.c_d", "1.example"},
     {{"127.1", NO_HOST, NULL},
      {"10.0.0.0/33", NO_HOST, NULL},
      {"10.0.0/8", NO_HOST, NULL},
      {"10.0.0.1, 0x7f000001", NO_HOST, "0x7f000001"},
      {"2130706433", NO_HOST, NULL},
      {"[::1]", NO_HOST, NULL},
      {"10.0.0.1-10.0.0.9", NO_HOST, NULL},
      {"*.example.org", "a client's name is resolved, and a suffix has no address", NULL},
      {"none", "this word means nothing here", NULL},
      {"a..b", NO_HOST, NULL}}},
    {"listener a",
     "deny",
     "none, or " CLIENTS,
     {"none", "None", "0.0.0.0/0, ::/0", "localhost"},
     {{"any", "this word means nothing here", NULL},
      {"None.", "this word means nothing here", NULL},
      {"*", NO_HOST, NULL},
      {"1.2.3.4:80", NO_HOST, NULL},
      {"10.0.0.1 10.0.0.2", NO_HOST, NULL}}},
    {"listener a",
     "open_proxy",
     "no, yes, off, on, false, true",
     {"yes", "no"},
     {{"maybe", NULL, NULL}}},
    {"listener a",
     "guard",
     "auto, no, yes, off, on, false, true",
     {"auto", "yes", "no", "on", "off", "true", "False"},
     {{"1", NULL, NULL}, {"maybe", NULL, NULL}}},
    {"listener a", "default", "allow, deny", {"allow", "DENY"}, {{"route", NULL, NULL}}},
    {"listener a",
     "bind_address",
     "none, or an address",
     {"none", "192.0.2.1", "2001:db8::1"},
     {{"192.0.2.1:0", NULL, NULL},
      {"192.0.2.0/24", NULL, NULL},
      {"[::1]", NULL, NULL},
      {"eth0", NULL, NULL},
      {"127.1", NULL, NULL}}},
    {"listener a",
     "resolve_for_rules",
     "no, yes, off, on, false, true",
     {"yes", "no"},
     {{"maybe", NULL, NULL}}},
    {"listener a",
     "udp",
     "auto, no, yes, off, on, false, true",
     {"auto", "yes", "no", "On"},
     {{"maybe", NULL, NULL}, {"1", NULL, NULL}}},
    {"listener a",
     "udp_ports",
     "any, or a list of PORT, FIRST-LAST, from 1 to 65535",
     {"any", "1", "1-65535", "40000-40100, 50000"},
     {{"0", "there is no port 0", NULL},
      {"2-1", "the range ends before it begins", NULL},
      {"65536", NULL, NULL}}},
    {"listener a",
     "udp_advertise",
     "none, or an address",
     {"none", "192.0.2.1", "2001:db8::1"},
     {{"proxy.example", NULL, NULL}, {"192.0.2.1:1", NULL, NULL}}},
    {"listener a",
     "udp_max_targets",
     "a number from 1 to 65536",
     {"1", "65536"},
     {{"0", "the number is out of range", NULL}, {"65537", "the number is out of range", NULL}}},
    {"listener a",
     "udp_rate",
     "a number from 0 to 100000000",
     {"0", "100000000"},
     {{"100000001", "the number is out of range", NULL}}},
    {"listener a",
     "udp_filter",
     "endpoint, address",
     {"endpoint", "Address"},
     {{"any", NULL, NULL}}},
    {"listener a",
     "handshake_timeout",
     TIME "1ms to 1h",
     {"1ms", "1h"},
     {{"0", TIME_OUT, NULL}, {"61m", TIME_OUT, NULL}}},
    {"listener a",
     "connect_timeout",
     TIME "1ms to 1h",
     {"1ms", "1h"},
     {{"0", TIME_OUT, NULL}, {"3600001ms", TIME_OUT, NULL}}},
    {"listener a",
     "write_timeout",
     TIME "1ms to 24h",
     {"1ms", "24h"},
     {{"0", TIME_OUT, NULL}, {"25h", TIME_OUT, NULL}}},
    {"listener a",
     "idle_timeout",
     TIME "1ms to 720h",
     {"1ms", "720h"},
     {{"0", TIME_OUT, NULL}, {"721h", TIME_OUT, NULL}}},
    {"listener a",
     "half_close_timeout",
     TIME "1ms to 24h",
     {"1ms", "24h"},
     {{"0s", TIME_OUT, NULL}, {"-1s", NULL, NULL}}},
    {"listener a",
     "keepalive",
     TIME "0 to 9h",
     {"0", "1s", "9h"},
     {{"10h", TIME_OUT, NULL}, {"off", NULL, NULL}}},
    {"listener a",
     "auth",
     "a list of none, password, ident, certificate",
     {"none", "ident", "None, ident"},
     {{"any", NULL, NULL}, {"none ident", NULL, NULL}}},
    {"listener a",
     "security",
     "none, negotiated, tlsv1.2, tlsv1.3",
     {"none"},
     {{"yes", NULL, NULL}, {"tls", NULL, NULL}, {"tlsv1.1", "RFC 8996 forbids this level", NULL}}},
    {"listener a", "tls_cut", "reset, end", {"reset", "End"}, {{"ignore", NULL, NULL}}},
    {"listener a",
     "close_on_removal",
     "no, yes, off, on, false, true",
     {"yes", "no"},
     {{"maybe", NULL, NULL}}},
    {"listener a",
     "route",
     "direct, or the name of an [upstream] section",
     {"direct", "Direct"},
     {{NULL, NULL, NULL}}},
    {"listener a",
     "forward_to",
     "none, or HOST:PORT, [V6]:PORT",
     {"none"},
     {{"a", NULL, NULL},
      {"a:0", NULL, NULL},
      {"a:b", NULL, NULL},
      {"::1:80", NULL, NULL},
      {":80", NULL, NULL},
      {"127.1:80", "this is no address and no name", NULL},
      {"a b:80", "this is no address and no name", NULL}}},
    {"listener a", "proxy_protocol", "no, require", {"no", "No"}, {{"yes", NULL, NULL}}},
    {"listener a",
     "users_file",
     "none, or an absolute path",
     {"none"},
     {{"users", "the path must begin with `/`", NULL}}},
};

Test(config_listener, every_key_takes_its_values_and_says_so_of_others)
{
    ini_expect_values(values, COUNT(values));
}

static const struct {
    const char *text, *item;
    bool in_another;
} twice[] = {
    {"127.0.0.1:1080, 127.0.0.1:1080", "127.0.0.1:1080", false},
    {"[::1]:1080, [0:0::1]:1080", "[0:0::1]:1080", false},
    {"127.0.0.1:1080, [::ffff:127.0.0.1]:1080", "[::ffff:127.0.0.1]:1080", false},
    {"localhost:1080, 127.0.0.1:1080", "127.0.0.1:1080", false},
    {"localhost:1080, [::1]:1080", "[::1]:1080", false},
    {"127.0.0.1:1080, localhost:1080", "localhost:1080", false},
    {"[::1]:1080, localhost:1080", "localhost:1080", false},
    {"localhost:1080, localhost:1080", "localhost:1080", false},
    {"unix:/x, unix:/x", "unix:/x", false},
    {"127.0.0.1:9", "127.0.0.1:9", true},
    {"[::1]:1, localhost:9", "localhost:9", true},
    {"unix:/a, unix:/z", "unix:/z", true},
};

Test(config_listener, address_that_is_listed_twice_is_refused_however_it_is_spelt)
{
    for (size_t i = 0; i < COUNT(twice); i++) {
        char text[128], expected[256];

        snprintf(text, sizeof text,
                 "[listener z]\nlisten = 127.0.0.1:9, unix:/z, [::1]:0\n[listener a]\nlisten = "
                 "%s\n",
                 twice[i].text);
        snprintf(expected, sizeof expected,
                 "p.ini:4: [listener a] listen: %s: `%s` (accepted: a list of ADDRESS:PORT, "
                 "[V6]:PORT, localhost:PORT, unix:/PATH, systemd:NAME)\n",
                 twice[i].in_another ? "another listener has this address"
                                     : "this address is listed twice",
                 twice[i].item);
        ini_expect_errors(text, expected);
    }
}
