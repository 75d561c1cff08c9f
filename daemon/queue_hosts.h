/* queue_hosts.h - the hosts of a queue, each with its members from the oldest to the youngest,
 * and the host that has most of them. Every call takes the same short time, however many there
 * are and whatever addresses they chose. For queue.c alone, which locks.
 *
 * Hosts are found by a hash table, and stand in one list for each number of members. The numbers
 * change by one at a time, so when the list of the greatest number runs empty the next greatest
 * is one less: nothing is ever searched. */
#ifndef PAIRSOCKS_QUEUE_HOSTS_H
#define PAIRSOCKS_QUEUE_HOSTS_H

#include "daemon/host_key.h"

/* Embedded in what is queued; borrowed from queue_hosts_add() to queue_hosts_remove(). */
struct queue_member {
    struct queue_member *older, *younger; /* of the same host */
    uint32_t host;
};

struct queue_host;
struct queue_hosts_list;

/* All zeros: no room yet. */
struct queue_hosts {
    struct queue_host *host;         /* owned; [0] is nobody */
    uint32_t *slots;                 /* owned; the hash table: the first host of each slot */
    struct queue_hosts_list *having; /* owned; [n]: the hosts with n members */
    uint32_t slot_mask;
    uint32_t room;   /* for so many members, and so for as many hosts */
    uint32_t used;   /* host[1] to host[used] have been in use */
    uint32_t unused; /* of these the first that is not in use now */
    uint32_t count;  /* of hosts */
    uint32_t most;   /* members of the greediest host */
};

/* Makes room for so many members in all; never less than before. False without memory: all is as
 * it was. About 70 bytes a member, of which only what is used at a time is ever touched. */
bool queue_hosts_reserve(struct queue_hosts *hosts, uint32_t members);
void queue_hosts_done(struct queue_hosts *hosts);

/* Adds the youngest member of its host; there has to be room. `hash`: hash_bytes() of the key,
 * which is the caller's to compute because it holds a lock here. */
void queue_hosts_add(struct queue_hosts *hosts, struct queue_member *member,
                     const struct host_key *key, uint64_t hash);
void queue_hosts_remove(struct queue_hosts *hosts, struct queue_member *member);

/* The oldest member of the host that has most of them: of several hosts, of the one that has had
 * so many for the longest time. NULL when nobody has more than one. */
struct queue_member *queue_hosts_oldest_of_greediest(const struct queue_hosts *hosts);

#endif
