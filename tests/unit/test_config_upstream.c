/* test_config_upstream.c - the keys of [upstream NAME], which of them need each other, and chains. */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(config_upstream, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

#define PROXY "[upstream u]\ntype = socks5\nserver = a.example:1080\n"

static const struct config_upstream *upstream(const struct config *config, const char *name)
{
    for (unsigned i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, name) == 0)
            return &config->upstreams[i];
    cr_assert(false, "no upstream %s", name);
    return NULL;
}

static void expect_check(const struct config_check *step, int kind, const char *text, unsigned n)
{
    cr_assert_eq(step->kind, kind);
    cr_assert_eq(step->length, n);
    cr_assert(n == 0 || memcmp(step->text, text, n) == 0);
}

Test(config_upstream, every_key_sets_its_field)
{
    struct config *config =
        ini_load(LISTENER "route = u\n"
                          "[upstream u]\ntype = socks5\nserver = a.example:1080, [::1]:1081\n"
                          "server = 192.0.2.1:1\nbalance = least\nuser = alice\n"
                          "password = a, b # c\nresolve = local\nvia = v\nlocal_bypass = yes\n"
                          "bind_address = 192.0.2.9\ncheck_interval = 3s\ncheck = connect\n"
                          "check = send a, b\\r\\n\\t\\\\\\x00\\xfF\ncheck = expect 220\n"
                          "send_proxy = v2\nconnect_timeout = 4s\n"
                          "[upstream v]\ntype = http\nservice = _p._tcp.example.org\n");
    const struct config_upstream *u = upstream(config, "u"), *v = upstream(config, "v");

    cr_assert_eq(config->listeners[0].route, u);
    cr_assert_eq(u->type, UPSTREAM_SOCKS5);
    cr_assert_eq(u->server_count, 3);
    cr_assert_str_eq(u->servers[0].name, "a.example");
    cr_assert_eq(u->servers[0].port, 1080);
    cr_assert_null(u->servers[1].name);
    cr_assert_eq(u->servers[1].ip.family, IP_V6);
    cr_assert_eq(u->servers[2].port, 1);
    cr_assert_eq(u->balance, BALANCE_LEAST);
    cr_assert_str_eq(u->user, "alice");
    cr_assert_str_eq(u->password, "a, b # c");
    cr_assert_str_eq(u->secret, "a, b # c");
    cr_assert_eq(u->resolve, RESOLVE_LOCAL);
    cr_assert_eq(u->via, v);
    cr_assert(u->local_bypass);
    cr_assert_eq(u->bind_address.bytes[3], 9);
    cr_assert_eq(u->check_interval, 3000);
    cr_assert_eq(u->check_count, 3);
    expect_check(&u->checks[0], CHECK_CONNECT, "", 0);
    expect_check(&u->checks[1], CHECK_SEND, "a, b\r\n\t\\\0\xff", 10);
    expect_check(&u->checks[2], CHECK_EXPECT, "220", 3);
    cr_assert_eq(u->send_proxy, SEND_PROXY_V2);
    cr_assert_eq(u->connect_timeout, 4000);

    cr_assert_str_eq(v->service, "_p._tcp.example.org");
    cr_assert_eq(v->balance, BALANCE_FIRST);
    cr_assert_null(v->user);
    cr_assert_null(v->secret);
    cr_assert_null(v->via);
    cr_assert_eq(v->check_interval, 0);
    cr_assert_eq(v->check_count, 1);
    expect_check(&v->checks[0], CHECK_CONNECT, "", 0);
    cr_assert_eq(v->send_proxy, SEND_PROXY_NO);
    cr_assert_eq(v->connect_timeout, 10000);
    config_unref(config);
}

Test(config_upstream, names_are_resolved_by_the_proxy_unless_it_cannot_or_shall_not)
{
    static const struct {
        const char *keys;
        bool remotely;
    } cases[] = {
        {"type = socks4\n", false},
        {"type = socks4a\n", true},
        {"type = socks5\n", true},
        {"type = http\n", true},
        {"type = socks5\nresolve = local\n", false},
        {"type = socks4\nresolve = local\n", false},
        {"type = http\nresolve = remote\n", true},
    };
    char text[256];

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config *config;

        snprintf(text, sizeof text, LISTENER "[upstream u]\nserver = a:1\n%s", cases[i].keys);
        config = ini_load(text);
        cr_assert_eq(config_resolves_remotely(&config->upstreams[0]), cases[i].remotely, "%s",
                     cases[i].keys);
        config_unref(config);
    }
}

Test(config_upstream, behind_a_direct_one_the_proxy_on_the_way_speaks_to_the_target)
{
    struct config *config = ini_load(LISTENER PROXY "[upstream d]\ntype = direct\nvia = u\n"
                                                    "[upstream e]\ntype = direct\n");

    cr_assert_eq(config_last_proxy(upstream(config, "d")), upstream(config, "u"));
    cr_assert_eq(config_last_proxy(upstream(config, "u")), upstream(config, "u"));
    cr_assert_null(config_last_proxy(upstream(config, "e")));
    cr_assert_null(config_last_proxy(NULL));
    config_unref(config);
}

