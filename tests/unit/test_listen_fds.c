/* test_listen_fds.c - systemd's three variables. */
#include "daemon/listen_fds.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(listen_fds, .timeout = 10);

enum { SELF = 42 };

static const struct {
    const char *pid, *count;
    enum listen_fds result;
    unsigned n;
} rows[] = {
    {NULL, NULL, LISTEN_FDS_NONE, 0},        {"42", NULL, LISTEN_FDS_NONE, 0},
    {NULL, "1", LISTEN_FDS_NONE, 0},         {"43", "1", LISTEN_FDS_NONE, 0},
    {"42", "0", LISTEN_FDS_NONE, 0},         {"42", "1", LISTEN_FDS_SOME, 1},
    {"42", "1024", LISTEN_FDS_SOME, 1024},   {"42", "1025", LISTEN_FDS_BAD, 0},
    {"42", "-1", LISTEN_FDS_BAD, 0},         {"42", "1x", LISTEN_FDS_BAD, 0},
    {"42", "", LISTEN_FDS_BAD, 0},           {"x", "1", LISTEN_FDS_BAD, 0},
    {"42", "4294967297", LISTEN_FDS_BAD, 0}, {" 42", "1", LISTEN_FDS_BAD, 0},
};

Test(listen_fds, count_is_taken_when_it_is_ours_and_makes_sense)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned n = 0;

        cr_assert_eq(listen_fds_count(rows[i].pid, rows[i].count, SELF, &n), rows[i].result,
                     "row %zu", i);
        cr_assert_eq(n, rows[i].n, "row %zu", i);
    }
}

static const struct {
    const char *names;
    unsigned index;
    const char *name;
} names[] = {
    {"web", 0, "web"},    {"web", 1, "unknown"},  {"a:b:c", 0, "a"},       {"a:b:c", 1, "b"},
    {"a:b:c", 2, "c"},    {"a::c", 1, "unknown"}, {"a::c", 2, "c"},        {"a:", 1, "unknown"},
    {NULL, 0, "unknown"}, {"", 0, "unknown"},     {"a:b", 900, "unknown"},
};

Test(listen_fds, names_stand_between_colons_and_a_missing_one_is_unknown)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *name = listen_fds_name(names[i].names, names[i].index);

        cr_assert_str_eq(name, names[i].name, "row %zu", i);
        free(name);
    }
}
