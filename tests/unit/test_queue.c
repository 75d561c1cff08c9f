/* test_queue.c - who has a place in the queue, who is on probation, who must go: the contract
 * case by case. */
#include "daemon/queue.h"

#include <criterion/criterion.h>

TestSuite(queue, .timeout = 10);

enum { MAX = 4, ENTRIES = 200 };

/* A worker with a queue, and entries enough. */
struct bench {
    struct queue queue;
    struct queue_inbox inbox;
    unsigned woken;
    struct queue_entry entries[ENTRIES];
};

static void on_wake(void *context)
{
    struct bench *b = context;

    /* With the lock of either held this would wait for ever. */
    queue_numbers(&b->queue);
    pthread_mutex_lock(&b->inbox.lock);
    pthread_mutex_unlock(&b->inbox.lock);
    b->woken++;
}

static struct bench *make(unsigned max)
{
    static struct bench b;

    cr_assert(queue_init(&b.queue, max));
    queue_inbox_init(&b.inbox, on_wake, &b);
    return &b;
}

static void finish(struct bench *b)
{
    struct queue_numbers numbers;

    for (int i = 0; i < ENTRIES; i++)
        queue_leave(&b->queue, &b->entries[i]);
    numbers = queue_numbers(&b->queue);
    cr_assert_eq(numbers.regular + numbers.probation + numbers.hosts + numbers.most, 0);
    cr_assert_null(queue_inbox_next(&b->inbox));
    queue_inbox_done(&b->inbox);
    queue_done(&b->queue);
}

/* Host number `n`, never the same address as another. */
static struct ip_address host(unsigned n)
{
    return (struct ip_address){IP_V4, {192, 0, (uint8_t)(n >> 8), (uint8_t)n}};
}

static void enter(struct bench *b, unsigned entry, unsigned host_number)
{
    struct ip_address ip = host(host_number);

    queue_enter(&b->queue, &b->entries[entry], &ip, &b->inbox);
}

static bool leave(struct bench *b, unsigned entry)
{
    return queue_leave(&b->queue, &b->entries[entry]);
}

static bool on_probation(struct bench *b, unsigned entry)
{
    return queue_on_probation(&b->queue, &b->entries[entry]);
}

static void check_numbers(struct bench *b, unsigned regular, unsigned probation)
{
    struct queue_numbers numbers = queue_numbers(&b->queue);

    cr_assert_eq(numbers.regular, regular, "%u regular", numbers.regular);
    cr_assert_eq(numbers.probation, probation, "%u on probation", numbers.probation);
}

/* The only one evicted since the last look, which its owner takes from the inbox. */
static void check_evicted(struct bench *b, unsigned entry)
{
    cr_assert_eq(queue_inbox_next(&b->inbox), &b->entries[entry]);
    cr_assert_null(queue_inbox_next(&b->inbox));
    cr_assert_eq(b->woken, 1);
    b->woken = 0;
    cr_assert_not(leave(b, entry), "the owner is told");
}

static void check_none_evicted(struct bench *b)
{
    cr_assert_null(queue_inbox_next(&b->inbox));
    cr_assert_eq(b->woken, 0);
}

/* MAX hosts with one entry each: entry i from host i. */
static struct bench *make_full(void)
{
    struct bench *b = make(MAX);

    for (unsigned i = 0; i < MAX; i++)
        enter(b, i, i);
    check_none_evicted(b);
    check_numbers(b, MAX, 0);
    return b;
}

Test(queue, up_to_max_everybody_has_a_place)
{
    struct bench *b = make(MAX);

    for (unsigned i = 0; i < MAX; i++)
        enter(b, i, 7); /* one host may have them all */
    check_none_evicted(b);
    check_numbers(b, MAX, 0);
    for (unsigned i = 0; i < MAX; i++) {
        cr_assert_not(on_probation(b, i));
        cr_assert(queue_end_probation(&b->queue, &b->entries[i]), "it stays");
        cr_assert(leave(b, i));
        check_numbers(b, MAX - 1 - i, 0);
    }
    cr_assert_eq(b->queue.evicted, 0);
    finish(b);
}

Test(queue, when_full_the_oldest_of_the_greediest_goes)
{
    struct bench *b = make(5);

    enter(b, 0, 1);
    enter(b, 1, 2);
    enter(b, 2, 3);
    enter(b, 3, 2);
    enter(b, 4, 2);
    enter(b, 5, 4);
    check_evicted(b, 1);
    enter(b, 6, 5);
    check_evicted(b, 3);
    check_numbers(b, 5, 0);
    cr_assert_eq(b->queue.evicted, 2);
    finish(b);
}

Test(queue, the_newcomer_counts_among_those_of_its_host)
{
    struct bench *b = make_full();

    enter(b, MAX, 2);
    check_evicted(b, 2);
    enter(b, MAX + 1, 2);
    check_evicted(b, MAX);
    check_numbers(b, MAX, 0);
    finish(b);
}

