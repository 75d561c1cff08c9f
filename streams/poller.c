/* poller.c - an epoll descriptor inside the loop's own, which sees one readable descriptor. */
#include "streams/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Events taken in one turn of the loop. */
enum { BATCH = 64 };

/* Who an event is for. The kernel keeps the number of the slot, and which use of it: a descriptor that
 * was closed here may still be open in a child that is about to exec, and its events come on. */
struct slot {
    struct poll_watch *watch; /* NULL: free */
    uint32_t use;
    uint32_t next_free;
    int copy; /* owned; what the kernel watches instead of a descriptor that it watches already; -1: none */
};

struct poller {
    struct ev_loop *loop; /* borrowed */
    struct poller *next;  /* of all */
    unsigned references;
    ev_io io; /* io.fd is the epoll descriptor, owned */
    ev_idle again;
    struct poll_watch *line;  /* to be called in the next turn */
    struct poll_watch **end;  /* of the line */
    struct slot *slots;       /* owned; [0] is never used */
    uint32_t count, capacity; /* of them */
    uint32_t free;            /* the first one; 0: none */
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct poller *all;

static int interest_of(uint32_t events)
{
    int told = 0;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        told |= INTEREST_READ;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        told |= INTEREST_WRITE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        told |= POLLER_ENDED;
    if (events & EPOLLPRI)
        told |= POLLER_URGENT;
    return told;
}

static void on_events(struct ev_loop *loop, ev_io *w, int revents)
{
    struct poller *poller = poller_ref(w->data); /* a callback may drop the last other one */
    struct epoll_event events[BATCH];
    int n = epoll_wait(w->fd, events, BATCH, 0);

    (void)loop;
    (void)revents;
    for (int i = 0; i < n; i++) {
        const struct slot *slot = &poller->slots[(uint32_t)events[i].data.u64];

        if (slot->watch && slot->use == events[i].data.u64 >> 32)
            slot->watch->ready(slot->watch, interest_of(events[i].events));
    }
    poller_unref(poller);
}

/* Those that ask again while it works wait for the next turn: other events get theirs. */
static void on_again(struct ev_loop *loop, ev_idle *w, int revents)
{
    struct poller *poller = poller_ref(w->data);
    struct poll_watch *due = poller->line;

    (void)revents;
    ev_idle_stop(loop, w);
    if (due)
        due->at = &due;
    poller->line = NULL;
    poller->end = &poller->line;
    while (due) {
        struct poll_watch *watch = due;

        poller_not_again(watch);
        watch->ready(watch, 0);
    }
    poller_unref(poller);
}

static struct poller *poller_new(struct ev_loop *loop)
{
    struct poller *poller = calloc(1, sizeof *poller);
    int fd = poller ? epoll_create1(EPOLL_CLOEXEC) : -1;

    if (fd < 0) {
        free(poller);
        return NULL;
    }
    poller->loop = loop;
    poller->references = 1;
    poller->end = &poller->line;
    poller->count = 1;
    ev_io_init(&poller->io, on_events, fd, EV_READ);
    poller->io.data = poller;
    ev_io_start(loop, &poller->io);
    ev_unref(loop); /* what it watches keeps the loop running, it does not */
    ev_idle_init(&poller->again, on_again);
    ev_set_priority(&poller->again, EV_MAXPRI);
    poller->again.data = poller;
    return poller;
}

struct poller *poller_of(struct ev_loop *loop)
{
    struct poller *poller;

