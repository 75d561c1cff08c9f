/* buffer.h - bytes that must wait, in blocks borrowed from a pool. Pure: no I/O. An idle
 * connection holds no block: a buffer that runs empty gives its block back at once. One pool
 * belongs to one thread; a buffer is used with one pool only. */
#ifndef PAIRSOCKS_BUFFER_H
#define PAIRSOCKS_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sizes of blocks. A buffer that asks for more than the largest gets none. */
#define BUFFER_SMALL (4 * 1024)
#define BUFFER_MEDIUM (16 * 1024)
/* Four full TLS records, what TLS adds to each, and some short ones behind them. */
#define BUFFER_LARGE (66 * 1024)

enum { BUFFER_CLASSES = 3 };

struct buffer_pool {
    struct buffer_block *free[BUFFER_CLASSES]; /* owned: blocks kept for the next borrower */
    unsigned free_count[BUFFER_CLASSES];
    size_t lent; /* bytes in blocks that buffers hold now */
};

/* Zeroed is empty. `bytes[begin..end)` waits. */
struct buffer {
    uint8_t *bytes; /* borrowed from the pool; NULL when nothing waits */
    uint32_t begin;
    uint32_t end;
    uint8_t class_; /* which size of block */
};

/* An all-zero pool is ready to use. done() frees what it keeps; every buffer must have given its
 * block back. */
void buffer_pool_done(struct buffer_pool *pool);

static inline size_t buffer_waiting(const struct buffer *b)
{
    return b->end - b->begin;
}

static inline const uint8_t *buffer_bytes(const struct buffer *b)
{
    return b->bytes ? b->bytes + b->begin : NULL;
}

/* Makes room for `n` more bytes behind what waits (moving it to the front of its block when that
 * is enough). False: no memory, or it does not fit into the block that is held (a block never
 * grows: that is the bound). */
bool buffer_reserve(struct buffer *b, struct buffer_pool *pool, size_t n);

/* Where to put bytes, and how many fit there now. Call buffer_added() with what was put. */
uint8_t *buffer_space(struct buffer *b, size_t *ret_room);
void buffer_added(struct buffer *b, size_t n);

/* Appends a copy. False, with nothing appended, as for buffer_reserve(). */
bool buffer_append(struct buffer *b, struct buffer_pool *pool, const void *bytes, size_t n);

/* Takes the first n bytes away; gives the block back when nothing is left. */
void buffer_consume(struct buffer *b, struct buffer_pool *pool, size_t n);

/* Drops what waits and gives the block back. Harmless when empty. */
void buffer_clear(struct buffer *b, struct buffer_pool *pool);

#endif
