/* test_pair_tls.c - a pair that opens a TLS layer over a real socket, and what its owner sees. */
#include "streams/pair.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(tls_pair, .timeout = 30);

static int events;

static void count_event(struct stream_pair *pair)
{
    (void)pair;
    events++;
}

struct sides {
    struct stream_pair client, server;
    struct buffer_pool pool;
    struct tls_context *client_context, *server_context;
};

static void plain(struct sides *s)
{
    static const struct ip_endpoint nobody;
    struct ev_loop *loop = ev_default_loop(EVFLAG_NOENV);
    int fds[2];

    memset(s, 0, sizeof *s);
    events = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair_init(&s->client, loop, count_event);
    pair_init(&s->server, loop, count_event);
    cr_assert(pair_adopt(&s->client, fds[0], &nobody, true));
    cr_assert(pair_adopt(&s->server, fds[1], &nobody, true));
    s->client_context = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    s->server_context = tls_test_context(TLS_SERVER, "server", NULL);
}

static void push(struct sides *s, struct stream_pair *pair)
{
    struct layer_tls_options options = {.pool = &s->pool};

    options.context = pair == &s->client ? s->client_context : s->server_context;
    options.peer_name = pair == &s->client ? "server.test" : NULL;
    cr_assert(pair_open_layer(pair, layer_tls_new(&options)));
}

static void run_until_open(struct sides *s)
{
    for (int i = 0; i < 50 && (pair_is_opening(&s->client) || pair_is_opening(&s->server)); i++)
        ev_run(s->client.loop, EVRUN_ONCE);
}

static void finish(struct sides *s)
{
    pair_close(&s->client);
    pair_close(&s->server);
    cr_assert_eq(s->pool.lent, 0);
    buffer_pool_done(&s->pool);
    tls_context_unref(s->client_context);
    tls_context_unref(s->server_context);
}

Test(tls_pair, is_opening_until_the_handshake_is_done)
{
    struct sides s;
    size_t n;
    char byte;

    plain(&s);
    push(&s, &s.client);
    cr_assert(pair_is_opening(&s.client));
    cr_assert_eq(s.client.state, PAIR_INITIALIZED);
    cr_assert_eq(s.client.write_status, STREAM_OPENING);
    cr_assert_eq(pair_write(&s.client, "x", 1, &n), IO_ERROR, "a bad state");
    s.client.error = (struct stream_error){0};
    push(&s, &s.server);
    run_until_open(&s);
    cr_assert_eq(s.client.state, PAIR_CONNECTED);
    cr_assert_eq(s.server.state, PAIR_CONNECTED);
    cr_assert_eq(s.server.read_status, STREAM_OPEN);
    cr_assert_geq(events, 2);
    cr_assert_eq(pair_write(&s.client, "x", 1, &n), IO_OK);
    cr_assert_eq(pair_read(&s.server, &byte, 1, &n), IO_OK);
    cr_assert_eq(byte, 'x');
    cr_assert(!pair_can_splice(&s.client));
    cr_assert(!pair_ends_by_close(&s.client));
    cr_assert_not_null(pair_find_layer(&s.client, layer_tls_name));
    finish(&s);
}

