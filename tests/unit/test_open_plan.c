/* test_open_plan.c - a pair that passes through several hops, over a real socket at whose other end
 * the test plays all of them. */
#include "streams/layer_socks.h"
#include "streams/layer_tls.h"
#include "streams/open_plan.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(open_plan, .timeout = 30);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct world {
    struct stream_pair client, server; /* the server's: plain until it is secured */
    struct buffer_pool pool;
    struct tls_context *client_context, *server_context;
    struct open_plan *plan;
    char seen[512]; /* what the observer was told */
    char bound[ENDPOINT_TEXT_MAX];
};

static struct world world;
static int events; /* the client's */

static void count_event(struct stream_pair *pair)
{
    events += pair == &world.client;
}

static void observe(void *context, const struct open_progress *progress)
{
    static const char *const phases[] = {"begun", "method", "authenticated", "asked", "done"};
    struct world *w = context;
    struct socks_host host;
    uint16_t port;
    size_t n = strlen(w->seen);

    cr_assert_null(progress->step->user);
    cr_assert_null(progress->step->password);
    snprintf(w->seen + n, sizeof w->seen - n, "%s%u.%s", n ? " " : "",
             (unsigned)progress->step->hop, phases[progress->phase]);
    if (progress->phase == SETUP_DONE && progress->step->kind == OPEN_SOCKS5 &&
        layer_socks_bound(progress->layer, &host, &port))
        endpoint_format(&(struct ip_endpoint){.ip = host.ip, .port = port}, w->bound);
    if (progress->step->kind == OPEN_TLS)
        cr_assert_str_eq(layer_tls_version(progress->layer), "TLSv1.3");
}

static struct world *begin(void)
{
    static const struct ip_endpoint nobody;
    struct ev_loop *loop = ev_default_loop(EVFLAG_NOENV);
    struct world *w = &world;
    int fds[2];

    memset(w, 0, sizeof *w);
    events = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair_init(&w->client, loop, count_event);
    pair_init(&w->server, loop, count_event);
    cr_assert(pair_adopt(&w->client, fds[0], &nobody, true));
    cr_assert(pair_adopt(&w->server, fds[1], &nobody, true));
    w->plan = open_plan_new(&w->pool);
    open_plan_observe(w->plan, observe, w);
    return w;
}

static void secure(struct world *w)
{
    w->client_context = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    w->server_context = tls_test_context(TLS_SERVER, "server", NULL);
}

static void finish(struct world *w)
{
    pair_close(&w->client);
    pair_close(&w->server);
    tls_context_unref(w->client_context);
    tls_context_unref(w->server_context);
    cr_assert_eq(w->pool.lent, 0);
    buffer_pool_done(&w->pool);
}

static const char *error_name(const struct stream_error *error)
{
    static char name[STREAM_ERROR_NAME_MAX];

    return stream_error_name(error, name);
}

static void add(struct world *w, struct open_step step)
{
    struct stream_error error;

    if (step.kind >= OPEN_SOCKS4 && !step.host.name_length && step.host.ip.family == IP_NONE) {
        step.host.name_length = 6;
        memcpy(step.host.name, "a.test", 6);
        step.port = 443;
    }
    if (step.kind == OPEN_TLS) {
        step.context = w->client_context;
        step.peer_name = "server.test";
    }
    cr_assert(open_plan_add(w->plan, &step, &error));
}

static void start(struct world *w)
{
    cr_assert(pair_open_plan(&w->client, w->plan));
}

/* The hops hear exactly this. */
static void hear(struct world *w, const void *bytes, size_t n)
{
    uint8_t got[512] = {0};
    size_t have = 0;

    for (int turn = 0; have < n && turn < 50; turn++) {
        size_t more = 0;

        if (pair_read(&w->server, got + have, n - have, &more) == IO_OK) {
            have += more;
            continue;
        }
        pair_want(&w->server, INTEREST_READ);
        ev_run(w->server.loop, EVRUN_ONCE);
    }
    pair_want(&w->server, INTEREST_NONE);
    cr_assert_eq(have, n, "%zu", have);
    cr_assert_eq(memcmp(got, bytes, n), 0);
}

