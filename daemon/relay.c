/* relay.c - the two gears: read into the worker's scratch, write at once, keep the rest; or
 * splice. */
#include "daemon/relay.h"

/* Reads of one turn: a greedy stream gives way to others after a quarter of a MiB. */
enum { READS_A_TURN = 4, SLOW_READ = BUFFER_MEDIUM, LAST_READS = 64 };

/* Into splicing after so many reads that filled the scratch buffer, with one in each turn; back to
 * copying after so many turns in a row that moved less than a read would. */
enum { FULL_READS = 8, SPLICES_A_TURN = 2, SMALL_SPLICE = BUFFER_MEDIUM, SMALL_SPLICES = 8 };

static enum relay_result flush_buffer(struct relay_direction *d, const struct relay_tools *tools)
{
    enum relay_result result = RELAY_IDLE;

    while (buffer_waiting(&d->waiting)) {
        size_t n = 0;
        enum io put = pair_write(d->to, buffer_bytes(&d->waiting), buffer_waiting(&d->waiting), &n);

        if (put == IO_AGAIN)
            return result;
        if (put != IO_OK)
            return RELAY_WRITE_FAILED;
        d->bytes += (int64_t)n;
        buffer_consume(&d->waiting, tools->pool, n);
        result = RELAY_MOVED;
    }
    return result;
}

static enum relay_result flush_pipe(struct relay_direction *d, const struct relay_tools *tools)
{
    enum relay_result result = RELAY_IDLE;

    while (d->pipe->holds) {
        size_t n = 0;
        enum io put = pair_splice_write(d->to, d->pipe->out, d->pipe->holds, &n);

        if (put == IO_AGAIN)
            return result;
        if (put != IO_OK)
            return RELAY_WRITE_FAILED;
        d->bytes += (int64_t)n;
        d->pipe->holds -= n;
        result = RELAY_MOVED;
    }
    pipe_pool_give_back(tools->pipes, d->pipe);
    d->pipe = NULL;
    return result;
}

enum relay_result relay_flush(struct relay_direction *d, const struct relay_tools *tools)
{
    return d->pipe ? flush_pipe(d, tools) : flush_buffer(d, tools);
}

/* How much of `size` bytes may be read. */
static size_t may_read(const struct throttle *throttle, size_t size)
{
    size_t allowed = throttle ? throttle_allows(throttle) : size;

    return allowed < size ? allowed : size;
}

static void hold_if_empty(struct relay_direction *d, const struct throttle *throttle)
{
    d->is_held = throttle && throttle_allows(throttle) == 0;
}

/* `n` bytes have been read. */
static void count_read(struct relay_direction *d, struct throttle *throttle, size_t n)
{
    if (!throttle)
        return;
    throttle_take(throttle, n);
    hold_if_empty(d, throttle);
}

/* Hands the end on, after all bytes. The second end of a connection is left to its closing, which
 * follows at once. */
static enum relay_result end(struct relay_direction *d)
{
    if (d->reverse->state == RELAY_ENDED && pair_ends_by_close(d->to)) {
        d->state = RELAY_ENDED;
        return RELAY_MOVED;
    }
    switch (pair_end(d->to)) {
    case IO_OK:
        d->state = RELAY_ENDED;
        return RELAY_MOVED;
    case IO_AGAIN:
        return RELAY_IDLE;
    default:
        return RELAY_WRITE_FAILED;
    }
}

/* Writes `n` scratch bytes, and keeps what `to` does not take. */
static enum relay_result forward(struct relay_direction *d, const struct relay_tools *tools,
                                 size_t n)
{
    const uint8_t *at = tools->scratch;

    while (n) {
        size_t written = 0;
        enum io result = pair_write(d->to, at, n, &written);

        if (result == IO_AGAIN)
            break;
        if (result != IO_OK)
            return RELAY_WRITE_FAILED;
        d->bytes += (int64_t)written;
        at += written;
        n -= written;
    }
    d->small_reads = n > 0;
    if (n && !buffer_append(&d->waiting, tools->pool, at, n)) {
        stream_error_keep_first(&d->to->error, stream_error_write(ENOMEM));
        return RELAY_WRITE_FAILED;
    }
    return RELAY_MOVED;
}

void relay_last_word(struct relay_direction *d, const struct relay_tools *tools,
                     struct throttle *throttle)
{
    size_t n = 0;

    hold_if_empty(d, throttle);
    d->from->ready |= INTEREST_READ;
    for (int i = 0;
         i < LAST_READS && relay_flush(d, tools) != RELAY_WRITE_FAILED && relay_wants_read(d) &&
         pair_read(d->from, tools->scratch, may_read(throttle, RELAY_SCRATCH), &n) == IO_OK;
         i++) {
        count_read(d, throttle, n);
        if (forward(d, tools, n) == RELAY_WRITE_FAILED)
            return;
    }
}

