/* test_relay_tls.c - the relay between a TLS pair and a plain one, over real sockets with little
 * room: everything arrives, an end is an end on both sides, and a cut is none. */
#include "daemon/relay.h"
#include "tests/unit/random.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(relay_tls, .timeout = 30);

enum { TOTAL = 2 * 1024 * 1024 };

/* The client's own end, the two pairs of a session, and the target's own end. */
static struct stream_pair client, front, back, target;
static struct relay_direction up, down;
static struct buffer_pool pool;
static uint8_t scratch[RELAY_SCRATCH], block[65536];
static struct relay_tools tools = {.pool = &pool, .scratch = scratch};
static uint8_t *sent;
static size_t client_sent, client_got, target_got, target_held;
static bool client_ended, target_ended, client_at_end, failed;

static void wire(struct stream_pair *a, pair_callback *on_a, struct stream_pair *b,
                 pair_callback *on_b)
{
    static const struct ip_endpoint nobody;
    struct ev_loop *loop = ev_default_loop(EVFLAG_NOENV);
    int fds[2], small = 8192;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    pair_init(a, loop, on_a);
    pair_init(b, loop, on_b);
    cr_assert(pair_adopt(a, fds[0], &nobody, true));
    cr_assert(pair_adopt(b, fds[1], &nobody, true));
}

static int interest(const struct relay_direction *from, const struct relay_direction *to)
{
    return (relay_wants_read(from) ? INTEREST_READ : 0) |
           (relay_wants_write(to) ? INTEREST_WRITE : 0);
}

static void on_session(struct stream_pair *pair)
{
    (void)pair;
    if (front.state != PAIR_CONNECTED || back.state != PAIR_CONNECTED)
        return;
    if (relay_pump(&up, &tools, NULL) > RELAY_MOVED ||
        relay_pump(&down, &tools, NULL) > RELAY_MOVED) {
        failed = true;
        pair_want(&front, INTEREST_NONE);
        pair_want(&back, INTEREST_NONE);
        return;
    }
    pair_want(&front, (enum interest)interest(&up, &down));
    pair_want(&back, (enum interest)interest(&down, &up));
}

static void on_client(struct stream_pair *pair)
{
    size_t n = 0;
    enum io result;

    if (pair->state != PAIR_CONNECTED)
        return;
    while (client_sent < TOTAL &&
           pair_write(pair, sent + client_sent, TOTAL - client_sent, &n) == IO_OK)
        client_sent += n;
    if (client_sent == TOTAL && !client_ended)
        client_ended = pair_end(pair) == IO_OK;
    while (!client_at_end) {
        result = pair_read(pair, block, sizeof block, &n);
        if (result == IO_EOF)
            client_at_end = true;
        if (result != IO_OK)
            break;
        cr_assert(client_got + n <= TOTAL && memcmp(block, sent + client_got, n) == 0);
        client_got += n;
    }
    pair_want(pair, (enum interest)((client_at_end ? 0 : INTEREST_READ) |
                                    (client_sent < TOTAL ? INTEREST_WRITE : 0)));
}

/* Sends back what it gets, and ends when that has ended. */
static void on_target(struct stream_pair *pair)
{
    static uint8_t held[65536];
    size_t n = 0;

    for (;;) {
        enum io result;

        while (target_held && pair_write(pair, held, target_held, &n) == IO_OK) {
            memmove(held, held + n, target_held - n);
            target_held -= n;
        }
        if (target_held || target_ended)
            break;
        result = pair_read(pair, held, sizeof held, &n);
        if (result == IO_EOF)
            target_ended = pair_end(pair) == IO_OK;
        if (result != IO_OK)
            break;
        target_held = n;
        target_got += n;
    }
    pair_want(pair, target_held ? INTEREST_WRITE : target_ended ? INTEREST_NONE : INTEREST_READ);
}

static void start(void)
{
    uint64_t seed = 99;
    struct tls_context *context[2] = {tls_test_context(TLS_CLIENT, NULL, "root.pem"),
                                      tls_test_context(TLS_SERVER, "server", NULL)};

    sent = malloc(TOTAL);
    random_fill(&seed, sent, TOTAL);
    wire(&client, on_client, &front, on_session);
    wire(&target, on_target, &back, on_session);
    up = (struct relay_direction){.from = &front, .to = &back, .reverse = &down};
    down = (struct relay_direction){.from = &back, .to = &front, .reverse = &up};
    cr_assert(pair_open_layer(
        &client, layer_tls_new(&(struct layer_tls_options){
                     .context = context[0], .peer_name = "server.test", .pool = &pool})));
    cr_assert(pair_open_layer(
        &front, layer_tls_new(&(struct layer_tls_options){.context = context[1], .pool = &pool})));
    tls_context_unref(context[0]);
    tls_context_unref(context[1]);
    on_target(&target);
}

static void finish(void)
{
    relay_release(&up, &tools);
    relay_release(&down, &tools);
    pair_close(&client);
    pair_close(&front);
    pair_close(&back);
    pair_close(&target);
    cr_assert_eq(pool.lent, 0);
    buffer_pool_done(&pool);
    free(sent);
}

Test(relay_tls, everything_comes_back_and_both_ends_end)
{
    start();
    for (int turn = 0; turn < 100000 && !(client_at_end && up.state == RELAY_ENDED); turn++) {
        cr_assert_eq(failed, false);
        ev_run(client.loop, EVRUN_ONCE);
    }
    cr_assert_eq(target_got, TOTAL);
    cr_assert_eq(client_got, TOTAL);
    cr_assert(client_at_end);
    cr_assert_eq(up.bytes, TOTAL);
    cr_assert_eq(down.bytes, TOTAL);
    cr_assert_eq(down.state, RELAY_ENDED);
    finish();
}

Test(relay_tls, a_cut_client_is_a_failure_and_not_an_end)
{
    char name[STREAM_ERROR_NAME_MAX];

    start();
    while (target_got < 100000)
        ev_run(client.loop, EVRUN_ONCE);
    shutdown(client.tcp.fd, SHUT_RDWR);
    for (int turn = 0; turn < 1000 && !failed; turn++) {
        back.on_event(&back);
        ev_run(client.loop, EVRUN_NOWAIT);
    }
    cr_assert(failed);
    stream_error_name(&front.error, name);
    cr_assert(strcmp(name, "tls.cut.no-close-notify") == 0 ||
                  strcmp(name, "system.write.reset") == 0,
              "%s", name);
    cr_assert_neq(up.state, RELAY_ENDED);
    finish();
}
