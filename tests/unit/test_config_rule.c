/* test_config_rule.c - the keys of [rule NAME]. */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>

TestSuite(config_rule, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

Test(config_rule, every_key_sets_its_field)
{
    struct config *config = ini_load(LISTENER "[rule r]\n"
                                              "listener = a\n"
                                              "client = 10.0.0.0/8, ::1\n"
                                              "user = alice, ident:bob, cert:Carol C\n"
                                              "destination = example.org\n"
                                              "port = 80, 8000-8999\n"
                                              "command = connect\n"
                                              "action = deny\n");
    const struct config_rule *r = &config->rules_in_order[0];
    char text[IP_PREFIX_TEXT_MAX];

    cr_assert_str_eq(r->name, "r");
    cr_assert_eq(r->listener_count, 1);
    cr_assert_eq(r->listeners[0], 0);
    cr_assert_eq(r->client_count, 2);
    ip_prefix_format(&r->clients[0], text);
    cr_assert_str_eq(text, "10.0.0.0/8");
    ip_prefix_format(&r->clients[1], text);
    cr_assert_str_eq(text, "::1");
    cr_assert_eq(r->user_count, 3);
    cr_assert_str_eq(r->users[0], "alice");
    cr_assert_str_eq(r->users[1], "ident:bob");
    cr_assert_str_eq(r->users[2], "cert:Carol C");
    cr_assert_eq(r->destination_count, 1);
    ini_expect_pattern(&r->destinations[0], PATTERN_NAME, "example.org");
    cr_assert_eq(r->port_count, 2);
    cr_assert(r->ports[0].first == 80 && r->ports[0].last == 80);
    cr_assert(r->ports[1].first == 8000 && r->ports[1].last == 8999);
    cr_assert_eq(r->commands, COMMAND_CONNECT);
    cr_assert_eq(r->action, RULE_DENY);
    config_unref(config);
}

Test(config_rule, rate_is_of_rules_that_let_through)
{
    struct config *config = ini_load(LISTENER "[rule r]\naction = allow\nrate = 64k\n"
                                              "[rule s]\nrate = 1000\naction = route direct\n"
                                              "[rule t]\naction = deny\nrate = 0\n"
                                              "[rule u]\naction = allow\n");
    const struct config_rule *r = config->rules_in_order;

    cr_assert_eq(r[0].rate, 65536);
    cr_assert_eq(r[1].rate, 1000);
    cr_assert_eq(r[2].rate, 0);
    cr_assert_eq(r[3].rate, 0);
    config_unref(config);
}

Test(config_rule, condition_that_is_not_given_and_the_word_any_are_the_same)
{
    static const char *const files[] = {
        LISTENER "[rule r]\naction = allow\n",
        LISTENER "[rule r]\nlistener = any\nclient = Any\nuser = any\ndestination = ANY\n"
                 "port = any\ncommand = any\naction = allow\n",
    };

    for (size_t i = 0; i < COUNT(files); i++) {
        struct config *config = ini_load(files[i]);
        const struct config_rule *r = &config->rules_in_order[0];

        cr_assert_eq(r->listener_count, 0);
        cr_assert_eq(r->client_count, 0);
        cr_assert_eq(r->user_count, 0);
        cr_assert_eq(r->destination_count, 0);
        cr_assert_eq(r->port_count, 0);
        cr_assert_eq(r->commands, 0);
        cr_assert_eq(r->action, RULE_ALLOW);
        config_unref(config);
    }
}

Test(config_rule, listeners_may_stand_before_or_behind_the_rule)
{
    struct config *config =
        ini_load("[rule r]\naction = deny\nlistener = c, b\nlistener = a\n" LISTENER
                 "[rule s]\nlistener = b\naction = allow\n"
                 "[listener b]\nlisten = 127.0.0.1:2\n"
                 "[listener c]\nlisten = 127.0.0.1:3\n");
    const struct config_rule *r = config->rules_in_order;

    cr_assert_eq(r[0].listener_count, 3);
    cr_assert_eq(r[0].listeners[0], 2);
    cr_assert_eq(r[0].listeners[1], 1);
    cr_assert_eq(r[0].listeners[2], 0);
    cr_assert_eq(r[1].listener_count, 1);
    cr_assert_eq(r[1].listeners[0], 1);
    config_unref(config);
}

Test(config_rule, listener_that_does_not_exist_is_told_at_its_line)
{
    ini_expect_errors("[rule  r]\naction = deny\nlistener = locl, a\nlistener = other\n"
                      "[listener a]\nlisten = 127.0.0.1:1\n[listener local]\nlisten = "
                      "127.0.0.1:2\n",
                      "p.ini:3: [rule r] listener: there is no [listener locl]; did you mean "
                      "`local`?\n"
                      "p.ini:4: [rule r] listener: there is no [listener other]\n");
}

Test(config_rule, destinations_are_names_suffixes_addresses_and_networks)
{
    struct config *config = ini_load(LISTENER "[rule r]\naction = deny\n"
                                              "destination = Example.ORG., *.Example.net, *.com.\n"
                                              "destination = 192.0.2.1, 2001:db8::1/32\n"
                                              "destination = ::ffff:192.0.2.3, localhost\n");
    const struct host_pattern *d = config->rules_in_order[0].destinations;

    cr_assert_eq(config->rules_in_order[0].destination_count, 7);
    ini_expect_pattern(&d[0], PATTERN_NAME, "example.org");
    ini_expect_pattern(&d[1], PATTERN_SUFFIX, "example.net");
    ini_expect_pattern(&d[2], PATTERN_SUFFIX, "com");
    ini_expect_pattern(&d[3], PATTERN_PREFIX, "192.0.2.1");
    ini_expect_pattern(&d[4], PATTERN_PREFIX, "2001:db8::/32");
    ini_expect_pattern(&d[5], PATTERN_PREFIX, "192.0.2.3");
    ini_expect_pattern(&d[6], PATTERN_NAME, "localhost");
    config_unref(config);
}

#define NO_HOST "this is no address, no network and no name"
#define NO_STAR "a `*` stands only for what is before the dot of a *.SUFFIX"

static const struct ini_values values[] = {
    {"rule a",
     "listener",
     "any, or a list of names of [listener] sections",
     {"any", "z", "z, z"},
     {{"z,", "an item of the list is empty", ""}}},
    {"rule a",
     "client",
     "any, or a list of ADDRESS, ADDRESS/BITS",
     {"any", "10.0.0.0/8", "::1", "0.0.0.0/0, ::/0"},
     {{"localhost", NULL, NULL},
      {"127.1", NULL, NULL},
      {"10.0.0.0/", NULL, NULL},
      {"10.0.0.0/08", NULL, NULL},
      {"10.0.0.0/8, 10/8", NULL, "10/8"}}},
    {"rule a",
     "user",
     "any, or a list of NAME, ident:NAME, cert:NAME",
     {"any", "alice", "ident:alice", "cert:Alice A: x", "*", "alice@example.org"},
     {{"ident:", NULL, NULL},
      {"cert:", NULL, NULL},
      {"Ident:alice", NULL, NULL},
      {"kerberos:alice", NULL, NULL},
      {"alice, :", NULL, ":"}}},
    {"rule a",
     "destination",
     "any, or a list of NAME, *.SUFFIX, ADDRESS, ADDRESS/BITS",
     {"any", "*.example.org", "10.0.0.0/8", "x"},
     {{"*", NO_STAR, NULL},
      {"*.", NO_STAR, NULL},
      {"*example.org", NO_STAR, NULL},
      {"www.*.org", NO_STAR, NULL},
      {"a.example, *.10.0.0.1", NO_STAR, "*.10.0.0.1"},
      {".example.org", NO_HOST, NULL},
      {"127.1", NO_HOST, NULL},
      {"example.org:80", NO_HOST, NULL},
      {"http://example.org", NO_HOST, NULL},
      {"none", "this word means nothing here", NULL}}},
    {"rule a",
     "port",
     "any, or a list of PORT, FIRST-LAST, from 1 to 65535",
     {"any", "1", "65535", "1-65535", "80-80"},
     {{"0", "there is no port 0", NULL},
      {"0-80", "there is no port 0", NULL},
      {"65536", NULL, NULL},
      {"80-", NULL, NULL},
      {"-80", NULL, NULL},
      {"80 - 90", NULL, NULL},
      {"90-80", "the range ends before it begins", NULL},
      {"80, http", NULL, "http"},
      {"080", NULL, NULL},
      {"1-2-3", NULL, NULL}}},
    {"rule a",
     "command",
     "any, or a list of connect, bind, udp",
     {"any", "connect", "Connect, connect", "bind", "udp, connect"},
     {{"resolve", NULL, NULL}, {"connect, associate", NULL, "associate"}}},
    {"rule a",
     "action",
     "allow, deny, route UPSTREAM",
     {"allow", "deny", "ALLOW", "route direct", "Route\tDirect"},
     {{"route", "`route` needs the name of an [upstream]", NULL},
      {"routed", NULL, NULL},
      {"allow, deny", NULL, NULL},
      {"drop", NULL, NULL}}},
};

Test(config_rule, every_key_takes_its_values_and_says_so_of_others)
{
    ini_expect_values(values, COUNT(values));
}
