/* test_log_ring.c - the ring between a worker and the log's writer: lines come out whole, in
 * order and unchanged, or were counted as lost; the worker never waits. */
#include "daemon/log_ring.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

TestSuite(log_ring, .timeout = 10);

static struct log_ring *ring_new(void)
{
    struct log_ring *ring = calloc(1, sizeof *ring);

    cr_assert(ring);
    return ring;
}

static size_t waiting(const struct iovec pieces[2])
{
    return pieces[0].iov_len + pieces[1].iov_len;
}

/* Takes all that waits; `out` has LOG_RING_SIZE bytes. */
static size_t take_all(struct log_ring *ring, char *out)
{
    struct iovec pieces[2];
    size_t n = 0;
    int count = log_ring_peek(ring, pieces);

    for (int i = 0; i < count; i++) {
        memcpy(out + n, pieces[i].iov_base, pieces[i].iov_len);
        n += pieces[i].iov_len;
    }
    log_ring_taken(ring, n);
    return n;
}

Test(log_ring, zeroed_is_empty)
{
    struct log_ring *ring = ring_new();
    struct iovec pieces[2];

    cr_assert_eq(log_ring_peek(ring, pieces), 0);
    cr_assert_eq(waiting(pieces), 0);
    cr_assert_eq(atomic_load(&ring->lost), 0);
    free(ring);
}

Test(log_ring, lines_come_out_in_order)
{
    struct log_ring *ring = ring_new();
    struct iovec pieces[2];
    size_t used = 4711;

    cr_assert(log_ring_put(ring, "one\n", 4, &used) && used == 4);
    cr_assert(log_ring_put(ring, "two\n", 4, &used) && used == 8);
    cr_assert_eq(log_ring_peek(ring, pieces), 1);
    cr_assert_eq(pieces[0].iov_len, 8);
    cr_assert_arr_eq(pieces[0].iov_base, "one\ntwo\n", 8);
    free(ring);
}

Test(log_ring, peeking_takes_nothing_and_a_part_can_be_taken)
{
    struct log_ring *ring = ring_new();
    struct iovec pieces[2];
    size_t used;

    log_ring_put(ring, "one\ntwo\n", 8, &used);
    log_ring_peek(ring, pieces);
    log_ring_peek(ring, pieces);
    cr_assert_eq(waiting(pieces), 8);
    log_ring_taken(ring, 5);
    log_ring_peek(ring, pieces);
    cr_assert_eq(waiting(pieces), 3);
    cr_assert_arr_eq(pieces[0].iov_base, "wo\n", 3);
    cr_assert(log_ring_put(ring, "x", 1, &used) && used == 4);
    free(ring);
}

Test(log_ring, line_that_does_not_fit_is_lost_whole_and_counted)
{
    static char line[LOG_RING_SIZE + 1];
    struct log_ring *ring = ring_new();
    struct iovec pieces[2];
    size_t used = 4711;

    cr_assert_not(log_ring_put(ring, line, LOG_RING_SIZE + 1, &used));
    cr_assert_eq(used, 0);
    cr_assert_eq(atomic_load(&ring->lost), 1);
    cr_assert(log_ring_put(ring, line, LOG_RING_SIZE - 3, &used));
    cr_assert_not(log_ring_put(ring, "four", 4, &used));
    cr_assert_eq(used, LOG_RING_SIZE - 3);
    cr_assert_eq(atomic_load(&ring->lost), 2);
    cr_assert(log_ring_put(ring, "3rd", 3, &used));
    cr_assert_eq(used, LOG_RING_SIZE);
    cr_assert_not(log_ring_put(ring, "1", 1, &used));
    cr_assert_eq(atomic_load(&ring->lost), 3);
    cr_assert_eq(log_ring_peek(ring, pieces), 1);
    cr_assert_eq(waiting(pieces), LOG_RING_SIZE);
    free(ring);
}

Test(log_ring, line_across_the_end_comes_out_in_two_pieces)
{
    static char line[LOG_RING_SIZE];
    struct log_ring *ring = ring_new();
    struct iovec pieces[2];
    size_t used;

    log_ring_put(ring, line, LOG_RING_SIZE - 2, &used);
    log_ring_taken(ring, LOG_RING_SIZE - 2);
    cr_assert(log_ring_put(ring, "abcde", 5, &used) && used == 5);
    cr_assert_eq(log_ring_peek(ring, pieces), 2);
    cr_assert(pieces[0].iov_len == 2 && pieces[1].iov_len == 3);
    cr_assert_arr_eq(pieces[0].iov_base, "ab", 2);
    cr_assert_arr_eq(pieces[1].iov_base, "cde", 3);
    log_ring_taken(ring, 2);
    cr_assert_eq(log_ring_peek(ring, pieces), 1);
    cr_assert_arr_eq(pieces[0].iov_base, "cde", 3);
    free(ring);
}

