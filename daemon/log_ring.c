/* log_ring.c - one producer, one consumer: two counters that only grow. */
#include "daemon/log_ring.h"

#include <string.h>

bool log_ring_put(struct log_ring *ring, const char *line, size_t n, size_t *ret_used)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t used = head - atomic_load_explicit(&ring->tail, memory_order_acquire);
    size_t at = head % LOG_RING_SIZE, first = LOG_RING_SIZE - at < n ? LOG_RING_SIZE - at : n;

    *ret_used = used;
    if (n > LOG_RING_SIZE - used) {
        atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
        return false;
    }
    memcpy(ring->bytes + at, line, first);
    memcpy(ring->bytes, line + first, n - first);
    atomic_store(&ring->head,
                 head + n); /* sequentially consistent: see log.c, the writer's sleep */
    *ret_used = used + n;
    return true;
}

int log_ring_peek(struct log_ring *ring, struct iovec out[2])
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t used = atomic_load(&ring->head) - tail;
    size_t at = tail % LOG_RING_SIZE, first = LOG_RING_SIZE - at < used ? LOG_RING_SIZE - at : used;

    out[0] = (struct iovec){ring->bytes + at, first};
    out[1] = (struct iovec){ring->bytes, used - first};
    return used == 0 ? 0 : used == first ? 1 : 2;
}

void log_ring_taken(struct log_ring *ring, size_t n)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    atomic_store_explicit(&ring->tail, tail + n, memory_order_release);
}
