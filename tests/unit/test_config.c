/* test_config.c - files as users write them, with what they get: the snapshot or, for each
 * mistake, one line `FILE:LINE: [section] key: what is wrong (what is accepted)`. The texts in
 * here are what users read; they change knowingly. */
#include "config/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each test has a folder of its own to write `p.ini` to, and stands in it: so the messages begin
 * with just that name. */
static char folder[] = "/tmp/pairsocks-test-config-XXXXXX";

static void enter_folder(void)
{
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
}

static void leave_folder(void)
{
    unlink("p.ini");
    cr_assert(chdir("/") == 0 && rmdir(folder) == 0);
}

TestSuite(config, .timeout = 10, .init = enter_folder, .fini = leave_folder);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define LISTENER "[listener a]\nlisten = 127.0.0.1:1080\n"

static void write_file(const void *bytes, size_t n)
{
    FILE *file = fopen("p.ini", "w");

    cr_assert(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

/* The caller frees *ret_errors. */
static struct config *load_bytes(const void *bytes, size_t n, char **ret_errors)
{
    size_t length;
    FILE *errors = open_memstream(ret_errors, &length);
    struct config *config;

    cr_assert(errors);
    write_file(bytes, n);
    config = config_load("p.ini", errors);
    fclose(errors);
    return config;
}

static struct config *load_good(const char *text)
{
    char *errors;
    struct config *config = load_bytes(text, strlen(text), &errors);

    cr_assert_str_eq(errors, "");
    cr_assert(config);
    free(errors);
    return config;
}

static void expect_errors_of(const void *bytes, size_t n, const char *expected)
{
    char *errors;
    struct config *config = load_bytes(bytes, n, &errors);

    cr_assert_str_eq(errors, expected);
    cr_assert_null(config);
    free(errors);
}

static void expect_errors(const char *text, const char *expected)
{
    expect_errors_of(text, strlen(text), expected);
}

static void expect_address(const struct config_address *address, const char *text)
{
    char found[ENDPOINT_TEXT_MAX];

    endpoint_format(&address->endpoint, found);
    cr_assert_str_eq(found, text);
}

static void expect_listener_defaults(const struct config_listener *l)
{
    cr_assert_eq(l->protocols, PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5);
    cr_assert_eq(l->queue, 1024);
    cr_assert_eq(l->max_connections, 10000);
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
    cr_assert_null(c->log_file);
    cr_assert_eq(c->log_level, LOG_LEVEL_INFO);
    cr_assert_eq(c->log_format, 0);
    cr_assert_null(c->nameservers);
    cr_assert_not(c->search_domains);
    cr_assert_eq(c->drain_timeout, 30 * 1000);
    cr_assert_eq(c->max_files, 0);
}

Test(config, without_a_file_both_families_of_localhost_are_served_on_1080)
{
    struct config *config = config_default();

    cr_assert(config);
    cr_assert_null(config->file);
    expect_daemon_defaults(config);
    cr_assert_eq(config->listener_count, 1);
    expect_listener_defaults(&config->listeners[0]);
    cr_assert_eq(config->listeners[0].address_count, 2);
    expect_address(&config->listeners[0].addresses[0], "127.0.0.1:1080");
    expect_address(&config->listeners[0].addresses[1], "[::1]:1080");
    cr_assert(config->listeners[0].addresses[0].optional);
    cr_assert(config->listeners[0].addresses[1].optional);
    config_unref(config);
}

Test(config, what_is_not_given_has_its_default)
{
    struct config *config = load_good(LISTENER);

    cr_assert_str_eq(config->file, "p.ini");
    expect_daemon_defaults(config);
    cr_assert_eq(config->listener_count, 1);
    cr_assert_str_eq(config->listeners[0].name, "a");
    expect_listener_defaults(&config->listeners[0]);
    cr_assert_eq(config->listeners[0].address_count, 1);
    expect_address(&config->listeners[0].addresses[0], "127.0.0.1:1080");
    cr_assert_not(config->listeners[0].addresses[0].optional);
    config_unref(config);
    config = load_good("[daemon]\n" LISTENER);
    expect_daemon_defaults(config);
    config_unref(config);
}

Test(config, every_key_sets_its_field)
{
    struct config *config = load_good("[daemon]\n"
                                      "workers = 3\n"
                                      "log_target = file:/var/log/p.log\n"
                                      "log_level = debug\n"
                                      "log_format = json\n"
                                      "nameserver = 192.0.2.53\n"
                                      "search_domains = yes\n"
                                      "drain_timeout = 5s\n"
                                      "max_files = 64\n"
                                      "[listener b.c-d_E9]\n"
                                      "listen = [2001:db8::1]:1081\n"
                                      "protocols = socks5\n"
                                      "queue = 1\n"
                                      "max_connections = 2\n"
                                      "handshake_timeout = 3ms\n"
                                      "connect_timeout = 4s\n"
                                      "write_timeout = 5s\n"
                                      "idle_timeout = 6m\n"
                                      "half_close_timeout = 7s\n"
                                      "keepalive = 8s\n");
    const struct config_listener *l = &config->listeners[0];

    cr_assert_eq(config->workers, 3);
    cr_assert_str_eq(config->log_file, "/var/log/p.log");
    cr_assert_eq(config->log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(config->log_format, 1);
    cr_assert_str_eq(config->nameservers, "192.0.2.53");
    cr_assert(config->search_domains);
    cr_assert_eq(config->drain_timeout, 5000);
    cr_assert_eq(config->max_files, 64);
    cr_assert_str_eq(l->name, "b.c-d_E9");
    expect_address(&l->addresses[0], "[2001:db8::1]:1081");
    cr_assert_eq(l->protocols, PROTOCOL_SOCKS5);
    cr_assert_eq(l->queue, 1);
    cr_assert_eq(l->max_connections, 2);
    cr_assert_eq(l->handshake_timeout, 3);
    cr_assert_eq(l->connect_timeout, 4000);
    cr_assert_eq(l->write_timeout, 5000);
    cr_assert_eq(l->idle_timeout, 360000);
    cr_assert_eq(l->half_close_timeout, 7000);
    cr_assert_eq(l->keepalive, 8000);
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
        config = load_good(files[i]);
        cr_assert_eq(config->listeners[0].address_count, 3);
        expect_address(&config->listeners[0].addresses[0], "127.0.0.1:1");
        expect_address(&config->listeners[0].addresses[1], "[::1]:2");
        expect_address(&config->listeners[0].addresses[2], "127.0.0.1:3");
        config_unref(config);
    }
    config = load_good("[listener a]\nlisten = localhost:9\nprotocols = socks5\nprotocols=socks4");
    cr_assert_eq(config->listeners[0].address_count, 2);
    expect_address(&config->listeners[0].addresses[1], "[::1]:9");
    cr_assert_eq(config->listeners[0].protocols, PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5);
    config_unref(config);
}

/* config.h: ADDRESS[:PORT],... */
Test(config, nameservers_are_joined_without_blanks)
{
    static const char *const files[] = {
        "[daemon]\nnameserver = 192.0.2.1,[2001:db8::1]:53,192.0.2.2:5353\n" LISTENER,
        "[daemon]\nnameserver = 192.0.2.1\nnameserver = [2001:db8::1]:53,192.0.2.2:5353\n" LISTENER,
        "[daemon]\nnameserver = 192.0.2.1, [2001:db8::1]:53 ,192.0.2.2:5353\n" LISTENER,
    };

    for (size_t i = 0; i < COUNT(files); i++) {
        struct config *config = load_good(files[i]);

        cr_assert_str_eq(config->nameservers, "192.0.2.1,[2001:db8::1]:53,192.0.2.2:5353");
        config_unref(config);
    }
}

Test(config, listeners_keep_their_order_and_their_own_values)
{
    struct config *config = load_good("[listener b]\nlisten = 0.0.0.0:1\nqueue = 5\n"
                                      "[daemon]\nworkers = 2\n"
                                      "[listener a]\nlisten = [::]:1\n"
                                      "[listener A]\nlisten = 127.0.0.1:0\n");

    cr_assert_eq(config->listener_count, 3);
    cr_assert_str_eq(config->listeners[0].name, "b");
    cr_assert_str_eq(config->listeners[1].name, "a");
    cr_assert_str_eq(config->listeners[2].name, "A");
    cr_assert_eq(config->listeners[0].queue, 5);
    cr_assert_eq(config->listeners[1].queue, 1024);
    cr_assert_eq(config->workers, 2);
    config_unref(config);
}

/* Ways of writing the same. */
Test(config, blanks_line_ends_comments_and_a_bom_mean_nothing)
{
    static const char *const files[] = {
        "[daemon]\nworkers=4\n[listener a]\nlisten=127.0.0.1:1080",
        "\xEF\xBB\xBF[daemon]\nworkers = 4\n" LISTENER,
        "[daemon]\r\nworkers = 4\r\n[listener a]\r\nlisten = 127.0.0.1:1080\r\n",
        "  [daemon]\n  workers = 4\n\t[listener a]\n\t  listen = 127.0.0.1:1080\n",
        "; c\n# c\n[daemon]\n ; c\nworkers = 4\n\n\n[listener   a]\n#\nlisten = 127.0.0.1:1080 \n",
        "[daemon ]\nworkers\t=\t4\n[listener\ta]\nlisten =127.0.0.1:1080\n",
        LISTENER "[daemon]\nworkers = 4\n",
    };

    for (size_t i = 0; i < COUNT(files); i++) {
        struct config *config = load_good(files[i]);

        cr_assert_eq(config->workers, 4);
        cr_assert_str_eq(config->listeners[0].name, "a");
        expect_address(&config->listeners[0].addresses[0], "127.0.0.1:1080");
        config_unref(config);
    }
}

Test(config, value_may_hold_what_separates_elsewhere)
{
    struct config *config = load_good("[daemon]\nlog_target = file:/a;b #c=d:e [f]\n" LISTENER);

    cr_assert_str_eq(config->log_file, "/a;b #c=d:e [f]");
    config_unref(config);
}

/* One mistake a file; the line of [listener a] stands behind it where one is needed. */
static const struct {
    const char *text, *errors;
} mistakes[] = {
    /* the file */
    {"", "p.ini:1: there is no [listener NAME] section\n"},
    {"[daemon]\n", "p.ini:1: there is no [listener NAME] section\n"},
    /* lines */
    {"workers = 1\n" LISTENER, "p.ini:1: workers: a key must follow a [section]\n"},
    {"hello\n" LISTENER, "p.ini:1: this is no `key = value`, no [section] and no comment\n"},
    {LISTENER "hello\n",
     "p.ini:3: [listener a] this is no `key = value`, no [section] and no comment\n"},
    {LISTENER "= 5\n", "p.ini:3: [listener a] there is no key before the `=`\n"},
    {LISTENER "queue: 5 = 6\n",
     "p.ini:3: [listener a] a key holds a colon (keys and values are separated by `=`)\n"},
    /* sections */
    {LISTENER "[nonsense]\nkey = 1\n",
     "p.ini:3: [nonsense] there is no such section (accepted: daemon, listener NAME)\n"},
    {LISTENER "[Daemon]\n",
     "p.ini:3: [Daemon] there is no such section (accepted: daemon, listener NAME)\n"},
    {LISTENER "[daemon x]\n", "p.ini:3: [daemon x] this section has no name\n"},
    {LISTENER "[daemon]\n[daemon]\nworkers = 1\n",
     "p.ini:4: [daemon] there is such a section already, in line 3\n"},
    {LISTENER "[listener a]\nlisten = 127.0.0.1:2\n",
     "p.ini:3: [listener a] there is a section of this name already\n"},
    {"[listener]\nlisten = 127.0.0.1:1\n",
     "p.ini:1: [listener] the section needs a name (accepted: letters, digits, `-`, `_`, `.`)\n"},
    {"[listener a b]\n",
     "p.ini:1: [listener a b] this is no name (accepted: letters, digits, `-`, `_`, "
     "`.`)\n"},
    {"[listener a/b]\n",
     "p.ini:1: [listener a/b] this is no name (accepted: letters, digits, `-`, `_`, "
     "`.`)\n"},
    {"[listener \xC3\xBC]\n",
     "p.ini:1: [listener \xC3\xBC] this is no name (accepted: letters, digits, `-`, `_`, "
     "`.`)\n"},
    {"[listener direct]\n", "p.ini:1: [listener direct] the name is reserved\n"},
    {"[listener none]\n", "p.ini:1: [listener none] the name is reserved\n"},
    {"[listener any]\n", "p.ini:1: [listener any] the name is reserved\n"},
    {LISTENER "[upstream u]\ntype = direct\n",
     "p.ini:3: [upstream u] such sections are not available in this version yet\n"},
    {LISTENER "[certificate c]\n",
     "p.ini:3: [certificate c] such sections are not available in this version yet\n"},
    {LISTENER "[rule r]\naction = deny\n",
     "p.ini:3: [rule r] such sections are not available in this version yet\n"},
    /* keys */
    {"[listener a]\n",
     "p.ini:1: [listener a] listen: the section needs this key (accepted: a list of ADDRESS:PORT, "
     "[V6]:PORT, localhost:PORT)\n"},
    {"\n[listener a]\nqueue = 5\n\n[daemon]\n",
     "p.ini:2: [listener a] listen: the section needs this key (accepted: a list of ADDRESS:PORT, "
     "[V6]:PORT, localhost:PORT)\n"},
    {LISTENER "nonsense = 1\n",
     "p.ini:3: [listener a] nonsense: there is no such key in this section\n"},
    {LISTENER "Queue = 1\n", "p.ini:3: [listener a] Queue: there is no such key in this section\n"},
    {LISTENER "workers = 1\n",
     "p.ini:3: [listener a] workers: there is no such key in this section\n"},
    {LISTENER "[daemon]\nlisten = 127.0.0.1:1\n",
     "p.ini:4: [daemon] listen: there is no such key in this section\n"},
    {LISTENER "allow = 10.0.0.0/8\n",
     "p.ini:3: [listener a] allow: this key is not available in this version yet\n"},
    {LISTENER "[daemon]\ncontrol = none\n",
     "p.ini:4: [daemon] control: this key is not available in this version yet\n"},
    {LISTENER "queue = 5\nqueue = 5\n",
     "p.ini:4: [listener a] queue: the key was given in line 3 already\n"},
    {LISTENER "queue = 0\nqueue = 5\n",
     "p.ini:3: [listener a] queue: the number is out of range: `0` (accepted: a number from 1 to "
     "1000000)\n"
     "p.ini:4: [listener a] queue: the key was given in line 3 already\n"},
    {LISTENER "queue =\n",
     "p.ini:3: [listener a] queue: the value is empty (accepted: a number from 1 to 1000000)\n"},
    {LISTENER "listen =   \n",
     "p.ini:3: [listener a] listen: the value is empty (accepted: a list of ADDRESS:PORT, "
     "[V6]:PORT, localhost:PORT)\n"},
};

Test(config, every_mistake_is_told_with_its_place)
{
    for (size_t i = 0; i < COUNT(mistakes); i++)
        expect_errors(mistakes[i].text, mistakes[i].errors);
}

/* Values of each key: those that are taken, then those that are not with what is said. NULL ends
 * the first list. */
static const struct {
    const char *section, *key, *accepts;
    const char *good[6];
    struct {
        const char *value, *what;
    } bad[8];
} values[] = {
    {"daemon",
     "workers",
     "auto, or a number from 1 to 256",
     {"auto", "AUTO", "1", "256"},
     {{"0", "the number is out of range"},
      {"257", "the number is out of range"},
      {"-1", "this is no valid value"},
      {"two", "this is no valid value"},
      {"1 2", "this is no valid value"},
      {"99999999999999999999", "this is no valid value"}}},
    {"daemon",
     "log_target",
     "stderr, syslog, journal, file:/PATH",
     {"stderr", "file:/x", "syslog", "journal"},
     {{"stdout", "this is no valid value"},
      {"/x", "this is no valid value"},
      {"file:x", "the path must begin with `/`"},
      {"file:", "the path must begin with `/`"},
      {"journalx", "this is no valid value"}}},
    {"daemon",
     "log_level",
     "error, warning, notice, info, debug",
     {"error", "warning", "notice", "info", "debug", "Info"},
     {{"err", "this is no valid value"}, {"info, debug", "this is no valid value"}}},
    {"daemon", "log_format", "text, json", {"text", "json"}, {{"xml", "this is no valid value"}}},
    {"daemon",
     "nameserver",
     "system, or a list of ADDRESS, ADDRESS:PORT, [V6]:PORT",
     {"system", "192.0.2.1", "2001:db8::1", "192.0.2.1:53", "[2001:db8::1]:53"},
     {{"dns.example", "this is no address"},
      {"192.0.2.1:", "this is no address"},
      {"192.0.2.1,", "this is no address"},
      {"[2001:db8::1]", "this is no address"},
      {"192.0.2.01", "this is no address"}}},
    {"daemon",
     "search_domains",
     "yes, no, on, off, true, false",
     {"yes", "no", "on", "off", "true", "FALSE"},
     {{"1", "this is no valid value"}, {"maybe", "this is no valid value"}}},
    {"daemon",
     "drain_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, at most 24h",
     {"0", "1ms", "24h"},
     {{"25h", "the duration is out of range"},
      {"10", "this is no valid value"},
      {"10 s", "this is no valid value"}}},
    {"daemon",
     "max_files",
     "a number of at least 64",
     {"64", "1048576"},
     {{"63", "the number is out of range"}, {"64k", "this is no valid value"}}},
    {"listener a",
     "listen",
     "a list of ADDRESS:PORT, [V6]:PORT, localhost:PORT",
     {"127.0.0.1:1", "[::1]:1", "localhost:1", "LocalHost.:65535", "0.0.0.0:0,[::]:0"},
     {{"127.0.0.1", "this is no valid value"},
      {"1080", "this is no valid value"},
      {"::1:1080", "this is no valid value"},
      {"127.0.0.1:1,,[::1]:1", "this is no valid value"},
      {"example.com:1", "a listening address is given as a number, or as localhost"},
      {"127.1:1", "a listening address is given as a number, or as localhost"},
      {"unix:/run/x", "unix sockets are not available in this version yet"},
      {"systemd:x", "systemd's sockets are not available in this version yet"}}},
    {"listener a",
     "protocols",
     "a list of socks4, socks5",
     {"socks4", "socks5", "socks5,socks4"},
     {{"socks", "this is no valid value"},
      {"socks4a", "this is no valid value"},
      {"socks4,", "this is no valid value"},
      {"socks4 socks5", "this is no valid value"},
      {"http", "this protocol is not available in this version yet"},
      {"socks5, forward", "this protocol is not available in this version yet"}}},
    {"listener a",
     "queue",
     "a number from 1 to 1000000",
     {"1", "1000000"},
     {{"0", "the number is out of range"}, {"1000001", "the number is out of range"}}},
    {"listener a",
     "max_connections",
     "a number from 1 to 10000000",
     {"1", "10000000"},
     {{"0", "the number is out of range"}, {"10000001", "the number is out of range"}}},
    {"listener a",
     "handshake_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, from 1ms to 1h",
     {"1ms", "1h"},
     {{"0", "the duration is out of range"}, {"61m", "the duration is out of range"}}},
    {"listener a",
     "connect_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, from 1ms to 1h",
     {"1ms", "1h"},
     {{"0", "the duration is out of range"}, {"3600001ms", "the duration is out of range"}}},
    {"listener a",
     "write_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, from 1ms to 24h",
     {"1ms", "24h"},
     {{"0", "the duration is out of range"}, {"25h", "the duration is out of range"}}},
    {"listener a",
     "idle_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, from 1ms to 720h",
     {"1ms", "720h"},
     {{"0", "the duration is out of range"}, {"721h", "the duration is out of range"}}},
    {"listener a",
     "half_close_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, from 1ms to 24h",
     {"1ms", "24h"},
     {{"0s", "the duration is out of range"}, {"-1s", "this is no valid value"}}},
    {"listener a",
     "keepalive",
     "a duration such as 500ms, 10s, 5m, 2h, at most 9h; 0 = off",
     {"0", "1s", "9h"},
     {{"10h", "the duration is out of range"}, {"off", "this is no valid value"}}},
};

/* The file with one key; what else a listener needs stands in another one. */
static void draw_value(char *out, size_t n, const char *section, const char *key, const char *value)
{
    snprintf(out, n, "[listener z]\nlisten = 192.0.2.9:9\n[%s]\n%s%s = %s\n", section,
             strcmp(section, "daemon") == 0 || strcmp(key, "listen") == 0
                 ? ""
                 : "listen = 192.0.2.9:8\n",
             key, value);
}

Test(config, every_key_takes_its_values)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        for (size_t j = 0; j < COUNT(values[i].good) && values[i].good[j]; j++) {
            char text[256];

            draw_value(text, sizeof text, values[i].section, values[i].key, values[i].good[j]);
            config_unref(load_good(text));
        }
    }
}

