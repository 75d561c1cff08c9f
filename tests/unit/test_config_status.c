/* test_config_status.c - the keys of the status page. */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void leave(void)
{
    unlink("token");
    ini_leave_folder();
}

TestSuite(config_status, .timeout = 10, .init = ini_enter_folder, .fini = leave);

/* Writes the file and returns its absolute path. */
static const char *token_file(const char *content)
{
    static char path[4096];
    FILE *file = fopen("token", "w");

    cr_assert(file);
    fputs(content, file);
    fclose(file);
    cr_assert(getcwd(path, sizeof path - 8));
    strcat(path, "/token");
    return path;
}

static struct config *load(const char *status, const char *token)
{
    char text[8192];

    snprintf(text, sizeof text, "[daemon]\nstatus = %s\n%s%s\n" LISTENER, status,
             token ? "status_token_file = " : "", token ? token : "");
    return ini_load(text);
}

Test(config_status, without_its_keys_there_is_no_page)
{
    struct config *config = ini_load("[daemon]\nworkers = 1\n" LISTENER);

    cr_assert_null(config->status.unix_path);
    cr_assert_eq(config->status.endpoint.ip.family, IP_NONE);
    cr_assert_str_eq(config->status_hosts, "localhost");
    cr_assert_null(config->status_token);
    cr_assert_not(config->pac);
    cr_assert_not(config_status_is_exposed(config));
    config_unref(config);
}

Test(config_status, addresses_are_numbers_localhost_and_paths)
{
    struct config *config = load("localhost:9180", NULL);

    ini_expect_endpoint(&config->status.endpoint, "127.0.0.1:9180");
    config_unref(config);
    config = load("[::1]:9180", NULL);
    ini_expect_endpoint(&config->status.endpoint, "[::1]:9180");
    config_unref(config);
    config = load("unix:/run/page", NULL);
    cr_assert_str_eq(config->status.unix_path, "/run/page");
    cr_assert_not(config_status_is_exposed(config));
    config_unref(config);
    ini_expect_errors("[daemon]\nstatus = proxy.example:1\n" LISTENER,
                      "p.ini:2: [daemon] status: the address is given as a number, or as "
                      "localhost: `proxy.example:1` (accepted: none, or ADDRESS:PORT, [V6]:PORT, "
                      "localhost:PORT, unix:/PATH)\n");
    ini_expect_errors("[daemon]\nstatus = unix:page\n" LISTENER,
                      "p.ini:2: [daemon] status: the path must begin with `/`: `unix:page` "
                      "(accepted: none, or ADDRESS:PORT, [V6]:PORT, localhost:PORT, "
                      "unix:/PATH)\n");
}

Test(config_status, address_beyond_loopback_needs_a_token)
{
    struct config *config;

    ini_expect_errors("[daemon]\nstatus = 0.0.0.0:9180\n" LISTENER,
                      "p.ini:2: [daemon] status: others could read it (add `status_token_file`, "
                      "or listen on 127.0.0.1 or a unix socket)\n");
    config = load("0.0.0.0:9180", token_file("0123456789abcdef\nsecond line\n"));
    cr_assert(config_status_is_exposed(config));
    cr_assert_str_eq(config->status_token, "0123456789abcdef");
    config_unref(config);
}

Test(config_status, token_that_can_be_guessed_is_refused)
{
    char text[8192], expected[8192];
    const char *path = token_file("0123456789abcde\n");

    snprintf(text, sizeof text,
             "[daemon]\nstatus = 127.0.0.1:9180\nstatus_token_file = %s\n" LISTENER, path);
    snprintf(expected, sizeof expected,
             "p.ini:3: [daemon] status_token_file: %s: a token of less than 16 bytes can be "
             "guessed (make one: openssl rand -hex 16)\n",
             path);
    ini_expect_errors(text, expected);
    ini_expect_errors("[daemon]\nstatus_token_file = /nonexistent\n" LISTENER,
                      "p.ini:2: [daemon] status_token_file: /nonexistent: No such file or "
                      "directory\n");
}

Test(config_status, address_of_a_listener_is_taken)
{
    ini_expect_errors("[daemon]\nstatus = 127.0.0.1:1080\n" LISTENER,
                      "p.ini:2: [daemon] status: [listener a] has this address\n");
}

Test(config_status, hosts_are_names_and_addresses)
{
    struct config *config = ini_load(
        "[daemon]\nstatus_hosts = proxy.example, 192.0.2.1\nstatus_hosts = other\n" LISTENER);

    cr_assert_str_eq(config->status_hosts, "proxy.example,192.0.2.1,other");
    config_unref(config);
    config = ini_load("[daemon]\nstatus_hosts = none\n" LISTENER);
    cr_assert_null(config->status_hosts);
    config_unref(config);
    ini_expect_errors("[daemon]\nstatus_hosts = a:1\n" LISTENER,
                      "p.ini:2: [daemon] status_hosts: this is no host name, and no address: "
                      "`a:1` (accepted: none, or a list of NAME, ADDRESS)\n");
}

Test(config_status, token_that_no_browser_could_send_is_refused)
{
    char text[8192], expected[8192];
    const char *path = token_file("0123456789 abcdef\n");

    snprintf(text, sizeof text, "[daemon]\nstatus_token_file = %s\n" LISTENER, path);
    snprintf(expected, sizeof expected,
             "p.ini:2: [daemon] status_token_file: %s: a token is of letters, digits and signs, "
             "without blanks\n",
             path);
    ini_expect_errors(text, expected);
}
