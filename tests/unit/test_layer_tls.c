/* test_layer_tls.c - the TLS layer, both ends in one process: what is written comes out, ends are
 * told from cuts, and nothing depends on how the bytes travel. */
#include "tests/unit/random.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_layer, .timeout = 60);

static uint8_t bytes[300 * 1024], got[sizeof bytes + 1];

static void fill_bytes(void)
{
    uint64_t seed = 7;

    random_fill(&seed, bytes, sizeof bytes);
}

static enum io read_some(struct tls_end *end, size_t *ret_n)
{
    return end->top->ops->read(end->top, got, sizeof got, ret_n);
}

Test(tls_layer, each_version_is_negotiated_and_carries_bytes_both_ways)
{
    static const char *const names[] = {"TLSv1.2", "TLSv1.3"};

    fill_bytes();
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);

            cr_assert_str_eq(layer_tls_version(ends->client.top), names[i]);
            cr_assert_str_eq(layer_tls_version(ends->server.top), names[i]);
            cr_assert_not_null(layer_tls_suite(ends->client.top));
            cr_assert_str_eq(layer_tls_server_name(ends->server.top) ?: "", "server.test");
            tls_end_write_all(&ends->client, bytes, sizeof bytes);
            tls_end_expect(&ends->server, bytes, sizeof bytes);
            tls_end_write_all(&ends->server, bytes, sizeof bytes);
            tls_end_expect(&ends->client, bytes, sizeof bytes);
            tls_ends_free(ends);
        }
}

Test(tls_layer, an_end_is_told_and_the_other_direction_goes_on)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            struct tls_end *end[] = {&ends->client, &ends->server};
            struct wire *wire[] = {&ends->up, &ends->down};
            size_t n;

            for (int first = 0; first < 2; first++) {
                struct tls_end *ending = end[(size_t)first ^ i],
                               *other = end[1 - ((size_t)first ^ i)];

                tls_end_write_all(ending, "last words", 10);
                cr_assert_eq(ending->top->ops->end(ending->top), IO_OK);
                cr_assert(wire[(size_t)first ^ i]->has_ended, "the layer below was not ended");
                cr_assert_eq(ending->top->ops->end(ending->top), IO_OK, "twice is harmless");
                cr_assert_eq(read_some(other, &n), IO_OK);
                cr_assert_eq(n, 10);
                cr_assert(other->top->holds);
                cr_assert_eq(read_some(other, &n), IO_EOF);
                cr_assert_eq(read_some(other, &n), IO_EOF);
                if (first == 0) {
                    tls_end_write_all(other, "still here", 10);
                    tls_end_expect(ending, "still here", 10);
                }
                cr_assert_eq(ending->top->ops->write(ending->top, "x", 1, &n), IO_ERROR);
                ending->error = (struct stream_error){0};
            }
            tls_ends_free(ends);
        }
}

/* One packet takes both. */
Test(tls_layer, close_notify_is_said_to_be_followed_by_the_end_and_nothing_else_is)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);

    tls_end_write_all(&ends->client, "x", 1);
    cr_assert(!ends->up.more_follows);
    cr_assert_eq(ends->client.top->ops->end(ends->client.top), IO_OK);
    cr_assert(ends->up.more_follows);
    cr_assert(ends->up.has_ended);
    cr_assert(!ends->client.wire.layer.more_follows);
    tls_ends_free(ends);
}

Test(tls_layer, a_cut_is_an_error_after_all_that_was_authenticated)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            size_t n;

            tls_end_write_all(&ends->server, "abc", 3);
            tls_end_write_all(&ends->server, "def", 3);
            ends->down.end -= 5; /* in the middle of a record */
            ends->down.has_ended = true;
            cr_assert_eq(read_some(&ends->client, &n), IO_OK);
            cr_assert_eq(n, 3);
            cr_assert_eq(read_some(&ends->client, &n), IO_ERROR);
            cr_assert_str_eq(tls_end_error(&ends->client), "tls.cut.no-close-notify");
            tls_ends_free(ends);

            ends = tls_ends_talking(tls_levels[i]);
            tls_end_write_all(&ends->client, "abc", 3);
            ends->up.has_ended = true; /* between two records */
            cr_assert_eq(read_some(&ends->server, &n), IO_OK);
            cr_assert_eq(read_some(&ends->server, &n), IO_ERROR);
            cr_assert_str_eq(tls_end_error(&ends->server), "tls.cut.no-close-notify");
            tls_ends_free(ends);
        }
}

