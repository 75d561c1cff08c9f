/* test_status_access.c - the Host of a request, the token, the format that is asked for. */
#include "daemon/status_access.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(status_access, .timeout = 10);

static bool is_ours(const char *host, const char *hosts, const char *local)
{
    struct ip_address ip = {0};

    cr_assert(!*local || ip_parse(local, strlen(local), &ip));
    return status_host_is_ours(host, hosts, &ip);
}

Test(status_access, own_address_is_ours_with_any_port)
{
    static const char *const ours[] = {"192.0.2.1", "192.0.2.1:80", "192.0.2.1:9180",
                                       "[::ffff:192.0.2.1]:80"};
    static const char *const others[] = {"192.0.2.2",   "127.0.0.1",  "[::1]",     "localhost",
                                         "0.0.0.0",     "",           ":80",       "192.0.2.1.",
                                         "192.0.2.1:x", "[192.0.2.1", "3221225985"};

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        cr_assert(is_ours(ours[i], NULL, "192.0.2.1"), "%s", ours[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(is_ours(others[i], NULL, "192.0.2.1"), "%s", others[i]);
    cr_assert(is_ours("[2001:db8::1]:1", NULL, "2001:db8::1"));
    cr_assert_not(status_host_is_ours(NULL, "localhost", &(struct ip_address){0}));
}

Test(status_access, on_loopback_every_loopback_address_is_ours)
{
    cr_assert(is_ours("127.0.0.1:1", NULL, "::1"));
    cr_assert(is_ours("[::1]", NULL, "127.0.0.1"));
    cr_assert(is_ours("127.9.9.9", NULL, "::ffff:127.0.0.1"));
    cr_assert_not(is_ours("192.0.2.1", NULL, "127.0.0.1"));
}

Test(status_access, listed_names_are_ours_and_no_others)
{
    static const char hosts[] = "localhost,Proxy.Example,192.0.2.7";

    cr_assert(is_ours("localhost:9180", hosts, "127.0.0.1"));
    cr_assert(is_ours("LOCALHOST.", hosts, ""));
    cr_assert(is_ours("proxy.example", hosts, "10.0.0.1"));
    cr_assert(is_ours("192.0.2.7", hosts, "10.0.0.1"));
    cr_assert_not(is_ours("proxy", hosts, "10.0.0.1"));
    cr_assert_not(is_ours("proxy.example.evil.example", hosts, "10.0.0.1"));
    cr_assert_not(is_ours("localhost,Proxy.Example", hosts, "10.0.0.1"));
    cr_assert_not(is_ours("evil.example", hosts, "127.0.0.1"));
    cr_assert_not(is_ours("evil.example@localhost", hosts, "127.0.0.1"));
}

Test(status_access, token_is_shown_whole_or_not_at_all)
{
    static const char token[] = "0123456789abcdef";

    cr_assert(status_token_is_shown("Bearer 0123456789abcdef", token));
    cr_assert(status_token_is_shown("bearer  0123456789abcdef", token));
    cr_assert_not(status_token_is_shown("Bearer 0123456789abcde", token));
    cr_assert_not(status_token_is_shown("Bearer 0123456789abcdef0", token));
    cr_assert_not(status_token_is_shown("Bearer 0123456789abcdef0123456789abcdef", token));
    cr_assert_not(status_token_is_shown("Bearer 0123456789abcdeF", token));
    cr_assert_not(status_token_is_shown("Bearer ", token));
    cr_assert_not(status_token_is_shown("Bearer", token));
    cr_assert_not(status_token_is_shown("Basic 0123456789abcdef", token));
    cr_assert_not(status_token_is_shown("0123456789abcdef", token));
    cr_assert_not(status_token_is_shown(NULL, token));
    cr_assert_not(status_token_is_shown("Bearer 0123456789abcdef", NULL));
    cr_assert_not(status_token_is_shown("Bearer ", NULL));
}

Test(status_access, open_metrics_are_for_who_asks_for_them)
{
    static const char prometheus[] = "application/openmetrics-text;version=1.0.0,"
                                     "application/openmetrics-text;version=0.0.1;q=0.75,"
                                     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    cr_assert(status_wants_open_metrics(prometheus));
    cr_assert(status_wants_open_metrics("text/plain, Application/OpenMetrics-Text"));
    cr_assert(status_wants_open_metrics("application/openmetrics-text; q=0.1"));
    cr_assert_not(status_wants_open_metrics("application/openmetrics-text; q=0"));
    cr_assert_not(status_wants_open_metrics("application/openmetrics-text;q=0.000"));
    cr_assert_not(status_wants_open_metrics("application/openmetrics-textile"));
    cr_assert_not(status_wants_open_metrics("*/*"));
    cr_assert_not(status_wants_open_metrics("text/html"));
    cr_assert_not(status_wants_open_metrics(""));
    cr_assert_not(status_wants_open_metrics(NULL));
}