Test(config, every_key_refuses_what_it_does_not_take_and_says_what_it_does)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        for (size_t j = 0; j < COUNT(values[i].bad) && values[i].bad[j].value; j++) {
            const char *section = values[i].section, *key = values[i].key;
            char text[256], expected[512];

            draw_value(text, sizeof text, section, key, values[i].bad[j].value);
            snprintf(expected, sizeof expected, "p.ini:%d: [%s] %s: %s: `%s` (accepted: %s)\n",
                     strcmp(section, "daemon") == 0 || strcmp(key, "listen") == 0 ? 4 : 5, section,
                     key, values[i].bad[j].what, values[i].bad[j].value, values[i].accepts);
            expect_errors(text, expected);
        }
    }
}

Test(config, address_that_is_listed_twice_is_refused_however_it_is_spelt)
{
    static const char *const twice[] = {
        "127.0.0.1:1080, 127.0.0.1:1080", "[::1]:1080, [0:0::1]:1080",
        "localhost:1080, 127.0.0.1:1080", "localhost:1080, [::1]:1080",
        "127.0.0.1:1080, localhost:1080", "[::1]:1080, localhost:1080",
        "localhost:1080, localhost:1080",
    };

    for (size_t i = 0; i < COUNT(twice); i++) {
        char text[128], expected[256];

        snprintf(text, sizeof text, "[listener a]\nlisten = %s\n", twice[i]);
        snprintf(expected, sizeof expected,
                 "p.ini:2: [listener a] listen: this address is listed twice: `%s` (accepted: a "
                 "list of ADDRESS:PORT, [V6]:PORT, localhost:PORT)\n",
                 twice[i]);
        expect_errors(text, expected);
    }
}

