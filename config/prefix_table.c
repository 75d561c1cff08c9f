/* prefix_table.c - sorted prefixes, and links from each to the one around it. IPv4 comes first and
 * IPv6 behind it in the same rows; an IPv4 address fills the upper half of `high`, so that both are
 * compared and masked alike. */
#include "config/prefix_table.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* The 128 bits of an address as two numbers that compare as its bytes do. */
struct key {
    uint64_t high, low;
};

struct row {
    struct key first;
    uint32_t wider;
    uint8_t bits;
};

struct prefix_table {
    uint32_t v4_count, count;
    struct row rows[];
};

/* A prefix while the table is made. */
struct draft {
    struct row row;
    uint8_t family;
    uint32_t given; /* its place among the given ones */
};

static struct key key_of(const struct ip_address *ip)
{
    struct key key;

    memcpy(&key, ip->bytes, sizeof key);
    return (struct key){be64toh(key.high), be64toh(key.low)};
}

static bool key_below(struct key a, struct key b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* 64 bits of which the first `bits` (any number) are set. */
static uint64_t mask(int bits)
{
    if (bits <= 0)
        return 0;
    return bits >= 64 ? UINT64_MAX : ~(UINT64_MAX >> bits);
}

static bool row_holds(const struct row *row, struct key key)
{
    return ((row->first.high ^ key.high) & mask(row->bits)) == 0 &&
           ((row->first.low ^ key.low) & mask(row->bits - 64)) == 0;
}

/* By family, first address, and the wider before the narrower. */
static int draft_compare(const void *left, const void *right)
{
    const struct draft *a = left, *b = right;

    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    if (key_below(a->row.first, b->row.first))
        return -1;
    if (key_below(b->row.first, a->row.first))
        return 1;
    return (int)a->row.bits - (int)b->row.bits;
}

static void draft_all(struct draft *drafts, const struct ip_prefix *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        drafts[i].row = (struct row){.first = key_of(&prefixes[i].ip), .bits = prefixes[i].bits};
        drafts[i].family = prefixes[i].ip.family;
        drafts[i].given = (uint32_t)i;
    }
    qsort(drafts, count, sizeof *drafts, draft_compare);
}

/* What is around row `number`: of the rows before it only the previous one and those around that
 * one can be, because all others end before the previous one starts. */
static uint32_t find_wider(const struct prefix_table *table, uint32_t number, uint32_t family_start)
{
    uint32_t wider = number > family_start ? number - 1 : PREFIX_NONE;

    while (wider != PREFIX_NONE && !row_holds(&table->rows[wider], table->rows[number].first))
        wider = table->rows[wider].wider;
    return wider;
}

static bool is_new(const struct draft *drafts, size_t i)
{
    return i == 0 || draft_compare(&drafts[i - 1], &drafts[i]) != 0;
}

static size_t count_different(const struct draft *drafts, size_t count)
{
    size_t different = 0;

    for (size_t i = 0; i < count; i++)
        different += is_new(drafts, i);
    return different;
}

static void add_rows(struct prefix_table *table, const struct draft *drafts, size_t count,
                     uint32_t *ret_numbers)
{
    for (size_t i = 0; i < count; i++) {
        if (is_new(drafts, i)) {
            uint32_t number = table->count++;

            table->rows[number] = drafts[i].row;
            if (drafts[i].family == IP_V4)
                table->v4_count++;
            table->rows[number].wider =
                find_wider(table, number, drafts[i].family == IP_V4 ? 0 : table->v4_count);
        }
        if (ret_numbers)
            ret_numbers[drafts[i].given] = table->count - 1;
    }
}

struct prefix_table *prefix_table_new(const struct ip_prefix *prefixes, size_t count,
                                      uint32_t *ret_numbers)
{
    struct prefix_table *table;
    struct draft *drafts;

    if (count >= PREFIX_NONE)
        return NULL;
    drafts = calloc(count + 1, sizeof *drafts);
    if (!drafts)
        return NULL;
    draft_all(drafts, prefixes, count);
    table = calloc(1, sizeof *table + count_different(drafts, count) * sizeof *table->rows);
    if (table)
        add_rows(table, drafts, count, ret_numbers);
    free(drafts);
    return table;
}

void prefix_table_free(struct prefix_table *table)
{
    free(table);
}

uint32_t prefix_table_count(const struct prefix_table *table)
{
    return table->count;
}

/* The last row that does not start behind the key; the first row if all do. */
static const struct row *last_start(const struct row *rows, uint32_t count, struct key key)
{
    while (count > 1) {
        uint32_t half = count / 2;

        rows += key_below(key, rows[half].first) ? 0 : half;
        count -= half;
    }
    return rows;
}

uint32_t prefix_table_find(const struct prefix_table *table, const struct ip_address *ip)
{
    struct ip_address unmapped = ip_unmapped(ip);
    bool v4 = unmapped.family == IP_V4;
    const struct row *rows = v4 ? table->rows : table->rows + table->v4_count;
    uint32_t count = v4 ? table->v4_count : table->count - table->v4_count;
    struct key key = key_of(&unmapped);
    uint32_t number;

    if (count == 0 || unmapped.family == IP_NONE)
        return PREFIX_NONE;
    number = (uint32_t)(last_start(rows, count, key) - table->rows);
    while (number != PREFIX_NONE && !row_holds(&table->rows[number], key))
        number = table->rows[number].wider;
    return number;
}

uint32_t prefix_table_wider(const struct prefix_table *table, uint32_t number)
{
    return table->rows[number].wider;
}
