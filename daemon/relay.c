/* relay.c - read into the worker's scratch, write at once, keep the rest. */
#include "daemon/relay.h"

/* Reads of one turn: a greedy stream gives way to others after a quarter of a MiB. */
enum { READS_A_TURN = 4, SLOW_READ = BUFFER_MEDIUM };

enum relay_result relay_flush(struct relay_direction *d, const struct relay_tools *tools)
{
    enum relay_result result = RELAY_IDLE;

    while (buffer_waiting(&d->waiting)) {
        size_t n = 0;

        switch (pair_write(d->to, buffer_bytes(&d->waiting), buffer_waiting(&d->waiting), &n)) {
        case IO_OK:
            d->bytes += (int64_t)n;
            buffer_consume(&d->waiting, tools->pool, n);
            result = RELAY_MOVED;
            break;
        case IO_AGAIN:
            return result;
        case IO_EOF:
        case IO_ERROR:
            return RELAY_WRITE_FAILED;
        }
    }
    return result;
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

void relay_last_word(struct relay_direction *d, const struct relay_tools *tools)
{
    size_t n = 0;

    d->from->ready |= INTEREST_READ;
    while (relay_flush(d, tools) != RELAY_WRITE_FAILED && relay_wants_read(d) &&
           pair_read(d->from, tools->scratch, RELAY_SCRATCH, &n) == IO_OK)
        if (forward(d, tools, n) == RELAY_WRITE_FAILED)
            return;
}

enum relay_result relay_pump(struct relay_direction *d, const struct relay_tools *tools)
{
    enum relay_result result = relay_flush(d, tools);

    if (result == RELAY_WRITE_FAILED)
        return result;
    for (int i = 0; i < READS_A_TURN && relay_wants_read(d); i++) {
        size_t size = d->small_reads ? SLOW_READ : RELAY_SCRATCH, n = 0;
        enum io got = pair_read(d->from, tools->scratch, size, &n);

        if (got == IO_AGAIN)
            return result;
        if (got == IO_ERROR)
            return RELAY_READ_FAILED;
        if (got == IO_EOF) {
            d->state = RELAY_ENDING;
            break;
        }
        result = forward(d, tools, n);
        if (result == RELAY_WRITE_FAILED)
            return result;
        if (n < size)
            break;
    }
    if (d->state == RELAY_ENDING && buffer_waiting(&d->waiting) == 0)
        return end(d);
    return result;
}
