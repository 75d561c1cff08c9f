/* queue.c - who has a place, who is on probation, who must go. An entry is always in one of the
 * states below. Whenever the lock is free, nobody is on probation while a regular place is. */
#include "daemon/queue.h"

#include "daemon/hash.h"
#include "daemon/short_lock.h"

#include <stddef.h>

enum state { QUEUE_OUT, QUEUE_PROBATION, QUEUE_REGULAR, QUEUE_EVICTED };

static void list_append(struct queue_list *list, struct queue_entry *entry)
{
    entry->previous = list->last;
    entry->next = NULL;
    *(list->last ? &list->last->next : &list->first) = entry;
    list->last = entry;
}

static void list_remove(struct queue_list *list, struct queue_entry *entry)
{
    *(entry->previous ? &entry->previous->next : &list->first) = entry->next;
    *(entry->next ? &entry->next->previous : &list->last) = entry->previous;
    entry->previous = entry->next = NULL;
}

/* At most so many members at a time: a queue that was made smaller keeps what it has room for,
 * and the newcomer is in before somebody else is out. */
static uint32_t members_of(unsigned max)
{
    return max + QUEUE_PROBATION_MAX + 1;
}

bool queue_init(struct queue *queue, unsigned max)
{
    *queue = (struct queue){.max = max};
    if (!queue_hosts_reserve(&queue->hosts, members_of(max)))
        return false;
    short_lock_init(&queue->lock);
    return true;
}

void queue_done(struct queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
    queue_hosts_done(&queue->hosts);
}

/* Takes it out of whatever it is in but the inbox. */
static void remove_entry(struct queue *queue, struct queue_entry *entry)
{
    if (entry->state == QUEUE_PROBATION) {
        list_remove(&queue->on_probation, entry);
        queue->probation--;
    } else {
        queue->regular--;
    }
    queue_hosts_remove(&queue->hosts, &entry->member);
    entry->state = QUEUE_OUT;
}

static void promote(struct queue *queue)
{
    while (queue->regular < queue->max && queue->probation) {
        struct queue_entry *oldest = queue->on_probation.first;

        list_remove(&queue->on_probation, oldest);
        oldest->state = QUEUE_REGULAR;
        queue->probation--;
        queue->regular++;
    }
}

static void mark_evicted(struct queue *queue, struct queue_entry *entry)
{
    remove_entry(queue, entry);
    entry->state = QUEUE_EVICTED;
    atomic_fetch_add_explicit(&queue->evicted, 1, memory_order_relaxed);
}

/* Returns whom to wake once the lock is released. */
static struct queue_inbox *evict(struct queue *queue, struct queue_entry *entry)
{
    struct queue_inbox *inbox = entry->inbox;

    mark_evicted(queue, entry);
    pthread_mutex_lock(&inbox->lock);
    list_append(&inbox->evicted, entry);
    entry->in_inbox = true;
    pthread_mutex_unlock(&inbox->lock);
    return inbox;
}

static struct queue_entry *oldest_of_greediest(const struct queue *queue)
{
    struct queue_member *member = queue_hosts_oldest_of_greediest(&queue->hosts);

    return member ? (struct queue_entry *)((char *)member - offsetof(struct queue_entry, member))
                  : NULL;
}

static void wake(const struct queue_inbox *inbox)
{
    if (inbox)
        inbox->wake(inbox->context);
}

bool queue_set_max(struct queue *queue, unsigned max)
{
    bool there_is_room;

    pthread_mutex_lock(&queue->lock);
    there_is_room = queue_hosts_reserve(&queue->hosts, members_of(max));
    if (there_is_room) {
        queue->max = max;
        promote(queue);
    }
    pthread_mutex_unlock(&queue->lock);
    return there_is_room;
}

void queue_enter(struct queue *queue, struct queue_entry *entry, const struct ip_address *host,
                 struct queue_inbox *inbox)
{
    struct host_key key = host_key(host);
    uint64_t hash = hash_bytes(&key, sizeof key);
    struct queue_inbox *greedy = NULL, *late = NULL;
    struct queue_entry *victim;

    *entry = (struct queue_entry){.inbox = inbox, .state = QUEUE_PROBATION};
    pthread_mutex_lock(&queue->lock);
    queue_hosts_add(&queue->hosts, &entry->member, &key, hash);
    list_append(&queue->on_probation, entry);
    queue->probation++;
    /* The newcomer is the youngest everywhere, so it is never the victim. */
    victim = queue->regular >= queue->max ? oldest_of_greediest(queue) : NULL;
    if (victim)
        greedy = evict(queue, victim);
    promote(queue);
    if (queue->probation > QUEUE_PROBATION_MAX)
        late = evict(queue, queue->on_probation.first);
    pthread_mutex_unlock(&queue->lock);
    wake(greedy);
    wake(late);
}

static void leave_inbox(struct queue_entry *entry)
{
    struct queue_inbox *inbox = entry->inbox;

    pthread_mutex_lock(&inbox->lock);
    if (entry->in_inbox)
        list_remove(&inbox->evicted, entry);
    entry->in_inbox = false;
    pthread_mutex_unlock(&inbox->lock);
}

bool queue_leave(struct queue *queue, struct queue_entry *entry)
{
    bool was_evicted;

    if (!entry->inbox)
        return true;
    pthread_mutex_lock(&queue->lock);
    was_evicted = entry->state == QUEUE_EVICTED;
    if (was_evicted) {
        leave_inbox(entry);
    } else {
        remove_entry(queue, entry);
        promote(queue);
    }
    pthread_mutex_unlock(&queue->lock);
    *entry = (struct queue_entry){0};
    return !was_evicted;
}

bool queue_on_probation(struct queue *queue, const struct queue_entry *entry)
{
    bool is_on_probation;

    pthread_mutex_lock(&queue->lock);
    is_on_probation = entry->state == QUEUE_PROBATION;
    pthread_mutex_unlock(&queue->lock);
    return is_on_probation;
}

bool queue_end_probation(struct queue *queue, struct queue_entry *entry)
{
    bool stays;

    pthread_mutex_lock(&queue->lock);
    stays = entry->state == QUEUE_REGULAR;
    if (entry->state == QUEUE_PROBATION)
        mark_evicted(queue, entry);
    pthread_mutex_unlock(&queue->lock);
    return stays || queue_leave(queue, entry);
}

void queue_inbox_init(struct queue_inbox *inbox, void (*wake_owner)(void *context), void *context)
{
    *inbox = (struct queue_inbox){.wake = wake_owner, .context = context};
    pthread_mutex_init(&inbox->lock, NULL);
}

void queue_inbox_done(struct queue_inbox *inbox)
{
    pthread_mutex_destroy(&inbox->lock);
}

struct queue_entry *queue_inbox_next(struct queue_inbox *inbox)
{
    struct queue_entry *entry;

    pthread_mutex_lock(&inbox->lock);
    entry = inbox->evicted.first;
    if (entry) {
        list_remove(&inbox->evicted, entry);
        entry->in_inbox = false;
    }
    pthread_mutex_unlock(&inbox->lock);
    return entry;
}

struct queue_numbers queue_numbers(struct queue *queue)
{
    struct queue_numbers numbers;

    pthread_mutex_lock(&queue->lock);
    numbers = (struct queue_numbers){
        .regular = queue->regular,
        .probation = queue->probation,
        .hosts = queue->hosts.count,
        .most = queue->hosts.most,
    };
    pthread_mutex_unlock(&queue->lock);
    return numbers;
}
