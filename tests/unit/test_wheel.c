/* test_wheel.c - the timing wheel against the plainest oracle: a list of times. */
#include "daemon/wheel.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(wheel, .timeout = 30);

enum { ENTRIES = 200, STEPS = 20000 };

static struct wheel *wheel_at(uint64_t now)
{
    struct wheel *wheel = calloc(1, sizeof *wheel);

    cr_assert(wheel);
    wheel_turn(wheel, now);
    return wheel;
}

Test(wheel, nothing_is_due_when_nothing_is_set)
{
    struct wheel *wheel = wheel_at(0);

    cr_assert_eq(wheel_next(wheel), UINT64_MAX);
    wheel_turn(wheel, 12345);
    cr_assert_null(wheel_take(wheel));
    cr_assert_eq(wheel_next(wheel), UINT64_MAX);
    free(wheel);
}

/* Follows wheel_next() alone: it is never late, comes to an end, and few times before the deadline. */
static void follow(uint64_t start, uint64_t due)
{
    struct wheel *wheel = wheel_at(start);
    struct wheel_entry entry = {0}, *taken = NULL;
    unsigned turns = 0;

    wheel_set(wheel, &entry, due);
    cr_assert(wheel_is_set(&entry));
    while (!taken) {
        uint64_t next = wheel_next(wheel);

        cr_assert_leq(next, due > start ? due : start);
        cr_assert(next > wheel->now || turns == 0 || next >= due);
        wheel_turn(wheel, next);
        taken = wheel_take(wheel);
        cr_assert(!taken || wheel->now >= due, "%lu before %lu", wheel->now, due);
        cr_assert_leq(++turns, WHEEL_LEVELS);
    }
    cr_assert_eq(taken, &entry);
    cr_assert(!wheel_is_set(&entry));
    cr_assert_eq(wheel_next(wheel), UINT64_MAX);
    free(wheel);
}

Test(wheel, a_deadline_at_every_distance)
{
    static const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 300000, UINT64_C(1) << 40};

    for (unsigned s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        for (uint64_t distance = 0; distance < 9000; distance++)
            follow(starts[s], starts[s] + distance);
        for (unsigned bit = 13; bit < 62; bit++)
            for (int around = -1; around <= 1; around++)
                follow(starts[s], starts[s] + (UINT64_C(1) << bit) + (uint64_t)around);
    }
    follow(5, 3); /* passed */
    follow(5, UINT64_MAX);
}

Test(wheel, one_that_has_passed_waits_for_the_next_turn)
{
    struct wheel *wheel = wheel_at(100);
    struct wheel_entry entry = {0};

    wheel_set(wheel, &entry, 50);
    cr_assert_null(wheel_take(wheel));
    cr_assert_eq(wheel_next(wheel), 100);
    wheel_turn(wheel, 100); /* the same millisecond */
    cr_assert_eq(wheel_take(wheel), &entry);
    wheel_set(wheel, &entry, 100);
    cr_assert_null(
        wheel_take(wheel)); /* who sets it again and again does not keep the loop for ever */
    wheel_clear(&entry);
    cr_assert_eq(wheel_next(wheel), UINT64_MAX);
    free(wheel);
}

Test(wheel, one_that_is_due_can_still_be_dropped_or_moved)
{
    struct wheel *wheel = wheel_at(0);
    struct wheel_entry entries[3] = {0};

    for (int i = 0; i < 3; i++)
        wheel_set(wheel, &entries[i], 10);
    wheel_turn(wheel, 10);
    wheel_clear(&entries[0]);
    wheel_set(wheel, &entries[1], 20);
    cr_assert_eq(wheel_take(wheel), &entries[2]);
    cr_assert_null(wheel_take(wheel));
    wheel_clear(&entries[2]); /* harmless */
    cr_assert_eq(wheel_next(wheel), 20);
    wheel_turn(wheel, 15);
    wheel_turn(wheel, 14); /* time that goes back changes nothing */
    cr_assert_null(wheel_take(wheel));
    wheel_turn(wheel, 1000);
    cr_assert_eq(wheel_take(wheel), &entries[1]);
    free(wheel);
}

/* xorshift64: the same every time */
static uint64_t roll(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

Test(wheel, against_a_list)
{
    static struct wheel_entry entries[ENTRIES];
    static bool is_set[ENTRIES];
    struct wheel *wheel = wheel_at(1000000);
    uint64_t state = 88172645463325252u, now = 1000000;

    for (unsigned step = 0; step < STEPS; step++) {
        struct wheel_entry *entry;
        uint64_t first = UINT64_MAX;

        for (unsigned n = 0; n < 4; n++) {
            unsigned i = (unsigned)(roll(&state) % ENTRIES);

            if (roll(&state) % 4 == 0)
                wheel_clear(&entries[i]);
            else
                wheel_set(wheel, &entries[i], now + (roll(&state) >> roll(&state) % 64) % 400000);
            is_set[i] = wheel_is_set(&entries[i]);
        }
        for (unsigned i = 0; i < ENTRIES; i++)
            if (is_set[i] && entries[i].due < first)
                first = entries[i].due;
        cr_assert_leq(wheel_next(wheel), first < now ? now : first);
        now += (roll(&state) >> roll(&state) % 64) % 20000;
        wheel_turn(wheel, now);
        while ((entry = wheel_take(wheel))) {
            cr_assert(is_set[entry - entries]);
            cr_assert_leq(entry->due, now);
            is_set[entry - entries] = false;
        }
        for (unsigned i = 0; i < ENTRIES; i++)
            cr_assert(!is_set[i] || entries[i].due > now, "%u: %lu at %lu", i, entries[i].due, now);
    }
    free(wheel);
}
