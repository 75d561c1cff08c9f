/* host_table.c - a chained hash table in parts. The high bits of a key's hash choose the part,
 * the low ones the slot. */
#include "daemon/host_table.h"

#include "daemon/hash.h"
#include "daemon/short_lock.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_AT_FIRST = 8 };

struct host_table_entry {
    struct host_table_entry *next;
    uint64_t hash;
    uint64_t count; /* never 0 */
    size_t n;
    uint8_t key[];
};

void host_table_init(struct host_table *table)
{
    *table = (struct host_table){0};
    for (int i = 0; i < HOST_TABLE_PARTS; i++)
        short_lock_init(&table->parts[i].lock);
}

static void free_chain(struct host_table_entry *entry)
{
    while (entry) {
        struct host_table_entry *next = entry->next;

        free(entry);
        entry = next;
    }
}

void host_table_done(struct host_table *table)
{
    for (int i = 0; i < HOST_TABLE_PARTS; i++) {
        struct host_table_part *part = &table->parts[i];

        for (size_t slot = 0; slot < part->slot_count; slot++)
            free_chain(part->slots[slot]);
        free(part->slots);
        part->slots = NULL;
        part->slot_count = part->entries = 0;
        pthread_mutex_destroy(&part->lock);
    }
}

static struct host_table_part *lock_part(struct host_table *table, uint64_t hash)
{
    struct host_table_part *part = &table->parts[(hash >> 32) % HOST_TABLE_PARTS];

    pthread_mutex_lock(&part->lock);
    return part;
}

/* The link to the entry of this key, or to the NULL at its chain's end; NULL without slots. */
static struct host_table_entry **find(const struct host_table_part *part, uint64_t hash,
                                      const void *key, size_t n)
{
    struct host_table_entry **link;

    if (!part->slot_count)
        return NULL;
    link = &part->slots[hash & (part->slot_count - 1)];
    while (*link && ((*link)->hash != hash || (*link)->n != n || memcmp((*link)->key, key, n) != 0))
        link = &(*link)->next;
    return link;
}

/* Without memory the chains get longer instead. */
static void grow(struct host_table_part *part)
{
    size_t count = part->slot_count ? part->slot_count * 2 : SLOTS_AT_FIRST;
    struct host_table_entry **slots;

    if (part->entries < part->slot_count)
        return;
    slots = calloc(count, sizeof *slots);
    if (!slots)
        return;
    for (size_t i = 0; i < part->slot_count; i++) {
        struct host_table_entry *next;

        for (struct host_table_entry *entry = part->slots[i]; entry; entry = next) {
            struct host_table_entry **slot = &slots[entry->hash & (count - 1)];

            next = entry->next;
            entry->next = *slot;
            *slot = entry;
        }
    }
    free(part->slots);
    part->slots = slots;
    part->slot_count = count;
}

static bool take(struct host_table_part *part, uint64_t hash, const void *key, size_t n,
                 uint64_t max)
{
    struct host_table_entry **link, *entry;

    grow(part);
    link = find(part, hash, key, n);
    if (!link)
        return false;
    if (*link) {
        if (max && (*link)->count >= max)
            return false;
        (*link)->count++;
        return true;
    }
    entry = malloc(sizeof *entry + n);
    if (!entry)
        return false;
    *entry = (struct host_table_entry){.hash = hash, .count = 1, .n = n};
    memcpy(entry->key, key, n);
    *link = entry;
    part->entries++;
    return true;
}

bool host_table_take(struct host_table *table, const void *key, size_t n, uint64_t max)
{
    uint64_t hash = hash_bytes(key, n);
    struct host_table_part *part = lock_part(table, hash);
    bool taken = take(part, hash, key, n, max);

    pthread_mutex_unlock(&part->lock);
    return taken;
}

void host_table_give(struct host_table *table, const void *key, size_t n)
{
    uint64_t hash = hash_bytes(key, n);
    struct host_table_part *part = lock_part(table, hash);
    struct host_table_entry **link = find(part, hash, key, n), *entry = link ? *link : NULL;

    assert(entry);
    if (--entry->count == 0) {
        *link = entry->next;
        part->entries--;
        free(entry);
    }
    pthread_mutex_unlock(&part->lock);
}

uint64_t host_table_count(struct host_table *table, const void *key, size_t n)
{
    uint64_t hash = hash_bytes(key, n);
    struct host_table_part *part = lock_part(table, hash);
    struct host_table_entry **link = find(part, hash, key, n);
    uint64_t count = link && *link ? (*link)->count : 0;

    pthread_mutex_unlock(&part->lock);
    return count;
}

size_t host_table_keys(struct host_table *table)
{
    size_t keys = 0;

    for (int i = 0; i < HOST_TABLE_PARTS; i++) {
        pthread_mutex_lock(&table->parts[i].lock);
        keys += table->parts[i].entries;
        pthread_mutex_unlock(&table->parts[i].lock);
    }
    return keys;
}
