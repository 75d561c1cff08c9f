/* test_queue_crowd.c - the queue against a model that is too simple to be wrong, and under
 * several threads that evict each other's entries. */
#include "daemon/queue.h"

#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <semaphore.h>

TestSuite(queue_crowd, .timeout = 10);

enum { HOSTS = 40, ENTRIES = 300, OPERATIONS = 60000 };

enum where { NOWHERE, PROBATION, REGULAR, EVICTED };

/* Everything is found by looking at everything. */
struct model {
    unsigned max;
    uint64_t clock;
    enum where where[ENTRIES];
    unsigned host[ENTRIES];
    uint64_t came[ENTRIES];  /* when */
    uint64_t changed[HOSTS]; /* when the number of its entries last did */
};

static bool is_in(const struct model *m, int entry)
{
    return m->where[entry] == PROBATION || m->where[entry] == REGULAR;
}

static unsigned count(const struct model *m, enum where where)
{
    unsigned n = 0;

    for (int i = 0; i < ENTRIES; i++)
        n += m->where[i] == where;
    return n;
}

static unsigned holds(const struct model *m, unsigned host)
{
    unsigned n = 0;

    for (int i = 0; i < ENTRIES; i++)
        n += is_in(m, i) && m->host[i] == host;
    return n;
}

static int oldest_on_probation(const struct model *m)
{
    int oldest = -1;

    for (int i = 0; i < ENTRIES; i++)
        if (m->where[i] == PROBATION && (oldest < 0 || m->came[i] < m->came[oldest]))
            oldest = i;
    return oldest;
}

static int oldest_of_greediest(const struct model *m)
{
    unsigned greediest = 0, most = 0;
    int oldest = -1;

    for (unsigned h = 0; h < HOSTS; h++) {
        unsigned n = holds(m, h);

        if (n > most || (n == most && m->changed[h] < m->changed[greediest])) {
            greediest = h;
            most = n;
        }
    }
    for (int i = 0; i < ENTRIES && most > 1; i++)
        if (is_in(m, i) && m->host[i] == greediest && (oldest < 0 || m->came[i] < m->came[oldest]))
            oldest = i;
    return oldest;
}

static void put(struct model *m, int entry, enum where where)
{
    bool was_in = is_in(m, entry);

    m->where[entry] = where;
    if (is_in(m, entry) != was_in)
        m->changed[m->host[entry]] = ++m->clock;
}

static void promote(struct model *m)
{
    while (count(m, REGULAR) < m->max && count(m, PROBATION))
        m->where[oldest_on_probation(m)] = REGULAR;
}

static void model_enter(struct model *m, int entry, unsigned host)
{
    int victim;

    m->host[entry] = host;
    m->came[entry] = ++m->clock;
    put(m, entry, PROBATION);
    victim = oldest_of_greediest(m);
    if (count(m, REGULAR) >= m->max && victim >= 0)
        put(m, victim, EVICTED);
    promote(m);
    if (count(m, PROBATION) > QUEUE_PROBATION_MAX)
        put(m, oldest_on_probation(m), EVICTED);
}

static void ignore_wake(void *context)
{
}

/* The entries that are in no queue, at random and then onwards. */
static int find(const struct model *m, uint64_t *seed, bool in)
{
    size_t start = random_below(seed, ENTRIES);

    for (size_t i = 0; i < ENTRIES; i++)
        if ((m->where[(start + i) % ENTRIES] != NOWHERE) == in)
            return (int)((start + i) % ENTRIES);
    return -1;
}

static void check_same(struct queue *queue, struct queue_entry *entries, const struct model *m)
{
    struct queue_numbers numbers = queue_numbers(queue);
    unsigned most = 0, hosts = 0;

    for (unsigned h = 0; h < HOSTS; h++) {
        unsigned n = holds(m, h);

        hosts += n > 0;
        most = n > most ? n : most;
    }
    cr_assert_eq(numbers.regular, count(m, REGULAR));
    cr_assert_eq(numbers.probation, count(m, PROBATION));
    cr_assert_eq(numbers.hosts, hosts);
    cr_assert_eq(numbers.most, most);
    for (int i = 0; i < ENTRIES; i++)
        cr_assert_eq(queue_on_probation(queue, &entries[i]), m->where[i] == PROBATION);
}

/* One random operation on both. `crowded`: of a hundred, how many enter. */
static void operate(struct queue *queue, struct queue_entry *entries, struct queue_inbox *inbox,
                    struct model *m, uint64_t *seed, size_t crowded)
{
    int entry;

