/* counters.h - what the daemon counts about its work: by each worker on its own, summed by whoever wants
 * to know. A block has one writer, the worker that it belongs to, and any number of readers; adding is a
 * plain load and store, no lock, no line of the cache that another worker writes. Nothing is counted by
 * the byte or the exchange: a session counts when it begins, when it changes, and when it ends, and its
 * bytes when somebody asks (session_count_bytes()). Numbers only grow, for as long as the daemon runs;
 * those of a listener for as long as its name is served. */
#ifndef PAIRSOCKS_COUNTERS_H
#define PAIRSOCKS_COUNTERS_H

#include "config/config.h"
#include "streams/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

/* The owner's thread alone. */
static inline void counter_add(counter *c, uint64_t n)
{
    uint64_t before = atomic_load_explicit(c, memory_order_relaxed);

    atomic_store_explicit(c, before + n, memory_order_relaxed);
}

/* Any thread. */
static inline uint64_t counter_read(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* ---- times ---- */

enum counters_time {
    COUNTERS_RESOLVE, /* until the first address of a target's name, or until there was none */
    COUNTERS_CONNECT_DIRECT,   /* from there until the target stood, its TLS included */
    COUNTERS_CONNECT_UPSTREAM, /* the same by way of proxies */
    COUNTERS_SETUP,            /* from accept to the good reply */
    COUNTERS_TIMES,
};

enum { COUNTERS_BUCKETS = 14 };

/* The upper bounds of the buckets, ms; what takes longer is in one more behind the last. */
extern const unsigned counters_bounds[COUNTERS_BUCKETS];

struct histogram {
    counter buckets[COUNTERS_BUCKETS + 1]; /* each its own: not cumulative */
    counter sum_ms;
};

void histogram_observe(struct histogram *histogram, uint64_t ms);

/* ---- TLS handshakes ---- */

enum counters_tls { COUNTERS_TLS_FULL, COUNTERS_TLS_RESUMED, COUNTERS_TLS_FAILED, COUNTERS_TLS };

/* "full", "resumed", "failed". */
extern const char *const counters_tls_names[COUNTERS_TLS];

/* ---- errors by name ---- */

/* Errors whose name ends in a number of the peer's choice (http.status.403): so many different ones are
 * counted by a worker each on its own; those that come then are counted together, as `http.status.other`. */
enum { COUNTERS_CODES = 64 };

struct counted_code {
    _Atomic uint64_t error; /* packed; 0: free. Set once */
    counter count;
};

/* ---- blocks ---- */

/* Of one worker. */
struct counters {
    struct histogram times[COUNTERS_TIMES];
    counter tls[COUNTERS_TLS];          /* with targets and upstreams; of a chain the last one */
    counter errors[ERROR_ID_COUNT + 1]; /* sessions ended, by row of the error; the last: of none */
    struct counted_code codes[COUNTERS_CODES];
};

/* Of one worker and one listener. One line of the cache. */
struct listener_counters {
    counter accepted; /* connections, also those that the whitelist has closed then */
    counter started;  /* sessions */
    counter ended;
    counter sent, received;    /* bytes passed on: from clients, to clients */
    counter tls[COUNTERS_TLS]; /* with clients */
};

/* Zeroed, and on lines of the cache of its own. NULL without memory. free() frees it. */
struct counters *counters_new(void);

/* A session of this worker has ended with `error`. */
void counters_ended(struct counters *counters, const struct stream_error *error);

/* The blocks of one listener, one for each worker, made when the worker first has something to count. */
struct listener_blocks {
    struct listener_counters *_Atomic of_worker[CONFIG_WORKERS_MAX]; /* owned */
};

/* For worker `index`, in its thread. Never NULL: without memory it is one that nobody reads. */
struct listener_counters *listener_blocks_of(struct listener_blocks *blocks, unsigned index);
void listener_blocks_done(struct listener_blocks *blocks);

/* ---- sums ---- */

struct counters_error {
    char name[STREAM_ERROR_NAME_MAX];
    uint64_t count;
};

struct histogram_sum {
    uint64_t buckets[COUNTERS_BUCKETS + 1];
    uint64_t count, sum_ms;
};

struct counters_sum {
    struct histogram_sum times[COUNTERS_TIMES];
    uint64_t tls[COUNTERS_TLS];
    struct counters_error
        *errors; /* owned; names that were counted at least once, in their order */
    unsigned error_count;
};

struct listener_sum {
    uint64_t accepted, started, ended;
    uint64_t now; /* sessions: started and not ended */
    uint64_t sent, received;
    uint64_t tls[COUNTERS_TLS];
};

/* Any thread. The sum begins as zeros; each block is added. False without memory: errors are missing. */
bool counters_sum_add(struct counters_sum *sum, const struct counters *counters);
void counters_sum_done(struct counters_sum *sum);

struct listener_sum listener_blocks_sum(const struct listener_blocks *blocks);

#endif
