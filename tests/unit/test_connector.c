/* test_connector.c - connecting to literal addresses and localhost over real loopback sockets.
 * Names with several addresses, delays and dead addresses are tried against a real DNS server by
 * the end-to-end tests. */
#include "streams/connector.h"
#include "streams/listener.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(connector, .timeout = 10);

static const struct ip_address loopback = {IP_V4, {127, 0, 0, 1}};

struct outcome {
    struct ev_loop *loop;
    int calls;
    bool deny;
};

static void on_finished(void *context, struct connector *connector)
{
    struct outcome *outcome = context;

    (void)connector;
    outcome->calls++;
    ev_break(outcome->loop, EVBREAK_ALL);
}

static bool judge(void *context, const struct ip_endpoint *address, struct stream_error *ret_error)
{
    struct outcome *outcome = context;

    (void)address;
    if (outcome->deny)
        *ret_error = stream_error_of(ERROR_POLICY_LIMIT_DESCRIPTORS);
    return !outcome->deny;
}

static struct connector_options options_for(struct outcome *outcome)
{
    outcome->loop = ev_default_loop(EVFLAG_NOENV);
    return (struct connector_options){
        .loop = outcome->loop,
        .judge = judge,
        .finished = on_finished,
        .context = outcome,
    };
}

static int listen_somewhere(struct ip_endpoint *ret_bound)
{
    struct ip_endpoint any = {loopback, 0};
    struct stream_error error;
    int fd = listener_open_socket(&any, 8, false, true, ret_bound, &error);

    cr_assert_geq(fd, 0);
    return fd;
}

static void run_to_the_end(struct outcome *outcome, struct connector *c)
{
    if (connector_state(c) == CONNECTOR_RUNNING)
        ev_run(outcome->loop, 0);
}

Test(connector, connects_and_hands_over_the_descriptor)
{
    struct outcome outcome = {0};
    struct connector_options options = options_for(&outcome);
    struct ip_endpoint bound;
    int listening = listen_somewhere(&bound), fd;
    struct connector *c = connector_start(&options, &bound.ip, NULL, bound.port);

    run_to_the_end(&outcome, c);
    cr_assert_eq(connector_state(c), CONNECTOR_CONNECTED);
    cr_assert(endpoint_equal(connector_address(c), &bound));
    fd = connector_take_fd(c, NULL);
    cr_assert_geq(fd, 0);
    connector_free(c);
    cr_assert_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    close(fd);
    close(listening);
}

Test(connector, a_refusal_is_told_as_such)
{
    struct outcome outcome = {0};
    struct connector_options options = options_for(&outcome);
    struct ip_endpoint bound;
    struct connector *c;

    close(listen_somewhere(&bound));
    c = connector_start(&options, &bound.ip, NULL, bound.port);
    run_to_the_end(&outcome, c);
    cr_assert_eq(connector_state(c), CONNECTOR_FAILED);
    cr_assert(stream_error_is(connector_error(c), ERROR_SYSTEM_CONNECT_REFUSED));
    cr_assert(endpoint_equal(connector_address(c), &bound), "the address that was tried");
    connector_free(c);
}

Test(connector, a_denied_address_is_never_tried)
{
    struct outcome outcome = {.deny = true};
    struct connector_options options = options_for(&outcome);
    struct ip_endpoint bound;
    int listening = listen_somewhere(&bound);
    struct connector *c = connector_start(&options, &bound.ip, NULL, bound.port);

    cr_assert_eq(connector_state(c), CONNECTOR_FAILED);
    cr_assert(stream_error_is(connector_error(c), ERROR_POLICY_LIMIT_DESCRIPTORS));
    cr_assert_eq(connector_address(c)->ip.family, IP_NONE);
    cr_assert_eq(outcome.calls, 0, "no callback from inside the start");
    connector_free(c);
    close(listening);
}

Test(connector, expiring_says_timeout_and_calls_nobody)
{
    struct outcome outcome = {0};
    struct connector_options options = options_for(&outcome);
    struct ip_endpoint bound;
    int listening = listen_somewhere(&bound);
    struct connector *c = connector_start(&options, &bound.ip, NULL, bound.port);

    if (connector_state(c) == CONNECTOR_RUNNING) {
        connector_expire(c);
        cr_assert_eq(connector_state(c), CONNECTOR_FAILED);
        cr_assert(stream_error_is(connector_error(c), ERROR_SYSTEM_CONNECT_TIMEOUT));
    }
    cr_assert_eq(outcome.calls, 0);
    ev_run(outcome.loop, EVRUN_NOWAIT);
    cr_assert_eq(outcome.calls, 0);
    connector_free(c);
    close(listening);
}

Test(connector, a_name_without_a_resolver_or_in_an_odd_spelling_fails_at_once)
{
    static const char *const names[] = {"127.1", "0x7f000001", "2130706433", "", "a b", "a..b"};
    struct outcome outcome = {0};
    struct connector_options options = options_for(&outcome);
    struct resolver_options none = {0};
    struct connector *c = connector_start(&options, NULL, "example.org", 80);

    cr_assert_eq(connector_state(c), CONNECTOR_FAILED);
    connector_free(c);
    options.resolver = resolver_new(outcome.loop, &none);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        c = connector_start(&options, NULL, names[i], 80);
        cr_assert_eq(connector_state(c), CONNECTOR_FAILED);
        cr_assert(stream_error_is(connector_error(c), ERROR_RESOLVER_INVALID), "%s", names[i]);
        connector_free(c);
    }
    resolver_free(options.resolver);
}

Test(connector, localhost_falls_back_to_the_family_that_answers)
{
    struct outcome outcome = {0};
    struct connector_options options = options_for(&outcome);
    struct resolver_options none = {0};
    struct ip_endpoint bound;
    int listening = listen_somewhere(&bound); /* IPv4 only: ::1 refuses */
    struct connector *c;

    options.resolver = resolver_new(outcome.loop, &none);
    c = connector_start(&options, NULL, "localhost", bound.port);
    run_to_the_end(&outcome, c);
    cr_assert_eq(connector_state(c), CONNECTOR_CONNECTED);
    cr_assert(endpoint_equal(connector_address(c), &bound));
    cr_assert_eq(outcome.calls, 1);
    connector_free(c); /* closes the descriptor that nobody took */
    resolver_free(options.resolver);
    close(listening);
}

Test(connector, freeing_a_running_one_cancels_everything)
{
    struct outcome outcome = {0};
    struct connector_options options = options_for(&outcome);
    struct resolver_options dead = {.nameservers = "127.0.0.1:9"};
    struct connector *c;

    options.resolver = resolver_new(outcome.loop, &dead);
    c = connector_start(&options, NULL, "example.org", 80);
    cr_assert_eq(connector_state(c), CONNECTOR_RUNNING);
    connector_free(c);
    ev_run(outcome.loop, EVRUN_NOWAIT);
    cr_assert_eq(outcome.calls, 0);
    resolver_free(options.resolver);
}
