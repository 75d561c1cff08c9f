/* fuzz_ini.c - any bytes as a configuration file. The claims: it is loaded or refused, refused
 * with at least one error and each error one line that begins with the file's name, loaded
 * without one and with values in their ranges; never both. What was loaded is written as a file
 * that loads to the same, and is written the same again. */
#include "tests/fuzz/fuzz.h"

#include "config/config.h"
#include "config/dump.h"
#include "tests/unit/snapshot.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One file in memory for all inputs, under the name that config_load() opens. */
static char path[64];

static int memory_file(void)
{
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("ini", MFD_CLOEXEC);
        CLAIM(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    return fd;
}

static void store(const uint8_t *data, size_t size)
{
    int fd = memory_file();

    CLAIM(ftruncate(fd, 0) == 0);
    CLAIM(pwrite(fd, data, size, 0) == (ssize_t)size);
}

static void check_errors(const char *errors, size_t n)
{
    CLAIM(n > 0 && errors[n - 1] == '\n');
    CLAIM(strlen(errors) == n);
    while (*errors) {
        CLAIM(strncmp(errors, path, strlen(path)) == 0 && errors[strlen(path)] == ':');
        errors = strchr(errors, '\n') + 1;
    }
}

static void check_pattern(const struct host_pattern *pattern)
{
    CLAIM((pattern->kind == PATTERN_PREFIX) == !pattern->name);
    if (pattern->name)
        CLAIM(*pattern->name && strlen(pattern->name) <= 253);
    else
        CLAIM(pattern->prefix.ip.family != IP_NONE && pattern->prefix.bits <= 128);
}

static void check_listener(const struct config_listener *l)
{
    CLAIM(l->name && *l->name && strlen(l->name) <= 100);
    CLAIM(l->address_count > 0);
    for (unsigned i = 0; i < l->address_count; i++)
        CLAIM((l->addresses[i].endpoint.ip.family == IP_NONE) == !!l->addresses[i].unix_path);
    CLAIM(l->protocols && !(l->protocols & ~(unsigned)(PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5 |
                                                       PROTOCOL_HTTP | PROTOCOL_FORWARD)));
    for (unsigned i = 0; i < l->allow_count; i++)
        check_pattern(&l->allow[i]);
    for (unsigned i = 0; i < l->deny_count; i++)
        check_pattern(&l->deny[i]);
    CLAIM(l->unix_mode >= 0 && l->unix_mode <= 0777);
    CLAIM(l->guard >= GUARD_AUTO && l->guard <= GUARD_YES);
    CLAIM(l->queue >= 1 && l->max_connections >= 1);
    CLAIM(l->max_per_host >= 0 && l->max_per_user >= 0);
    CLAIM(l->handshake_timeout > 0 && l->connect_timeout > 0 && l->write_timeout > 0);
    CLAIM(l->idle_timeout > 0 && l->half_close_timeout > 0 && l->keepalive >= 0);
}

static void check_rule(const struct config *config, const struct config_rule *r)
{
    CLAIM(r->name && *r->name && strlen(r->name) <= 100);
    for (unsigned i = 0; i < r->listener_count; i++)
        CLAIM(r->listeners[i] < config->listener_count);
    for (unsigned i = 0; i < r->user_count; i++)
        CLAIM(*r->users[i]);
    for (unsigned i = 0; i < r->destination_count; i++)
        check_pattern(&r->destinations[i]);
    for (unsigned i = 0; i < r->port_count; i++)
        CLAIM(r->ports[i].first > 0 && r->ports[i].first <= r->ports[i].last);
    CLAIM(!(r->commands & ~(unsigned)COMMAND_CONNECT));
    CLAIM(r->action == RULE_ALLOW || r->action == RULE_DENY);
}

static void check_config(const struct config *config)
{
    CLAIM(strcmp(config->file, path) == 0);
    CLAIM(config->workers >= 0 && config->workers <= CONFIG_WORKERS_MAX);
    CLAIM(config->log_level >= LOG_LEVEL_ERROR && config->log_level <= LOG_LEVEL_DEBUG);
    CLAIM(config->log_format == 0 || config->log_format == 1);
    CLAIM((config->log_target == LOG_TARGET_FILE) == !!config->log_file);
    CLAIM(!config->log_file || *config->log_file == '/');
    CLAIM(!config->chroot || *config->chroot == '/');
    CLAIM(config->drain_timeout >= 0 && config->max_files >= 0);
    CLAIM(config->listener_count > 0);
    for (unsigned i = 0; i < config->listener_count; i++) {
        check_listener(&config->listeners[i]);
        for (unsigned j = 0; j < i; j++)
            CLAIM(strcmp(config->listeners[i].name, config->listeners[j].name) != 0);
    }
    for (unsigned i = 0; i < config->rule_count; i++)
        check_rule(config, &config->rules_in_order[i]);
}

/* The caller frees it. */
static char *dump(const struct config *config, size_t *ret_length)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_length);

    CLAIM(out);
    config_dump(config, out);
    CLAIM(fclose(out) == 0);
    return text;
}

static void check_dump(const struct config *config)
{
    size_t n, m;
    char *text = dump(config, &n), *again;
    struct config *same;

    store((const uint8_t *)text, n);
    same = config_load(path, NULL, stderr);
    CLAIM(same);
    CLAIM(!snapshot_difference(config, same));
    again = dump(same, &m);
    CLAIM(n == m && memcmp(text, again, n) == 0);
    config_unref(same);
    free(text);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *errors = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&errors, &n);
    struct config *config;

    CLAIM(out);
    store(data, size);
    config = config_load(path, NULL, out);
    CLAIM(fclose(out) == 0);
    if (config) {
        CLAIM(n == 0);
        check_config(config);
        check_dump(config);
    } else {
        check_errors(errors, n);
    }
    config_unref(config);
    free(errors);
    return 0;
}