Test(tls_pair, a_stream_that_has_talked_in_plain_can_be_secured)
{
    struct sides s;
    char out[16];
    size_t n;

    plain(&s);
    cr_assert_eq(pair_write(&s.client, "STARTTLS\r\n", 10, &n), IO_OK);
    pair_want(&s.server, INTEREST_READ);
    ev_run(s.server.loop, EVRUN_ONCE);
    cr_assert_eq(pair_read(&s.server, out, sizeof out, &n), IO_OK);
    cr_assert_eq(pair_write(&s.server, "220 go\r\n", 8, &n), IO_OK);
    push(&s, &s.server);
    pair_want(&s.client, INTEREST_READ);
    ev_run(s.client.loop, EVRUN_ONCE);
    cr_assert_eq(pair_read(&s.client, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 8);
    push(&s, &s.client);
    run_until_open(&s);
    cr_assert_eq(s.client.state, PAIR_CONNECTED);
    cr_assert_eq(pair_write(&s.server, "secret", 6, &n), IO_OK);
    cr_assert_eq(pair_read(&s.client, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 6);
    finish(&s);
}

Test(tls_pair, a_handshake_that_takes_too_long_has_its_name)
{
    struct sides s;
    char name[STREAM_ERROR_NAME_MAX];

    plain(&s);
    push(&s, &s.client);
    pair_expire(&s.client);
    cr_assert_eq(s.client.state, PAIR_ERROR);
    cr_assert_str_eq(stream_error_name(&s.client.error, name), "tls.handshake.timeout");
    cr_assert(!pair_is_watched(&s.client));
    finish(&s);
}

Test(tls_pair, a_handshake_that_fails_is_an_event_and_a_state)
{
    struct sides s;
    char name[STREAM_ERROR_NAME_MAX];

    plain(&s);
    tls_context_unref(s.server_context);
    s.server_context = tls_test_context(TLS_SERVER, "expired", NULL);
    push(&s, &s.client);
    push(&s, &s.server);
    run_until_open(&s);
    cr_assert_eq(s.client.state, PAIR_ERROR);
    cr_assert_str_eq(stream_error_name(&s.client.error, name), "tls.certificate.expired");
    cr_assert_eq(s.server.state, PAIR_ERROR);
    cr_assert_geq(events, 2);
    finish(&s);
}

Test(tls_pair, only_an_open_pair_takes_a_layer)
{
    struct sides s;
    struct layer *layer;

    plain(&s);
    layer =
        layer_tls_new(&(struct layer_tls_options){.context = s.client_context, .pool = &s.pool});
    pair_close(&s.client);
    cr_assert(!pair_open_layer(&s.client, layer));
    layer->ops->done(layer);
    finish(&s);
}

Test(tls_pair, what_is_wanted_while_it_opens_counts_when_it_is_open)
{
    struct sides s;
    char out[10];
    size_t n;

    plain(&s);
    push(&s, &s.client);
    pair_want(&s.client, INTEREST_READ);
    push(&s, &s.server);
    run_until_open(&s);
    cr_assert_eq(pair_write(&s.server, "now", 3, &n), IO_OK);
    events = 0;
    ev_run(s.client.loop, EVRUN_ONCE);
    cr_assert_eq(events, 1);
    cr_assert_eq(pair_read(&s.client, out, sizeof out, &n), IO_OK);
    finish(&s);
}

/* The descriptor is silent and half of what came waits in the layer: the loop comes back. */
Test(tls_pair, bytes_that_a_layer_holds_make_an_event)
{
    static char block[40000], out[1000];
    struct sides s;
    size_t n, received = 0;

    plain(&s);
    push(&s, &s.client);
    push(&s, &s.server);
    run_until_open(&s);
    cr_assert_eq(pair_write(&s.client, block, sizeof block, &n), IO_OK);
    cr_assert_eq(n, sizeof block);
    for (int turn = 0; received < sizeof block && turn < 100; turn++) {
        pair_want(&s.server, INTEREST_READ);
        events = 0;
        ev_run(s.server.loop, EVRUN_ONCE);
        cr_assert_geq(events, 1);
        cr_assert_eq(pair_read(&s.server, out, sizeof out, &n), IO_OK);
        received += n;
    }
    cr_assert_eq(received, sizeof block);
    cr_assert_eq(pair_read(&s.server, out, sizeof out, &n), IO_AGAIN);
    pair_want(&s.server, INTEREST_READ);
    events = 0;
    ev_run(s.server.loop, EVRUN_NOWAIT);
    cr_assert_eq(events, 0, "nothing is held any more");
    finish(&s);
}

/* close_notify behind bytes: the end is an event although the descriptor stays silent. */
Test(tls_pair, an_end_behind_bytes_makes_an_event)
{
    struct sides s;
    char out[100];
    size_t n;

    plain(&s);
    push(&s, &s.client);
    push(&s, &s.server);
    run_until_open(&s);
    cr_assert_eq(pair_write(&s.client, "bye", 3, &n), IO_OK);
    cr_assert_eq(pair_end(&s.client), IO_OK);
    cr_assert_eq(s.client.write_status, STREAM_AT_END);
    cr_assert_eq(pair_read(&s.server, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 3);
    pair_want(&s.server, INTEREST_READ);
    ev_run(s.server.loop, EVRUN_ONCE);
    cr_assert_eq(pair_read(&s.server, out, sizeof out, &n), IO_EOF);
    cr_assert_eq(s.server.read_status, STREAM_AT_END);
    cr_assert_eq(pair_write(&s.server, "you too", 7, &n), IO_OK);
    pair_want(&s.client, INTEREST_READ);
    ev_run(s.client.loop, EVRUN_ONCE);
    cr_assert_eq(pair_read(&s.client, out, sizeof out, &n), IO_OK);
    cr_assert_eq(n, 7);
    finish(&s);
}

/* What the layer took goes out although its owner waits for nothing. */
Test(tls_pair, what_was_taken_is_flushed_by_the_pair)
{
    static char block[256 * 1024], out[64 * 1024];
    struct sides s;
    size_t n, sent = 0, received = 0;
    int small = 4096;

    plain(&s);
    setsockopt(s.client.tcp.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    push(&s, &s.client);
    push(&s, &s.server);
    run_until_open(&s);
    while (pair_write(&s.client, block, sizeof block, &n) == IO_OK)
        sent += n;
    cr_assert(s.client.top->flush_waits);
    cr_assert(pair_is_watched(&s.client));
    for (int turn = 0; received < sent && turn < 1000; turn++) {
        pair_want(&s.server, INTEREST_READ);
        ev_run(s.server.loop, EVRUN_ONCE);
        while (pair_read(&s.server, out, sizeof out, &n) == IO_OK)
            received += n;
    }
    cr_assert_eq(received, sent);
    cr_assert(!s.client.top->flush_waits);
    ev_run(s.client.loop, EVRUN_NOWAIT);
    cr_assert(!pair_is_watched(&s.client));
    finish(&s);
}

static void stop_run(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* How often the loop turns in a tenth of a second in which nothing happens. */
static unsigned turns_of_silence(struct ev_loop *loop)
{
    unsigned before = ev_iteration(loop);
    ev_timer timer;

    ev_timer_init(&timer, stop_run, 0.1, 0.);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    return ev_iteration(loop) - before;
}

Test(tls_pair, a_handshake_that_finds_no_room_waits_for_it)
{
    static char block[4096];
    struct sides s;
    ssize_t n;

    plain(&s);
    while (send(s.client.tcp.fd, block, sizeof block, 0) > 0)
        ; /* the pair has not heard of it */
    push(&s, &s.client);
    cr_assert(pair_is_flushing(&s.client));
    cr_assert_lt(turns_of_silence(s.client.loop), 10, "it spins");
    do
        n = recv(s.server.tcp.fd, block, sizeof block, 0);
    while (n == sizeof block);
    push(&s, &s.server);
    run_until_open(&s);
    cr_assert_eq(s.client.state, PAIR_CONNECTED);
    cr_assert_eq(s.server.state, PAIR_CONNECTED);
    finish(&s);
}
