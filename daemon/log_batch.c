/* log_batch.c - heads and lines out of a ring, also across its end. */
#include "daemon/log_batch.h"

#include <string.h>

void log_batch_clear(struct log_batch *batch)
{
    batch->count = batch->length = 0;
}

static bool has_place(const struct log_batch *batch, size_t length)
{
    return batch->count < LOG_BATCH_LINES && length <= LOG_BATCH_SIZE - batch->length;
}

/* Claims the place of one line; the text is the caller's to write. */
static char *add(struct log_batch *batch, const struct log_head *head, uint64_t stands_for)
{
    char *text = batch->bytes + batch->length;

    batch->lines[batch->count++] =
        (struct log_line){.head = *head, .text = text, .stands_for = stands_for};
    batch->length += head->length;
    return text;
}

/* Copies n bytes that begin `at` bytes behind the begin of the two pieces. */
static void copy_out(const struct iovec pieces[2], size_t at, void *out, size_t n)
{
    size_t first = pieces[0].iov_len > at ? pieces[0].iov_len - at : 0;

    if (first > n)
        first = n;
    if (first)
        memcpy(out, (const char *)pieces[0].iov_base + at, first);
    if (n > first)
        memcpy((char *)out + first,
               (const char *)pieces[1].iov_base + (at + first - pieces[0].iov_len), n - first);
}

bool log_batch_take(struct log_batch *batch, struct log_ring *ring)
{
    struct iovec pieces[2];
    size_t at = 0, waiting;
    struct log_head head;

    log_ring_peek(ring, pieces);
    waiting = pieces[0].iov_len + pieces[1].iov_len;
    while (at < waiting) {
        copy_out(pieces, at, &head, sizeof head);
        if (!has_place(batch, head.length))
            break;
        copy_out(pieces, at + sizeof head, add(batch, &head, 1), head.length);
        at += sizeof head + head.length;
    }
    log_ring_taken(ring, at);
    return at == waiting;
}

bool log_batch_add(struct log_batch *batch, const struct log_record *record, uint64_t stands_for)
{
    if (!has_place(batch, record->length))
        return false;
    memcpy(add(batch, &record->head, stands_for), record->bytes, record->length);
    return true;
}
