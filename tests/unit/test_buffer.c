/* test_buffer.c - buffers keep bytes in order, never grow beyond their block, and hold no block
 * while they are empty: what bounds the memory of a session and makes an idle one cheap. */
#include "streams/buffer.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(buffer, .timeout = 10);

static const size_t sizes[BUFFER_CLASSES] = {BUFFER_SMALL, BUFFER_MEDIUM, BUFFER_LARGE};

static size_t room_of(struct buffer *b)
{
    size_t room;

    buffer_space(b, &room);
    return room;
}

Test(buffer, zeroed_is_empty_and_holds_nothing)
{
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert_eq(buffer_waiting(&b), 0);
    cr_assert_null(buffer_bytes(&b));
    cr_assert_eq(room_of(&b), 0);
    buffer_consume(&b, &pool, 0);
    buffer_clear(&b, &pool);
    cr_assert_eq(pool.lent, 0);
    buffer_pool_done(&pool);
}

Test(buffer, the_smallest_block_that_fits_is_taken)
{
    struct buffer_pool pool = {0};

    for (int i = 0; i < BUFFER_CLASSES; i++) {
        size_t least = i ? sizes[i - 1] + 1 : 0;

        for (size_t n = least; n <= sizes[i]; n += sizes[i] - least) {
            struct buffer b = {0};

            cr_assert(buffer_reserve(&b, &pool, n));
            cr_assert_eq(room_of(&b), sizes[i], "%zu bytes", n);
            cr_assert_eq(pool.lent, sizes[i]);
            buffer_clear(&b, &pool);
            cr_assert_eq(pool.lent, 0);
        }
    }
    buffer_pool_done(&pool);
}

Test(buffer, more_than_the_largest_block_is_refused)
{
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert_not(buffer_reserve(&b, &pool, BUFFER_LARGE + 1));
    cr_assert_not(buffer_reserve(&b, &pool, SIZE_MAX));
    cr_assert_eq(buffer_waiting(&b), 0);
    cr_assert_eq(pool.lent, 0);
    cr_assert(buffer_append(&b, &pool, "x", 1));
    cr_assert_not(buffer_reserve(&b, &pool, SIZE_MAX));
    cr_assert_eq(buffer_waiting(&b), 1);
    buffer_clear(&b, &pool);
    buffer_pool_done(&pool);
}

Test(buffer, a_block_never_grows)
{
    static const char bytes[BUFFER_SMALL];
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert(buffer_append(&b, &pool, bytes, BUFFER_SMALL - 1));
    cr_assert_not(buffer_append(&b, &pool, bytes, 2));
    cr_assert_eq(buffer_waiting(&b), BUFFER_SMALL - 1);
    cr_assert(buffer_append(&b, &pool, bytes, 1));
    cr_assert_not(buffer_reserve(&b, &pool, 1));
    cr_assert_eq(pool.lent, BUFFER_SMALL);
    buffer_clear(&b, &pool);
    buffer_pool_done(&pool);
}

Test(buffer, appending_nothing_borrows_nothing)
{
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert(buffer_append(&b, &pool, "", 0));
    cr_assert_eq(pool.lent, 0);
    cr_assert_null(buffer_bytes(&b));
    buffer_pool_done(&pool);
}

Test(buffer, gives_its_block_back_when_the_last_byte_goes)
{
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert(buffer_append(&b, &pool, "abc", 3));
    buffer_consume(&b, &pool, 2);
    cr_assert_eq(pool.lent, BUFFER_SMALL);
    cr_assert_eq(*buffer_bytes(&b), 'c');
    buffer_consume(&b, &pool, 1);
    cr_assert_eq(pool.lent, 0);
    cr_assert_null(buffer_bytes(&b));
    cr_assert_eq(pool.free_count[0], 1);
    buffer_pool_done(&pool);
}

Test(buffer, a_reserved_block_without_bytes_can_be_given_back)
{
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert(buffer_reserve(&b, &pool, 1));
    buffer_consume(&b, &pool, 0);
    cr_assert_eq(pool.lent, 0);
    buffer_pool_done(&pool);
}

