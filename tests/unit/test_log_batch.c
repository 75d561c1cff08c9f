/* test_log_batch.c - lines leave the rings entire and in order, with what belongs to them, however
 * they lie in the ring and however much fits. */
#include "daemon/log_batch.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(log_batch, .timeout = 10);

static struct log_batch batch;

static struct log_ring *ring_new(void)
{
    struct log_ring *ring = calloc(1, sizeof *ring);

    cr_assert(ring);
    return ring;
}

/* A line that says its number, with `n` letters behind it. False: no place. */
static bool put(struct log_ring *ring, unsigned number, size_t n)
{
    static char letters[LOG_RECORD_MAX];
    struct log_record record;
    size_t used;

    memset(letters, 'a' + (int)(number % 26), sizeof letters);
    log_record_begin(&record, LOG_TEXT);
    record.head.second = number;
    record.head.level = (uint16_t)(number % 5);
    log_record_number(&record, "n", number);
    log_record_bytes(&record, "v", letters, n);
    log_record_end(&record);
    return log_ring_put(ring, (const char *)&record.head, sizeof record.head + record.length,
                        &used);
}

static void expect_line(const struct log_line *line, unsigned number)
{
    char expected[32];
    int n = snprintf(expected, sizeof expected, "n=%u v=", number);

    cr_assert_eq(line->head.second, number);
    cr_assert_eq(line->head.level, number % 5);
    cr_assert_eq(line->head.format, LOG_TEXT);
    cr_assert_eq(line->stands_for, 1);
    cr_assert_arr_eq(line->text, expected, (size_t)n);
    for (const char *at = line->text + n; at < line->text + line->head.length - 1; at++)
        cr_assert_eq(*at, 'a' + (char)(number % 26));
    cr_assert_eq(line->text[line->head.length - 1], '\n');
}

Test(log_batch, empty_ring_gives_nothing)
{
    struct log_ring *ring = ring_new();

    cr_assert(log_batch_take(&batch, ring));
    cr_assert(batch.count == 0 && batch.length == 0);
    free(ring);
}

Test(log_batch, texts_of_several_rings_stand_one_behind_the_other)
{
    struct log_ring *one = ring_new(), *two = ring_new();

    put(one, 0, 3);
    put(one, 1, 4);
    put(two, 2, 5);
    cr_assert(log_batch_take(&batch, one) && log_batch_take(&batch, two));
    cr_assert_eq(batch.count, 3);
    for (unsigned i = 0; i < 3; i++)
        expect_line(&batch.lines[i], i);
    cr_assert_eq(batch.lines[0].text, batch.bytes);
    for (unsigned i = 1; i < 3; i++)
        cr_assert_eq(batch.lines[i].text, batch.lines[i - 1].text + batch.lines[i - 1].head.length);
    cr_assert_eq(batch.length,
                 (size_t)(batch.lines[2].text + batch.lines[2].head.length - batch.bytes));
    free(one);
    free(two);
}

Test(log_batch, record_is_added_and_stands_for_many)
{
    struct log_record record;

    log_record_begin(&record, LOG_JSON);
    log_record_number(&record, "lines", 7);
    log_record_end(&record);
    cr_assert(log_batch_add(&batch, &record, 7));
    cr_assert(batch.count == 1 && batch.lines[0].stands_for == 7);
    cr_assert_eq(batch.lines[0].head.format, LOG_JSON);
    cr_assert_arr_eq(batch.lines[0].text, "{\"lines\":7}\n", 12);
    for (size_t i = 1; i < LOG_BATCH_LINES; i++)
        cr_assert(log_batch_add(&batch, &record, 1));
    cr_assert_not(log_batch_add(&batch, &record, 1));
    cr_assert_eq(batch.count, LOG_BATCH_LINES);
    log_batch_clear(&batch);
    cr_assert(log_batch_add(&batch, &record, 1) && batch.count == 1);
}

Test(log_batch, what_does_not_fit_stays_in_the_ring)
{
    struct log_ring *ring = ring_new();
    unsigned next = 0;

    for (unsigned i = 0; i < 60; i++)
        cr_assert(put(ring, i, 4000));
    while (next < 60) {
        bool emptied;

        log_batch_clear(&batch);
        emptied = log_batch_take(&batch, ring);
        cr_assert_gt(batch.count, 0);
        cr_assert_leq(batch.length, LOG_BATCH_SIZE);
        for (size_t i = 0; i < batch.count; i++)
            expect_line(&batch.lines[i], next++);
        cr_assert_eq(emptied, next == 60);
    }
    free(ring);
}

/* Also heads and lines that lie across the ring's end, at every place of theirs. */
Test(log_batch, any_sequence_of_lines_comes_out_as_it_was)
{
    struct log_ring *ring = ring_new();
    unsigned put_count = 0, taken = 0;
    uint64_t seed = 3164;

    while (put_count < 60000) {
        size_t lines = random_below(&seed, 40);

        while (lines-- && put(ring, put_count, 1 + random_below(&seed, 300)))
            put_count++;
        log_batch_clear(&batch);
        log_batch_take(&batch, ring);
        for (size_t i = 0; i < batch.count; i++)
            expect_line(&batch.lines[i], taken++);
    }
    cr_assert_gt(taken, 50000);
    free(ring);
}