/* Host 2 has two before host 1 has. */
Test(queue, of_equals_who_has_had_so_many_for_longest_loses_its_oldest)
{
    struct bench *b = make(4);

    enter(b, 0, 1);
    enter(b, 1, 2);
    enter(b, 2, 2);
    enter(b, 3, 1);
    enter(b, 4, 3);
    check_evicted(b, 1);
    enter(b, 5, 4);
    check_evicted(b, 0);
    finish(b);
}

Test(queue, when_nobody_has_more_than_one_the_newcomer_is_on_probation)
{
    struct bench *b = make_full();

    enter(b, MAX, 100);
    check_none_evicted(b);
    cr_assert(on_probation(b, MAX));
    check_numbers(b, MAX, 1);
    cr_assert(leave(b, MAX), "its request was complete in time");
    check_numbers(b, MAX, 0);
    cr_assert_eq(b->queue.evicted, 0);
    finish(b);
}

Test(queue, the_oldest_on_probation_goes_when_there_are_too_many)
{
    struct bench *b = make_full();

    for (unsigned i = 0; i < QUEUE_PROBATION_MAX; i++)
        enter(b, MAX + i, 100 + i);
    check_none_evicted(b);
    for (unsigned i = 0; i < 3; i++) {
        enter(b, MAX + QUEUE_PROBATION_MAX + i, 200 + i);
        check_evicted(b, MAX + i);
        check_numbers(b, MAX, QUEUE_PROBATION_MAX);
    }
    cr_assert_eq(b->queue.evicted, 3);
    finish(b);
}

Test(queue, a_free_place_goes_to_the_oldest_on_probation)
{
    struct bench *b = make_full();

    enter(b, 10, 100);
    enter(b, 11, 101);
    cr_assert(leave(b, 0));
    cr_assert_not(on_probation(b, 10));
    cr_assert(on_probation(b, 11));
    check_numbers(b, MAX, 1);
    cr_assert(leave(b, 10));
    check_numbers(b, MAX, 0);
    check_none_evicted(b);
    finish(b);
}

Test(queue, the_place_of_who_was_evicted_goes_to_the_oldest_on_probation)
{
    struct bench *b = make(2);

    enter(b, 0, 1);
    enter(b, 1, 2);
    enter(b, 2, 3);
    enter(b, 3, 1);
    check_evicted(b, 0);
    cr_assert_not(on_probation(b, 2));
    cr_assert(on_probation(b, 3));
    enter(b, 4, 1);
    check_evicted(b, 3);
    cr_assert(on_probation(b, 4), "its host's older one was on probation, too");
    check_numbers(b, 2, 1);
    finish(b);
}

Test(queue, probation_ends_with_a_place_or_without)
{
    struct bench *b = make_full();

    enter(b, 10, 100);
    enter(b, 11, 101);
    cr_assert(leave(b, 1));
    cr_assert(queue_end_probation(&b->queue, &b->entries[10]), "promoted meanwhile");
    cr_assert_not(queue_end_probation(&b->queue, &b->entries[11]));
    check_none_evicted(b);
    check_numbers(b, MAX, 0);
    cr_assert_eq(b->queue.evicted, 1);
    cr_assert(leave(b, 11), "it has left already");
    finish(b);
}

Test(queue, probation_ends_for_who_was_evicted_before_its_owner_looked)
{
    struct bench *b = make_full();

    for (unsigned i = 0; i <= QUEUE_PROBATION_MAX; i++)
        enter(b, MAX + i, 100 + i);
    cr_assert_not(queue_end_probation(&b->queue, &b->entries[MAX]));
    cr_assert_null(queue_inbox_next(&b->inbox));
    cr_assert_eq(b->queue.evicted, 1, "counted once");
    finish(b);
}

Test(queue, who_was_evicted_and_leaves_is_told_and_out_of_the_inbox)
{
    struct bench *b = make_full();

    enter(b, 10, 1);
    enter(b, 11, 1);
    enter(b, 12, 1);
    cr_assert_eq(b->woken, 3);
    cr_assert_not(leave(b, 10), "from the middle of the inbox");
    cr_assert_eq(queue_inbox_next(&b->inbox), &b->entries[1]);
    cr_assert_eq(queue_inbox_next(&b->inbox), &b->entries[11]);
    cr_assert_null(queue_inbox_next(&b->inbox));
    cr_assert_not(leave(b, 1));
    cr_assert_not(leave(b, 11));
    cr_assert(leave(b, 12));
    finish(b);
}

Test(queue, leaving_twice_is_harmless)
{
    struct bench *b = make_full();

    cr_assert(leave(b, 0));
    cr_assert(leave(b, 0));
    check_numbers(b, MAX - 1, 0);
    cr_assert(leave(b, 50), "it never entered");
    enter(b, 0, 0);
    check_numbers(b, MAX, 0);
    finish(b);
}

