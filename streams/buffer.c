/* buffer.c - blocks of three sizes on free lists, last used first, so that they are warm in the
 * cache. */
#include "streams/buffer.h"

#include <stdlib.h>
#include <string.h>

struct buffer_block {
    struct buffer_block *next;
};

static const uint32_t class_size[BUFFER_CLASSES] = {BUFFER_SMALL, BUFFER_MEDIUM, BUFFER_LARGE};

/* How many free blocks of a size are kept: enough for a burst, 1.3 MiB in all. */
static const unsigned class_keep[BUFFER_CLASSES] = {64, 16, 12};

void buffer_pool_done(struct buffer_pool *pool)
{
    for (int i = 0; i < BUFFER_CLASSES; i++) {
        while (pool->free[i]) {
            struct buffer_block *block = pool->free[i];

            pool->free[i] = block->next;
            free(block);
        }
        pool->free_count[i] = 0;
    }
}

static uint8_t *borrow(struct buffer_pool *pool, int class_)
{
    struct buffer_block *block = pool->free[class_];

    if (block) {
        pool->free[class_] = block->next;
        pool->free_count[class_]--;
    } else {
        block = malloc(class_size[class_]);
        if (!block)
            return NULL;
    }
    pool->lent += class_size[class_];
    return (uint8_t *)block;
}

static void give_back(struct buffer_pool *pool, int class_, uint8_t *bytes)
{
    struct buffer_block *block = (struct buffer_block *)(void *)bytes;

    pool->lent -= class_size[class_];
    if (pool->free_count[class_] >= class_keep[class_]) {
        free(block);
        return;
    }
    block->next = pool->free[class_];
    pool->free[class_] = block;
    pool->free_count[class_]++;
}

bool buffer_reserve(struct buffer *b, struct buffer_pool *pool, size_t n)
{
    if (!b->bytes) {
        int class_ = 0;

        while (class_ < BUFFER_CLASSES && class_size[class_] < n)
            class_++;
        if (class_ == BUFFER_CLASSES)
            return false;
        b->bytes = borrow(pool, class_);
        b->class_ = (uint8_t)class_;
        b->begin = b->end = 0;
        return b->bytes != NULL;
    }
    if (class_size[b->class_] - b->end >= n)
        return true;
    if (class_size[b->class_] - buffer_waiting(b) < n)
        return false;
    memmove(b->bytes, b->bytes + b->begin, buffer_waiting(b));
    b->end -= b->begin;
    b->begin = 0;
    return true;
}

uint8_t *buffer_space(struct buffer *b, size_t *ret_room)
{
    *ret_room = b->bytes ? class_size[b->class_] - b->end : 0;
    return b->bytes ? b->bytes + b->end : NULL;
}

void buffer_added(struct buffer *b, size_t n)
{
    b->end += (uint32_t)n;
}

bool buffer_append(struct buffer *b, struct buffer_pool *pool, const void *bytes, size_t n)
{
    if (n == 0)
        return true;
    if (!buffer_reserve(b, pool, n))
        return false;
    memcpy(b->bytes + b->end, bytes, n);
    b->end += (uint32_t)n;
    return true;
}

void buffer_consume(struct buffer *b, struct buffer_pool *pool, size_t n)
{
    b->begin += (uint32_t)n;
    if (b->begin == b->end)
        buffer_clear(b, pool);
}

void buffer_clear(struct buffer *b, struct buffer_pool *pool)
{
    if (b->bytes)
        give_back(pool, b->class_, b->bytes);
    *b = (struct buffer){0};
}
