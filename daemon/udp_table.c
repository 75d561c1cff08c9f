/* udp_table.c - a hash table with a list by use. */
#include "daemon/udp_table.h"

#include "daemon/hash.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 8 };

void udp_table_init(struct udp_table *t, unsigned max, udp_evicted *evicted, void *context)
{
    *t = (struct udp_table){.max = max, .evicted = evicted, .context = context};
}

static uint64_t hash_of(const struct udp_key *key)
{
    uint8_t bytes[20 + HOST_NAME_LENGTH_MAX];
    size_t n = 20;

    memcpy(bytes, key->ip.bytes, 16);
    bytes[16] = key->ip.family;
    bytes[17] = key->kind;
    memcpy(bytes + 18, &key->port, 2);
    if (key->name) {
        memcpy(bytes + n, key->name, key->name_length);
        n += key->name_length;
    }
    return hash_bytes(bytes, n);
}

static bool same(const struct udp_key *a, const struct udp_key *b)
{
    if (a->kind != b->kind || a->port != b->port || a->name_length != b->name_length)
        return false;
    return a->name ? b->name && memcmp(a->name, b->name, a->name_length) == 0
                   : !b->name && ip_equal(&a->ip, &b->ip);
}

static void unlink_use(struct udp_table *t, struct udp_entry *e)
{
    *(e->newer ? &e->newer->older : &t->newest) = e->older;
    *(e->older ? &e->older->newer : &t->oldest) = e->newer;
}

static void make_newest(struct udp_table *t, struct udp_entry *e)
{
    e->newer = NULL;
    e->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = e;
    t->newest = e;
}

static struct udp_entry **bucket(const struct udp_table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->bucket_count - 1)];
}

static void remove_oldest(struct udp_table *t)
{
    struct udp_entry *e = t->oldest, **at = bucket(t, e->hash);

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    unlink_use(t, e);
    t->count--;
    t->evicted(t->context, e);
    free(e);
}

void udp_table_done(struct udp_table *t)
{
    while (t->oldest)
        remove_oldest(t);
    free(t->buckets);
    t->buckets = NULL;
    t->bucket_count = 0;
}

struct udp_entry *udp_table_find(struct udp_table *t, const struct udp_key *key)
{
    uint64_t hash = hash_of(key);
    struct udp_entry *e = t->bucket_count ? *bucket(t, hash) : NULL;

    while (e && (e->hash != hash || !same(&e->key, key)))
        e = e->next;
    if (e && e != t->newest) {
        unlink_use(t, e);
        make_newest(t, e);
    }
    return e;
}

/* No more entries than buckets, as long as there is memory for these. */
static bool grow(struct udp_table *t)
{
    unsigned count = t->bucket_count ? t->bucket_count * 2 : BUCKETS_MIN;
    struct udp_entry **buckets;

    if (t->count < t->bucket_count)
        return true;
    buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return t->bucket_count > 0;
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = count;
    for (struct udp_entry *e = t->oldest; e; e = e->newer) {
        e->next = *bucket(t, e->hash);
        *bucket(t, e->hash) = e;
    }
    return true;
}

struct udp_entry *udp_table_add(struct udp_table *t, const struct udp_key *key)
{
    struct udp_entry *e;

    if (!grow(t))
        return NULL;
    e = calloc(1, sizeof *e + key->name_length);
    if (!e)
        return NULL;
    if (t->count == t->max)
        remove_oldest(t);
    e->hash = hash_of(key);
    e->key = *key;
    if (key->name)
        e->key.name = memcpy(e + 1, key->name, key->name_length);
    e->next = *bucket(t, e->hash);
    *bucket(t, e->hash) = e;
    make_newest(t, e);
    t->count++;
    return e;
}