static void write_file(const char *name, const char *text, size_t n)
{
    FILE *file = fopen(name, "w");

    cr_assert(file);
    cr_assert_eq(fwrite(text, 1, n, file), n);
    cr_assert_eq(fclose(file), 0);
}

/* Loads an upstream whose password stands in a file with this text. */
static struct config *load_with_password(const char *text, size_t n, char **ret_errors)
{
    char folder[512], ini[1024];
    struct config *config;
    int length;

    cr_assert(getcwd(folder, sizeof folder));
    write_file("secret", text, n);
    length =
        snprintf(ini, sizeof ini, LISTENER PROXY "user = a\npassword_file = %s/secret\n", folder);
    config = ini_load_bytes(ini, (size_t)length, ret_errors);
    unlink("secret"); /* it has been read, and the folder goes */
    return config;
}

Test(config_upstream, password_is_the_first_line_of_its_file)
{
    static const char *const files[] = {"s e c", "s e c\n", "s e c\r\n", "s e c\nmore\n"};
    static const struct {
        const char *text;
        size_t n;
        const char *wrong;
    } bad[] = {
        {"", 0, "the first line is empty"},
        {"\nx", 2, "the first line is empty"},
        {"a\0b", 3, "the file holds a NUL"},
    };
    char long_one[300], *errors;
    struct config *config;

    for (size_t i = 0; i < COUNT(files); i++) {
        config = load_with_password(files[i], strlen(files[i]), &errors);
        cr_assert(config, "%s", errors);
        cr_assert_str_eq(config->upstreams[0].secret, "s e c");
        config_unref(config);
        free(errors);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        cr_assert_null(load_with_password(bad[i].text, bad[i].n, &errors));
        cr_assert(strstr(errors, "p.ini:7: [upstream u] password_file: /"), "%s", errors);
        cr_assert(strstr(errors, bad[i].wrong), "%s", errors);
        free(errors);
    }
    memset(long_one, 'x', sizeof long_one);
    config = load_with_password(long_one, 255, &errors);
    cr_assert(config, "%s", errors);
    config_unref(config);
    free(errors);
    cr_assert_null(load_with_password(long_one, 256, &errors));
    cr_assert(strstr(errors, "longer than 255 bytes"), "%s", errors);
    free(errors);
}

/* One mistake a file, each in the upstream that begins in line 3. */
static const struct {
    const char *text, *errors;
} mistakes[] = {
    {"[upstream u]\ntype = socks5\n",
     "p.ini:3: [upstream u] server: a proxy needs it (add HOST:PORT, or `service`)\n"},
    {PROXY "service = _a._tcp.b\n",
     "p.ini:6: [upstream u] service: the servers are listed already (remove `server`)\n"},
    {"[upstream u]\ntype = direct\nserver = a:1\n",
     "p.ini:5: [upstream u] server: `type = direct` connects to the target itself\n"},
    {"[upstream u]\ntype = direct\nuser = a\n",
     "p.ini:5: [upstream u] user: `type = direct` has no proxy that would ask for it\n"},
    {"[upstream u]\ntype = direct\nresolve = remote\n",
     "p.ini:5: [upstream u] resolve: `type = direct` has no proxy that could resolve\n"},
    {"[upstream u]\ntype = direct\ncheck_interval = 1s\n",
     "p.ini:5: [upstream u] check_interval: `type = direct` has no server to check\n"},
    {"[upstream u]\ntype = socks4\nserver = a:1\nresolve = remote\n",
     "p.ini:6: [upstream u] resolve: SOCKS4 knows no names (use `type = socks4a`)\n"},
    {PROXY "user = a\npassword = b\npassword_file = /c\n",
     "p.ini:8: [upstream u] password_file: the password is given already (remove `password`)\n"},
    {PROXY "password = b\n", "p.ini:3: [upstream u] user: a password needs it\n"},
    {PROXY "user = b\n",
     "p.ini:3: [upstream u] password: `user` needs it here (or `password_file`)\n"},
    {"[upstream u]\ntype = socks4a\nserver = a:1\nuser = a\npassword = b\n",
     "p.ini:7: [upstream u] password: SOCKS4 knows no passwords\n"},
    {"[upstream u]\ntype = http\nserver = a:1\nuser = a:b\npassword = c\n",
     "p.ini:6: [upstream u] user: HTTP takes no name with a colon\n"},
    {PROXY "user = a\npassword_file = /nonexistent\n",
     "p.ini:7: [upstream u] password_file: /nonexistent: No such file or directory\n"},
    {PROXY "user = a\npassword_file = /\n",
     "p.ini:7: [upstream u] password_file: /: this is no file\n"},
    {PROXY "check = tls\n", "p.ini:6: [upstream u] check: `tls` needs a level (add `security`)\n"},
    {PROXY "check = socks\ncheck = connect\n",
     "p.ini:6: [upstream u] check: the steps are out of order (connect, tls, socks, then send and "
     "expect)\n"},
    {PROXY "check = send a\ncheck = socks\n",
     "p.ini:6: [upstream u] check: the steps are out of order (connect, tls, socks, then send and "
     "expect)\n"},
    {PROXY "check = connect\ncheck = connect\n",
     "p.ini:6: [upstream u] check: the steps are out of order (connect, tls, socks, then send and "
     "expect)\n"},
    {PROXY "via = w\n", "p.ini:6: [upstream u] via: there is no [upstream w]\n"},
    {PROXY "via = v\n[upstream v]\ntype = direct\n",
     "p.ini:6: [upstream u] via: `v` is of type direct: there is no proxy to go through\n"},
    {PROXY "via = u\n",
     "p.ini:6: [upstream u] via: the chain comes back to where it began: u -> u\n"},
    {PROXY "via = v\n[upstream v]\ntype = socks4\nserver = a:1\nvia = w\n"
           "[upstream w]\ntype = http\nserver = a:1\nvia = v\n",
     "p.ini:10: [upstream v] via: the chain comes back to where it began: v -> w -> v\n"},
    {PROXY "password = \x01\n", "p.ini:6: [upstream u] the line holds a control character\n"},
    {PROXY "user = a\npassword = b\npassword = secret\n",
     "p.ini:8: [upstream u] password: the key was given in line 7 already\n"},
};

