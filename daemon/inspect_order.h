/* inspect_order.h - one question of the control plane to its workers, on its way: a letter to each of them,
 * with room for the answer. Whoever is left last with an order frees it, so that a worker may answer when
 * nobody waits any more. For inspect.c, worker.c and session_inspect.c. */
#ifndef PAIRSOCKS_INSPECT_ORDER_H
#define PAIRSOCKS_INSPECT_ORDER_H

#include "daemon/session_facts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Letters that a worker leaves lying: more are not sent. */
#define INSPECT_LETTERS_MAX 32

struct inspect_order;

struct inspect_letter {
    struct inspect_order *order;
    struct inspect_letter *next;    /* in the inbox */
    atomic_bool is_answered;        /* what follows is complete, and changes no more */
    struct session_facts *sessions; /* owned, the newest first */
    char *texts;                    /* owned: all texts of these that are their own */
    unsigned count;
    uint64_t total;
    bool is_closed;
};

struct inspect_order {
    atomic_uint references;
    bool closes;                         /* one session is to end; else they are to be listed */
    uint64_t id;                         /* of that */
    unsigned max;                        /* of the list */
    atomic_bool is_dropped;              /* nobody wants the answers any more */
    atomic_uint open;                    /* letters that are not answered */
    void (*all_answered)(void *context); /* in a worker's thread, or in the sender's */
    void *context;
    unsigned count;
    struct inspect_letter letters[];
};

/* Of one worker, which reads it. It outlives all who send. */
struct inspect_inbox {
    pthread_mutex_t lock;
    struct inspect_letter *first, **last;
    unsigned count;
    bool is_closed;
    void (*wake)(void *context); /* in the sender's thread */
    void *context;
};

void inspect_inbox_init(struct inspect_inbox *inbox, void (*wake)(void *context), void *context);
void inspect_inbox_done(struct inspect_inbox *inbox); /* harmless when it is all zeros */

/* With letters to `count` workers and one reference, the caller's; letters that are sent have one each.
 * NULL without memory. */
struct inspect_order *inspect_order_new(unsigned count);
void inspect_order_unref(struct inspect_order *order);

/* A full inbox takes none: the letter remains unanswered. One whose worker has ended is answered at once. */
void inspect_send(struct inspect_letter *letter, struct inspect_inbox *inbox);

/* The worker: the next letter, which inspect_answered() gives back; NULL: none. */
struct inspect_letter *inspect_inbox_next(struct inspect_inbox *inbox);
void inspect_answered(struct inspect_letter *letter);

/* The worker ends: it has no sessions. */
void inspect_inbox_close(struct inspect_inbox *inbox);

#endif
