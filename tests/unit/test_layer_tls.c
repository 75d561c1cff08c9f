/* test_layer_tls.c - the TLS layer, both ends in one process: what is written comes out, ends are
 * told from cuts, and nothing depends on how the bytes travel. */
#include "tests/unit/random.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_layer, .timeout = 60);

static const enum tls_level levels[] = {TLS_LEVEL_1_2, TLS_LEVEL_1_3};
static uint8_t bytes[300 * 1024], got[sizeof bytes + 1];

#define EACH_LEVEL(i) (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)

static void fill_bytes(void)
{
    uint64_t seed = 7;

    random_fill(&seed, bytes, sizeof bytes);
}

static void free_ends(struct tls_ends *ends)
{
    tls_ends_done(ends);
    free(ends);
}

static void expect(struct tls_end *end, const void *expected, size_t n)
{
    size_t received;
    enum io result = tls_end_read_all(end, got, n, &received);

    cr_assert_eq(result, IO_OK, "%s", tls_end_error(end));
    cr_assert_eq(received, n);
    cr_assert(memcmp(got, expected, n) == 0, "%zu bytes came out changed", n);
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
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);

            cr_assert_str_eq(layer_tls_version(ends->client.top), names[i]);
            cr_assert_str_eq(layer_tls_version(ends->server.top), names[i]);
            cr_assert_not_null(layer_tls_suite(ends->client.top));
            cr_assert_str_eq(layer_tls_server_name(ends->server.top) ?: "", "server.test");
            tls_end_write_all(&ends->client, bytes, sizeof bytes);
            expect(&ends->server, bytes, sizeof bytes);
            tls_end_write_all(&ends->server, bytes, sizeof bytes);
            expect(&ends->client, bytes, sizeof bytes);
            free_ends(ends);
        }
}

Test(tls_layer, an_end_is_told_and_the_other_direction_goes_on)
{
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
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
                    expect(ending, "still here", 10);
                }
                cr_assert_eq(ending->top->ops->write(ending->top, "x", 1, &n), IO_ERROR);
                ending->error = (struct stream_error){0};
            }
            free_ends(ends);
        }
}

Test(tls_layer, a_cut_is_an_error_after_all_that_was_authenticated)
{
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
            size_t n;

            tls_end_write_all(&ends->server, "abc", 3);
            tls_end_write_all(&ends->server, "def", 3);
            ends->down.end -= 5; /* in the middle of a record */
            ends->down.has_ended = true;
            cr_assert_eq(read_some(&ends->client, &n), IO_OK);
            cr_assert_eq(n, 3);
            cr_assert_eq(read_some(&ends->client, &n), IO_ERROR);
            cr_assert_str_eq(tls_end_error(&ends->client), "tls.cut.no-close-notify");
            free_ends(ends);

            ends = tls_ends_talking(levels[i]);
            tls_end_write_all(&ends->client, "abc", 3);
            ends->up.has_ended = true; /* between two records */
            cr_assert_eq(read_some(&ends->server, &n), IO_OK);
            cr_assert_eq(read_some(&ends->server, &n), IO_ERROR);
            cr_assert_str_eq(tls_end_error(&ends->server), "tls.cut.no-close-notify");
            free_ends(ends);
        }
}

Test(tls_layer, a_cut_at_any_byte_of_a_record_is_a_cut)
{
    for
        EACH_LEVEL(i)
        {
            for (size_t left = 0, whole = 1; left < whole; left++) {
                struct tls_ends *ends = tls_ends_talking(levels[i]);
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
                free_ends(ends);
            }
        }
}

Test(tls_layer, a_changed_byte_is_an_error_and_nothing_of_its_record_is_read)
{
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
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
            free_ends(ends);
        }
}

/* Records that nobody encrypted, of every length around the tag's (CVE-2024-0901 was one). */
Test(tls_layer, records_of_garbage_are_errors_whatever_their_length)
{
    fill_bytes();
    for
        EACH_LEVEL(i)
        {
            for (size_t length = 0; length <= 40; length++) {
                for (uint8_t type = 20; type <= 24; type++) {
                    struct tls_ends *ends = tls_ends_talking(levels[i]);
                    const uint8_t header[] = {type, 3, 3, 0, (uint8_t)length};
                    size_t n;
                    enum io result;

                    memcpy(ends->up.bytes, header, sizeof header);
                    memcpy(ends->up.bytes + sizeof header, bytes, length);
                    ends->up.end = sizeof header + length;
                    ends->up.has_ended = true;
                    result = read_some(&ends->server, &n);
                    cr_assert_eq(result, IO_ERROR, "type %d, %zu bytes: %d", type, length, result);
                    free_ends(ends);
                }
            }
        }
}