Test(config, all_mistakes_of_a_file_are_told_at_once)
{
    expect_errors("lost = 1\n"
                  "[daemon]\n"
                  "workers = none\n"
                  "log_level = loud\n"
                  "chroot = /\n"
                  "[listener a]\n"
                  "queue = 0\n"
                  "colour = red\n"
                  "[nonsense]\n"
                  "key = 1\n"
                  "[listener a]\n"
                  "listen = 127.0.0.1:1\n"
                  "[listener b]\n"
                  "listen = 127.0.0.1\n"
                  "rubbish\n",
                  "p.ini:1: lost: a key must follow a [section]\n"
                  "p.ini:3: [daemon] workers: this is no valid value: `none` (accepted: auto, or a "
                  "number from 1 to 256)\n"
                  "p.ini:4: [daemon] log_level: this is no valid value: `loud` (accepted: error, "
                  "warning, notice, info, debug)\n"
                  "p.ini:5: [daemon] chroot: this key is not available in this version yet\n"
                  "p.ini:7: [listener a] queue: the number is out of range: `0` (accepted: a "
                  "number from 1 to 1000000)\n"
                  "p.ini:8: [listener a] colour: there is no such key in this section\n"
                  "p.ini:6: [listener a] listen: the section needs this key (accepted: a list of "
                  "ADDRESS:PORT, [V6]:PORT, localhost:PORT)\n"
                  "p.ini:9: [nonsense] there is no such section (accepted: daemon, listener "
                  "NAME)\n"
                  "p.ini:11: [listener a] there is a section of this name already\n"
                  "p.ini:14: [listener b] listen: this is no valid value: `127.0.0.1` (accepted: a "
                  "list of ADDRESS:PORT, [V6]:PORT, localhost:PORT)\n"
                  "p.ini:15: [listener b] this is no `key = value`, no [section] and no comment\n");
}