/* True when the direction is busy enough for the other gear, and can take it. */
static bool shall_splice(struct relay_direction *d, const struct relay_tools *tools)
{
    return d->full_reads >= FULL_READS && tools->pipes && tools->pipes->max &&
           pair_can_splice(d->from) && pair_can_splice(d->to);
}

static enum relay_result copy_turn(struct relay_direction *d, const struct relay_tools *tools,
                                   struct throttle *throttle, enum relay_result result)
{
    for (int i = 0; i < READS_A_TURN && relay_wants_read(d); i++) {
        size_t whole = d->small_reads ? SLOW_READ : RELAY_SCRATCH, n = 0;
        size_t size = may_read(throttle, whole);
        enum io got = pair_read(d->from, tools->scratch, size, &n);

        if (got == IO_AGAIN)
            return result;
        if (got == IO_ERROR)
            return RELAY_READ_FAILED;
        if (got == IO_EOF) {
            d->state = RELAY_ENDING;
            return RELAY_MOVED;
        }
        count_read(d, throttle, n);
        if (n < size && i == 0)
            d->full_reads = 0; /* a short one behind full ones is only their end */
        else if (n == size &&
                 size == whole) /* a smaller one says nothing about what would have come */
            d->full_reads++;
        result = forward(d, tools, n);
        if (result == RELAY_WRITE_FAILED || n < size)
            break;
        if (shall_splice(d, tools)) {
            d->splices = true;
            d->full_reads = 0;
            break;
        }
    }
    return result;
}

/* One pipeful from end to end. *ret_n: how much was read. */
static enum relay_result splice_once(struct relay_direction *d, const struct relay_tools *tools,
                                     struct throttle *throttle, struct pipe_pair *pipe,
                                     size_t *ret_n)
{
    enum io got = pair_splice_read(d->from, pipe->in, may_read(throttle, PIPE_SIZE), ret_n);

    if (got != IO_OK) {
        pipe_pool_give_back(tools->pipes, pipe);
        if (got == IO_EOF)
            d->state = RELAY_ENDING;
        return got == IO_ERROR ? RELAY_READ_FAILED : got == IO_EOF ? RELAY_MOVED : RELAY_IDLE;
    }
    count_read(d, throttle, *ret_n);
    pipe->holds = *ret_n;
    d->pipe = pipe;
    return relay_flush(d, tools) == RELAY_WRITE_FAILED ? RELAY_WRITE_FAILED : RELAY_MOVED;
}

static enum relay_result splice_turn(struct relay_direction *d, const struct relay_tools *tools,
                                     struct throttle *throttle, enum relay_result result)
{
    bool was_ready = d->from->ready & INTEREST_READ;

    for (int i = 0; i < SPLICES_A_TURN && relay_wants_read(d); i++) {
        struct pipe_pair *pipe = pipe_pool_lend(tools->pipes);
        enum relay_result moved;
        size_t n = 0;

        if (!pipe) /* this time */
            return copy_turn(d, tools, throttle, result);
        moved = splice_once(d, tools, throttle, pipe, &n);
        if (moved == RELAY_IDLE && i == 0 && was_ready) {
            /* The descriptor is readable but cannot be spliced: an urgent byte stands first
             * (RFC 6093), which only recv passes over. */
            d->splices = false;
            d->from->ready |= INTEREST_READ;
            return copy_turn(d, tools, throttle, result);
        }
        if (moved == RELAY_IDLE)
            return result;
        result = moved;
        if (moved != RELAY_MOVED || n < SMALL_SPLICE)
            break;
        d->small_splices = 0;
    }
    if (d->splices && ++d->small_splices > SMALL_SPLICES) {
        d->splices = false;
        d->small_splices = 0;
    }
    return result;
}

/* An end that is there already costs nothing, and is not kept waiting; one that comes later is found with
 * the next piece. */
static enum relay_result look_for_end(struct relay_direction *d, enum relay_result result)
{
    switch (pair_read_end(d->from)) {
    case IO_EOF:
        d->state = RELAY_ENDING;
        return RELAY_MOVED;
    case IO_ERROR:
        return RELAY_READ_FAILED;
    default:
        return result;
    }
}

enum relay_result relay_pump(struct relay_direction *d, const struct relay_tools *tools,
                             struct throttle *throttle)
{
    enum relay_result result = relay_flush(d, tools);

    hold_if_empty(d, throttle);
    if (result == RELAY_WRITE_FAILED)
        return result;
    if (!d->is_held)
        result = d->splices ? splice_turn(d, tools, throttle, result)
                            : copy_turn(d, tools, throttle, result);
    if (result <= RELAY_MOVED && relay_waits_for_throttle(d))
        result = look_for_end(d, result);
    if (d->state == RELAY_ENDING && result <= RELAY_MOVED && !relay_wants_write(d))
        return end(d);
    return result;
}

void relay_release(struct relay_direction *d, const struct relay_tools *tools)
{
    buffer_clear(&d->waiting, tools->pool);
    if (d->pipe)
        pipe_pool_give_back(tools->pipes, d->pipe);
    d->pipe = NULL;
}
