/* wheel.c - an entry lies at the level of the highest bits in which its time differs from now: so all of a
 * level are due before all of the next one, and when those bits of the time change, everything below is due. */
#include "daemon/wheel.h"

static void push(struct wheel_entry **list, struct wheel_entry *entry)
{
    entry->next = *list;
    entry->link = list;
    if (entry->next)
        entry->next->link = &entry->next;
    *list = entry;
}

/* Appends all of `from` in front of `to`. */
static void push_all(struct wheel_entry **to, struct wheel_entry **from)
{
    struct wheel_entry *entry;

    while ((entry = *from)) {
        wheel_clear(entry);
        push(to, entry);
    }
}

/* Of two different times. */
static unsigned level_between(uint64_t a, uint64_t b)
{
    return (unsigned)(63 - __builtin_clzll(a ^ b)) / WHEEL_LEVEL_BITS;
}

static unsigned slot_at(uint64_t time, unsigned level)
{
    return time >> level * WHEEL_LEVEL_BITS & (WHEEL_SLOTS - 1);
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due)
{
    unsigned level, slot;

    wheel_clear(entry);
    entry->due = due;
    if (due <= wheel->now) {
        push(&wheel->passed, entry);
        return;
    }
    level = level_between(due, wheel->now);
    slot = slot_at(due, level);
    push(&wheel->slots[level][slot], entry);
    wheel->used[level] |= UINT64_C(1) << slot;
}

void wheel_clear(struct wheel_entry *entry)
{
    if (!entry->link)
        return;
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    entry->next = NULL;
    entry->link = NULL;
}

/* Empties the slots of a level up to one: all are due, but maybe in the last of them. */
static void empty(struct wheel *wheel, unsigned level, unsigned last)
{
    while (wheel->used[level]) {
        unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
        struct wheel_entry *list = NULL, *entry;

        if (slot > last)
            return;
        wheel->used[level] &= ~(UINT64_C(1) << slot);
        push_all(&list, &wheel->slots[level][slot]);
        while ((entry = list))
            wheel_set(wheel, entry, entry->due);
    }
}

void wheel_turn(struct wheel *wheel, uint64_t now)
{
    if (now > wheel->now) {
        unsigned highest = level_between(now, wheel->now);

        wheel->now = now;
        for (unsigned level = 0; level < highest; level++)
            empty(wheel, level, WHEEL_SLOTS - 1);
        empty(wheel, highest, slot_at(now, highest));
    }
    push_all(&wheel->running, &wheel->passed);
}

struct wheel_entry *wheel_take(struct wheel *wheel)
{
    struct wheel_entry *entry = wheel->running;

    if (entry)
        wheel_clear(entry);
    return entry;
}

uint64_t wheel_next(struct wheel *wheel)
{
    if (wheel->passed || wheel->running)
        return wheel->now;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        while (wheel->used[level]) {
            unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
            unsigned shift = level * WHEEL_LEVEL_BITS;

            if (wheel->slots[level][slot])
                return (wheel->now >> shift & ~(uint64_t)(WHEEL_SLOTS - 1)) << shift |
                       (uint64_t)slot << shift;
            wheel->used[level] &= ~(UINT64_C(1) << slot); /* all that was there was dropped */
        }
    return UINT64_MAX;
}