Test(buffer, room_is_made_by_moving_what_waits_to_the_front)
{
    static const char filler[BUFFER_SMALL];
    struct buffer_pool pool = {0};
    struct buffer b = {0};

    cr_assert(buffer_append(&b, &pool, filler, BUFFER_SMALL - 3));
    cr_assert(buffer_append(&b, &pool, "abc", 3));
    buffer_consume(&b, &pool, BUFFER_SMALL - 3);
    cr_assert_eq(room_of(&b), 0);
    cr_assert_not(buffer_reserve(&b, &pool, BUFFER_SMALL - 2));
    cr_assert(buffer_reserve(&b, &pool, BUFFER_SMALL - 3));
    cr_assert_eq(room_of(&b), BUFFER_SMALL - 3);
    cr_assert_arr_eq(buffer_bytes(&b), "abc", 3);
    buffer_clear(&b, &pool);
    buffer_pool_done(&pool);
}

Test(buffer, what_is_put_into_the_space_waits)
{
    struct buffer_pool pool = {0};
    struct buffer b = {0};
    size_t room;

    cr_assert(buffer_reserve(&b, &pool, 10));
    memcpy(buffer_space(&b, &room), "hello", 5);
    buffer_added(&b, 5);
    cr_assert_eq(buffer_waiting(&b), 5);
    cr_assert_eq(room_of(&b), room - 5);
    memcpy(buffer_space(&b, &room), " world", 6);
    buffer_added(&b, 6);
    cr_assert_arr_eq(buffer_bytes(&b), "hello world", 11);
    buffer_clear(&b, &pool);
    buffer_pool_done(&pool);
}

Test(buffer, a_block_is_used_again)
{
    struct buffer_pool pool = {0};
    struct buffer a = {0}, b = {0};
    const uint8_t *block;

    cr_assert(buffer_append(&a, &pool, "a", 1));
    block = buffer_bytes(&a);
    buffer_clear(&a, &pool);
    cr_assert(buffer_append(&b, &pool, "b", 1));
    cr_assert_eq(buffer_bytes(&b), block);
    cr_assert_eq(pool.free_count[0], 0);
    buffer_clear(&b, &pool);
    buffer_pool_done(&pool);
    cr_assert_eq(pool.free_count[0], 0);
    cr_assert_null(pool.free[0]);
}

/* A burst is not kept for ever: what the pool holds back has a bound. */
Test(buffer, the_pool_keeps_little_after_a_burst)
{
    enum { BURST = 300 };
    static struct buffer burst[BURST];
    struct buffer_pool pool = {0};
    size_t kept = 0;

    for (int class_ = 0; class_ < BUFFER_CLASSES; class_++) {
        for (int i = 0; i < BURST; i++)
            cr_assert(buffer_reserve(&burst[i], &pool, sizes[class_]));
        cr_assert_eq(pool.lent, BURST * sizes[class_]);
        for (int i = 0; i < BURST; i++)
            buffer_clear(&burst[i], &pool);
        cr_assert_eq(pool.lent, 0);
        kept += pool.free_count[class_] * sizes[class_];
    }
    cr_assert_leq(kept, 2 * 1024 * 1024);
    buffer_pool_done(&pool);
}

/* Any sequence of calls is what a plain array would do. */
Test(buffer, holds_what_a_plain_array_would_hold)
{
    static uint8_t model[BUFFER_LARGE], piece[BUFFER_LARGE];
    struct buffer_pool pool = {0};
    uint64_t seed = 1928;

    for (int round = 0; round < 300; round++) {
        struct buffer b = {0};
        size_t have = 0, capacity = 0;

        for (int step = 0; step < 60; step++) {
            size_t n = random_below(&seed, 1 + random_below(&seed, BUFFER_LARGE / 4));

            if (random_next(&seed) >> 63) {
                random_fill(&seed, piece, n < 64 ? n : 64);
                cr_assert_eq(buffer_append(&b, &pool, piece, n), !capacity || have + n <= capacity);
                if (!capacity || have + n <= capacity) {
                    memcpy(model + have, piece, n);
                    have += n;
                    capacity = b.bytes ? sizes[b.class_] : 0;
                }
            } else {
                n = n < have ? n : have;
                buffer_consume(&b, &pool, n);
                memmove(model, model + n, have - n);
                have -= n;
            }
            if (!have)
                capacity = 0;
            cr_assert_eq(buffer_waiting(&b), have);
            cr_assert_eq(pool.lent, capacity);
            cr_assert(have == 0 || memcmp(buffer_bytes(&b), model, have) == 0);
        }
        buffer_clear(&b, &pool);
    }
    cr_assert_eq(pool.lent, 0);
    buffer_pool_done(&pool);
}
