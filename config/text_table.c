/* text_table.c - a hash table that is half empty at least. Texts are hashed from their last byte to
 * the first, so that one pass meets the hash of every ending. */
#include "config/text_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *bytes; /* borrowed */
    size_t length;
};

struct slot {
    uint32_t tag; /* half of the hash, so that other texts are hardly ever compared */
    uint32_t number;
};

struct text_table {
    struct text *texts;
    struct slot *slots;
    unsigned shift; /* there are 2^(64 - shift) slots */
    uint32_t count;
};

/* FNV-1a, one byte further to the left. */
static uint64_t hash_byte(uint64_t hash, char byte)
{
    return (hash ^ (uint8_t)byte) * 0x100000001B3U;
}

static const uint64_t hash_start = 0xCBF29CE484222325U;

static uint64_t hash_text(const char *text, size_t n)
{
    uint64_t hash = hash_start;

    while (n)
        hash = hash_byte(hash, text[--n]);
    return hash;
}

/* The slot in which the text is, or the empty one in which it would be. */
static struct slot *find_slot(const struct text_table *table, uint64_t hash, const char *text,
                              size_t n)
{
    size_t last = (size_t)(UINT64_MAX >> table->shift);
    size_t i = (size_t)(hash * 0x9E3779B97F4A7C15U >> table->shift); /* its upper bits: Fibonacci */

    for (;; i = (i + 1) & last) {
        struct slot *slot = &table->slots[i];
        const struct text *other;

        if (slot->number == TEXT_NONE)
            return slot;
        other = &table->texts[slot->number];
        if (slot->tag == (uint32_t)hash && other->length == n && memcmp(other->bytes, text, n) == 0)
            return slot;
    }
}

static uint32_t add(struct text_table *table, const char *text)
{
    size_t n = strlen(text);
    uint64_t hash = hash_text(text, n);
    struct slot *slot = find_slot(table, hash, text, n);

    if (slot->number == TEXT_NONE) {
        table->texts[table->count] = (struct text){text, n};
        *slot = (struct slot){(uint32_t)hash, table->count++};
    }
    return slot->number;
}

static bool make_room(struct text_table *table, size_t count)
{
    size_t slots = 2;

    table->shift = 63;
    while (slots < 2 * count) {
        slots *= 2;
        table->shift--;
    }
    table->texts = calloc(count + 1, sizeof *table->texts);
    table->slots = malloc(slots * sizeof *table->slots);
    if (!table->texts || !table->slots)
        return false;
    for (size_t i = 0; i < slots; i++)
        table->slots[i].number = TEXT_NONE;
    return true;
}

struct text_table *text_table_new(const char *const *texts, size_t count, uint32_t *ret_numbers)
{
    struct text_table *table = count < TEXT_NONE ? calloc(1, sizeof *table) : NULL;

    if (!table || !make_room(table, count)) {
        text_table_free(table);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        ret_numbers[i] = add(table, texts[i]);
    return table;
}

void text_table_free(struct text_table *table)
{
    if (!table)
        return;
    free(table->texts);
    free(table->slots);
    free(table);
}

uint32_t text_table_count(const struct text_table *table)
{
    return table->count;
}

uint32_t text_table_find(const struct text_table *table, const char *text, size_t n)
{
    if (table->count == 0)
        return TEXT_NONE;
    return find_slot(table, hash_text(text, n), text, n)->number;
}

size_t text_table_find_behind_dots(const struct text_table *table, const char *text, size_t n,
                                   uint32_t *ret_numbers, size_t max)
{
    uint64_t hash = hash_start;
    size_t found = 0;

    if (table->count == 0)
        return 0;
    for (size_t start = n; start-- > 2 && found < max;) {
        uint32_t number;

        hash = hash_byte(hash, text[start]);
        if (text[start - 1] != '.')
            continue;
        number = find_slot(table, hash, text + start, n - start)->number;
        if (number != TEXT_NONE)
            ret_numbers[found++] = number;
    }
    return found;
}
