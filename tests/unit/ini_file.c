/* ini_file.c - writes, loads, compares. */
#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct activation *ini_activation;

static char folder[] = "/tmp/pairsocks-test-config-XXXXXX";

void ini_enter_folder(void)
{
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
}

void ini_leave_folder(void)
{
    unlink("p.ini");
    cr_assert(chdir("/") == 0 && rmdir(folder) == 0);
}

static void write_file(const void *bytes, size_t n)
{
    FILE *file = fopen("p.ini", "w");

    cr_assert(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0);
}

struct config *ini_load_bytes(const void *bytes, size_t n, char **ret_errors)
{
    size_t length;
    FILE *errors = open_memstream(ret_errors, &length);
    struct config *config;

    cr_assert(errors);
    write_file(bytes, n);
    config = config_load("p.ini", ini_activation, errors);
    fclose(errors);
    return config;
}

struct config *ini_load(const char *text)
{
    char *errors;
    struct config *config = ini_load_bytes(text, strlen(text), &errors);

    cr_assert_str_eq(errors, "", "%s%s", text, errors);
    cr_assert(config);
    free(errors);
    return config;
}

void ini_expect_errors_of(const void *bytes, size_t n, const char *expected)
{
    char *errors;
    struct config *config = ini_load_bytes(bytes, n, &errors);

    cr_assert_str_eq(errors, expected);
    cr_assert_null(config);
    free(errors);
}

void ini_expect_errors(const char *text, const char *expected)
{
    ini_expect_errors_of(text, strlen(text), expected);
}

/* What else the section needs. */
static const char *rest_of(const char *section, const char *key)
{
    if (*section == 'l')
        return strcmp(key, "listen") == 0 ? "open_proxy = yes\n" : "listen = 127.0.0.8:8\n";
    if (*section == 'u')
        return strcmp(key, "server") == 0 || strcmp(key, "service") == 0
                   ? "type = http\n"
                   : "type = http\nserver = a:1\n";
    return *section == 'r' && strcmp(key, "action") != 0 ? "action = deny\n" : "";
}

enum { KEY_LINE = 4 };

static void draw(char *out, size_t n, const char *section, const char *key, const char *value)
{
    snprintf(out, n, "[listener z]\nlisten = 127.0.0.9:9\n[%s]\n%s = %s\n%s", section, key, value,
             rest_of(section, key));
}

static void expect_refused(const struct ini_values *row, size_t i)
{
    const char *item = row->bad[i].item ? row->bad[i].item : row->bad[i].value;
    const char *what = row->bad[i].what ? row->bad[i].what : "this is no valid value";
    char text[512], expected[1024];

    draw(text, sizeof text, row->section, row->key, row->bad[i].value);
    snprintf(expected, sizeof expected, "p.ini:%d: [%s] %s: %s: `%s` (accepted: %s)\n", KEY_LINE,
             row->section, row->key, what, item, row->accepts);
    ini_expect_errors(text, expected);
}

void ini_expect_values(const struct ini_values *values, size_t count)
{
    char text[512];

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < COUNT(values[i].good) && values[i].good[j]; j++) {
            draw(text, sizeof text, values[i].section, values[i].key, values[i].good[j]);
            config_unref(ini_load(text));
        }
        for (size_t j = 0; j < COUNT(values[i].bad) && values[i].bad[j].value; j++)
            expect_refused(&values[i], j);
    }
}

void ini_expect_endpoint(const struct ip_endpoint *endpoint, const char *text)
{
    char found[ENDPOINT_TEXT_MAX];

    endpoint_format(endpoint, found);
    cr_assert_str_eq(found, text);
}

void ini_expect_pattern(const struct host_pattern *pattern, enum host_pattern_kind kind,
                        const char *text)
{
    char found[IP_PREFIX_TEXT_MAX];

    cr_assert_eq(pattern->kind, kind);
    if (kind == PATTERN_PREFIX) {
        cr_assert_null(pattern->name);
        ip_prefix_format(&pattern->prefix, found);
    }
    cr_assert_str_eq(kind == PATTERN_PREFIX ? found : pattern->name, text);
}
