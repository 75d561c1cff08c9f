/* test_dial_plan.c - what an upstream's keys become as steps of a plan. */
#include "daemon/dial_plan.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(dial_plan, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct dial_client nobody;
static struct stream_error unused;
static char none[] = "none", given[] = "given.test", service[] = "_p._tcp.example.org";

static struct tls_context *make_context(void)
{
    struct tls_context_options options = {
        .role = TLS_CLIENT, .level = TLS_LEVEL_NEGOTIATED, .trust.skip_chain = true, .name = "u"};
    struct tls_context *context = tls_context_new(&options, stderr);

    cr_assert(context);
    return context;
}

Test(dial_plan, certificate_has_to_be_for_what_was_dialed_unless_something_else_is_said)
{
    struct tls_context *context = make_context();
    struct ip_address ip = {IP_V4, {192, 0, 2, 1}};
    const struct {
        struct config_upstream upstream;
        struct dial_peer peer;
        const char *expected; /* NULL: nobody looks */
    } cases[] = {
        {{.type = UPSTREAM_SOCKS5}, {"a.test", {0}, 1}, "a.test"},
        {{.type = UPSTREAM_SOCKS5}, {"a.test", ip, 1}, "a.test"},
        {{.type = UPSTREAM_SOCKS5}, {NULL, ip, 1}, "192.0.2.1"},
        {{.type = UPSTREAM_SOCKS5, .service = service}, {"a.test", {0}, 1}, "example.org"},
        {{.type = UPSTREAM_SOCKS5, .tls.peer_name = given}, {"a.test", {0}, 1}, "given.test"},
        {{.type = UPSTREAM_SOCKS5, .service = service, .tls.peer_name = given},
         {"a.test", {0}, 1},
         "given.test"},
        {{.type = UPSTREAM_DIRECT, .tls.peer_name = none}, {"a.test", {0}, 1}, NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct open_plan *plan = open_plan_new(NULL);
        const struct open_step *step;

        cr_assert(dial_plan_add_connection(plan, 7, &cases[i].upstream, context, &cases[i].peer,
                                           &nobody, &unused));
        cr_assert_eq(open_plan_count(plan), 1);
        step = open_plan_step(plan, 0);
        cr_assert(step->kind == OPEN_TLS && step->hop == 7);
        if (cases[i].expected)
            cr_assert_str_eq(step->peer_name, cases[i].expected);
        else
            cr_assert_null(step->peer_name);
        open_plan_free(plan);
    }
    tls_context_unref(context);
}

Test(dial_plan, proxy_header_comes_before_tls_and_neither_unless_wanted)
{
    struct tls_context *context = make_context();
    struct dial_peer peer = {"a.test", {0}, 1};
    struct config_upstream plain = {.type = UPSTREAM_HTTP};
    struct config_upstream v1 = {.type = UPSTREAM_HTTP, .send_proxy = SEND_PROXY_V1};
    struct open_plan *plan = open_plan_new(NULL);

    cr_assert(dial_plan_add_connection(plan, 0, &plain, NULL, &peer, &nobody, &unused));
    cr_assert_eq(open_plan_count(plan), 0);
    cr_assert(dial_plan_add_connection(plan, 0, &v1, context, &peer, &nobody, &unused));
    cr_assert_eq(open_plan_count(plan), 2);
    cr_assert_eq(open_plan_step(plan, 0)->kind, OPEN_PROXY_HEADER);
    cr_assert_eq(open_plan_step(plan, 0)->version, 1);
    cr_assert_eq(open_plan_step(plan, 1)->kind, OPEN_TLS);
    open_plan_free(plan);
    tls_context_unref(context);
}

Test(dial_plan, proxy_is_asked_for_a_name_unless_an_address_is_known_that_it_needs)
{
    struct ip_address ip = {IP_V4, {192, 0, 2, 1}};
    const struct {
        int type, resolve;
        struct dial_peer next;
        bool by_name;
        uint8_t kind;
    } cases[] = {
        {UPSTREAM_SOCKS5, RESOLVE_AUTO, {"a.test", {0}, 5}, true, OPEN_SOCKS5},
        {UPSTREAM_SOCKS5, RESOLVE_AUTO, {"a.test", ip, 5}, true, OPEN_SOCKS5},
        {UPSTREAM_SOCKS5, RESOLVE_LOCAL, {"a.test", ip, 5}, false, OPEN_SOCKS5},
        {UPSTREAM_SOCKS5, RESOLVE_AUTO, {NULL, ip, 5}, false, OPEN_SOCKS5},
        {UPSTREAM_SOCKS4A, RESOLVE_AUTO, {"a.test", ip, 5}, true, OPEN_SOCKS4A},
        {UPSTREAM_SOCKS4, RESOLVE_AUTO, {"a.test", ip, 5}, false, OPEN_SOCKS4},
        {UPSTREAM_HTTP, RESOLVE_AUTO, {"a.test", ip, 5}, true, OPEN_HTTP},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct config_upstream proxy = {.type = cases[i].type, .resolve = cases[i].resolve};
        struct open_plan *plan = open_plan_new(NULL);
        const struct open_step *step;

        cr_assert(dial_plan_add_request(plan, 3, &proxy, &cases[i].next, i % 2, &unused));
        step = open_plan_step(plan, 0);
        cr_assert(step->kind == cases[i].kind && step->hop == 3 && step->port == 5);
        cr_assert_eq(step->binds, i % 2 != 0);
        cr_assert_eq(step->host.name_length != 0, cases[i].by_name, "case %zu", i);
        if (cases[i].by_name)
            cr_assert_str_eq(step->host.name, "a.test");
        else
            cr_assert(ip_equal(&step->host.ip, &ip));
        open_plan_free(plan);
    }
}

Test(dial_plan, what_a_proxy_cannot_be_told_is_refused_before)
{
    struct config_upstream socks4 = {.type = UPSTREAM_SOCKS4};
    struct open_plan *plan = open_plan_new(NULL);
    struct stream_error error;

    cr_assert_not(dial_plan_add_request(plan, 0, &socks4,
                                        &(struct dial_peer){NULL, {IP_V6, {1}}, 5}, false, &error));
    cr_assert(stream_error_is(&error, ERROR_PROTOCOL_ADDRESS_UNSUPPORTED));
    cr_assert_eq(open_plan_count(plan), 0);
    open_plan_free(plan);
}

Test(dial_plan, client_and_its_destination_are_of_one_family)
{
    struct ip_endpoint v4 = {{IP_V4, {192, 0, 2, 1}}, 5}, v6 = {{IP_V6, {0x20, 1}}, 6};
    struct ip_endpoint mapped = {{IP_V6, {[10] = 0xFF, 0xFF, 192, 0, 2, 9}}, 7}, unix_one = {0};
    struct dial_client client = dial_client_of(&v4, &mapped);

    cr_assert(endpoint_equal(&client.from, &v4));
    cr_assert(client.to.ip.family == IP_V4 && client.to.port == 7);
    client = dial_client_of(&v6, &v4); /* a load balancer's header named it */
    cr_assert(endpoint_equal(&client.from, &v6));
    cr_assert(client.to.ip.family == IP_V6 && ip_is_unspecified(&client.to.ip));
    cr_assert_eq(client.to.port, 5);
    client = dial_client_of(&unix_one, &unix_one);
    cr_assert_eq(client.from.ip.family, IP_NONE);
}
