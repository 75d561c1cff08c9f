/* test_error_manual.c - pairsocksd.8 lists every name of an error that a session can end with. */
#include "streams/error.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(error_manual, .timeout = 10);

static char *read_list(void)
{
    FILE *file = fopen(SOURCE_FOLDER "/daemon/pairsocksd.8", "r");
    char *text = NULL, *list;
    size_t n = 0;

    cr_assert(file, SOURCE_FOLDER "/daemon/pairsocksd.8");
    cr_assert(getdelim(&text, &n, '\0', file) > 0);
    fclose(file);
    list = strstr(text, ".Ss Errors\n");
    cr_assert(list && strstr(list, ".El\n"));
    *strstr(list, ".El\n") = '\0';
    memmove(text, list, strlen(list) + 1);
    return text;
}

static bool ends_word(const char *at)
{
    if (strncmp(at, "\\&", 2) == 0)
        at += 2;
    return isspace((unsigned char)*at);
}

/* As a whole word; `\&` says that a point at its end is part of it. */
static bool lists(const char *manual, const char *name)
{
    for (const char *at = manual; (at = strstr(at, name)); at++)
        if (at > manual && isspace((unsigned char)at[-1]) && ends_word(at + strlen(name)))
            return true;
    return false;
}

/* Families of which the manual names the pattern: the peer has the rest of the name. */
static const char *const families[] = {
    "tls.alert.",
    "http.status.",
    "socks.version.",
    "socks.socks4-response.",
    "socks.socks5-response.",
    "socks.socks5-method.",
    "socks.socks5-userpass.",
};

enum { FAMILIES = sizeof families / sizeof families[0] };

/* An alert has a name of the peer's, the others a number of its. */
static bool is_of_a_family(const char *name)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        size_t n = strlen(families[i]);

        if (strncmp(name, families[i], n) == 0 &&
            (i == 0 || name[n] == '-' || isdigit((unsigned char)name[n])))
            return true;
    }
    return false;
}

Test(error_manual, every_name_is_listed)
{
    char *manual = read_list();
    char name[STREAM_ERROR_NAME_MAX];

    for (unsigned id = 0; id < ERROR_ID_COUNT; id++) {
        struct stream_error error = stream_error_of(id);

        stream_error_name(&error, name);
        if (id == ERROR_STREAM_BAD_SETTINGS)
            continue; /* a program's that uses the library */
        if (!is_of_a_family(name))
            cr_assert(lists(manual, name), "%s is missing", name);
    }
    for (size_t i = 0; i < FAMILIES; i++)
        cr_assert(lists(manual, families[i]), "%s is missing", families[i]);
    free(manual);
}

Test(error_manual, what_is_not_there_is_missed)
{
    static const char manual[] = ".It Sy a.b.c , a.b.cd\nx.y.z\n";

    cr_assert(lists(manual, "a.b.c"));
    cr_assert(lists(manual, "a.b.cd"));
    cr_assert_not(lists(manual, "a.b"));
    cr_assert_not(lists(manual, "b.c"));
    cr_assert(lists(manual, "x.y.z"));
    cr_assert_not(lists(manual, "y.z"));
}