    if (random_below(seed, 500) == 0) {
        m->max = 1 + (unsigned)random_below(seed, 150);
        cr_assert(queue_set_max(queue, m->max));
        promote(m);
    }
    if (random_below(seed, 100) < crowded) {
        unsigned host = (unsigned)random_below(seed, 1 + random_below(seed, HOSTS));
        struct ip_address ip = {IP_V4, {10, 0, 0, (uint8_t)host}};

        entry = find(m, seed, false);
        if (entry < 0)
            return;
        model_enter(m, entry, host);
        queue_enter(queue, &entries[entry], &ip, inbox);
    } else if ((entry = find(m, seed, true)) >= 0) {
        bool stays = m->where[entry] == REGULAR;

        if (random_below(seed, 3) == 0) {
            cr_assert_eq(queue_end_probation(queue, &entries[entry]), stays);
            if (stays)
                return;
        } else {
            cr_assert_eq(queue_leave(queue, &entries[entry]), m->where[entry] != EVICTED);
        }
        put(m, entry, NOWHERE);
        promote(m);
    }
}

Test(queue_crowd, random_operations_agree_with_a_simple_model)
{
    static struct queue_entry entries[ENTRIES];
    static struct model m = {.max = 20};
    struct queue_inbox inbox;
    struct queue queue;
    uint64_t seed = 7;

    queue_inbox_init(&inbox, ignore_wake, NULL);
    cr_assert(queue_init(&queue, m.max));
    for (int i = 0; i < OPERATIONS; i++) {
        operate(&queue, entries, &inbox, &m, &seed, i / 1000 % 2 ? 70 : 40);
        if (random_below(&seed, 3) == 0) {
            struct queue_entry *evicted = queue_inbox_next(&inbox);

            cr_assert(!evicted || m.where[evicted - entries] == EVICTED);
        }
        if (i % 10 == 0)
            check_same(&queue, entries, &m);
    }
    for (int i = 0; i < ENTRIES; i++)
        queue_leave(&queue, &entries[i]);
    cr_assert_null(queue_inbox_next(&inbox));
    queue_done(&queue);
    queue_inbox_done(&inbox);
}

enum { THREADS = 4, HELD = 60, ROUNDS = 40000, PLACES = 80 };

/* A worker: its entries, its inbox, and what wakes it. */
struct owner {
    struct queue *queue;
    struct queue_inbox inbox;
    sem_t woken;
    uint64_t seed;
    uint64_t told; /* how many of its entries it was told were evicted */
    struct queue_entry entries[HELD];
};

static void on_wake(void *context)
{
    sem_post(context);
}

static void empty_inbox(struct owner *o)
{
    struct queue_entry *entry;

    while ((entry = queue_inbox_next(&o->inbox))) {
        if (!queue_leave(o->queue, entry))
            o->told++;
    }
}

static void *come_and_go(void *context)
{
    struct owner *o = context;

    for (int i = 0; i < ROUNDS; i++) {
        struct queue_entry *entry = &o->entries[random_below(&o->seed, HELD)];
        struct ip_address ip = {IP_V4, {10, 0, 0, (uint8_t)random_below(&o->seed, 200)}};

        if (sem_trywait(&o->woken) == 0)
            empty_inbox(o);
        if (entry->inbox) {
            if (!(i % 4 ? queue_leave(o->queue, entry) : queue_end_probation(o->queue, entry)))
                o->told++;
        } else {
            queue_enter(o->queue, entry, &ip, &o->inbox);
        }
    }
    return NULL;
}

Test(queue_crowd, threads_that_evict_each_other_lose_nothing)
{
    static struct owner owners[THREADS];
    pthread_t threads[THREADS];
    struct queue_numbers numbers;
    struct queue queue;
    uint64_t told = 0;

    cr_assert(queue_init(&queue, PLACES));
    for (int i = 0; i < THREADS; i++) {
        owners[i].queue = &queue;
        owners[i].seed = (uint64_t)i + 1;
        sem_init(&owners[i].woken, 0, 0);
        queue_inbox_init(&owners[i].inbox, on_wake, &owners[i].woken);
    }
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, &owners[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    numbers = queue_numbers(&queue);
    cr_assert_leq(numbers.regular, PLACES);
    cr_assert_leq(numbers.probation, QUEUE_PROBATION_MAX);
    for (int i = 0; i < THREADS; i++) {
        empty_inbox(&owners[i]);
        told += owners[i].told;
        for (int k = 0; k < HELD; k++)
            cr_assert(queue_leave(&queue, &owners[i].entries[k]));
    }
    cr_assert_gt(told, 0);
    cr_assert_eq(told, queue.evicted, "each was told once");
    numbers = queue_numbers(&queue);
    cr_assert_eq(numbers.regular + numbers.probation + numbers.hosts + numbers.most, 0);
    queue_done(&queue);
    for (int i = 0; i < THREADS; i++) {
        queue_inbox_done(&owners[i].inbox);
        sem_destroy(&owners[i].woken);
    }
}
