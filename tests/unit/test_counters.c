/* test_counters.c - counted by several threads, each on its own, nothing is lost in the sum; errors have
 * their names, and no peer can make more names than there is room for. */
#include "daemon/counters.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

TestSuite(counters, .timeout = 10);

static uint64_t count_of(const struct counters_sum *sum, const char *name)
{
    for (unsigned i = 0; i < sum->error_count; i++)
        if (strcmp(sum->errors[i].name, name) == 0)
            return sum->errors[i].count;
    return 0;
}

static struct counters_sum sum_of(const struct counters *a, const struct counters *b)
{
    struct counters_sum sum = {0};

    cr_assert(counters_sum_add(&sum, a));
    if (b)
        cr_assert(counters_sum_add(&sum, b));
    return sum;
}

static void end(struct counters *counters, struct stream_error error, int times)
{
    while (times-- > 0)
        counters_ended(counters, &error);
}

Test(counters, errors_are_summed_by_name_over_workers)
{
    struct counters *a = counters_new(), *b = counters_new();
    struct counters_sum sum;

    end(a, (struct stream_error){0}, 3);
    end(b, (struct stream_error){0}, 2);
    end(a, stream_error_of(ERROR_TIMEOUT_IDLE), 1);
    end(b, stream_error_of(ERROR_SYSTEM_CONNECT_REFUSED), 4);
    sum = sum_of(a, b);
    cr_assert_eq(count_of(&sum, "none"), 5);
    cr_assert_eq(count_of(&sum, "timeout.idle"), 1);
    cr_assert_eq(count_of(&sum, "system.connect.refused"), 4);
    cr_assert_eq(sum.error_count, 3);
    counters_sum_done(&sum);
    free(a);
    free(b);
}

Test(counters, rows_that_share_a_name_are_one)
{
    struct counters *counters = counters_new();
    struct counters_sum sum;

    end(counters, stream_error_of(ERROR_RESOLVER_INVALID), 2);
    end(counters, stream_error_of(ERROR_RESOLVER_EMPTY), 3);
    sum = sum_of(counters, NULL);
    cr_assert_eq(count_of(&sum, "resolver.name.invalid"), 5);
    cr_assert_eq(sum.error_count, 1);
    counters_sum_done(&sum);
    free(counters);
}

Test(counters, any_errno_is_other)
{
    struct counters *counters = counters_new();
    struct counters_sum sum;

    for (int i = 200; i < 300; i++)
        end(counters, stream_error_code(ERROR_SYSTEM_CONNECT_OTHER, i), 1);
    sum = sum_of(counters, NULL);
    cr_assert_eq(count_of(&sum, "system.connect.other"), 100);
    counters_sum_done(&sum);
    free(counters);
}

Test(counters, number_of_a_peer_is_in_the_name_until_there_are_too_many)
{
    struct counters *counters = counters_new();
    struct counters_sum sum;

    for (int status = 100; status < 600; status++)
        end(counters, stream_error_code(ERROR_HTTP_STATUS, status), 2);
    end(counters, stream_error_code(ERROR_HTTP_STATUS, 100), 1);
    sum = sum_of(counters, NULL);
    cr_assert_eq(count_of(&sum, "http.status.100"), 3);
    cr_assert_eq(count_of(&sum, "http.status.101"), 2);
    cr_assert_eq(count_of(&sum, "http.status.other"), 2 * (500 - COUNTERS_CODES));
    cr_assert_eq(sum.error_count, COUNTERS_CODES + 1);
    counters_sum_done(&sum);
    free(counters);
}

Test(counters, error_of_no_row_is_unknown)
{
    struct counters *counters = counters_new();
    struct counters_sum sum;

    end(counters, (struct stream_error){60000, 1, 2}, 1);
    sum = sum_of(counters, NULL);
    cr_assert_eq(count_of(&sum, "unknown"), 1);
    counters_sum_done(&sum);
    free(counters);
}

Test(counters, time_is_in_the_first_bucket_that_holds_it)
{
    struct counters *counters = counters_new();
    struct histogram *setup = &counters->times[COUNTERS_SETUP];
    struct counters_sum sum;
    const uint64_t times[] = {0, 1, 2, 3, 30000, 30001, 1000000000};

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        histogram_observe(setup, times[i]);
    sum = sum_of(counters, NULL);
    cr_assert_eq(sum.times[COUNTERS_SETUP].buckets[0], 2);
    cr_assert_eq(sum.times[COUNTERS_SETUP].buckets[1], 1);
    cr_assert_eq(sum.times[COUNTERS_SETUP].buckets[2], 1);
    cr_assert_eq(sum.times[COUNTERS_SETUP].buckets[COUNTERS_BUCKETS - 1], 1);
    cr_assert_eq(sum.times[COUNTERS_SETUP].buckets[COUNTERS_BUCKETS], 2);
    cr_assert_eq(sum.times[COUNTERS_SETUP].count, 7);
    cr_assert_eq(sum.times[COUNTERS_SETUP].sum_ms, 1000060007);
    cr_assert_eq(sum.times[COUNTERS_RESOLVE].count, 0);
    counters_sum_done(&sum);
    free(counters);
}

enum { THREADS = 4, ROUNDS = 20000 };

static struct listener_blocks blocks;

static void *count_much(void *index)
{
    struct listener_counters *mine = listener_blocks_of(&blocks, (unsigned)(uintptr_t)index);

    for (int i = 0; i < ROUNDS; i++) {
        counter_add(&mine->started, 1);
        counter_add(&mine->sent, 7);
        if (i % 2)
            counter_add(&mine->ended, 1);
    }
    return NULL;
}

Test(counters, sum_loses_nothing_of_many_threads)
{
    pthread_t threads[THREADS];
    struct listener_sum sum;

    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count_much, (void *)(i * 50)), 0);
    do
        sum = listener_blocks_sum(&blocks);
    while (sum.started < ROUNDS); /* read while they write */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sum = listener_blocks_sum(&blocks);
    cr_assert_eq(sum.started, THREADS * ROUNDS);
    cr_assert_eq(sum.sent, 7 * THREADS * ROUNDS);
    cr_assert_eq(sum.now, THREADS * ROUNDS / 2);
    listener_blocks_done(&blocks);
}
