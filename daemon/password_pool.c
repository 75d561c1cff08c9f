/* password_pool.c - who has the next turn. */
#include "daemon/password_pool.h"

#include "daemon/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The first mistakes cost nothing: people make them. */
enum { FREE_FAILURES = 2, FIRST_DELAY_MS = 100, DELAY_MAX_MS = 4000 };

enum { BUCKETS = 1024, NICE = 10 };

/* Of a client's host: either it has checks and stands among the `busy`, or it has failed and stands among
 * the `idle`, who had the last turn at the end. */
struct host {
    struct host *previous, *next; /* in one of these lists */
    struct host *chain;           /* in its bucket */
    struct host_key key;
    struct password_check *first, **last; /* that wait */
    unsigned waiting;
    struct password_check *checked; /* right now, or NULL */
    unsigned failures;
    uint64_t failed;     /* ms; when it did last */
    uint64_t not_before; /* ms; its next turn */
};

struct host_list {
    struct host *first, *last;
};

struct password_pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t *threads; /* owned */
    unsigned thread_max, thread_count;
    bool is_ending;
    unsigned waiting, host_count;
    struct host_list busy, idle;
    struct host *buckets[BUCKETS];
};

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- hosts; all under the lock ---- */

static void list_append(struct host_list *list, struct host *host)
{
    host->previous = list->last;
    host->next = NULL;
    *(list->last ? &list->last->next : &list->first) = host;
    list->last = host;
}

static void list_remove(struct host_list *list, struct host *host)
{
    *(host->previous ? &host->previous->next : &list->first) = host->next;
    *(host->next ? &host->next->previous : &list->last) = host->previous;
}

static struct host **bucket_of(struct password_pool *pool, const struct host_key *key)
{
    return &pool->buckets[hash_bytes(key, sizeof *key) % BUCKETS];
}

static struct host *find_host(struct password_pool *pool, const struct host_key *key)
{
    struct host *host = *bucket_of(pool, key);

    while (host && memcmp(&host->key, key, sizeof *key) != 0)
        host = host->chain;
    return host;
}

/* It is in no list any more. */
static void forget_host(struct password_pool *pool, struct host *host)
{
    struct host **at = bucket_of(pool, &host->key);

    while (*at != host)
        at = &(*at)->chain;
    *at = host->chain;
    pool->host_count--;
    free(host);
}

static struct host *new_host(struct password_pool *pool, const struct host_key *key)
{
    struct host *host = calloc(1, sizeof *host), **bucket = bucket_of(pool, key);
    struct host *oldest = pool->idle.first;

    if (!host)
        return NULL;
    host->key = *key;
    host->last = &host->first;
    host->chain = *bucket;
    *bucket = host;
    list_append(&pool->busy, host);
    if (pool->host_count++ >= PASSWORD_POOL_HOSTS_MAX && oldest) {
        list_remove(&pool->idle, oldest);
        forget_host(pool, oldest);
    }
    return host;
}

static bool is_busy(const struct host *host)
{
    return host->waiting || host->checked;
}

/* The host of a check that comes, among the busy. */
static struct host *enter_host(struct password_pool *pool, const struct host_key *key)
{
    struct host *host = find_host(pool, key);

    if (!host)
        return new_host(pool, key);
    if (!is_busy(host)) {
        list_remove(&pool->idle, host);
        list_append(&pool->busy, host);
    }
    return host;
}

/* Its turn is over: it goes behind all others, or out. */
static void requeue_host(struct password_pool *pool, struct host *host)
{
    list_remove(&pool->busy, host);
    if (is_busy(host))
        list_append(&pool->busy, host);
    else if (host->failures)
        list_append(&pool->idle, host);
    else
        forget_host(pool, host);
}

static struct password_check *take_check(struct password_pool *pool, struct host *host)
{
    struct password_check *check = host->first;

    host->first = check->next;
    if (!host->first)
        host->last = &host->first;
    host->waiting--;
    pool->waiting--;
    return check;
}

uint64_t password_pool_delay(unsigned failures)
{
    unsigned doubled = failures > FREE_FAILURES ? failures - FREE_FAILURES - 1 : 0;

    if (failures <= FREE_FAILURES)
        return 0;
    return doubled < 6 ? (uint64_t)FIRST_DELAY_MS << doubled : DELAY_MAX_MS;
}

static void note_failure(struct host *host, uint64_t now)
{
    if (now - host->failed > PASSWORD_POOL_FORGET_MS)
        host->failures = 0;
    host->failures++;
    host->failed = now;
    host->not_before = now + password_pool_delay(host->failures);
}

/* ---- the threads ---- */