    pthread_mutex_lock(&all_lock);
    for (poller = all; poller && poller->loop != loop; poller = poller->next)
        ;
    if (poller) {
        poller->references++;
    } else {
        poller = poller_new(loop);
        if (poller) {
            poller->next = all;
            all = poller;
        }
    }
    pthread_mutex_unlock(&all_lock);
    return poller;
}

struct poller *poller_ref(struct poller *poller)
{
    poller->references++;
    return poller;
}

void poller_unref(struct poller *poller)
{
    struct poller **at = &all;

    if (!poller || --poller->references)
        return;
    pthread_mutex_lock(&all_lock);
    while (*at != poller)
        at = &(*at)->next;
    *at = poller->next;
    pthread_mutex_unlock(&all_lock);
    ev_ref(poller->loop);
    ev_io_stop(poller->loop, &poller->io);
    ev_idle_stop(poller->loop, &poller->again);
    close(poller->io.fd);
    free(poller->slots);
    free(poller);
}

/* ---- slots */

static bool grow(struct poller *poller)
{
    uint32_t capacity = poller->capacity ? poller->capacity * 2 : 16;
    struct slot *slots = realloc(poller->slots, capacity * sizeof *slots);

    if (!slots)
        return false;
    poller->slots = slots;
    poller->capacity = capacity;
    return true;
}

/* 0: no memory. */
static uint32_t take_slot(struct poller *poller)
{
    uint32_t number = poller->free;

    if (number) {
        poller->free = poller->slots[number].next_free;
        return number;
    }
    if (poller->count >= poller->capacity && !grow(poller))
        return 0;
    poller->slots[poller->count] = (struct slot){.copy = -1};
    return poller->count++;
}

static void give_slot(struct poller *poller, uint32_t number)
{
    struct slot *slot = &poller->slots[number];

    if (slot->copy >= 0) {
        epoll_ctl(poller->io.fd, EPOLL_CTL_DEL, slot->copy, NULL);
        close(slot->copy);
    }
    slot->copy = -1;
    slot->watch = NULL;
    slot->use++;
    slot->next_free = poller->free;
    poller->free = number;
}

/* Two watches of one descriptor: the kernel tells them apart by its number. */
static bool add_copy(struct poller *poller, struct slot *slot, int fd, struct epoll_event *event)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy >= 0 && epoll_ctl(poller->io.fd, EPOLL_CTL_ADD, copy, event) == 0) {
        slot->copy = copy;
        return true;
    }
    if (copy >= 0)
        close(copy);
    return false;
}

bool poller_add(struct poller *poller, struct poll_watch *watch, int fd)
{
    struct epoll_event event = {.events = EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI};
    uint32_t number = take_slot(poller);

    if (!number) {
        errno = ENOMEM;
        return false;
    }
    event.data.u64 = (uint64_t)poller->slots[number].use << 32 | number;
    if (epoll_ctl(poller->io.fd, EPOLL_CTL_ADD, fd, &event) != 0 &&
        (errno != EEXIST || !add_copy(poller, &poller->slots[number], fd, &event))) {
        give_slot(poller, number);
        return false;
    }
    poller->slots[number].watch = watch;
    watch->poller = poller;
    watch->slot = number;
    return true;
}

void poller_move(struct poll_watch *from, struct poll_watch *to)
{
    poller_not_again(from);
    to->poller = from->poller;
    to->slot = from->slot;
    from->slot = 0;
    to->poller->slots[to->slot].watch = to;
}

void poller_remove(struct poll_watch *watch, int fd)
{
    poller_not_again(watch);
    if (!watch->slot)
        return;
    if (fd >= 0 && watch->poller->slots[watch->slot].copy < 0)
        epoll_ctl(watch->poller->io.fd, EPOLL_CTL_DEL, fd, NULL);
    give_slot(watch->poller, watch->slot);
    watch->slot = 0;
}

/* ---- the line of the next turn */

void poller_again(struct poller *poller, struct poll_watch *watch)
{
    if (watch->at)
        return;
    if (!poller->line)
        ev_idle_start(poller->loop, &poller->again);
    watch->poller = poller;
    watch->next = NULL;
    watch->at = poller->end;
    *poller->end = watch;
    poller->end = &watch->next;
}

void poller_not_again(struct poll_watch *watch)
{
    struct poller *poller = watch->poller;

    if (!watch->at)
        return;
    *watch->at = watch->next;
    if (watch->next)
        watch->next->at = watch->at;
    else if (poller->end == &watch->next)
        poller->end = watch->at;
    watch->at = NULL;
    if (!poller->line)
        ev_idle_stop(poller->loop, &poller->again);
}
