/* ini_file.h - files as users write them, for the tests of the configuration: what a text loads to
 * or, for each mistake, the line that is told. */
#ifndef PAIRSOCKS_TESTS_INI_FILE_H
#define PAIRSOCKS_TESTS_INI_FILE_H

#include "config/config.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* The least that a good file holds: what is tested follows, from line 3 on. */
#define LISTENER "[listener a]\nlisten = 127.0.0.1:1080\n"

/* Each test has a folder of its own to write `p.ini` to, and stands in it: so the messages begin
 * with just that name. For .init and .fini. */
void ini_enter_folder(void);
void ini_leave_folder(void);

/* What files are loaded with; NULL at first: nothing is known of systemd's sockets. */
extern const struct activation *ini_activation;

/* The caller frees *ret_errors. */
struct config *ini_load_bytes(const void *bytes, size_t n, char **ret_errors);

/* No error is told. */
struct config *ini_load(const char *text);

/* Exactly these errors are told, and nothing is loaded. */
void ini_expect_errors_of(const void *bytes, size_t n, const char *expected);
void ini_expect_errors(const char *text, const char *expected);

/* A value of one key of [daemon], [listener a] or [rule a] in a file that is good otherwise. */
struct ini_values {
    const char *section, *key, *accepts;
    const char *good[9]; /* NULL ends it */
    struct {
        const char *value;
        const char *what; /* NULL: ordinary; said before the value, or the item of it */
        const char *item; /* NULL: all of the value */
    } bad[11];
};

/* Every good value loads, every bad one is told with what is accepted. */
void ini_expect_values(const struct ini_values *values, size_t count);

void ini_expect_endpoint(const struct ip_endpoint *endpoint, const char *text);
void ini_expect_pattern(const struct host_pattern *pattern, enum host_pattern_kind kind,
                        const char *text);

#endif
