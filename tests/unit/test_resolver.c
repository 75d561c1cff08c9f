/* test_resolver.c - the resolver's promises that need no server: localhost, cancelling, never
 * calling back from inside the call that asks. */
#include "streams/resolver.h"

#include <criterion/criterion.h>

TestSuite(resolver, .timeout = 10);

struct answer {
    int calls;
    unsigned count;
    struct ip_address first;
    struct stream_error error;
};

static void on_answer(void *context, const struct ip_address *addresses, unsigned count,
                      const struct stream_error *error)
{
    struct answer *answer = context;

    answer->calls++;
    answer->count = count;
    if (count)
        answer->first = addresses[0];
    answer->error = *error;
}

static struct resolver *make(const char *nameservers)
{
    struct resolver_options options = {.nameservers = nameservers};
    struct resolver *resolver = resolver_new(ev_default_loop(EVFLAG_NOENV), &options);

    cr_assert_not_null(resolver);
    return resolver;
}

static void run_until_called(const struct answer *answer)
{
    while (answer->calls == 0)
        ev_run(ev_default_loop(0), EVRUN_ONCE);
}

Test(resolver, localhost_and_names_below_it_are_loopback_in_either_family)
{
    static const char *const names[] = {"localhost", "LOCALHOST", "localhost.", "a.b.localhost"};
    struct resolver *resolver = make("127.0.0.1:9");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int v6 = 0; v6 <= 1; v6++) {
            struct answer answer = {0};

            resolver_start(resolver, names[i], v6 ? IP_V6 : IP_V4, on_answer, &answer);
            cr_assert_eq(answer.calls, 0, "called back from inside the call");
            run_until_called(&answer);
            cr_assert_eq(answer.count, 1);
            cr_assert_eq(answer.first.family, v6 ? IP_V6 : IP_V4);
            cr_assert(ip_is_loopback(&answer.first));
        }
    }
    resolver_free(resolver);
}

Test(resolver, a_cancelled_lookup_calls_nobody)
{
    struct resolver *resolver = make("127.0.0.1:9");
    struct answer answer = {0};

    resolver_cancel(resolver_start(resolver, "localhost", IP_V4, on_answer, &answer));
    resolver_cancel(resolver_start(resolver, "example.org", IP_V4, on_answer, &answer));
    ev_run(ev_default_loop(0), EVRUN_NOWAIT);
    cr_assert_eq(answer.calls, 0);
    resolver_free(resolver);
    cr_assert_eq(answer.calls, 0);
}

Test(resolver, a_server_that_refuses_is_a_failed_server)
{
    struct resolver *resolver = make("127.0.0.1:9"); /* nobody there: ICMP port unreachable */
    struct answer answer = {0};

    resolver_start(resolver, "example.org", IP_V4, on_answer, &answer);
    cr_assert_eq(answer.calls, 0);
    run_until_called(&answer);
    cr_assert_eq(answer.calls, 1);
    cr_assert_eq(answer.count, 0);
    cr_assert_eq(answer.error.domain, ERROR_DOMAIN_RESOLVER);
    resolver_free(resolver);
}

Test(resolver, bad_nameservers_make_no_resolver)
{
    struct resolver_options options = {.nameservers = "not an address"};

    cr_assert_null(resolver_new(ev_default_loop(EVFLAG_NOENV), &options));
}
