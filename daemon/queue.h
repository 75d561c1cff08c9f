/* queue.h - the connections of one [listener], over all workers together, whose request is not
 * complete yet, and who of them must go when there are too many (config.md, `queue`).
 *
 * There are `max` regular places. When they are taken, the host that holds most of the queue, the
 * newcomer counted, loses its oldest entry if it holds more than one: who opens many and says
 * nothing hurts himself alone. A host is a host_key().
 *
 * When nobody holds more than one, the newcomer is the one who does not fit. To close it at once
 * would let a crowd of slow clients on many addresses, each with one connection, keep every other
 * client out for as long as a handshake may take. So it is taken on probation, beyond `max`: at
 * most QUEUE_PROBATION_MAX are; one more evicts the oldest of them, and who has no regular place
 * after QUEUE_PROBATION_MS goes, too. A prompt client has said its request by then; the slow ones
 * pass by each other. A regular place that gets free goes to the oldest on probation.
 *
 * Any thread may call anything here, but an entry is entered and left by its owner alone, and
 * nothing is freed while others use it. One short lock for each call; a call takes the same time
 * however many there are, and none allocates but queue_init() and queue_set_max(). */
#ifndef PAIRSOCKS_QUEUE_H
#define PAIRSOCKS_QUEUE_H

#include "daemon/queue_hosts.h"

#include <pthread.h>
#include <stdatomic.h>

#define QUEUE_PROBATION_MAX 64
#define QUEUE_PROBATION_MS 500
#define QUEUE_MAX 1000000 /* the greatest `max` */

struct queue_list {
    struct queue_entry *first, *last; /* the oldest first */
};

/* Where evicted entries wait for their owner: one per worker, for all its queues. It must outlive
 * all use of these queues by any thread. */
struct queue_inbox {
    pthread_mutex_t lock; /* taken inside a queue's */
    struct queue_list evicted;
    void (*wake)(void *context);
    void *context;
};

/* Embedded in what is queued, which owns it. All zeros: in no queue. Nobody else looks inside. */
struct queue_entry {
    struct queue_inbox *inbox; /* borrowed; NULL: in no queue. Only its owner changes it */
    struct queue_member member;
    struct queue_entry *previous, *next; /* on probation, or in the inbox */
    uint8_t state;                       /* under the queue's lock */
    bool in_inbox;                       /* under the inbox's lock */
};

struct queue {
    pthread_mutex_t lock;
    unsigned max;
    unsigned regular;   /* entries with a place */
    unsigned probation; /* entries beyond */
    struct queue_list on_probation;
    struct queue_hosts hosts; /* of both */
    _Atomic uint64_t evicted; /* entries that had to go, ever; to be read by anybody */
};

/* `max` is 1 to QUEUE_MAX. False without memory. */
bool queue_init(struct queue *queue, unsigned max);

/* Every entry has left. */
void queue_done(struct queue *queue);

/* On reload. More: the oldest on probation get the new places. Less: nobody is evicted for it, but
 * nobody gets a place until enough have left. False without memory: it stays as it was. */
bool queue_set_max(struct queue *queue, unsigned max);

/* `wake` is called after an entry was put into the inbox, in the thread that evicted it, which may
 * be the owner's own inside its queue_enter(), and with no lock held: it may come when the entry
 * is gone already. */
void queue_inbox_init(struct queue_inbox *inbox, void (*wake)(void *context), void *context);
void queue_inbox_done(struct queue_inbox *inbox);

/* Takes the entry, always. Others may be evicted for it: each into its owner's inbox. `host` is
 * the client's address. */
void queue_enter(struct queue *queue, struct queue_entry *entry, const struct ip_address *host,
                 struct queue_inbox *inbox);

/* When the request is complete, or the session ends for whatever reason. False: it had been
 * evicted, and is out of the inbox now, too: the session must end with policy.limit.queue. True
 * for an entry that is in no queue: leaving twice is harmless. */
bool queue_leave(struct queue *queue, struct queue_entry *entry);

/* True while it has no regular place. */
bool queue_on_probation(struct queue *queue, const struct queue_entry *entry);

/* To be called QUEUE_PROBATION_MS after queue_enter() if the request is not complete then. True: it
 * has a regular place, and stays. False: it had none, and has left, counted as evicted: the
 * session must end with policy.limit.queue. */
bool queue_end_probation(struct queue *queue, struct queue_entry *entry);

/* For the owner's thread, when it was woken: the next evicted entry, which is still to leave; NULL
 * when there is none. */
struct queue_entry *queue_inbox_next(struct queue_inbox *inbox);

struct queue_numbers {
    unsigned regular, probation; /* entries */
    unsigned hosts;
    unsigned most; /* entries of the greediest host */
};

struct queue_numbers queue_numbers(struct queue *queue);

#endif