Test(tls_layer, a_cut_at_any_byte_of_a_record_is_a_cut)
{
    for
        EACH_TLS_LEVEL(i)
        {
            for (size_t left = 0, whole = 1; left < whole; left++) {
                struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
                struct wire *wire = &ends->up;
                size_t n, before;

                tls_end_write_all(&ends->client, "abc", 3);
                before = wire->end;
                tls_end_write_all(&ends->client, "defghi", 6);
                whole = wire->end - before;
                wire->end = before + left;
                wire->has_ended = true;
                cr_assert_eq(read_some(&ends->server, &n), IO_OK);
                cr_assert_eq(n, 3);
                cr_assert_eq(read_some(&ends->server, &n), IO_ERROR);
                cr_assert_str_eq(tls_end_error(&ends->server), "tls.cut.no-close-notify",
                                 "%zu of %zu bytes: %s", left, whole, tls_end_error(&ends->server));
                tls_ends_free(ends);
            }
        }
}

Test(tls_layer, a_changed_byte_is_an_error_and_nothing_of_its_record_is_read)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            size_t n;

            tls_end_write_all(&ends->client, "first", 5);
            tls_end_write_all(&ends->client, "second", 6);
            ends->up.bytes[ends->up.end - 3] ^= 1;
            cr_assert_eq(read_some(&ends->server, &n), IO_OK);
            cr_assert_eq(n, 5);
            cr_assert_eq(read_some(&ends->server, &n), IO_ERROR);
            cr_assert_str_eq(tls_end_error(&ends->server), "tls.record.bad");
            /* The peer hears of it. */
            cr_assert_eq(read_some(&ends->client, &n), IO_ERROR);
            cr_assert_str_eq(tls_end_error(&ends->client), "tls.alert.bad-record-mac");
            tls_ends_free(ends);
        }
}

/* Records that nobody encrypted, of every length around the tag's (CVE-2024-0901 was one). */
Test(tls_layer, records_of_garbage_are_errors_whatever_their_length)
{
    fill_bytes();
    for
        EACH_TLS_LEVEL(i)
        {
            for (size_t length = 0; length <= 40; length++) {
                for (uint8_t type = 20; type <= 24; type++) {
                    struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
                    const uint8_t header[] = {type, 3, 3, 0, (uint8_t)length};
                    size_t n;
                    enum io result;

                    memcpy(ends->up.bytes, header, sizeof header);
                    memcpy(ends->up.bytes + sizeof header, bytes, length);
                    ends->up.end = sizeof header + length;
                    ends->up.has_ended = true;
                    result = read_some(&ends->server, &n);
                    cr_assert_eq(result, IO_ERROR, "type %d, %zu bytes: %d", type, length, result);
                    tls_ends_free(ends);
                }
            }
        }
}

Test(tls_layer, nothing_depends_on_how_the_bytes_travel)
{
    fill_bytes();
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_new();
            struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
            struct tls_context *server = tls_test_context_of((struct tls_context_options){
                .role = TLS_SERVER,
                .level = tls_levels[i],
                .certificate = tls_test_path("by-middle-chain.pem"),
                .private_key = tls_test_path("by-middle.key"),
            });

            ends->up.portion = ends->down.portion = 1;
            ends->up.again_often = ends->down.again_often = true;
            tls_end_push(ends, &ends->client,
                         (struct layer_tls_options){.context = client, .peer_name = "server.test"});
            tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
            tls_context_unref(client);
            tls_context_unref(server);
            for (int turn = 0; turn < 40000 && ends->server.opened == IO_AGAIN; turn++)
                tls_ends_open(ends);
            cr_assert_eq(ends->server.opened, IO_OK, "%s", tls_end_error(&ends->server));
            cr_assert_eq(ends->client.opened, IO_OK, "%s", tls_end_error(&ends->client));
            tls_end_write_all(&ends->client, bytes, 5000);
            for (size_t received = 0; received < 5000;) {
                size_t n = 0;
                enum io result = read_some(&ends->server, &n);

                cr_assert_neq(result, IO_ERROR, "%s", tls_end_error(&ends->server));
                cr_assert_neq(result, IO_EOF);
                if (result != IO_OK)
                    continue;
                cr_assert(memcmp(got, bytes + received, n) == 0);
                received += n;
            }
            tls_ends_free(ends);
        }
}

/* The wire takes one byte at a time: what the layer has taken comes out whole, and it takes no more
 * while it holds anything back. */
