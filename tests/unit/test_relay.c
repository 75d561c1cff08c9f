/* test_relay.c - the relay between two scripted pairs: nothing lost, nothing doubled, nothing kept
 * beyond its bound, ends and failures handed on in order. */
#include "daemon/relay.h"
#include "tests/unit/scripted_layer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(relay, .timeout = 10);

/* A session's plumbing without the session. */
struct plumbing {
    struct stream_pair left, right;
    struct scripted_layer client, target;
    struct relay_direction up, down;
    struct buffer_pool pool;
    struct relay_tools tools;
    uint8_t *data;
};

static struct plumbing *plumb(size_t data_size)
{
    struct plumbing *p = calloc(1, sizeof *p);

    scripted_pair(&p->left, &p->client);
    scripted_pair(&p->right, &p->target);
    p->up = (struct relay_direction){.from = &p->left, .to = &p->right, .reverse = &p->down};
    p->down = (struct relay_direction){.from = &p->right, .to = &p->left, .reverse = &p->up};
    p->tools = (struct relay_tools){.pool = &p->pool, .scratch = malloc(RELAY_SCRATCH)};
    p->client.takes = p->target.takes = SIZE_MAX;
    p->data = malloc(data_size + 1);
    for (size_t i = 0; i < data_size; i++)
        p->data[i] = (uint8_t)(i * 7 + i / 251);
    p->client.input = p->data;
    p->client.input_length = data_size;
    return p;
}

static void unplumb(struct plumbing *p)
{
    buffer_clear(&p->up.waiting, &p->pool);
    buffer_clear(&p->down.waiting, &p->pool);
    cr_assert_eq(p->pool.lent, 0, "a block was not given back");
    buffer_pool_done(&p->pool);
    pair_close(&p->left);
    pair_close(&p->right);
    free(p->tools.scratch);
    free(p->data);
    free(p);
}

static enum relay_result pump_ready(struct plumbing *p)
{
    scripted_ready(&p->left);
    scripted_ready(&p->right);
    return relay_pump(&p->up, &p->tools, NULL);
}

static void assert_all_arrived(struct plumbing *p)
{
    cr_assert_eq(p->target.output_length, p->client.input_length);
    cr_assert_eq(memcmp(p->target.output, p->data, p->client.input_length), 0);
    cr_assert_eq(p->up.bytes, (int64_t)p->client.input_length);
}

Test(relay, bytes_arrive_whole_for_every_portion_and_every_appetite)
{
    static const size_t portions[] = {1, 2, 3, 100, 4095, 4096, 65535, 65536, 0};
    static const size_t appetites[] = {1, 7, 4096, 65536, SIZE_MAX};

    for (size_t i = 0; i < sizeof portions / sizeof portions[0]; i++) {
        for (size_t j = 0; j < sizeof appetites / sizeof appetites[0]; j++) {
            size_t size = portions[i] == 1 || appetites[j] == 1 ? 3000 : 300000;
            struct plumbing *p = plumb(size);
            int turns = 0;

            p->client.portion = portions[i];
            p->client.again_between = true;
            p->client.ends = true;
            while (p->up.state != RELAY_ENDED) {
                p->target.takes = appetites[j];
                cr_assert(pump_ready(p) <= RELAY_MOVED);
                cr_assert_leq(p->pool.lent, BUFFER_LARGE);
                cr_assert_lt(++turns, 1000000);
            }
            assert_all_arrived(p);
            cr_assert_eq(p->target.ends_seen, 1);
            unplumb(p);
        }
    }
}

Test(relay, nothing_is_read_while_something_waits)
{
    struct plumbing *p = plumb(200000);
    unsigned reads;

    p->target.takes = 10;
    cr_assert_eq(pump_ready(p), RELAY_MOVED);
    cr_assert(relay_wants_write(&p->up));
    cr_assert(!relay_wants_read(&p->up));
    reads = p->client.reads;
    for (int i = 0; i < 10; i++)
        cr_assert_eq(pump_ready(p), RELAY_IDLE);
    cr_assert_eq(p->client.reads, reads);
    cr_assert_leq(p->pool.lent, BUFFER_LARGE);
    unplumb(p);
}

