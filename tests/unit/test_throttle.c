/* test_throttle.c - the token bucket: how much passes in a time, how much at once, and how often who waits
 * is woken. */
#include "daemon/throttle.h"

#include <criterion/criterion.h>

TestSuite(throttle, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

enum { START = 5000000 };

static const int64_t rates[] = {
    1, 100, 1000, 10 * 1024, 64000, 1000000, 10 << 20, 100000000, 1 << 30, INT64_C(1) << 40,
};

static int64_t burst_of(int64_t rate)
{
    return rate / 10 > THROTTLE_BURST_MIN ? rate / 10 : THROTTLE_BURST_MIN;
}

/* A stream that takes all it may, in portions; it comes back when it is told to, `late` ms after that. Returns
 * what it got up to `end`; *ret_wakes: how often it came. */
static int64_t take_greedily(struct throttle *t, size_t portion, uint64_t now, uint64_t end,
                             uint64_t late, unsigned *ret_wakes)
{
    int64_t taken = 0;

    *ret_wakes = 0;
    for (; now <= end; now = throttle_due(t) + late) {
        size_t n;

        throttle_fill(t, now);
        while ((n = throttle_allows(t)) > 0) {
            n = n < portion ? n : portion;
            throttle_take(t, n);
            taken += (int64_t)n;
        }
        ++*ret_wakes;
        cr_assert_gt(throttle_due(t), now);
    }
    return taken;
}

Test(throttle, greedy_stream_gets_its_rate_and_is_woken_twenty_times_a_second_at_most)
{
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct throttle t;
        unsigned wakes;
        int64_t taken;

        throttle_init(&t, rates[i], START);
        taken = take_greedily(&t, rates[i] < 1 << 20 ? 1000 : SIZE_MAX, START, START + 10000, 0,
                              &wakes);
        cr_assert_leq(taken, burst_of(rates[i]) + 10 * rates[i], "%ld", (long)rates[i]);
        cr_assert_geq(taken, burst_of(rates[i]) + 10 * rates[i] - burst_of(rates[i]) / 2 - 1, "%ld",
                      (long)rates[i]);
        cr_assert_leq(wakes, 201, "%ld", (long)rates[i]);
    }
}

Test(throttle, rate_holds_within_five_percent_for_who_is_woken_late)
{
    for (size_t i = 0; i < COUNT(rates); i++) {
        struct throttle t;
        unsigned wakes;
        int64_t taken;

        if (rates[i] < 10 * 1024)
            continue; /* of so few the first are more than that */
        throttle_init(&t, rates[i], START);
        taken = take_greedily(&t, SIZE_MAX, START, START + 10000, 40, &wakes);
        cr_assert(taken >= 95 * rates[i] / 10 && taken <= 105 * rates[i] / 10, "%ld: %ld",
                  (long)rates[i], (long)taken);
    }
}

Test(throttle, what_was_not_used_does_not_add_up_beyond_the_burst)
{
    static const uint64_t pauses[] = {
        100, 101, 3000, 1000000, UINT64_C(1) << 40, UINT64_C(1) << 62};

    for (size_t i = 0; i < COUNT(rates); i++) {
        for (size_t j = 0; j < COUNT(pauses); j++) {
            struct throttle t;

            throttle_init(&t, rates[i], START);
            throttle_take(&t, throttle_allows(&t));
            throttle_fill(&t, START + pauses[j]);
            cr_assert_leq(throttle_allows(&t), (size_t)burst_of(rates[i]));
            throttle_fill(&t, START + pauses[j] + 3000000);
            cr_assert_eq(throttle_allows(&t), (size_t)burst_of(rates[i]));
        }
    }
}

Test(throttle, fractions_of_a_byte_are_not_lost)
{
    struct throttle t;
    int64_t taken = 0;

    throttle_init(&t, 300, START);
    throttle_take(&t, throttle_allows(&t));
    for (uint64_t now = START; now <= START + 100000; now++) {
        size_t n;

        throttle_fill(&t, now);
        n = throttle_allows(&t);
        throttle_take(&t, n);
        taken += (int64_t)n;
    }
    cr_assert(taken >= 30000 - 256 && taken <= 30000, "%ld", (long)taken);
}

Test(throttle, an_empty_one_gives_nothing_before_it_holds_a_piece)
{
    struct throttle t;

    throttle_init(&t, 64000, START);
    throttle_take(&t, 6399);
    cr_assert_eq(throttle_allows(&t), 1);
    throttle_take(&t, 1);
    cr_assert_eq(throttle_due(&t), START + 50);
    throttle_fill(&t, START + 49);
    cr_assert_eq(throttle_allows(&t), 0);
    cr_assert_eq(throttle_due(&t), START + 50);
    throttle_fill(&t, START + 50);
    cr_assert_eq(throttle_allows(&t), 3200);
    cr_assert_leq(throttle_due(&t), START + 50);
}

Test(throttle, small_exchanges_below_the_rate_never_wait)
{
    struct throttle t;

    throttle_init(&t, 10240, START);
    for (uint64_t now = START; now < START + 10000; now += 10) {
        throttle_fill(&t, now);
        cr_assert_geq(throttle_allows(&t), 64);
        throttle_take(&t, 64);
    }
}

Test(throttle, what_was_taken_beyond_the_limit_is_owed)
{
    struct throttle t;

    throttle_init(&t, 20480, START);
    throttle_take(&t, 2048 + 10240);
    cr_assert_eq(throttle_allows(&t), 0);
    cr_assert_eq(throttle_due(&t), START + 550);
    throttle_fill(&t, START + 550);
    cr_assert_eq(throttle_allows(&t), 1024);
}

Test(throttle, whole_messages_pass_while_there_is_anything_and_keep_the_rate)
{
    struct throttle t;
    int64_t passed = 0;

    throttle_init(&t, 10240, START);
    cr_assert(throttle_pass(&t, 60000, START), "one larger than the bucket could never pass");
    cr_assert_not(throttle_pass(&t, 1, START + 1));
    throttle_init(&t, 10240, START);
    for (uint64_t now = START; now < START + 10000; now++)
        passed += throttle_pass(&t, 1400, now) ? 1400 : 0;
    cr_assert(passed >= 102400 && passed <= 102400 + 2048 + 1400, "%ld", (long)passed);
}

Test(throttle, a_refused_message_costs_nothing)
{
    struct throttle t;

    throttle_init(&t, 10000, START);
    cr_assert(throttle_pass(&t, 2048, START));
    for (int i = 0; i < 1000; i++)
        cr_assert_not(throttle_pass(&t, 100, START));
    cr_assert(throttle_pass(&t, 100, START + 1));
}