static void turn(struct world *w)
{
    ev_run(w->client.loop, EVRUN_NOWAIT);
}

/* ... and say this, which arrives. */
static void say(struct world *w, const void *bytes, size_t n)
{
    size_t taken = 0;

    cr_assert_eq(pair_write(&w->server, bytes, n, &taken), IO_OK);
    cr_assert_eq(taken, n);
    turn(w);
}

#define HEAR(text) hear(w, text, sizeof text - 1)
#define SAY(text) say(w, text, sizeof text - 1)

/* The hop at the other end begins TLS, over what there is. */
static void secure_server(struct world *w)
{
    struct layer_tls_options options = {.context = w->server_context, .pool = &w->pool};

    cr_assert(pair_open_layer(&w->server, layer_tls_new(&options)));
    for (int i = 0; pair_is_opening(&w->server) && i < 50; i++)
        ev_run(w->server.loop, EVRUN_ONCE);
    cr_assert_eq(w->server.state, PAIR_CONNECTED, "%s", error_name(&w->server.error));
    turn(w);
}

#define SAID_PROXY "PROXY TCP4 192.0.2.1 192.0.2.2 1000 1080\r\n"
#define SAID_CONNECT                                                                               \
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n"                                          \
    "Proxy-Authorization: Basic Ym9iOnB3\r\n\r\n"

static struct open_step header(unsigned version)
{
    struct open_step step = {.kind = OPEN_PROXY_HEADER, .version = version};

    ip_parse("192.0.2.1", 9, &step.source.ip);
    ip_parse("192.0.2.2", 9, &step.destination.ip);
    step.source.port = 1000;
    step.destination.port = 1080;
    return step;
}

