/* test_layer_tls_queue.c - what waits in the TLS layer: how much, in whose memory, and whom it may keep from reading. */
#include "tests/unit/random.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_layer_queue, .timeout = 60);

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

Test(tls_layer_queue, records_are_read_ahead_and_written_together)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    unsigned reads = ends->up.reads, writes = ends->up.writes;

    fill_bytes();
    tls_end_write_all(&ends->client, bytes, 256 * 1024); /* 16 records of 16 KiB */
    cr_assert_leq(ends->up.writes - writes, 6);
    tls_end_expect(&ends->server, bytes, 256 * 1024);
    cr_assert_leq(ends->up.reads - reads, 8);
    tls_ends_free(ends);
}

Test(tls_layer_queue, what_waits_in_the_layer_is_said_although_the_wire_is_silent)
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
    tls_ends_free(ends);
}

Test(tls_layer_queue, an_idle_layer_holds_no_block)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);

    fill_bytes();
    cr_assert_eq(ends->pool.lent, 0);
    tls_end_write_all(&ends->client, bytes, sizeof bytes);
    tls_end_expect(&ends->server, bytes, sizeof bytes);
    cr_assert_eq(ends->pool.lent, 0);
    tls_ends_free(ends);
}

Test(tls_layer_queue, keys_are_changed_at_any_moment_in_both_directions)
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
            tls_end_expect(reader, bytes + at[i], turn + 10);
            at[i] += turn + 10;
            read_some(reader, &n);
        }
    }
    tls_ends_free(ends);
}

/* A peer that asks for new keys again and again and reads nothing: answers wait, within a bound;
 * then the layer stops reading, and goes on when they have gone. */
Test(tls_layer_queue, a_peer_that_only_asks_for_keys_costs_bounded_memory)
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
    tls_end_expect(&ends->client, "indeed", 6);
    tls_ends_free(ends);
}

/* Else two ends that both have a full wire before them, and write more, would wait for each other. */
Test(tls_layer_queue, what_waits_to_be_written_keeps_nothing_from_being_read)
{
    static const uint8_t much[1024 * 1024];

    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends = tls_ends_talking(tls_levels[i]);
            struct layer *server = ends->server.top;
            size_t n = 0;

            ends->down.takes = 0;
            cr_assert_eq(server->ops->write(server, much, sizeof much, &n), IO_OK);
            cr_assert_gt(n, 0);
            cr_assert_lt(n, sizeof much);
            for (int turn = 0; turn < 100; turn++) {
                tls_end_write_all(&ends->client, "hear me", 7);
                tls_end_expect(&ends->server, (const uint8_t *)"hear me", 7);
                if (tls_levels[i] == TLS_LEVEL_1_3 && turn < 10)
                    cr_assert(layer_tls_update_keys(ends->client.top));
            }
            tls_ends_free(ends);
        }
}

/* Both change keys thousands of times, with data in between, before the other one reads at all. */
Test(tls_layer_queue, thousands_of_new_keys_in_both_directions_wait_to_be_read)
{
    struct tls_ends *ends = tls_ends_talking(TLS_LEVEL_1_3);
    struct tls_end *end[] = {&ends->client, &ends->server};

    fill_bytes();
    for (unsigned turn = 0; turn < 3000; turn++)
        for (int i = 0; i < 2; i++) {
            tls_end_write_all(end[i], bytes + turn, 1);
            cr_assert(layer_tls_update_keys(end[i]->top));
        }
    tls_end_expect(&ends->server, bytes, 3000);
    tls_end_expect(&ends->client, bytes, 3000);
    for (int i = 0; i < 2; i++)
        tls_end_write_all(end[i], "after", 5);
    tls_end_expect(&ends->server, (const uint8_t *)"after", 5);
    tls_end_expect(&ends->client, (const uint8_t *)"after", 5);
    tls_ends_free(ends);
}

Test(tls_layer_queue, keys_that_are_changed_while_data_waits_do_not_harm_it)
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
    tls_ends_free(ends);
}
