/* test_layer_tls_open.c - handshakes that come slowly, are left, or are none. */
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_layer_open, .timeout = 60);

Test(tls_layer_open, a_handshake_that_can_write_one_byte_at_a_time_completes)
{
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");

    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_new();
            struct tls_context *server = tls_test_context_of((struct tls_context_options){
                .role = TLS_SERVER,
                .level = tls_levels[i],
                .certificate = tls_test_path("by-middle-chain.pem"),
                .private_key = tls_test_path("by-middle.key"),
            });

            tls_end_push(ends, &ends->client,
                         (struct layer_tls_options){.context = client, .peer_name = "server.test"});
            tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
            tls_context_unref(server);
            for (int turn = 0; turn < 10000; turn++) {
                ends->up.takes = ends->down.takes = 1;
                if (tls_ends_open(ends))
                    break;
            }
            cr_assert_eq(ends->client.opened, IO_OK, "%s", tls_end_error(&ends->client));
            cr_assert_eq(ends->server.opened, IO_OK, "%s", tls_end_error(&ends->server));
            tls_ends_free(ends);
        }
    tls_context_unref(client);
}

Test(tls_layer_open, an_abandoned_handshake_leaves_nothing_behind)
{
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    struct tls_context *server = tls_test_context(TLS_SERVER, "by-middle-chain", NULL);

    for (size_t cut = 0; cut < 2500; cut += 61) {
        struct tls_ends *ends = tls_ends_new();

        ends->up.takes = ends->down.takes = cut;
        tls_end_push(ends, &ends->client,
                     (struct layer_tls_options){.context = client, .peer_name = "server.test"});
        tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
        tls_ends_open(ends);
        tls_ends_free(ends);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

Test(tls_layer_open, a_peer_that_leaves_in_the_handshake_is_an_error)
{
    struct tls_ends *ends = tls_ends_new();
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");

    tls_end_push(ends, &ends->client, (struct layer_tls_options){.context = client});
    ends->down.has_ended = true;
    cr_assert_eq(ends->client.top->ops->open(ends->client.top), IO_ERROR);
    cr_assert_str_eq(tls_end_error(&ends->client), "tls.handshake.protocol");
    tls_context_unref(client);
    tls_ends_free(ends);
}

/* At whatever byte: it did nothing wrong. */
Test(tls_layer_open, a_client_that_leaves_in_the_handshake_is_the_end)
{
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    struct tls_context *server = tls_test_context(TLS_SERVER, "server", NULL);
    struct tls_ends *ends = tls_ends_new();
    static uint8_t hello[4096];
    size_t n, steps = 0;
    enum io result;

    tls_end_push(ends, &ends->client, (struct layer_tls_options){.context = client});
    ends->client.top->ops->open(ends->client.top);
    n = ends->up.end;
    memcpy(hello, ends->up.bytes, n);
    tls_ends_free(ends);
    for (size_t i = 0; i <= n; i++) {
        ends = tls_ends_new();
        tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
        memcpy(ends->up.bytes, hello, i);
        ends->up.end = i;
        ends->up.has_ended = true;
        while ((result = ends->server.top->ops->open(ends->server.top)) == IO_AGAIN)
            cr_assert_lt(++steps, 4 * n);
        cr_assert_eq(result, IO_EOF, "at byte %zu", i);
        cr_assert_str_eq(tls_end_error(&ends->server), "none");
        tls_ends_free(ends);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

Test(tls_layer_open, what_is_no_tls_is_an_error)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "\x05\x01\x00",
    };
    struct tls_context *server = tls_test_context(TLS_SERVER, "server", NULL);

    for (size_t i = 0; i < 2; i++) {
        struct tls_ends *ends = tls_ends_new();

        tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
        memcpy(ends->up.bytes, texts[i], strlen(texts[i]));
        ends->up.end = strlen(texts[i]);
        cr_assert_eq(ends->server.top->ops->open(ends->server.top), IO_ERROR);
        cr_assert(stream_error_is(&ends->server.error, ERROR_TLS_HANDSHAKE_PROTOCOL) ||
                      stream_error_is(&ends->server.error, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION),
                  "%s", tls_end_error(&ends->server));
        tls_ends_free(ends);
    }
    tls_context_unref(server);
}
