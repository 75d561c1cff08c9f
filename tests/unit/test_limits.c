/* test_limits.c - places are counted right by many threads at once: never more than there are,
 * none lost, and who found none is told when there is one again. */
#include "daemon/limits.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>

TestSuite(limits, .timeout = 10);

Test(limits, there_are_as_many_places_as_max)
{
    struct limit limit;

    for (uint64_t max = 0; max < 5; max++) {
        limit_init(&limit, max);
        for (uint64_t i = 0; i < max; i++)
            cr_assert(limit_take(&limit));
        for (int i = 0; i < 3; i++)
            cr_assert_not(limit_take(&limit));
        cr_assert_eq(atomic_load(&limit.used), max);
    }
}

Test(limits, place_that_is_given_back_can_be_taken)
{
    struct limit limit;

    limit_init(&limit, 1);
    for (int i = 0; i < 10; i++) {
        cr_assert(limit_take(&limit));
        cr_assert_not(limit_take(&limit));
        limit_give(&limit);
        cr_assert_eq(atomic_load(&limit.used), 0);
    }
}

Test(limits, one_giver_is_told_that_somebody_waits_and_only_then)
{
    struct limit limit;

    limit_init(&limit, 2);
    cr_assert(limit_take(&limit) && limit_take(&limit));
    cr_assert_not(limit_give(&limit));
    cr_assert(limit_take(&limit));
    cr_assert_not(limit_take(&limit));
    cr_assert_not(limit_take(&limit));
    cr_assert(limit_give(&limit));
    cr_assert_not(limit_give(&limit));
}

Test(limits, sessions_have_two_descriptors_each_and_there_is_always_one)
{
    static const struct {
        uint64_t files, fixed, sessions;
    } table[] = {
        {1024, 24, 500},      {1024, 25, 499},
        {64, 40, 12},         {64, 62, 1},
        {64, 63, 1},          {64, 64, 1},
        {64, 1000, 1},        {0, 0, 1},
        {1048576, 0, 524288}, {UINT64_MAX, 1, UINT64_MAX / 2},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        cr_assert_eq(limit_sessions_for_files(table[i].files, table[i].fixed), table[i].sessions,
                     "row %zu", i);
}

enum { THREADS = 4, ROUNDS = 50000, PLACES = 3 };

/* Threads that take a place, or wait until they are told that there may be one, as workers do. */
struct crowd {
    struct limit limit;
    atomic_int inside, most;
    pthread_barrier_t start;
    sem_t told[THREADS];
};

struct member {
    struct crowd *crowd;
    int number;
};

static void tell_all(struct crowd *crowd)
{
    for (int i = 0; i < THREADS; i++)
        sem_post(&crowd->told[i]);
}

static void *take_and_give(void *context)
{
    struct member *member = context;
    struct crowd *crowd = member->crowd;

    pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < ROUNDS; i++) {
        int inside, most = atomic_load(&crowd->most);

        while (!limit_take(&crowd->limit))
            sem_wait(&crowd->told[member->number]);
        inside = atomic_fetch_add(&crowd->inside, 1) + 1;
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
            ;
        if (i % 64 == 0)
            sched_yield(); /* with a place in hand: others find none */
        atomic_fetch_sub(&crowd->inside, 1);
        if (limit_give(&crowd->limit))
            tell_all(crowd);
    }
    return NULL;
}

/* A thread that is not told waits for ever, and the test's time runs out. */
static void run_crowd(uint64_t places)
{
    struct member members[THREADS];
    pthread_t threads[THREADS];
    struct crowd crowd = {.inside = 0};

    limit_init(&crowd.limit, places);
    pthread_barrier_init(&crowd.start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){&crowd, i};
        sem_init(&crowd.told[i], 0, 0);
    }
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &members[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_leq((uint64_t)atomic_load(&crowd.most), places);
    cr_assert_eq(atomic_load(&crowd.limit.used), 0);
    pthread_barrier_destroy(&crowd.start);
    for (int i = 0; i < THREADS; i++)
        sem_destroy(&crowd.told[i]);
}

Test(limits, threads_that_find_no_place_are_told_of_the_only_one)
{
    run_crowd(1);
}

Test(limits, threads_never_hold_more_places_than_there_are)
{
    run_crowd(PLACES);
}
