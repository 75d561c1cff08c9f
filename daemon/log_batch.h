/* log_batch.h - lines on their way from the rings to the sink: the writing thread takes entire
 * lines out of several rings, so that a sink gets many at once and knows where each one ends. */
#ifndef PAIRSOCKS_LOG_BATCH_H
#define PAIRSOCKS_LOG_BATCH_H

#include "daemon/log_record.h"
#include "daemon/log_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_BATCH_SIZE = 64 * 1024, LOG_BATCH_LINES = 256 };

/* `text` is `head.length` bytes of printable ASCII, the last one a newline. */
struct log_line {
    struct log_head head;
    const char *text;
    uint64_t stands_for; /* how many lines are lost with it: 1, or those that it reports as lost */
};

/* Zeroed it is empty. The texts stand one behind the other. */
struct log_batch {
    size_t count, length;
    struct log_line lines[LOG_BATCH_LINES];
    char bytes[LOG_BATCH_SIZE];
};

void log_batch_clear(struct log_batch *batch);

/* Adds the oldest lines of the ring and takes them out of it. False: the batch is full, the ring is
 * not empty. The consumer's side of the ring. */
bool log_batch_take(struct log_batch *batch, struct log_ring *ring);

/* Adds a finished record. False: no place. */
bool log_batch_add(struct log_batch *batch, const struct log_record *record, uint64_t stands_for);

#endif
