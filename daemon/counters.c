/* counters.c - counting in one thread, and adding up in another. */
#include "daemon/counters.h"

#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE = 64 };

const unsigned counters_bounds[COUNTERS_BUCKETS] = {1,   2,   5,    10,   25,   50,    100,
                                                    250, 500, 1000, 2500, 5000, 10000, 30000};

const char *const counters_tls_names[COUNTERS_TLS] = {"full", "resumed", "failed"};

void histogram_observe(struct histogram *histogram, uint64_t ms)
{
    unsigned i = 0;

    while (i < COUNTERS_BUCKETS && ms > counters_bounds[i])
        i++;
    counter_add(&histogram->buckets[i], 1);
    counter_add(&histogram->sum_ms, ms);
}

/* ---- errors ---- */

static const struct {
    struct stream_error error;
    const char *name;
} rows[ERROR_ID_COUNT] = {
#define ROW(id, domain, subdomain, code, name, socks4, socks5, http)                               \
    [ERROR_##id] = {{ERROR_DOMAIN_##domain, subdomain, code}, name},
    STREAM_ERROR_TABLE(ROW)
#undef ROW
};

/* The row of exactly this code, else its subdomain's for any; ERROR_ID_COUNT: it has none. */
static unsigned find_row(const struct stream_error *error)
{
    unsigned any = ERROR_ID_COUNT;

    for (unsigned i = 0; i < ERROR_ID_COUNT; i++) {
        if (rows[i].error.domain != error->domain || rows[i].error.subdomain != error->subdomain)
            continue;
        if (rows[i].error.code == error->code)
            return i;
        if (rows[i].error.code == ERROR_CODE_ANY)
            any = i;
    }
    return any;
}

static bool has_number(unsigned row)
{
    return row < ERROR_ID_COUNT && rows[row].name[strlen(rows[row].name) - 1] == '.';
}

static uint64_t pack(const struct stream_error *error)
{
    return (uint64_t)error->domain << 48 | (uint64_t)error->subdomain << 32 | (uint32_t)error->code;
}

static struct stream_error unpack(uint64_t packed)
{
    return (struct stream_error){
        .domain = (uint16_t)(packed >> 48),
        .subdomain = (uint16_t)(packed >> 32),
        .code = (int32_t)(uint32_t)packed,
    };
}

/* NULL: all are taken by others. */
static struct counted_code *code_of(struct counters *counters, uint64_t packed)
{
    for (unsigned i = 0; i < COUNTERS_CODES; i++) {
        struct counted_code *code = &counters->codes[i];
        uint64_t error = atomic_load_explicit(&code->error, memory_order_relaxed);

        if (error == 0)
            atomic_store_explicit(&code->error, packed, memory_order_relaxed);
        if (error == 0 || error == packed)
            return code;
    }
    return NULL;
}

void counters_ended(struct counters *counters, const struct stream_error *error)
{
    unsigned row = stream_error_set(error) ? find_row(error) : ERROR_NONE;
    struct counted_code *code = has_number(row) ? code_of(counters, pack(error)) : NULL;

    counter_add(code ? &code->count : &counters->errors[row], 1);
}

/* ---- blocks ---- */

static void *new_block(size_t size)
{
    size_t whole = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *block = aligned_alloc(CACHE_LINE, whole);

    if (block)
        memset(block, 0, whole);
    return block;
}

struct counters *counters_new(void)
{
    return new_block(sizeof(struct counters));
}

struct listener_counters *listener_blocks_of(struct listener_blocks *blocks, unsigned index)
{
    static struct listener_counters unread;
    struct listener_counters *block =
        atomic_load_explicit(&blocks->of_worker[index], memory_order_relaxed);

    if (!block) {
        block = new_block(sizeof *block);
        atomic_store_explicit(&blocks->of_worker[index], block, memory_order_release);
    }
    return block ? block : &unread;
}

void listener_blocks_done(struct listener_blocks *blocks)
{
    for (unsigned i = 0; i < CONFIG_WORKERS_MAX; i++)
        free(atomic_load(&blocks->of_worker[i]));
}

/* ---- sums ---- */

/* Rows may share a name. False without memory. */
static bool sum_error(struct counters_sum *sum, const char *name, uint64_t count)
{
    struct counters_error *errors;
    unsigned at = 0;

    if (count == 0)
        return true;
    while (at < sum->error_count && strcmp(sum->errors[at].name, name) < 0)
        at++;
    if (at < sum->error_count && strcmp(sum->errors[at].name, name) == 0) {
        sum->errors[at].count += count;
        return true;
    }
    errors = realloc(sum->errors, (sum->error_count + 1) * sizeof *errors);
    if (!errors)
        return false;
    sum->errors = errors;
    memmove(errors + at + 1, errors + at, (sum->error_count - at) * sizeof *errors);
    memset(errors + at, 0, sizeof *errors);
    strncpy(errors[at].name, name, sizeof errors[at].name - 1);
    errors[at].count = count;
    sum->error_count++;
    return true;
}

static bool sum_row(struct counters_sum *sum, unsigned row, uint64_t count)
{
    char name[STREAM_ERROR_NAME_MAX] = "unknown";

    if (row < ERROR_ID_COUNT) {
        strncpy(name, rows[row].name, sizeof name - 1);
        if (has_number(row))
            strncat(name, "other", sizeof name - strlen(name) - 1);
    }
    return sum_error(sum, name, count);
}

static bool sum_codes(struct counters_sum *sum, const struct counters *counters)
{
    char name[STREAM_ERROR_NAME_MAX];
    bool whole = true;

    for (unsigned i = 0; i < COUNTERS_CODES; i++) {
        uint64_t packed = counter_read(&counters->codes[i].error);
        struct stream_error error = unpack(packed);

        if (packed)
            whole &= sum_error(sum, stream_error_name(&error, name),
                               counter_read(&counters->codes[i].count));
    }
    return whole;
}

bool counters_sum_add(struct counters_sum *sum, const struct counters *counters)
{
    bool whole = true;

    for (unsigned t = 0; t < COUNTERS_TIMES; t++) {
        struct histogram_sum *times = &sum->times[t];

        for (unsigned i = 0; i <= COUNTERS_BUCKETS; i++) {
            uint64_t count = counter_read(&counters->times[t].buckets[i]);

            times->buckets[i] += count;
            times->count += count;
        }
        times->sum_ms += counter_read(&counters->times[t].sum_ms);
    }
    for (unsigned i = 0; i < COUNTERS_TLS; i++)
        sum->tls[i] += counter_read(&counters->tls[i]);
    for (unsigned i = 0; i <= ERROR_ID_COUNT; i++)
        whole &= sum_row(sum, i, counter_read(&counters->errors[i]));
    return sum_codes(sum, counters) && whole;
}

void counters_sum_done(struct counters_sum *sum)
{
    free(sum->errors);
    *sum = (struct counters_sum){0};
}

static void sum_block(struct listener_sum *sum, const struct listener_counters *block)
{
    sum->ended += counter_read(&block->ended); /* first: what begins meanwhile has not ended */
    sum->started += counter_read(&block->started);
    sum->accepted += counter_read(&block->accepted);
    sum->sent += counter_read(&block->sent);
    sum->received += counter_read(&block->received);
    for (unsigned i = 0; i < COUNTERS_TLS; i++)
        sum->tls[i] += counter_read(&block->tls[i]);
}

struct listener_sum listener_blocks_sum(const struct listener_blocks *blocks)
{
    struct listener_sum sum = {0};

    for (unsigned i = 0; i < CONFIG_WORKERS_MAX; i++) {
        const struct listener_counters *block =
            atomic_load_explicit(&blocks->of_worker[i], memory_order_acquire);

        if (block)
            sum_block(&sum, block);
    }
    sum.now = sum.started > sum.ended ? sum.started - sum.ended : 0;
    return sum;
}