/* What follows belongs to no section: it is no mistake of the one before, and neither is the
 * head. */
Test(config, broken_section_head_is_told_once_and_its_keys_are_not)
{
    expect_errors(LISTENER "queue = 5\n[listener b\nlisten = 127.0.0.1:2\nqueue = 6\n",
                  "p.ini:4: the section's head has no closing bracket\n");
    expect_errors(LISTENER "[daemon] ; c\nworkers = 1\n",
                  "p.ini:3: there is something behind the section's closing bracket\n");
}

Test(config, long_lines_and_nul_bytes_are_told)
{
    static const char nul[] = LISTENER "queue = 5\0\n";
    static char text[8192];

    expect_errors_of(nul, sizeof nul - 1, "p.ini:3: [listener a] the line holds a NUL byte\n");
    strcpy(text, LISTENER);
    memset(text + strlen(text), 'x', 4097);
    expect_errors(text, "p.ini:3: [listener a] the line is too long (at most 4096 bytes)\n");
    snprintf(text, sizeof text, "[listener %0*d]\n", 120, 0);
    expect_errors(text, "p.ini:1: the section's name is too long (at most 100 bytes)\n");
}

/* A list may be longer than any line of the reader that it goes through. */
Test(config, list_may_be_long)
{
    static char text[64 * 1024];
    struct config *config;
    char *at = stpcpy(text, "[listener a]\n");

    for (int port = 1; port <= 1000; port++)
        at += sprintf(at, "listen = 127.0.0.1:%d, [::1]:%d\n", port, port);
    config = load_good(text);
    cr_assert_eq(config->listeners[0].address_count, 2000);
    expect_address(&config->listeners[0].addresses[1999], "[::1]:1000");
    config_unref(config);
}

Test(config, file_that_cannot_be_read_is_told_with_the_systems_reason)
{
    char *text = NULL;
    size_t n;
    FILE *errors = open_memstream(&text, &n);

    cr_assert(errors);
    cr_assert_null(config_load("missing.ini", errors));
    cr_assert_null(config_load("/", errors));
    fclose(errors);
    cr_assert_str_eq(text, "missing.ini: No such file or directory\n"
                           "/: cannot be read: Is a directory\n");
    free(text);
}

Test(config, snapshot_lives_until_its_last_reference_goes)
{
    struct config *config = load_good(LISTENER);

    cr_assert_eq(config_ref(config), config);
    config_unref(config);
    cr_assert_str_eq(config->listeners[0].name, "a");
    config_unref(config);
    config_unref(NULL);
}

Test(config, log_levels_have_the_names_that_the_file_takes)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
        cr_assert_str_eq(config_log_level_name((enum log_level)level), names[level]);
}