Test(relay, a_slow_reader_makes_the_next_reads_small)
{
    struct plumbing *p = plumb(200000);

    p->target.takes = 10;
    pump_ready(p);
    cr_assert_eq(p->pool.lent, BUFFER_LARGE);
    p->target.takes = buffer_waiting(&p->up.waiting) + 10;
    pump_ready(p);
    cr_assert_eq(p->pool.lent, BUFFER_MEDIUM);
    unplumb(p);
}

Test(relay, an_idle_direction_holds_no_block)
{
    struct plumbing *p = plumb(1000);

    pump_ready(p);
    assert_all_arrived(p);
    cr_assert_eq(p->pool.lent, 0);
    unplumb(p);
}

Test(relay, a_turn_has_a_budget)
{
    struct plumbing *p = plumb(500000);

    pump_ready(p);
    cr_assert_lt(p->target.output_length, p->client.input_length);
    cr_assert_gt(p->target.output_length, 0);
    unplumb(p);
}

Test(relay, the_end_comes_after_all_bytes)
{
    struct plumbing *p = plumb(5000);

    p->client.ends = true;
    p->target.takes = 100;
    pump_ready(p);
    pump_ready(p);
    cr_assert_eq(p->target.ends_seen, 0, "the end overtook bytes");
    p->target.takes = SIZE_MAX;
    pump_ready(p);
    if (p->up.state != RELAY_ENDED)
        pump_ready(p);
    cr_assert_eq(p->target.ends_seen, 1);
    cr_assert_eq(p->up.state, RELAY_ENDED);
    assert_all_arrived(p);
    unplumb(p);
}

Test(relay, an_end_is_handed_on_once)
{
    struct plumbing *p = plumb(0);

    p->client.ends = true;
    pump_ready(p);
    for (int i = 0; i < 5; i++)
        pump_ready(p);
    cr_assert_eq(p->target.ends_seen, 1);
    unplumb(p);
}

Test(relay, the_other_direction_goes_on_after_an_end)
{
    struct plumbing *p = plumb(0);

    p->client.ends = true;
    pump_ready(p);
    p->target.input = (const uint8_t *)"late answer";
    p->target.input_length = 11;
    scripted_ready(&p->right);
    cr_assert_eq(relay_pump(&p->down, &p->tools, NULL), RELAY_MOVED);
    cr_assert_eq(p->client.output_length, 11);
    cr_assert_eq(memcmp(p->client.output, "late answer", 11), 0);
    unplumb(p);
}

Test(relay, a_reset_at_any_read_is_a_failed_read_with_its_name)
{
    for (unsigned n = 1; n < 8; n++) {
        struct plumbing *p = plumb(5000);
        enum relay_result result = RELAY_MOVED;

        p->client.portion = 1000;
        p->client.fail_read = n;
        for (int i = 0; i < 20 && result <= RELAY_MOVED; i++)
            result = pump_ready(p);
        if (n <= 6) {
            cr_assert_eq(result, RELAY_READ_FAILED);
            cr_assert(stream_error_is(&p->left.error, ERROR_SYSTEM_READ_RESET));
            cr_assert_eq(p->left.state, PAIR_ERROR);
        }
        unplumb(p);
    }
}

Test(relay, a_broken_pipe_at_any_write_is_a_failed_write_and_leaves_the_other_direction_readable)
{
    for (unsigned n = 1; n < 6; n++) {
        struct plumbing *p = plumb(5000);
        enum relay_result result = RELAY_MOVED;

        p->client.portion = 1000;
        p->target.fail_write = n;
        p->target.input = (const uint8_t *)"413";
        p->target.input_length = 3;
        for (int i = 0; i < 20 && result <= RELAY_MOVED; i++)
            result = pump_ready(p);
        cr_assert_eq(result, RELAY_WRITE_FAILED);
        cr_assert(stream_error_is(&p->right.error, ERROR_SYSTEM_WRITE_RESET));
        cr_assert_eq(relay_pump(&p->down, &p->tools, NULL), RELAY_MOVED);
        cr_assert_eq(p->client.output_length, 3);
        unplumb(p);
    }
}

Test(relay, a_failure_while_flushing_is_a_failed_write)
{
    struct plumbing *p = plumb(5000);

    p->target.takes = 10;
    pump_ready(p);
    p->target.fail_write = p->target.writes + 1;
    cr_assert_eq(pump_ready(p), RELAY_WRITE_FAILED);
    unplumb(p);
}

/* ---- with a bucket */

enum { START = 1000000 };