Test(tls_layer, nothing_depends_on_how_the_bytes_travel)
{
    fill_bytes();
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_new();
            struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
            struct tls_context *server = tls_test_context_of((struct tls_context_options){
                .role = TLS_SERVER,
                .level = levels[i],
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
            free_ends(ends);
        }
}

/* The wire takes one byte at a time: what the layer has taken comes out whole, and it takes no more
 * while it holds anything back. */
Test(tls_layer, a_layer_below_that_takes_one_byte_at_a_time_gets_whole_records)
{
    fill_bytes();
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
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
            free_ends(ends);
        }
}

Test(tls_layer, a_handshake_that_can_write_one_byte_at_a_time_completes)
{
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");

    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_new();
            struct tls_context *server = tls_test_context_of((struct tls_context_options){
                .role = TLS_SERVER,
                .level = levels[i],
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
            free_ends(ends);
        }
    tls_context_unref(client);
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
        free_ends(ends);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

Test(tls_layer, records_are_read_ahead_and_written_together)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    unsigned reads = ends->up.reads, writes = ends->up.writes;

    fill_bytes();
    tls_end_write_all(&ends->client, bytes, 256 * 1024); /* 16 records of 16 KiB */
    cr_assert_leq(ends->up.writes - writes, 6);
    expect(&ends->server, bytes, 256 * 1024);
    cr_assert_leq(ends->up.reads - reads, 8);
    free_ends(ends);
}

Test(tls_layer, what_waits_in_the_layer_is_said_although_the_wire_is_silent)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    size_t n;

    tls_end_write_all(&ends->client, "one", 3);
    tls_end_write_all(&ends->client, "two", 3);
    cr_assert_eq(ends->server.top->ops->read(ends->server.top, got, 1, &n), IO_OK);
    cr_assert(ends->server.top->holds, "the rest of a record");
    cr_assert_eq(ends->server.top->ops->read(ends->server.top, got, 2, &n), IO_OK);
    cr_assert(ends->server.top->holds, "a whole record");
    cr_assert_eq(read_some(&ends->server, &n), IO_OK);
    cr_assert_eq(n, 3);
    cr_assert(!ends->server.top->holds);
    free_ends(ends);
}

Test(tls_layer, an_idle_layer_holds_no_block)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);

    fill_bytes();
    cr_assert_eq(ends->pool.lent, 0);
    tls_end_write_all(&ends->client, bytes, sizeof bytes);
    expect(&ends->server, bytes, sizeof bytes);
    cr_assert_eq(ends->pool.lent, 0);
    free_ends(ends);
}

Test(tls_layer, keys_are_changed_at_any_moment_in_both_directions)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    struct tls_end *end[] = {&ends->client, &ends->server};
    size_t n, at[2] = {0, 0};

    fill_bytes();
    for (unsigned turn = 0; turn < 200; turn++) {
        for (int i = 0; i < 2; i++) {
            struct tls_end *writer = end[i], *reader = end[1 - i];

            tls_end_write_all(writer, bytes + at[i], turn);
            if (turn % 3 == (unsigned)i)
                cr_assert(layer_tls_update_keys(writer->top));
            tls_end_write_all(writer, bytes + at[i] + turn, 10);
            expect(reader, bytes + at[i], turn + 10);
            at[i] += turn + 10;
            read_some(reader, &n);
        }
    }
    free_ends(ends);
}

/* A peer that asks for new keys again and again and reads nothing: answers wait, within a bound;
 * then the layer stops reading, and goes on when they have gone. */
Test(tls_layer, a_peer_that_only_asks_for_keys_costs_bounded_memory)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    struct layer *server = ends->server.top;
    size_t n, sent = 0;

    ends->down.takes = 0; /* nothing goes back to the client */
    for (int turn = 0; turn < 8000; turn++) {
        cr_assert(layer_tls_update_keys(ends->client.top));
        sent++;
        if (ends->up.end > 500 * 1024)
            break;
        if (turn % 100 == 99)
            cr_assert_eq(read_some(&ends->server, &n), IO_AGAIN);
        cr_assert_leq(ends->pool.lent, 3 * BUFFER_LARGE);
    }
    tls_end_write_all(&ends->client, "at last", 7);
    cr_assert_eq(read_some(&ends->server, &n), IO_AGAIN);
    cr_assert_eq(server->read_waits, INTEREST_WRITE, "it waits until its answers have gone");
    cr_assert_leq(ends->pool.lent, 3 * BUFFER_LARGE);
    ends->down.takes = SIZE_MAX;
    for (int turn = 0; turn < 100; turn++) {
        enum io result = read_some(&ends->server, &n);

        cr_assert_neq(result, IO_ERROR, "%s", tls_end_error(&ends->server));
        if (result == IO_OK)
            break;
    }
    cr_assert_eq(n, 7);
    tls_end_write_all(&ends->server, "indeed", 6);
    expect(&ends->client, "indeed", 6);
    free_ends(ends);
}

