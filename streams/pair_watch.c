/* pair_watch.c - what a connection waits for, and what it does when that comes. */
#include "streams/pair_private.h"

#include <errno.h>
#include <stddef.h>

/* What any layer waits for to hand down what it took. */
int pair_flush_waits(const struct stream_pair *pair)
{
    int waits = 0;

    for (const struct layer *layer = pair->top; layer; layer = layer->below)
        waits |= layer->flush_waits;
    return waits;
}

static bool holds(const struct stream_pair *pair)
{
    for (const struct layer *layer = pair->top; layer; layer = layer->below)
        if (layer->holds)
            return true;
    return false;
}

/* Behind the end nothing comes, and it stays readable for ever. */
static bool wants_to_read(const struct stream_pair *pair)
{
    return pair->interest & INTEREST_READ && pair->read_status == STREAM_OPEN;
}

/* Somebody waits for bytes that a layer has although the descriptor is silent. */
static bool waits_for_held(const struct stream_pair *pair)
{
    if (!pair->top || !holds(pair))
        return false;
    if (pair->opens_layer)
        return pair->top->open_waits & INTEREST_READ;
    return wants_to_read(pair);
}

/* What is waited for now. */
static int waits(const struct stream_pair *pair)
{
    int events;

    if (!pair->top || pair->state == PAIR_ERROR)
        return INTEREST_NONE;
    if (pair->opens_layer)
        events = pair->top->open_waits;
    else
        events = (wants_to_read(pair) ? pair->top->read_waits : 0) |
                 (pair->interest & INTEREST_WRITE ? pair->top->write_waits : 0);
    return events | pair_flush_waits(pair);
}

/* While something is waited for the loop has something to do. */
void pair_set_watched(struct stream_pair *pair, int events)
{
    if (!pair->watched && events)
        ev_ref(pair->loop);
    else if (pair->watched && !events)
        ev_unref(pair->loop);
    pair->watched = (uint8_t)events;
}

/* The only place that watches: says to the poller what the next turn is to bring. */
void pair_watch(struct stream_pair *pair)
{
    int events = waits(pair);
    bool is_due = events & pair->ready || waits_for_held(pair);

    if (events && !poll_watch_is_added(&pair->watch) && pair->tcp.fd >= 0 &&
        !poller_add(pair->poller, &pair->watch, pair->tcp.fd)) {
        pair_set_failed(pair, stream_error_read(errno));
        is_due = true;
    }
    pair_set_watched(pair, events);
    if (is_due)
        poller_again(pair->poller, &pair->watch);
    else
        poller_not_again(&pair->watch);
}

/* After whatever may have left bytes in a layer. */
void pair_watch_flush(struct stream_pair *pair)
{
    if (pair->top->flush_waits || pair->top->below)
        pair_watch(pair);
}

/* A call has found that it has to wait. What comes next is told by an edge; but that the peer has ended
 * was told already, and what lies behind an urgent byte will not be. */
void pair_not_ready(struct stream_pair *pair, int events)
{
    if (pair->has_ended)
        events &= ~INTEREST_READ;
    else if (events & INTEREST_READ && pair->is_urgent) {
        pair->is_urgent = false;
        events &= ~INTEREST_READ;
    }
    pair->ready &= (uint8_t)~events;
}

static void flush(struct stream_pair *pair)
{
    enum io result = pair->top->ops->flush ? pair->top->ops->flush(pair->top) : IO_OK;

    if (result == IO_AGAIN)
        pair->ready &= (uint8_t)~INTEREST_WRITE;
    else if (result == IO_ERROR && pair->write_status == STREAM_OPEN)
        pair->write_status = STREAM_ERROR;
    pair_watch(pair);
}

void pair_note_events(struct stream_pair *pair, int events)
{
    pair->ready |= (uint8_t)(events & (INTEREST_READ | INTEREST_WRITE));
    pair->has_ended |= (events & POLLER_ENDED) != 0;
    pair->is_urgent |= (events & POLLER_URGENT) != 0;
}

void pair_on_ready(struct poll_watch *w, int events)
{
    struct stream_pair *pair =
        (struct stream_pair *)((char *)w - offsetof(struct stream_pair, watch));

    pair_note_events(pair, events);
    if (waits_for_held(pair))
        pair->ready |= INTEREST_READ;
    else if (!(pair->watched & pair->ready) && pair->state != PAIR_ERROR)
        return;
    if (pair->opens_layer) {
        pair_step_open(pair);
        if (pair->opens_layer)
            return;
    } else if (pair_flush_waits(pair) & pair->ready) {
        flush(pair);
    }
    pair->on_event(pair);
}