Test(config_upstream, keys_that_need_or_exclude_one_another_are_told)
{
    char text[1024];

    for (size_t i = 0; i < COUNT(mistakes); i++) {
        snprintf(text, sizeof text, LISTENER "%s", mistakes[i].text);
        ini_expect_errors(text, mistakes[i].errors);
    }
}

Test(config_upstream, bad_password_is_not_quoted)
{
    char text[1024], password[257] = "";

    memset(password, 'x', 256);
    snprintf(text, sizeof text, LISTENER PROXY "user = a\npassword = %s\n", password);
    ini_expect_errors(
        text, "p.ini:7: [upstream u] password: this is too long (accepted: at most 255 bytes)\n");
}

Test(config_upstream, credentials_may_be_any_words)
{
    struct config *config = ini_load(LISTENER PROXY "user = any\npassword = none\n");

    cr_assert_str_eq(config->upstreams[0].user, "any");
    cr_assert_str_eq(config->upstreams[0].secret, "none");
    config_unref(config);
}

#define ESCAPES "there is no such escape (\\r \\n \\t \\\\ \\xHH are)"

static const struct ini_values values[] = {
    {"upstream u",
     "server",
     "none, or a list of HOST:PORT, [V6]:PORT",
     {"a:1", "[::1]:65535, 192.0.2.1:1", "a.example:1, b.example:2"},
     {{"a", NULL, NULL},
      {"a:0", NULL, NULL},
      {"::1:5", NULL, NULL},
      {"a:1, 1.2:3", "this is no address and no name", "1.2:3"},
      {"a b:1", "this is no address and no name", NULL}}},
    {"upstream u",
     "service",
     "none, or _SERVICE._tcp.DOMAIN",
     {"_socks._tcp.example.org", "_a._TCP.b"},
     {{"example.org", "this is no name of a service", NULL},
      {"_socks._udp.example.org", "this is no name of a service", NULL},
      {"_socks._tcp", "this is no name of a service", NULL},
      {"_socks._tcp.", "this is no name of a service", NULL},
      {"_socks._tcp.1.2.3.4", "this is no name of a service", NULL}}},
    {"upstream u",
     "balance",
     "first, round_robin, least, source",
     {"first", "round_robin", "least", "SOURCE"},
     {{"random", NULL, NULL}}},
    {"upstream u",
     "send_proxy",
     "no, v1, v2",
     {"no", "v1", "V2"},
     {{"both", NULL, NULL}, {"yes", NULL, NULL}}},
    {"upstream u",
     "check",
     "once for each step, connect, tls, socks, send TEXT, expect TEXT",
     {"connect", "Socks", "send a, b", "expect\t\\x41"},
     {{"connect 1", "the step stands alone", NULL},
      {"send", "the step needs a TEXT", NULL},
      {"expect", "the step needs a TEXT", NULL},
      {"send \\q", ESCAPES, NULL},
      {"send \\x4", ESCAPES, NULL},
      {"send \\x4g", ESCAPES, NULL},
      {"send a\\", ESCAPES, NULL},
      {"ping", NULL, NULL},
      {"a word that is much too long for a step", NULL, NULL}}},
};

Test(config_upstream, every_key_takes_its_values_and_says_so_of_others)
{
    ini_expect_values(values, COUNT(values));
}