Test(open_plan, hops_of_every_kind_are_passed_in_order_and_leave_nothing_behind)
{
    struct world *w = begin();
    char out[64];
    size_t n;

    add(w, header(1));
    add(w, (struct open_step){.kind = OPEN_SOCKS5, .hop = 1, .user = "bob", .password = "pw"});
    add(w, (struct open_step){.kind = OPEN_HTTP, .hop = 2, .user = "bob", .password = "pw"});
    add(w, (struct open_step){.kind = OPEN_SOCKS4A, .hop = 3, .user = "bob"});
    cr_assert_eq(open_plan_count(w->plan), 4);
    start(w);
    cr_assert(pair_is_opening(&w->client));
    cr_assert_str_eq(w->seen, "0.done");
    HEAR(SAID_PROXY "\5\2\0\2");
    SAY("\5\2");
    HEAR("\1\3bob\2pw");
    SAY("\1\0");
    HEAR("\5\1\0\3\6a.test\1\xBB");
    cr_assert_eq(open_plan_index(pair_plan(&w->client)), 1);
    cr_assert_eq(open_plan_phase(pair_plan(&w->client)), SETUP_ASKED);
    SAY("\5\0\0\1\x0A\0\0\1\0\x50");
    cr_assert_str_eq(w->bound, "10.0.0.1:80");
    HEAR(SAID_CONNECT);
    SAY("HTTP/1.1 200 OK\r\n\r\n");
    HEAR("\4\1\1\xBB\0\0\0\1bob\0a.test\0");
    cr_assert(pair_is_opening(&w->client));
    cr_assert_eq(events, 0);
    SAY("\0\x5A\0\0\0\0\0\0"
        "220 early\r\n");
    cr_assert_eq(w->client.state, PAIR_CONNECTED);
    cr_assert_eq(events, 1);
    cr_assert_null(pair_plan(&w->client));
    cr_assert_eq(w->client.top, &w->client.tcp.layer);
    cr_assert(pair_can_splice(&w->client) && pair_ends_by_close(&w->client));
    cr_assert_eq(pair_read(&w->client, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 11);
    cr_assert_str_eq(w->seen, "0.done 1.method 1.authenticated 1.asked 1.done 2.asked 2.done "
                              "3.asked 3.done");
    finish(w);
}

/* TLS to the first proxy, a second one with TLS of its own behind it, TLS to the target. */
Test(open_plan, tls_inside_socks_inside_tls_works_and_what_comes_early_is_kept)
{
    struct world *w = begin();
    char out[64];
    size_t n, got = 0;

    secure(w);
    add(w, (struct open_step){.kind = OPEN_TLS});
    add(w, header(2));
    add(w, (struct open_step){.kind = OPEN_SOCKS5, .hop = 1});
    add(w, (struct open_step){.kind = OPEN_TLS, .hop = 2});
    add(w, (struct open_step){.kind = OPEN_HTTP, .hop = 3, .user = "bob", .password = "pw"});
    add(w, (struct open_step){.kind = OPEN_TLS, .hop = 4});
    add(w, (struct open_step){.kind = OPEN_SOCKS4A, .hop = 5});
    start(w);
    secure_server(w);
    HEAR("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\2\1\xC0\0\2\2\3\xE8\4\x38"
         "\5\1\0");
    SAY("\5\0");
    HEAR("\5\1\0\3\6a.test\1\xBB");
    SAY("\5\0\0\1\x0A\0\0\1\0\x50");
    secure_server(w);
    HEAR(SAID_CONNECT);
    SAY("HTTP/1.1 200 OK\r\n\r\n");
    secure_server(w);
    HEAR("\4\1\1\xBB\0\0\0\1\0a.test\0");
    cr_assert(pair_is_opening(&w->client));
    SAY("\0\x5A\0\0\0\0\0\0"
        "220 early\r\n");
    cr_assert_eq(w->client.state, PAIR_CONNECTED, "%s", error_name(&w->client.error));
    cr_assert_str_eq(w->seen, "0.done 0.done 1.method 1.asked 1.done 2.done 3.asked 3.done 4.done "
                              "5.asked 5.done");
    cr_assert_str_eq(w->client.top->ops->name, layer_tls_name);
    cr_assert_str_eq(w->client.top->below->below->below->ops->name, "tcp", "three times TLS");
    while (got < 11 && pair_read(&w->client, out + got, sizeof out - got, &n) == IO_OK)
        got += n;
    cr_assert_eq(got, 11);
    cr_assert_eq(pair_write(&w->client, "QUIT\r\n", 6, &n), IO_OK);
    HEAR("QUIT\r\n");
    finish(w);
}

/* The answers of three hops; each is in turn replaced by one that refuses, ends or is silent. */
static const struct {
    uint8_t kind;
    const char *answer;
    size_t n;
    const char *refusal;
    size_t refusal_n;
    const char *name;
} hops[] = {
    {OPEN_SOCKS5, "\5\0\5\0\0\1\0\0\0\0\0\0", 12, "\5\0\5\5", 4,
     "socks.socks5-response.connection-refused"},
    {OPEN_HTTP, "HTTP/1.1 200\n\n", 14, "HTTP/1.1 407 Who\r\n", 18, "http.status.407"},
    {OPEN_SOCKS4A, "\0\x5A\0\0\0\0\0\0", 8, "\0\x5D", 2, "socks.socks4-response.id-conflict"},
};

static struct world *reach(size_t hop)
{
    struct world *w = begin();

    for (size_t i = 0; i < COUNT(hops); i++)
        add(w, (struct open_step){.kind = hops[i].kind, .hop = (uint8_t)(10 + i)});
    start(w);
    for (size_t i = 0; i < hop; i++)
        say(w, hops[i].answer, hops[i].n);
    cr_assert(pair_is_opening(&w->client));
    return w;
}

static void expect_failure(struct world *w, size_t hop, const char *name)
{
    const struct open_plan *plan = pair_plan(&w->client);

    cr_assert_eq(w->client.state, PAIR_ERROR, "hop %zu", hop);
    cr_assert_str_eq(error_name(&w->client.error), name, "hop %zu", hop);
    cr_assert_eq(open_plan_index(plan), hop);
    cr_assert_eq(open_plan_step(plan, hop)->hop, 10 + hop);
    cr_assert_not(pair_is_watched(&w->client));
    finish(w);
}

Test(open_plan, whichever_hop_fails_is_named_by_its_number)
{
    for (size_t hop = 0; hop < COUNT(hops); hop++) {
        struct world *w = reach(hop);

        events = 0;
        say(w, hops[hop].refusal, hops[hop].refusal_n);
        cr_assert_eq(events, 1);
        expect_failure(w, hop, hops[hop].name);
        w = reach(hop);
        say(w, hops[hop].answer, hops[hop].n - 1);
        cr_assert_eq(pair_end(&w->server), IO_OK);
        turn(w);
        expect_failure(w, hop, "stream.end.early");
        w = reach(hop);
        say(w, hops[hop].answer, hops[hop].n - 1);
        pair_expire(&w->client);
        expect_failure(w, hop, "system.connect.timeout");
        w = reach(hop);
        pair_close(&w->client);
        cr_assert_null(pair_plan(&w->client));
        finish(w);
    }
}

Test(open_plan, tls_that_fails_in_the_middle_has_its_own_errors)
{
    static const char *const names[] = {"tls.handshake.timeout", "tls.handshake.protocol",
                                        "tls.certificate.expired"};

    for (size_t i = 0; i < COUNT(names); i++) {
        struct world *w = begin();

        secure(w);
        add(w, (struct open_step){.kind = OPEN_SOCKS5});
        add(w, (struct open_step){.kind = OPEN_TLS});
        add(w, (struct open_step){.kind = OPEN_HTTP});
        start(w);
        HEAR("\5\1\0");
        SAY("\5\0");
        HEAR("\5\1\0\3\6a.test\1\xBB");
        SAY("\5\0\0\1\x0A\0\0\1\0\x50");
        if (i == 0) {
            pair_expire(&w->client);
        } else if (i == 1) {
            SAY("SSH-2.0-this is no TLS\r\n");
        } else {
            struct layer_tls_options options = {.pool = &w->pool};

            tls_context_unref(w->server_context);
            options.context = w->server_context = tls_test_context(TLS_SERVER, "expired", NULL);
            cr_assert(pair_open_layer(&w->server, layer_tls_new(&options)));
            for (int n = 0; pair_is_opening(&w->client) && n < 50; n++)
                ev_run(w->server.loop, EVRUN_ONCE);
        }
        cr_assert_eq(w->client.state, PAIR_ERROR);
        cr_assert_str_eq(error_name(&w->client.error), names[i]);
        cr_assert_eq(open_plan_index(pair_plan(&w->client)), 1);
        finish(w);
    }
}

/* A peer that takes little: what TLS below holds of a request goes out with the loop's help. */
Test(open_plan, a_request_that_waits_below_goes_out_when_there_is_room)
{
    struct world *w = begin();
    int small = 1;

    secure(w);
    setsockopt(w->client.tcp.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    add(w, (struct open_step){.kind = OPEN_TLS});
    for (uint8_t i = 1; i < 40; i++)
        add(w, header(1));
    add(w, (struct open_step){.kind = OPEN_SOCKS5, .hop = 40});
    start(w);
    secure_server(w);
    cr_assert(pair_is_opening(&w->client));
    cr_assert_lt(open_plan_index(pair_plan(&w->client)), 40, "the socket is full");
    for (int i = 1; i < 40; i++)
        HEAR(SAID_PROXY);
    HEAR("\5\1\0");
    SAY("\5\0");
    HEAR("\5\1\0\3\6a.test\1\xBB");
    SAY("\5\0\0\1\x0A\0\0\1\0\x50");
    cr_assert_eq(w->client.state, PAIR_CONNECTED);
    finish(w);
}

Test(open_plan, an_empty_plan_is_open_at_once_and_only_an_open_pair_takes_one)
{
    struct world *w = begin();
    struct open_plan *second = open_plan_new(NULL);

    start(w);
    cr_assert_eq(w->client.state, PAIR_CONNECTED);
    cr_assert_null(pair_plan(&w->client));
    pair_close(&w->client);
    cr_assert_not(pair_open_plan(&w->client, second));
    open_plan_free(second);
    open_plan_free(NULL);
    finish(w);
}

Test(open_plan, a_step_that_cannot_be_taken_is_refused_when_it_is_added)
{
    static const struct {
        struct open_step step;
        const char *name;
    } rows[] = {
        {{.kind = OPEN_KINDS}, "stream.state.bad-state"},
        {{.kind = OPEN_TLS}, "stream.state.bad-state"},
        {{.kind = OPEN_PROXY_HEADER, .version = 3}, "stream.state.bad-state"},
        {{.kind = OPEN_SOCKS4, .host = {.name_length = 1, .name = "a"}, .user = "u"},
         "protocol.address.unsupported"},
        {{.kind = OPEN_SOCKS5, .user = "u", .password = "p"}, "resolver.name.invalid"},
        {{.kind = OPEN_HTTP, .host = {.name_length = 1, .name = "a"}, .binds = true},
         "stream.state.bad-state"},
        {{.kind = OPEN_HTTP, .host = {.name_length = 1, .name = " "}, .peer_name = "x"},
         "resolver.name.invalid"},
    };
    struct world *w = begin();
    struct stream_error error;

    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert_not(open_plan_add(w->plan, &rows[i].step, &error), "row %zu", i);
        cr_assert_str_eq(error_name(&error), rows[i].name, "row %zu", i);
        cr_assert_eq(open_plan_count(w->plan), 0);
    }
    for (size_t i = 0; i < OPEN_STEPS_MAX; i++)
        add(w, header(1));
    cr_assert_not(open_plan_add(w->plan, &(struct open_step){.version = 1}, &error));
    cr_assert_eq(open_plan_count(w->plan), OPEN_STEPS_MAX);
    open_plan_free(w->plan);
    finish(w);
}

/* ---- a layer that pauses although it has more */

struct pausing {
    struct layer layer;
    const char *bytes;
    size_t left;
};

static enum io pausing_read(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct pausing *p = (struct pausing *)layer;

    (void)n;
    layer->holds = !layer->holds && p->left;
    if (layer->holds || !p->left)
        return IO_AGAIN;
    layer->holds = p->left > 1;
    memcpy(out, p->bytes++, 1);
    p->left--;
    *ret_n = 1;
    return IO_OK;
}

static enum io pausing_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    (void)layer;
    (void)bytes;
    *ret_n = n;
    return IO_OK;
}

static void pausing_done(struct layer *layer)
{
    (void)layer;
}

Test(open_plan, what_a_layer_holds_is_asked_for_again_while_the_descriptor_is_silent)
{
    static const struct layer_ops ops = {
        .name = "pausing", .read = pausing_read, .write = pausing_write, .done = pausing_done};
    struct pausing pausing = {
        .layer = {.ops = &ops, .read_waits = INTEREST_READ, .write_waits = INTEREST_WRITE},
        .bytes = "\5\0\5\0\0\1\0\0\0\0\0\0",
        .left = 12,
    };
    struct world *w = begin();

    pair_push_layer(&w->client, &pausing.layer);
    add(w, (struct open_step){.kind = OPEN_SOCKS5});
    start(w);
    cr_assert(pair_is_opening(&w->client));
    for (int i = 0; i < 50 && pair_is_opening(&w->client); i++)
        ev_run(w->client.loop, EVRUN_ONCE);
    cr_assert_eq(w->client.state, PAIR_CONNECTED);
    cr_assert_eq(events, 1);
    finish(w);
}