/* The first host in the row whose turn it may be. NULL: *ret_wait is how long nobody's is. */
static struct host *next_host(struct password_pool *pool, uint64_t now, uint64_t *ret_wait)
{
    *ret_wait = UINT64_MAX;
    for (struct host *host = pool->busy.first; host; host = host->next) {
        if (host->checked || !host->waiting)
            continue;
        if (host->not_before <= now || !password_check_is_wanted(host->first))
            return host;
        if (host->not_before - now < *ret_wait)
            *ret_wait = host->not_before - now;
    }
    return NULL;
}

static void wait_for(struct password_pool *pool, uint64_t ms)
{
    struct timespec until;

    if (ms == UINT64_MAX) {
        pthread_cond_wait(&pool->changed, &pool->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
}

static void take_turn(struct password_pool *pool, struct host *host)
{
    struct password_check *check = take_check(pool, host);
    bool wanted = password_check_is_wanted(check);

    host->checked = check;
    pthread_mutex_unlock(&pool->lock);
    if (wanted)
        password_check_run(check);
    pthread_mutex_lock(&pool->lock);
    host->checked = NULL; /* nobody follows it any more */
    if (wanted && !check->matches)
        note_failure(host, monotonic_ms());
    requeue_host(pool, host);
    pthread_mutex_unlock(&pool->lock);
    password_check_answer(check);
    pthread_mutex_lock(&pool->lock);
}

static void *pool_main(void *arg)
{
    struct password_pool *pool = arg;
    struct host *host;
    uint64_t ms;

    /* Guesses must not take the processor from those who are in. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    pthread_mutex_lock(&pool->lock);
    while (!pool->is_ending) {
        host = next_host(pool, monotonic_ms(), &ms);
        if (host)
            take_turn(pool, host);
        else
            wait_for(pool, ms);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* One more, as long as there are fewer than there may be. True: there is one at least. */
static bool start_thread(struct password_pool *pool)
{
    if (pool->thread_count < pool->thread_max &&
        pthread_create(&pool->threads[pool->thread_count], NULL, pool_main, pool) == 0)
        pool->thread_count++;
    return pool->thread_count > 0;
}

/* ---- the pool ---- */

struct password_pool *password_pool_new(unsigned threads)
{
    struct password_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t attributes;

    if (!pool)
        return NULL;
    pool->threads = calloc(threads, sizeof *pool->threads);
    if (!pool->threads) {
        free(pool);
        return NULL;
    }
    pool->thread_max = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return pool;
}

void password_pool_free(struct password_pool *pool)
{
    struct host *host;

    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->is_ending = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    for (unsigned i = 0; i < BUCKETS; i++) {
        while ((host = pool->buckets[i])) {
            while (host->waiting)
                password_check_drop(take_check(pool, host));
            pool->buckets[i] = host->chain;
            free(host);
        }
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    free(pool->threads);
    free(pool);
}

/* The one that asks the same and will be answered; NULL: none does. */
static struct password_check *find_same(const struct host *host, const struct password_check *check)
{
    struct password_check *other = host->checked;

    if (other && login_digest_equal(&other->login, &check->login) &&
        password_check_is_wanted(other))
        return other;
    for (other = host->first; other; other = other->next)
        if (login_digest_equal(&other->login, &check->login))
            return other;
    return NULL;
}

/* The last half is for those who have nothing waiting. */
static unsigned host_max(const struct password_pool *pool)
{
    return pool->waiting < PASSWORD_POOL_CHECKS_MAX / 2 ? PASSWORD_POOL_HOST_MAX : 1;
}

/* Under the lock. False: there is no room. */
static bool enqueue(struct password_pool *pool, const struct host_key *key,
                    struct password_check *check)
{
    struct host *host = find_host(pool, key);
    struct password_check *same = host ? find_same(host, check) : NULL;

    if (same) {
        password_check_follow(same, check);
        return true;
    }
    if (pool->waiting >= PASSWORD_POOL_CHECKS_MAX || !start_thread(pool))
        return false;
    host = enter_host(pool, key);
    if (!host || host->waiting >= host_max(pool))
        return false;
    *host->last = check;
    host->last = &check->next;
    host->waiting++;
    pool->waiting++;
    pthread_cond_signal(&pool->changed);
    return true;
}

struct password_check *password_pool_check(struct password_pool *pool,
                                           const struct password_question *question,
                                           struct password_inbox *inbox, void *owner)
{
    struct password_check *check = password_check_new(question, inbox, owner);
    struct host_key key = host_key(&question->host);
    bool is_queued;

    if (!check)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    is_queued = enqueue(pool, &key, check);
    pthread_mutex_unlock(&pool->lock);
    if (is_queued)
        return check;
    password_check_free(check);
    return NULL;
}
