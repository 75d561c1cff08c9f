/* host_table.h - how many of something each key has: sessions of a client (the key is its
 * host_key()), of a user (the name). For `max_per_host` and `max_per_user`, and wherever else
 * keys that peers choose are counted. Any thread; short locks, one for each of several parts of
 * the table. Memory is bounded by what is counted: a key that has none left is gone. */
#ifndef PAIRSOCKS_HOST_TABLE_H
#define PAIRSOCKS_HOST_TABLE_H

#include "daemon/host_key.h"

#include <pthread.h>

#define HOST_TABLE_PARTS 16

struct host_table_entry;

struct host_table_part {
    pthread_mutex_t lock;
    struct host_table_entry **slots; /* owned, as the entries; NULL: none yet */
    size_t slot_count;               /* 0 or a power of two */
    size_t entries;
};

struct host_table {
    struct host_table_part parts[HOST_TABLE_PARTS];
};

void host_table_init(struct host_table *table);

/* Frees what is still counted, too. */
void host_table_done(struct host_table *table);

/* Counts one more for the key, `n` bytes of anything. False: it has `max` already (0: no bound),
 * or there is no memory; nothing was counted. */
bool host_table_take(struct host_table *table, const void *key, size_t n, uint64_t max);

/* Gives one back that was taken. */
void host_table_give(struct host_table *table, const void *key, size_t n);

/* How many the key has. */
uint64_t host_table_count(struct host_table *table, const void *key, size_t n);

/* How many keys have any. */
size_t host_table_keys(struct host_table *table);

#endif
