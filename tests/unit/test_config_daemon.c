/* test_config_daemon.c - the keys of [daemon]. */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>

TestSuite(config_daemon, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

Test(config_daemon, every_key_sets_its_field)
{
    struct config *config = ini_load("[daemon]\n"
                                     "workers = 3\n"
                                     "user = proxy\n"
                                     "group = 1000\n"
                                     "chroot = /var/empty\n"
                                     "sandbox = no\n"
                                     "log_target = file:/var/log/p.log\n"
                                     "log_level = debug\n"
                                     "log_format = json\n"
                                     "nameserver = 192.0.2.53\n"
                                     "search_domains = yes\n"
                                     "drain_timeout = 5s\n"
                                     "max_files = 64\n"
                                     "control = /run/p\n"
                                     "control_group = admins\n" LISTENER);

    cr_assert_eq(config->workers, 3);
    cr_assert_str_eq(config->user, "proxy");
    cr_assert_str_eq(config->group, "1000");
    cr_assert_str_eq(config->chroot, "/var/empty");
    cr_assert_eq(config->sandbox, SANDBOX_NO);
    cr_assert_eq(config->log_target, LOG_TARGET_FILE);
    cr_assert_str_eq(config->log_file, "/var/log/p.log");
    cr_assert_eq(config->log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(config->log_format, 1);
    cr_assert_str_eq(config->nameservers, "192.0.2.53");
    cr_assert(config->search_domains);
    cr_assert_eq(config->drain_timeout, 5000);
    cr_assert_eq(config->max_files, 64);
    cr_assert_str_eq(config->control, "/run/p");
    cr_assert_str_eq(config->control_group, "admins");
    config_unref(config);
}

Test(config_daemon, words_for_nothing_are_the_defaults)
{
    struct config *config = ini_load("[daemon]\n"
                                     "workers = auto\nuser = none\ngroup = None\nchroot = none\n"
                                     "nameserver = system\nmax_files = auto\n" LISTENER);

    cr_assert_eq(config->workers, CONFIG_WORKERS_AUTO);
    cr_assert_null(config->user);
    cr_assert_null(config->control);
    cr_assert_null(config->group);
    cr_assert_null(config->chroot);
    cr_assert_null(config->nameservers);
    cr_assert_eq(config->max_files, 0);
    config_unref(config);
}

Test(config_daemon, each_log_target_is_its_own)
{
    static const struct {
        const char *text;
        enum log_target target;
    } targets[] = {
        {"[daemon]\nlog_target = stderr\n" LISTENER, LOG_TARGET_STDERR},
        {"[daemon]\nlog_target = syslog\n" LISTENER, LOG_TARGET_SYSLOG},
        {"[daemon]\nlog_target = Journal\n" LISTENER, LOG_TARGET_JOURNAL},
    };

    for (size_t i = 0; i < COUNT(targets); i++) {
        struct config *config = ini_load(targets[i].text);

        cr_assert_eq(config->log_target, (int)targets[i].target);
        cr_assert_null(config->log_file);
        config_unref(config);
    }
}

/* config.h: ADDRESS[:PORT],... */
Test(config_daemon, nameservers_are_joined_without_blanks)
{
    static const char *const files[] = {
        "[daemon]\nnameserver = 192.0.2.1,[2001:db8::1]:53,192.0.2.2:5353\n" LISTENER,
        "[daemon]\nnameserver = 192.0.2.1\nnameserver = [2001:db8::1]:53,192.0.2.2:5353\n" LISTENER,
        "[daemon]\nnameserver = 192.0.2.1, [2001:db8::1]:53 ,192.0.2.2:5353\n" LISTENER,
    };

    for (size_t i = 0; i < COUNT(files); i++) {
        struct config *config = ini_load(files[i]);

        cr_assert_str_eq(config->nameservers, "192.0.2.1,[2001:db8::1]:53,192.0.2.2:5353");
        config_unref(config);
    }
}

static const struct ini_values values[] = {
    {"daemon",
     "workers",
     "auto, or a number from 1 to 256",
     {"auto", "AUTO", "1", "256"},
     {{"0", "the number is out of range", NULL},
      {"257", "the number is out of range", NULL},
      {"-1", NULL, NULL},
      {"two", NULL, NULL},
      {"1 2", NULL, NULL},
      {"1, 2", NULL, NULL},
      {"99999999999999999999", NULL, NULL}}},
    {"daemon",
     "user",
     "none, or a user's name or number",
     {"proxy", "0", "_p-x.y$", "DOMAIN\\user", "user@example.org"},
     {{"a b", NULL, NULL}, {"a:b", NULL, NULL}, {"a, b", NULL, NULL}, {"/a", NULL, NULL}}},
    {"daemon",
     "group",
     "none, or a group's name or number",
     {"proxy", "0"},
     {{"a b", NULL, NULL}, {"a,b", NULL, NULL}}},
    {"daemon",
     "chroot",
     "none, or an absolute path",
     {"/", "/a b, c"},
     {{"a/b", "the path must begin with `/`", NULL}}},
    {"daemon",
     "control",
     "/run/pairsocks/control, or none, an absolute path",
     {"none", "/run/pairsocks/control", "/a b, c", "None"},
     {{"run", "the path must begin with `/`", NULL},
      {"/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
       "0"
       "12345678",
       "the path is too long for a unix socket (at most 99 bytes)", NULL}}},
    {"daemon",
     "control_group",
     "none, or a group's name or number",
     {"admins", "0", "none"},
     {{"a b", NULL, NULL}, {"a,b", NULL, NULL}}},
    {"daemon",
     "sandbox",
     "auto, no, yes, off, on, false, true",
     {"auto", "yes", "No", "on"},
     {{"seccomp", NULL, NULL}, {"landlock", NULL, NULL}}},
    {"daemon",
     "log_target",
     "stderr, syslog, journal, file:/PATH",
     {"stderr", "file:/x", "syslog", "journal"},
     {{"stdout", NULL, NULL},
      {"/x", NULL, NULL},
      {"file:x", "the path must begin with `/`", NULL},
      {"file:", "the path must begin with `/`", NULL},
      {"all journals", NULL, NULL}}},
    {"daemon",
     "log_level",
     "error, warning, notice, info, debug",
     {"error", "warning", "notice", "info", "debug", "Info"},
     {{"loud", NULL, NULL}, {"info, debug", NULL, NULL}}},
    {"daemon", "log_format", "text, json", {"text", "json"}, {{"xml", NULL, NULL}}},
    {"daemon",
     "nameserver",
     "system, or a list of ADDRESS, ADDRESS:PORT, [V6]:PORT",
     {"system", "192.0.2.1", "2001:db8::1", "192.0.2.1:53", "[2001:db8::1]:53"},
     {{"dns.example", "this is no address", NULL},
      {"192.0.2.1:", "this is no address", NULL},
      {"192.0.2.1:0", "this is no address", NULL},
      {"192.0.2.1,", "an item of the list is empty", ""},
      {"[2001:db8::1]", "this is no address", NULL},
      {"192.0.2.2, 192.0.2.01", "this is no address", "192.0.2.01"}}},
    {"daemon",
     "search_domains",
     "no, yes, off, on, false, true",
     {"yes", "no", "on", "off", "true", "FALSE"},
     {{"1", NULL, NULL}, {"maybe", NULL, NULL}}},
    {"daemon",
     "drain_timeout",
     "a duration such as 500ms, 10s, 5m, 2h, from 0 to 24h",
     {"0", "1ms", "24h"},
     {{"25h", "the duration is out of range", NULL}, {"10", NULL, NULL}, {"10 s", NULL, NULL}}},
    {"daemon",
     "max_files",
     "auto, or a number from 64 to 2147483647",
     {"64", "1048576", "auto"},
     {{"63", "the number is out of range", NULL},
      {"0", "the number is out of range", NULL},
      {"64k", NULL, NULL}}},
};

Test(config_daemon, every_key_takes_its_values_and_says_so_of_others)
{
    ini_expect_values(values, COUNT(values));
}