Test(tls_layer, a_layer_below_that_takes_one_byte_at_a_time_gets_whole_records)
{
    fill_bytes();
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            struct layer *top = ends->client.top;
            size_t written = 0, n = 0;

            while (written < 3000) {
                size_t piece = written % 7 == 0 ? 1 : 211;

                ends->up.takes = 1;
                switch (top->ops->write(top, bytes + written, piece, &n)) {
                case IO_OK:
                    written += n;
                    break;
                case IO_AGAIN:
                    cr_assert(top->flush_waits & INTEREST_WRITE);
                    break;
                default:
                    cr_assert_fail("%s", tls_end_error(&ends->client));
                }
            }
            ends->up.takes = 0;
            cr_assert_eq(top->ops->end(top), IO_AGAIN);
            cr_assert(!ends->up.has_ended);
            while (top->ops->flush(top) == IO_AGAIN)
                ends->up.takes = 1;
            cr_assert_eq(top->ops->end(top), IO_OK);
            cr_assert_eq(read_some(&ends->server, &n), IO_OK);
            cr_assert_eq(n, written);
            cr_assert(memcmp(got, bytes, n) == 0);
            cr_assert_eq(read_some(&ends->server, &n), IO_EOF);
            tls_ends_free(ends);
        }
}

/* Whenever the layer below fails, its own error is the one that counts. */
Test(tls_layer, a_reset_below_is_a_reset_at_any_moment)
{
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    struct tls_context *server = tls_test_context(TLS_SERVER, "server", NULL);
    bool failed = true;

    fill_bytes();
    for (unsigned at = 1; failed; at++) {
        struct tls_ends *ends = tls_ends_new();
        size_t n;

        cr_assert_lt(at, 1000);
        ends->up.portion = ends->down.portion = 100;
        ends->up.fails_at = at;
        tls_end_push(ends, &ends->client,
                     (struct layer_tls_options){.context = client, .peer_name = "server.test"});
        tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
        for (int turn = 0; turn < 100 && !tls_ends_open(ends); turn++)
            ;
        failed = stream_error_set(&ends->client.error) || stream_error_set(&ends->server.error);
        if (!failed) {
            struct layer *top = ends->client.top;

            failed = top->ops->write(top, bytes, 1000, &n) == IO_ERROR;
            while (!failed && (n = 0, read_some(&ends->server, &n)) == IO_OK)
                ;
            failed = failed || stream_error_set(&ends->server.error);
        }
        if (failed)
            cr_assert(stream_error_is(&ends->client.error, ERROR_SYSTEM_WRITE_RESET) ||
                          stream_error_is(&ends->server.error, ERROR_SYSTEM_READ_RESET),
                      "call %u: %s, %s", at, tls_end_error(&ends->client),
                      tls_end_error(&ends->server));
        tls_ends_free(ends);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

Test(tls_layer, records_of_every_small_size_pass)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            size_t n;

            fill_bytes();
            cr_assert_eq(ends->client.top->ops->write(ends->client.top, bytes, 0, &n), IO_OK);
            for (size_t size = 1; size < 300; size++)
                tls_end_write_all(&ends->client, bytes, size);
            for (size_t size = 1; size < 300; size++)
                tls_end_expect(&ends->server, bytes, size);
            tls_ends_free(ends);
        }
}

Test(tls_layer, tls_inside_tls_works)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
            struct tls_context *server = tls_test_context(TLS_SERVER, "server-rsa", NULL);
            size_t n;

            fill_bytes();
            tls_end_push(ends, &ends->client,
                         (struct layer_tls_options){.context = client, .peer_name = "a.wild.test"});
            tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
            tls_context_unref(client);
            tls_context_unref(server);
            cr_assert(tls_ends_open(ends), "%s", tls_end_error(&ends->client));
            tls_end_write_all(&ends->client, bytes, sizeof bytes);
            tls_end_expect(&ends->server, bytes, sizeof bytes);
            tls_end_write_all(&ends->server, bytes, sizeof bytes);
            tls_end_expect(&ends->client, bytes, sizeof bytes);
            cr_assert_eq(ends->client.top->ops->end(ends->client.top), IO_OK);
            cr_assert(ends->up.has_ended);
            cr_assert_eq(read_some(&ends->server, &n), IO_EOF);
            cr_assert_eq(ends->server.top->below->ops->read(ends->server.top->below, got, 1, &n),
                         IO_EOF, "the outer one was ended, too");
            tls_ends_free(ends);
        }
}

Test(tls_layer, bytes_that_were_read_before_are_seen_first)
{
    struct tls_ends *ends = tls_ends_new();
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    struct tls_context *server = tls_test_context(TLS_SERVER, "server", NULL);
    uint8_t early[100];

    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){.context = client, .peer_name = "server.test"});
    ends->client.opened = ends->client.top->ops->open(ends->client.top);
    memcpy(early, ends->up.bytes, sizeof early);
    ends->up.begin += sizeof early;
    tls_end_push(ends, &ends->server,
                 (struct layer_tls_options){
                     .context = server, .early = early, .early_length = sizeof early});
    tls_context_unref(client);
    tls_context_unref(server);
    cr_assert(tls_ends_open(ends), "%s", tls_end_error(&ends->server));
    tls_ends_free(ends);
}