/* The counters only grow: also beyond what a size_t holds. */
Test(log_ring, counters_may_overflow)
{
    struct log_ring *ring = ring_new();
    char out[16];
    size_t used;

    atomic_store(&ring->head, SIZE_MAX - 2);
    atomic_store(&ring->tail, SIZE_MAX - 2);
    cr_assert(log_ring_put(ring, "abcdefgh", 8, &used) && used == 8);
    cr_assert_eq(take_all(ring, out), 8);
    cr_assert_arr_eq(out, "abcdefgh", 8);
    cr_assert_eq(take_all(ring, out), 0);
    free(ring);
}

Test(log_ring, any_sequence_is_a_queue)
{
    static char model[LOG_RING_SIZE], out[LOG_RING_SIZE], line[40000];
    struct log_ring *ring = ring_new();
    uint64_t seed = 5424, lost = 0;
    size_t have = 0;

    for (int i = 0; i < 2000; i++) {
        size_t n = random_below(&seed, 1 + random_below(&seed, sizeof line)), used;

        if (i % 64 == 63) {
            cr_assert_eq(take_all(ring, out), have);
            cr_assert(memcmp(out, model, have) == 0);
            have = 0;
            continue;
        }
        random_fill(&seed, line, n < 100 ? n : 100);
        cr_assert_eq(log_ring_put(ring, line, n, &used), n <= LOG_RING_SIZE - have);
        if (n <= LOG_RING_SIZE - have) {
            memcpy(model + have, line, n);
            have += n;
        } else {
            lost++;
        }
        cr_assert_eq(used, have);
    }
    cr_assert_gt(lost, 0);
    cr_assert_eq(atomic_load(&ring->lost), lost);
    free(ring);
}

enum { LINES = 300000, LINE_MAX_LENGTH = 200 };

/* Line i: its number, then as many letters as the number says, then its end. */
static size_t draw_line(unsigned i, char *out)
{
    size_t letters = i * 7919U % (LINE_MAX_LENGTH - sizeof i - 1);

    memcpy(out, &i, sizeof i);
    memset(out + sizeof i, 'a' + (int)(i % 26), letters);
    out[sizeof i + letters] = '\n';
    return sizeof i + letters + 1;
}

struct production {
    struct log_ring *ring;
    bool again; /* put a lost line once more, until it is in */
    uint64_t lost;
    atomic_bool finished;
};

static void *produce(void *context)
{
    struct production *p = context;
    char line[LINE_MAX_LENGTH];
    size_t used;

    for (unsigned i = 0; i < LINES; i++) {
        size_t n = draw_line(i, line);

        while (!log_ring_put(p->ring, line, n, &used)) {
            p->lost++;
            if (!p->again)
                break;
            sched_yield();
        }
    }
    atomic_store(&p->finished, true);
    return NULL;
}

/* Reads lines out of `bytes`; returns how many bytes were whole lines. */
static size_t check_lines(const char *bytes, size_t n, bool all, unsigned *next, uint64_t *count)
{
    size_t at = 0;

    while (n - at >= sizeof(unsigned)) {
        char expected[LINE_MAX_LENGTH];
        size_t length;
        unsigned i;

        memcpy(&i, bytes + at, sizeof i);
        cr_assert(i < LINES && (all ? i == *next : i >= *next), "line %u after %u", i, *next);
        length = draw_line(i, expected);
        if (length > n - at)
            break;
        cr_assert(memcmp(bytes + at, expected, length) == 0, "line %u is damaged", i);
        at += length;
        *next = i + 1;
        ++*count;
    }
    return at;
}

/* The consumer's side: this thread, until all is there. Returns how many lines came. */
static uint64_t consume(struct production *p)
{
    static char bytes[LOG_RING_SIZE * 2];
    size_t have = 0, whole, taken;
    unsigned next = 0;
    uint64_t count = 0;
    bool finished;

    do {
        finished = atomic_load(&p->finished);
        taken = take_all(p->ring, bytes + have);
        have += taken;
        whole = check_lines(bytes, have, p->again, &next, &count);
        have -= whole;
        memmove(bytes, bytes + whole, have);
        if (!taken)
            sched_yield();
    } while (!finished || taken);
    cr_assert_eq(have, 0, "the last line is cut");
    return count;
}

static void run_threads(bool again)
{
    struct production p = {.ring = ring_new(), .again = again};
    pthread_t producer;
    uint64_t count;

    cr_assert_eq(pthread_create(&producer, NULL, produce, &p), 0);
    count = consume(&p);
    pthread_join(producer, NULL);
    cr_assert_eq(atomic_load(&p.ring->lost), p.lost);
    cr_assert_eq(count, again ? LINES : LINES - p.lost);
    free(p.ring);
}

Test(log_ring, two_threads_lose_nothing_when_the_producer_tries_again)
{
    run_threads(true);
}

Test(log_ring, two_threads_count_every_line_that_is_lost)
{
    run_threads(false);
}
