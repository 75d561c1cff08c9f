/* test_config_access.c - who may use a listener: the refusal of open proxies, and what the guard
 * means where it is not said. */
#include "config/check.h"
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(config_access, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

/* Bodies of [listener a]. */
static const char *const closed[] = {
    "listen = 127.0.0.1:1, [::1]:1, 127.255.0.1:1, [::ffff:127.0.0.1]:2, unix:/x\n",
    "listen = localhost:1\n",
    "listen = 192.0.2.1:1\nallow = 192.0.2.0/24\n",
    "listen = [::]:1\nallow = 192.0.2.0/24, example.org\n",
    "listen = 0.0.0.0:1\nallow = example.org\n",
    "listen = 0.0.0.0:1\nallow = 0.0.0.0/1\n",
    "listen = 0.0.0.0:1\nallow = 128.0.0.0/1, 0.0.0.0/2, ::/1\n",
    "listen = 0.0.0.0:1\ndefault = deny\n",
    "listen = 0.0.0.0:1\nopen_proxy = yes\n",
    "listen = [2001:db8::1]:1\nallow = ::/0\nopen_proxy = on\n",
};

/* Each listens on 192.0.2.1:1 first of what others can reach. */
static const char *const opened[] = {
    "listen = 192.0.2.1:1\n",
    "listen = 127.0.0.1:1, unix:/x, 192.0.2.1:1, 192.0.2.2:1\n",
    "listen = 192.0.2.1:1\nallow = any\n",
    "listen = 192.0.2.1:1\nallow = 0.0.0.0/0\n",
    "listen = 192.0.2.1:1\nallow = 10.0.0.0/8, 192.0.2.1/0\n",
    "listen = 192.0.2.1:1\nallow = ::/0\n",
    "listen = 192.0.2.1:1\nallow = ::ffff:0.0.0.0/96\n",
    "listen = 192.0.2.1:1\nallow = 0.0.0.0/1, 128.0.0.0/1\n",
    "listen = 192.0.2.1:1\nallow = 128.0.0.0/1\nallow = example.org, 64.0.0.0/2, 0.0.0.0/2\n",
    "listen = 192.0.2.1:1\ndeny = 0.0.0.0/0\n",
    "listen = 192.0.2.1:1\nopen_proxy = no\ndefault = allow\n",
    "listen = 192.0.2.1:1\nguard = yes\n",
};

#define REFUSED                                                                                    \
    "p.ini:1: [listener a] open_proxy: strangers could reach any target through 192.0.2.1:1 (add " \
    "`allow` with the addresses of your clients, or `auth = password`, or `default = deny` and "   \
    "rules that allow; or "                                                                        \
    "say `open_proxy = yes`)\n"

Test(config_access, stranger_who_could_choose_a_target_is_refused_unless_it_is_wanted)
{
    char text[256];

    for (size_t i = 0; i < COUNT(closed); i++) {
        snprintf(text, sizeof text, "[listener a]\n%s", closed[i]);
        config_unref(ini_load(text));
    }
    for (size_t i = 0; i < COUNT(opened); i++) {
        snprintf(text, sizeof text, "[listener a]\n%s", opened[i]);
        ini_expect_errors(text, REFUSED);
    }
}

Test(config_access, each_listener_is_judged)
{
    ini_expect_errors(
        "[listener a]\nlisten = 127.0.0.1:1\n"
        "[listener b]\nlisten = [::]:1\n"
        "[listener c]\nlisten = 192.0.2.1:1\nopen_proxy = yes\n",
        "p.ini:3: [listener b] open_proxy: strangers could reach any target through [::]:1 (add "
        "`allow` with the addresses of your clients, or `auth = password`, or `default = deny` "
        "and rules that allow; or say `open_proxy = yes`)\n");
}

/* A mistake in what may have closed it is told alone; another one hides nothing. */
Test(config_access, no_verdict_follows_from_another_mistake)
{
    ini_expect_errors("[listener a]\nlisten = 192.0.2.1:1\nallow = 127.1\n",
                      "p.ini:3: [listener a] allow: this is no address, no network and no name: "
                      "`127.1` (accepted: any, or a list of ADDRESS, ADDRESS/BITS, NAME)\n");
    ini_expect_errors("[listener a]\nlisten = 192.0.2.1:1\nalow = 127.0.0.1\n",
                      "p.ini:3: [listener a] alow: there is no such key in this section; did you "
                      "mean `allow`?\n");
    ini_expect_errors(
        "[listener a]\nlisten = 192.0.2.1:1\nauth = passwort\n",
        "p.ini:3: [listener a] auth: this is no valid value: `passwort`; did you mean "
        "`password`? (accepted: a list of none, password, ident, certificate)\n");
    ini_expect_errors("[listener a]\nlisten = 192.0.2.1:1\nallow 127.0.0.1\n",
                      "p.ini:3: [listener a] this is no `key = value`, no [section] and no "
                      "comment\n");
    ini_expect_errors("[listener a]\nlisten = 192.0.2.1:1\nqueue = 0\n",
                      REFUSED "p.ini:3: [listener a] queue: the number is out of range: `0` "
                              "(accepted: a number from 1 to 1000000)\n");
}

/* Prefixes in a row, and whether they hold all of a family. */
static const struct {
    const char *prefixes[6];
    bool covers;
} families[] = {
    {{NULL}, false},
    {{"0.0.0.0/0", NULL}, true},
    {{"::/0", NULL}, true},
    {{"255.255.255.255", NULL}, false},
    {{"0.0.0.0/1", "::/1", NULL}, false},
    {{"::/1", "8000::/1", NULL}, true},
    {{"8000::/1", "4000::/2", "::/2", NULL}, true},
    {{"0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2", NULL}, true},
    {{"0.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2", NULL}, false},
    {{"0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/3", NULL}, false},
    {{"0.0.0.0/1", "10.0.0.0/8", "10.0.0.0/9", "64.0.0.0/3", "128.0.0.0/1", NULL}, true},
    {{"0.0.0.0/1", "10.0.0.0/8", "128.0.0.1", "129.0.0.0/8", NULL}, false},
};

Test(config_access, prefixes_together_may_hold_a_whole_family)
{
    for (size_t i = 0; i < COUNT(families); i++) {
        struct host_pattern patterns[6] = {0};
        unsigned n = 0;
        bool covers;

        for (; families[i].prefixes[n]; n++) {
            patterns[n].kind = PATTERN_PREFIX;
            cr_assert(ip_prefix_parse(families[i].prefixes[n], strlen(families[i].prefixes[n]),
                                      &patterns[n].prefix));
        }
        cr_assert(check_covers_family(patterns, n, &covers));
        cr_assert_eq(covers, families[i].covers, "row %zu", i);
    }
}

/* 32 prefixes: 0/1, 128/2, 192/3 ... 255.255.255.254/32 leave exactly one address. */
Test(config_access, one_missing_address_is_a_gap)
{
    struct host_pattern patterns[33] = {0};
    bool covers;

    for (unsigned bits = 1; bits <= 32; bits++) {
        uint32_t first = bits == 1 ? 0 : ~(uint32_t)0 << (33 - bits);
        struct ip_prefix prefix = {{.family = IP_V4}, (uint8_t)bits};

        for (int i = 0; i < 4; i++)
            prefix.ip.bytes[i] = (uint8_t)(first >> (24 - 8 * i));
        patterns[32 - bits] = (struct host_pattern){.kind = PATTERN_PREFIX, .prefix = prefix};
    }
    cr_assert(check_covers_family(patterns, 32, &covers));
    cr_assert_not(covers);
    patterns[32].kind = PATTERN_PREFIX;
    cr_assert(ip_prefix_parse("255.255.255.255", 15, &patterns[32].prefix));
    cr_assert(check_covers_family(patterns, 33, &covers));
    cr_assert(covers);
}

static const struct {
    const char *body;
    bool is_guarded;
} guards[] = {
    {"listen = 127.0.0.1:1\n", false},
    {"listen = localhost:1, unix:/x\n", false},
    {"listen = 127.0.0.1:1\nguard = yes\n", true},
    {"listen = unix:/x\nguard = on\n", true},
    {"listen = 192.0.2.1:1\nopen_proxy = yes\n", true},
    {"listen = 127.0.0.1:1, [::]:1\nopen_proxy = yes\nguard = auto\n", true},
    {"listen = 192.0.2.1:1\nopen_proxy = yes\nguard = no\n", false},
    {"listen = 192.0.2.1:1\nallow = 192.0.2.0/24\nguard = false\n", false},
};

static const struct {
    const char *body;
    bool may;
} associating[] = {
    {"listen = 127.0.0.1:1\n", true},
    {"listen = 192.0.2.1:1\nopen_proxy = yes\n", true},
    {"listen = localhost:1, unix:/x\nprotocols = socks5\n", true},
    {"listen = 127.0.0.1:1\nudp = no\n", false},
    {"listen = 127.0.0.1:1\nprotocols = http, socks4\n", false},
    {"listen = 127.0.0.1:1\nprotocols = forward\nforward_to = a:1\n", false},
    {"listen = 127.0.0.1:1\nproxy_protocol = require\nproxy_protocol_from = 10.0.0.1\n", false},
    {"listen = 127.0.0.1:1\nsecurity = tlsv1.3\ncertificate = /c\nprivate_key = /k\n", false},
    {"listen = 127.0.0.1:1\nsecurity = tlsv1.3\ncertificate = /c\nprivate_key = /k\nudp = yes\n",
     true},
};

Test(config_access, associations_are_served_on_plain_tcp_unless_it_is_said)
{
    for (size_t i = 0; i < COUNT(associating); i++) {
        struct config *config;
        char text[256];

        snprintf(text, sizeof text, "[listener a]\n%s", associating[i].body);
        config = ini_load(text);
        cr_assert_eq(config->listeners[0].commands & COMMAND_UDP,
                     associating[i].may ? COMMAND_UDP : 0, "%s", text);
        config_unref(config);
    }
}

Test(config_access, guard_is_on_where_others_can_reach_unless_it_is_said)
{
    for (size_t i = 0; i < COUNT(guards); i++) {
        struct config *config;
        char text[256];

        snprintf(text, sizeof text, "[listener a]\n%s", guards[i].body);
        config = ini_load(text);
        cr_assert_eq(config->listeners[0].is_guarded, guards[i].is_guarded, "%s", text);
        config_unref(config);
    }
}

static const struct {
    const char *body;
    bool may_bind;
} binders[] = {
    {"listen = 127.0.0.1:1\n", true},
    {"listen = localhost:1, unix:/x\nprotocols = socks5\n", true},
    {"listen = 127.0.0.1:1\nbind = no\n", false},
    {"listen = 127.0.0.1:1\nprotocols = http\n", false},
    {"listen = 127.0.0.1:1\nprotocols = forward\nforward_to = a:1\n", false},
    {"listen = 192.0.2.1:1\nopen_proxy = yes\n", false},
    {"listen = 127.0.0.1:1, [::]:1\nopen_proxy = yes\nbind = auto\n", false},
    {"listen = 192.0.2.1:1\nopen_proxy = yes\nbind = on\n", true},
};

Test(config_access, ports_are_opened_where_nobody_else_is_unless_it_is_said)
{
    for (size_t i = 0; i < COUNT(binders); i++) {
        struct config *config;
        char text[256];

        snprintf(text, sizeof text, "[listener a]\n%s", binders[i].body);
        config = ini_load(text);
        cr_assert_eq(config->listeners[0].commands & COMMAND_BIND,
                     binders[i].may_bind ? COMMAND_BIND : 0, "%s", text);
        config_unref(config);
    }
}

/* Where systemd's sockets are, by name: "both" has one on either side. */
static const struct activation_socket passed[] = {
    {"near", {.ip = {IP_V4, {127, 0, 0, 1}}, .port = 1}},
    {"both", {.ip = {IP_V6, {[15] = 1}}, .port = 2}},
    {"both", {.ip = {IP_V4, {192, 0, 2, 1}}, .port = 1}},
    {"path", {.ip = {.family = IP_NONE}}},
};
static const struct activation activation = {passed, COUNT(passed)};

static void expect_far(const char *names, bool is_far)
{
    struct config *config;
    char text[256];

    snprintf(text, sizeof text, "[listener a]\nlisten = %s\ndefault = deny\n", names);
    config = ini_load(text);
    cr_assert_eq(config->listeners[0].is_guarded, is_far, "%s", text);
    cr_assert_eq((config->listeners[0].commands & COMMAND_BIND) == 0, is_far, "%s", text);
    cr_assert_not(config->listeners[0].is_undecided);
    config_unref(config);
}

Test(config_access, sockets_of_systemd_are_judged_by_where_they_are)
{
    ini_activation = &activation;
    config_unref(ini_load("[listener a]\nlisten = systemd:near, systemd:path\n"));
    ini_expect_errors("[listener a]\nlisten = systemd:near, systemd:both\n", REFUSED);
    expect_far("systemd:near", false);
    expect_far("systemd:path", false);
    expect_far("systemd:near, systemd:both", true);
    expect_far("systemd:nobody", false);
}

/* pairsocksd --check by hand: neither refused nor called good. */
Test(config_access, unknown_socket_of_systemd_is_guarded_and_its_openness_is_undecided)
{
    struct config *config = ini_load("[listener a]\nlisten = systemd:near\n"
                                     "[listener b]\nlisten = systemd:x\nopen_proxy = yes\n");

    cr_assert(config->listeners[0].is_undecided);
    cr_assert(config->listeners[0].is_guarded);
    cr_assert_eq(config->listeners[0].commands & COMMAND_BIND, 0);
    cr_assert_not(config->listeners[1].is_undecided);
    config_unref(config);
    ini_expect_errors("[listener a]\nlisten = systemd:near, 192.0.2.1:1\n", REFUSED);
}