/* Else two ends that both have a full wire before them, and write more, would wait for each other. */
Test(tls_layer, what_waits_to_be_written_keeps_nothing_from_being_read)
{
    static const uint8_t much[1024 * 1024];

    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
            struct layer *server = ends->server.top;
            size_t n = 0;

            ends->down.takes = 0;
            cr_assert_eq(server->ops->write(server, much, sizeof much, &n), IO_OK);
            cr_assert_gt(n, 0);
            cr_assert_lt(n, sizeof much);
            for (int turn = 0; turn < 100; turn++) {
                tls_end_write_all(&ends->client, "hear me", 7);
                expect(&ends->server, (const uint8_t *)"hear me", 7);
                if (levels[i] == TLS_LEVEL_1_3 && turn < 10)
                    cr_assert(layer_tls_update_keys(ends->client.top));
            }
            free_ends(ends);
        }
}

/* Both change keys thousands of times, with data in between, before the other one reads at all. */
Test(tls_layer, thousands_of_new_keys_in_both_directions_wait_to_be_read)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    struct tls_end *end[] = {&ends->client, &ends->server};

    fill_bytes();
    for (unsigned turn = 0; turn < 3000; turn++)
        for (int i = 0; i < 2; i++) {
            tls_end_write_all(end[i], bytes + turn, 1);
            cr_assert(layer_tls_update_keys(end[i]->top));
        }
    expect(&ends->server, bytes, 3000);
    expect(&ends->client, bytes, 3000);
    for (int i = 0; i < 2; i++)
        tls_end_write_all(end[i], "after", 5);
    expect(&ends->server, (const uint8_t *)"after", 5);
    expect(&ends->client, (const uint8_t *)"after", 5);
    free_ends(ends);
}

Test(tls_layer, keys_that_are_changed_while_data_waits_do_not_harm_it)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    struct layer *server = ends->server.top;
    size_t n, written = 0, received = 0;

    fill_bytes();
    while (received < 200 * 1024) {
        ends->down.takes = 1000; /* a part of a record */
        if (server->ops->write(server, bytes + written, 20000, &n) == IO_OK)
            written += n;
        cr_assert(layer_tls_update_keys(ends->client.top));
        cr_assert_eq(read_some(&ends->server, &n), IO_AGAIN); /* answers behind what waits */
        if (read_some(&ends->client, &n) == IO_OK) {
            cr_assert(memcmp(got, bytes + received, n) == 0);
            received += n;
        }
        cr_assert(!stream_error_set(&ends->client.error), "%s", tls_end_error(&ends->client));
    }
    free_ends(ends);
}

Test(tls_layer, records_of_every_small_size_pass)
{
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
            size_t n;

            fill_bytes();
            cr_assert_eq(ends->client.top->ops->write(ends->client.top, bytes, 0, &n), IO_OK);
            for (size_t size = 1; size < 300; size++)
                tls_end_write_all(&ends->client, bytes, size);
            for (size_t size = 1; size < 300; size++)
                expect(&ends->server, bytes, size);
            free_ends(ends);
        }
}

Test(tls_layer, tls_inside_tls_works)
{
    for
        EACH_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(levels[i]);
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
            expect(&ends->server, bytes, sizeof bytes);
            tls_end_write_all(&ends->server, bytes, sizeof bytes);
            expect(&ends->client, bytes, sizeof bytes);
            cr_assert_eq(ends->client.top->ops->end(ends->client.top), IO_OK);
            cr_assert(ends->up.has_ended);
            cr_assert_eq(read_some(&ends->server, &n), IO_EOF);
            cr_assert_eq(ends->server.top->below->ops->read(ends->server.top->below, got, 1, &n),
                         IO_EOF, "the outer one was ended, too");
            free_ends(ends);
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
    free_ends(ends);
}

Test(tls_layer, an_abandoned_handshake_leaves_nothing_behind)
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
        free_ends(ends);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

Test(tls_layer, a_peer_that_leaves_in_the_handshake_is_an_error)
{
    struct tls_ends *ends = tls_ends_new();
    struct tls_context *client = tls_test_context(TLS_CLIENT, NULL, "root.pem");

    tls_end_push(ends, &ends->client, (struct layer_tls_options){.context = client});
    ends->down.has_ended = true;
    cr_assert_eq(ends->client.top->ops->open(ends->client.top), IO_ERROR);
    cr_assert_str_eq(tls_end_error(&ends->client), "tls.handshake.protocol");
    tls_context_unref(client);
    free_ends(ends);
}

/* At whatever byte: it did nothing wrong. */
Test(tls_layer, a_client_that_leaves_in_the_handshake_is_the_end)
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
    free_ends(ends);
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
        free_ends(ends);
    }
    tls_context_unref(client);
    tls_context_unref(server);
}

Test(tls_layer, what_is_no_tls_is_an_error)
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
        free_ends(ends);
    }
    tls_context_unref(server);
}
