/* test_config.c - files as a whole: defaults, lists, ways of writing the same, and how long a
 * snapshot lives. What each section's keys take has files of its own. */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(config, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

static void expect_listener_defaults(const struct config_listener *l)
{
    cr_assert_eq(l->unix_mode, 0660);
    cr_assert_eq(l->protocols, PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5 | PROTOCOL_HTTP);
    cr_assert_eq(l->queue, 1024);
    cr_assert_eq(l->max_connections, 10000);
    cr_assert_eq(l->max_per_host, 0);
    cr_assert_eq(l->max_per_user, 0);
    cr_assert_eq(l->allow_count, 0);
    cr_assert_eq(l->deny_count, 0);
    cr_assert_not(l->open_proxy);
    cr_assert_eq(l->guard, GUARD_AUTO);
    cr_assert_not(l->default_deny);
    cr_assert_eq(l->bind_address.family, IP_NONE);
    cr_assert_not(l->resolve_for_rules);
    cr_assert_eq(l->bind, BIND_AUTO);
    cr_assert_eq(l->bind_port_count, 0);
    cr_assert_eq(l->bind_timeout, 2 * 60 * 1000);
    cr_assert_eq(l->handshake_timeout, 10 * 1000);
    cr_assert_eq(l->connect_timeout, 30 * 1000);
    cr_assert_eq(l->write_timeout, 60 * 1000);
    cr_assert_eq(l->idle_timeout, 2 * 60 * 60 * 1000);
    cr_assert_eq(l->half_close_timeout, 5 * 60 * 1000);
    cr_assert_eq(l->keepalive, 60 * 1000);
}

static void expect_daemon_defaults(const struct config *c)
{
    cr_assert_eq(c->workers, CONFIG_WORKERS_AUTO);
    cr_assert_null(c->user);
    cr_assert_null(c->group);
    cr_assert_null(c->chroot);
    cr_assert_eq(c->log_target, LOG_TARGET_STDERR);
    cr_assert_null(c->log_file);
    cr_assert_eq(c->log_level, LOG_LEVEL_INFO);
    cr_assert_eq(c->log_format, 0);
    cr_assert_null(c->nameservers);
    cr_assert_not(c->search_domains);
    cr_assert_eq(c->drain_timeout, 30 * 1000);
    cr_assert_eq(c->max_files, 0);
    cr_assert_eq(c->rule_count, 0);
    cr_assert(c->rules);
}

Test(config, without_a_file_both_families_of_localhost_are_served_on_1080)
{
    struct config *config = config_default();

    cr_assert(config);
    cr_assert_null(config->file);
    expect_daemon_defaults(config);
    cr_assert_eq(config->listener_count, 1);
    cr_assert_str_eq(config->listeners[0].name, "default");
    expect_listener_defaults(&config->listeners[0]);
    cr_assert_eq(config->listeners[0].address_count, 2);
    ini_expect_endpoint(&config->listeners[0].addresses[0].endpoint, "127.0.0.1:1080");
    ini_expect_endpoint(&config->listeners[0].addresses[1].endpoint, "[::1]:1080");
    cr_assert(config->listeners[0].addresses[0].optional);
    cr_assert(config->listeners[0].addresses[1].optional);
    config_unref(config);
}

Test(config, what_is_not_given_has_its_default)
{
    struct config *config = ini_load(LISTENER);

    cr_assert_str_eq(config->file, "p.ini");
    expect_daemon_defaults(config);
    cr_assert_eq(config->listener_count, 1);
    cr_assert_str_eq(config->listeners[0].name, "a");
    expect_listener_defaults(&config->listeners[0]);
    cr_assert_eq(config->listeners[0].address_count, 1);
    ini_expect_endpoint(&config->listeners[0].addresses[0].endpoint, "127.0.0.1:1080");
    cr_assert_not(config->listeners[0].addresses[0].optional);
    config_unref(config);
    config = ini_load("[daemon]\n" LISTENER);
    expect_daemon_defaults(config);
    config_unref(config);
}

/* Commas, repetition, both, and localhost, which is two addresses. */
Test(config, lists_are_separated_by_commas_or_by_repeating_the_key)
{
    static const char *const files[] = {
        "[listener a]\nlisten = 127.0.0.1:1, [::1]:2,127.0.0.1:3\n",
        "[listener a]\nlisten = 127.0.0.1:1\nlisten = [::1]:2\nlisten = 127.0.0.1:3\n",
        "[listener a]\nlisten = 127.0.0.1:1\nqueue = 7\nlisten = [::1]:2 , 127.0.0.1:3\n",
    };
    struct config *config;

    for (size_t i = 0; i < COUNT(files); i++) {
        config = ini_load(files[i]);
        cr_assert_eq(config->listeners[0].address_count, 3);
        ini_expect_endpoint(&config->listeners[0].addresses[0].endpoint, "127.0.0.1:1");
        ini_expect_endpoint(&config->listeners[0].addresses[1].endpoint, "[::1]:2");
        ini_expect_endpoint(&config->listeners[0].addresses[2].endpoint, "127.0.0.1:3");
        config_unref(config);
    }
    config = ini_load("[listener a]\nlisten = localhost:9\nprotocols = socks5\nprotocols=socks4");
    cr_assert_eq(config->listeners[0].address_count, 2);
    ini_expect_endpoint(&config->listeners[0].addresses[1].endpoint, "[::1]:9");
    cr_assert_eq(config->listeners[0].protocols, PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5);
    config_unref(config);
}

/* A list may be longer than any line of the reader that it goes through. */
Test(config, list_may_be_long)
{
    static char text[64 * 1024];
    struct config *config;
    char *at = stpcpy(text, "[listener a]\n");

    for (int port = 1; port <= 1000; port++)
        at += sprintf(at, "listen = 127.0.0.1:%d, [::1]:%d\n", port, port);
    config = ini_load(text);
    cr_assert_eq(config->listeners[0].address_count, 2000);
    ini_expect_endpoint(&config->listeners[0].addresses[1999].endpoint, "[::1]:1000");
    config_unref(config);
}

Test(config, sections_keep_their_order_and_their_own_values)
{
    struct config *config = ini_load("[rule z]\naction = allow\nport = 1\n"
                                     "[listener b]\nlisten = 127.0.0.1:1\nqueue = 5\n"
                                     "[daemon]\nworkers = 2\n"
                                     "[rule a]\naction = deny\n"
                                     "[listener a]\nlisten = [::1]:1\n"
                                     "[listener A]\nlisten = 127.0.0.1:0\n"
                                     "[rule b]\naction = allow\n");

    cr_assert_eq(config->listener_count, 3);
    cr_assert_str_eq(config->listeners[0].name, "b");
    cr_assert_str_eq(config->listeners[1].name, "a");
    cr_assert_str_eq(config->listeners[2].name, "A");
    cr_assert_eq(config->listeners[0].queue, 5);
    cr_assert_eq(config->listeners[1].queue, 1024);
    cr_assert_eq(config->workers, 2);
    cr_assert_eq(config->rule_count, 3);
    cr_assert_str_eq(config->rules_in_order[0].name, "z");
    cr_assert_str_eq(config->rules_in_order[1].name, "a");
    cr_assert_str_eq(config->rules_in_order[2].name, "b");
    cr_assert_eq(config->rules_in_order[0].port_count, 1);
    cr_assert_eq(config->rules_in_order[1].port_count, 0);
    config_unref(config);
}

/* Ways of writing the same. */
Test(config, blanks_line_ends_comments_and_a_bom_mean_nothing)
{
    static const char *const files[] = {
        "[daemon]\nworkers=4\n[listener a]\nlisten=127.0.0.1:1080",
        "\xEF\xBB\xBF[daemon]\nworkers = 4\n" LISTENER,
        "\xEF\xBB\xBF  ; c\r\n[daemon]\r\nworkers = 4\r\n[listener a]\r\nlisten = 127.0.0.1:1080",
        "[daemon]\r\nworkers = 4\r\n[listener a]\r\nlisten = 127.0.0.1:1080\r\n",
        "  [daemon]\n  workers = 4\n\t[listener a]\n\t  listen = 127.0.0.1:1080\n",
        "; c\n# c\n[daemon]\n ; c\nworkers = 4\n\n\n[listener   a]\n#\nlisten = 127.0.0.1:1080 \n",
        "[daemon ]\nworkers\t=\t4\n[listener\ta]\nlisten =127.0.0.1:1080\n",
        LISTENER "[daemon]\nworkers = 4\n",
    };

    for (size_t i = 0; i < COUNT(files); i++) {
        struct config *config = ini_load(files[i]);

        cr_assert_eq(config->workers, 4);
        cr_assert_str_eq(config->listeners[0].name, "a");
        ini_expect_endpoint(&config->listeners[0].addresses[0].endpoint, "127.0.0.1:1080");
        config_unref(config);
    }
}

Test(config, value_may_hold_what_separates_elsewhere)
{
    struct config *config = ini_load("[daemon]\nlog_target = file:/a;b #c=d:e [f]\n" LISTENER);

    cr_assert_str_eq(config->log_file, "/a;b #c=d:e [f]");
    config_unref(config);
}

Test(config, snapshot_lives_until_its_last_reference_goes)
{
    struct config *config = ini_load(LISTENER);

    cr_assert_eq(config_ref(config), config);
    config_unref(config);
    cr_assert_str_eq(config->listeners[0].name, "a");
    config_unref(config);
    config_unref(NULL);
}
