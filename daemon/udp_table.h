/* udp_table.h - what an association remembers of the targets that its client has named, and of the peers
 * that it has written to: found by what is in a datagram, bounded, the one that was quiet longest makes
 * room. Knows no sockets and no clock. */
#ifndef PAIRSOCKS_UDP_TABLE_H
#define PAIRSOCKS_UDP_TABLE_H

#include "streams/address.h"

enum udp_kind {
    UDP_TARGET, /* as the client calls it: an address or a name, and a port */
    UDP_PEER,   /* who was written to; port 0: it may answer from any */
};

struct udp_key {
    uint8_t kind; /* enum udp_kind */
    uint8_t name_length;
    uint16_t port;
    const char *name;     /* bytes of any kind; NULL: `ip` */
    struct ip_address ip; /* IP_NONE with a name */
};

struct udp_entry {
    struct udp_entry *next;          /* in its bucket */
    struct udp_entry *newer, *older; /* by use */
    uint64_t hash;
    struct udp_key key; /* its name is the entry's own */

    /* Of targets, for the owner: zeroed when it is new. */
    uint8_t state;
    uint8_t way;
    uint8_t reason;
    uint8_t waiting;
    struct ip_endpoint to;
    uint64_t until; /* ms; 0: for ever */

    struct udp_limit *limit; /* borrowed, of peers too; NULL: none */
};

typedef void udp_evicted(void *context, struct udp_entry *entry);

struct udp_table {
    struct udp_entry **buckets; /* owned */
    unsigned bucket_count;      /* a power of two, or 0 */
    unsigned count, max;
    struct udp_entry *newest, *oldest;
    udp_evicted *evicted; /* told of each that goes, also at the end; with `context` */
    void *context;
};

void udp_table_init(struct udp_table *table, unsigned max, udp_evicted *evicted, void *context);
void udp_table_done(struct udp_table *table);

/* NULL: it is not there. Otherwise it is the newest now. */
struct udp_entry *udp_table_find(struct udp_table *table, const struct udp_key *key);

/* One that is not there yet, as the newest; the oldest goes when there are too many. NULL: no memory. It
 * stays where it is until it is evicted. */
struct udp_entry *udp_table_add(struct udp_table *table, const struct udp_key *key);

#endif
