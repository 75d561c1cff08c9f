/* inspect_order.c - letters, and the boxes that they lie in. */
#include "daemon/inspect_order.h"

#include <stdlib.h>

struct inspect_order *inspect_order_new(unsigned count)
{
    struct inspect_order *order = calloc(1, sizeof *order + count * sizeof order->letters[0]);

    if (!order)
        return NULL;
    atomic_init(&order->references, 1);
    atomic_init(&order->open, count);
    order->count = count;
    for (unsigned i = 0; i < count; i++)
        order->letters[i].order = order;
    return order;
}

void inspect_order_unref(struct inspect_order *order)
{
    if (!order || atomic_fetch_sub(&order->references, 1) != 1)
        return;
    for (unsigned i = 0; i < order->count; i++) {
        free(order->letters[i].sessions);
        free(order->letters[i].texts);
    }
    free(order);
}

void inspect_inbox_init(struct inspect_inbox *inbox, void (*wake)(void *context), void *context)
{
    *inbox = (struct inspect_inbox){.wake = wake, .context = context};
    inbox->last = &inbox->first;
    pthread_mutex_init(&inbox->lock, NULL);
}

void inspect_inbox_done(struct inspect_inbox *inbox)
{
    struct inspect_letter *letter;

    if (!inbox->last)
        return;
    while ((letter = inspect_inbox_next(inbox)))
        inspect_order_unref(letter->order);
    pthread_mutex_destroy(&inbox->lock);
}

struct inspect_letter *inspect_inbox_next(struct inspect_inbox *inbox)
{
    struct inspect_letter *letter;

    pthread_mutex_lock(&inbox->lock);
    letter = inbox->first;
    if (letter) {
        inbox->first = letter->next;
        inbox->count--;
        if (!inbox->first)
            inbox->last = &inbox->first;
    }
    pthread_mutex_unlock(&inbox->lock);
    return letter;
}

void inspect_answered(struct inspect_letter *letter)
{
    struct inspect_order *order = letter->order;

    atomic_store(&letter->is_answered, true);
    if (atomic_fetch_sub(&order->open, 1) == 1)
        order->all_answered(order->context);
    inspect_order_unref(order);
}

void inspect_send(struct inspect_letter *letter, struct inspect_inbox *inbox)
{
    bool is_closed, is_sent;

    atomic_fetch_add(&letter->order->references, 1);
    pthread_mutex_lock(&inbox->lock);
    is_closed = inbox->is_closed;
    is_sent = !is_closed && inbox->count < INSPECT_LETTERS_MAX;
    if (is_sent) {
        letter->next = NULL;
        *inbox->last = letter;
        inbox->last = &letter->next;
        inbox->count++;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (is_sent)
        inbox->wake(inbox->context);
    else if (is_closed)
        inspect_answered(letter);
    else
        inspect_order_unref(letter->order);
}

void inspect_inbox_close(struct inspect_inbox *inbox)
{
    struct inspect_letter *letter;

    pthread_mutex_lock(&inbox->lock);
    inbox->is_closed = true;
    pthread_mutex_unlock(&inbox->lock);
    while ((letter = inspect_inbox_next(inbox)))
        inspect_answered(letter);
}
