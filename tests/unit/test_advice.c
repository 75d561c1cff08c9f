/* test_advice.c - whoever meets an error on the way to a target is told what it means. */
#include "cli/advice.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(advice, .timeout = 10);

/* What only a daemon's sessions end with. */
static bool is_the_daemons(const char *name)
{
    static const char *const prefixes[] = {"none",    "policy.", "protocol.", "timeout.",
                                           "client.", "auth.",   "daemon.",   "system.listen."};

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

Test(advice, every_error_on_the_way_has_some_that_is_not_for_all)
{
    for (unsigned id = 0; id < ERROR_ID_COUNT; id++) {
        struct stream_error error = stream_error_of(id);
        const struct advice *advice = advice_find(&error);
        char name[STREAM_ERROR_NAME_MAX];

        stream_error_name(&error, name);
        cr_assert(strncmp(name, advice->prefix, strlen(advice->prefix)) == 0, "%s", name);
        cr_assert(is_the_daemons(name) || *advice->prefix, "%s", name);
    }
}

Test(advice, the_longest_prefix_wins)
{
    static const struct {
        enum stream_error_id id;
        const char *prefix;
        enum advice_status status;
    } rows[] = {
        {ERROR_SYSTEM_CONNECT_REFUSED, "system.connect.refused", ADVICE_CONNECT},
        {ERROR_SYSTEM_CONNECT_OTHER, "system.connect.", ADVICE_CONNECT},
        {ERROR_RESOLVER_TIMEOUT, "resolver.name.timeout", ADVICE_RESOLVE},
        {ERROR_TLS_CUT, "tls.", ADVICE_BROKEN},
        {ERROR_TLS_HANDSHAKE_TIMEOUT, "tls.handshake.timeout", ADVICE_TLS},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stream_error error = stream_error_of(rows[i].id);

        cr_assert_str_eq(advice_find(&error)->prefix, rows[i].prefix);
        cr_assert_eq(advice_find(&error)->status, rows[i].status);
    }
}

Test(advice, sentences_are_sentences)
{
    for (unsigned id = 1; id < ERROR_ID_COUNT; id++) {
        struct stream_error error = stream_error_of(id);
        const struct advice *advice = advice_find(&error);

        cr_assert_eq(advice->meaning[strlen(advice->meaning) - 1], '.');
        cr_assert_eq(advice->trial[strlen(advice->trial) - 1], '.');
    }
}