/* Pumps until the end, as the session's timer does: whenever the bucket allows again. Returns the time. */
static uint64_t pump_held(struct plumbing *p, struct throttle *throttle, unsigned *ret_pumps)
{
    uint64_t now = START;

    for (*ret_pumps = 0; p->up.state != RELAY_ENDED; ++*ret_pumps) {
        size_t before = p->target.output_length, allowed;

        scripted_ready(&p->left);
        scripted_ready(&p->right);
        throttle_fill(throttle, now);
        allowed = throttle_allows(throttle);
        cr_assert_leq(relay_pump(&p->up, &p->tools, throttle), RELAY_MOVED);
        cr_assert_leq(p->target.output_length - before, allowed);
        cr_assert_lt(*ret_pumps, 100000);
        if (relay_waits_for_throttle(&p->up)) {
            cr_assert_not(relay_wants_read(&p->up));
            now = throttle_due(throttle);
        }
    }
    return now;
}

Test(relay, a_bucket_bounds_what_is_read_and_nothing_is_lost)
{
    static const size_t portions[] = {100, 4096, 65536, 0};
    struct throttle throttle;
    unsigned pumps;

    for (size_t i = 0; i < sizeof portions / sizeof portions[0]; i++) {
        struct plumbing *p = plumb(300000);
        uint64_t ended;

        throttle_init(&throttle, 100000, START);
        p->client.portion = portions[i];
        p->client.ends = true;
        ended = pump_held(p, &throttle, &pumps);
        assert_all_arrived(p);
        cr_assert_eq(p->target.ends_seen, 1);
        cr_assert(ended >= START + 2900 && ended <= START + 3000, "%lu", (unsigned long)ended);
        unplumb(p);
    }
}

Test(relay, an_end_that_is_known_is_not_held_behind_the_last_byte)
{
    struct plumbing *p = plumb(2048);
    struct throttle throttle;

    throttle_init(&throttle, 100, START);
    p->client.ends = true;
    scripted_peeks(&p->client);
    p->left.has_ended = true;
    scripted_ready(&p->left);
    cr_assert_eq(relay_pump(&p->up, &p->tools, &throttle), RELAY_MOVED);
    cr_assert_eq(throttle_allows(&throttle), 0);
    assert_all_arrived(p);
    cr_assert_eq(p->up.state, RELAY_ENDED);
    cr_assert_not(relay_waits_for_throttle(&p->up));
    unplumb(p);
}

Test(relay, a_reset_is_not_held_either)
{
    struct plumbing *p = plumb(2048);
    struct throttle throttle;

    throttle_init(&throttle, 100, START);
    p->client.fail_read = 2;
    scripted_peeks(&p->client);
    p->left.has_ended = true;
    scripted_ready(&p->left);
    cr_assert_eq(relay_pump(&p->up, &p->tools, &throttle), RELAY_READ_FAILED);
    cr_assert_eq(p->target.output_length, 2048);
    cr_assert(stream_error_is(&p->left.error, ERROR_SYSTEM_READ_RESET));
    unplumb(p);
}

Test(relay, who_waits_for_the_other_side_does_not_wait_for_its_bucket)
{
    struct plumbing *p = plumb(10000);
    struct throttle throttle;

    throttle_init(&throttle, 1000, START);
    p->target.takes = 10;
    scripted_ready(&p->left);
    relay_pump(&p->up, &p->tools, &throttle);
    cr_assert(relay_wants_write(&p->up));
    cr_assert_not(relay_waits_for_throttle(&p->up));
    p->target.takes = SIZE_MAX;
    scripted_ready(&p->right);
    relay_pump(&p->up, &p->tools, &throttle);
    cr_assert_eq(p->target.output_length, THROTTLE_BURST_MIN);
    cr_assert(relay_waits_for_throttle(&p->up));
    unplumb(p);
}

Test(relay, a_last_word_is_no_longer_than_the_bucket_allows)
{
    struct plumbing *p = plumb(10000);
    struct throttle throttle;

    throttle_init(&throttle, 1000, START);
    relay_last_word(&p->up, &p->tools, &throttle);
    cr_assert_eq(p->target.output_length, THROTTLE_BURST_MIN);
    throttle_fill(&throttle, START + 256);
    relay_last_word(&p->up, &p->tools, &throttle);
    cr_assert_eq(p->target.output_length, THROTTLE_BURST_MIN + 256);
    unplumb(p);
}