static void enter_as(struct bench *b, unsigned entry, const char *text)
{
    struct ip_address ip = {0};

    if (text)
        cr_assert(ip_parse(text, strlen(text), &ip));
    queue_enter(&b->queue, &b->entries[entry], &ip, &b->inbox);
}

Test(queue, a_host_is_an_ipv4_address_an_ipv6_64_or_all_of_unix)
{
    struct bench *b = make(7);

    enter_as(b, 0, "192.0.2.1");
    enter_as(b, 1, "192.0.2.2");
    enter_as(b, 2, "2001:db8::1");
    enter_as(b, 3, "2001:db8::2:0:0:0");
    enter_as(b, 4, "2001:db8:0:1::1");
    enter_as(b, 5, NULL);
    enter_as(b, 6, "::ffff:192.0.2.1");
    cr_assert_eq(queue_numbers(&b->queue).hosts, 5);
    cr_assert_eq(queue_numbers(&b->queue).most, 2);
    enter_as(b, 7, NULL);
    check_evicted(b, 2);
    enter_as(b, 8, "10.0.0.1");
    check_evicted(b, 0);
    enter_as(b, 9, "10.0.0.2");
    check_evicted(b, 5);
    finish(b);
}

Test(queue, a_greater_max_gives_places_to_those_on_probation)
{
    struct bench *b = make_full();

    for (unsigned i = 0; i < 10; i++)
        enter(b, 10 + i, 100 + i);
    cr_assert(queue_set_max(&b->queue, MAX + 3));
    check_numbers(b, MAX + 3, 7);
    cr_assert_not(on_probation(b, 12));
    cr_assert(on_probation(b, 13));
    cr_assert(queue_set_max(&b->queue, 150));
    check_numbers(b, MAX + 10, 0);
    for (unsigned i = 0; i < 130; i++)
        enter(b, 20 + i, 1000 + i);
    check_none_evicted(b);
    check_numbers(b, MAX + 140, 0);
    cr_assert_eq(queue_numbers(&b->queue).hosts, MAX + 140);
    enter(b, 160, 1000);
    enter(b, 161, 1001);
    enter(b, 162, 1002);
    cr_assert_eq(queue_numbers(&b->queue).hosts, MAX + 140, "the old ones are still known");
    finish(b);
}

Test(queue, a_smaller_max_evicts_nobody_and_gives_no_place_until_enough_have_left)
{
    struct bench *b = make(10);

    for (unsigned i = 0; i < 10; i++)
        enter(b, i, i);
    cr_assert(queue_set_max(&b->queue, 8));
    check_none_evicted(b);
    check_numbers(b, 10, 0);
    enter(b, 10, 10);
    check_numbers(b, 10, 1);
    cr_assert(leave(b, 0) && leave(b, 1));
    check_numbers(b, 8, 1);
    cr_assert(leave(b, 2));
    check_numbers(b, 8, 0);
    cr_assert_not(on_probation(b, 10));
    finish(b);
}

/* The newcomers take the places of nobody: one goes for each until there are few enough. */
Test(queue, a_smaller_max_and_a_greedy_host_keep_the_bounds)
{
    struct bench *b = make(100);

    for (unsigned i = 0; i < 100; i++)
        enter(b, i, 7);
    cr_assert(queue_set_max(&b->queue, 3));
    for (unsigned i = 0; i < QUEUE_PROBATION_MAX; i++)
        enter(b, 100 + i, 100 + i);
    check_numbers(b, 100 - QUEUE_PROBATION_MAX, QUEUE_PROBATION_MAX);
    b->woken = 0;
    enter(b, 170, 170);
    cr_assert_eq(b->woken, 2, "the oldest of the greediest, and the oldest on probation");
    check_numbers(b, 100 - QUEUE_PROBATION_MAX - 1, QUEUE_PROBATION_MAX);
    cr_assert_eq(b->queue.evicted, QUEUE_PROBATION_MAX + 2);
    finish(b);
}

Test(queue, one_inbox_serves_several_queues)
{
    struct bench *b = make(1);
    struct queue_entry entries[2] = {0};
    struct ip_address ip = host(9);
    struct queue other;

    cr_assert(queue_init(&other, 1));
    for (int i = 0; i < 2; i++) {
        queue_enter(&other, &entries[i], &ip, &b->inbox);
        enter(b, (unsigned)i, 9);
    }
    cr_assert_eq(queue_inbox_next(&b->inbox), &entries[0]);
    cr_assert_eq(queue_inbox_next(&b->inbox), &b->entries[0]);
    cr_assert_null(queue_inbox_next(&b->inbox));
    cr_assert_not(queue_leave(&other, &entries[0]));
    cr_assert(queue_leave(&other, &entries[1]));
    queue_done(&other);
    finish(b);
}
