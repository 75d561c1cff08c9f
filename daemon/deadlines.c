/* deadlines.c - the timer fires for the first deadline, and stays where it is when that one goes. */
#include "daemon/deadlines.h"

static void arm(struct deadlines *deadlines, uint64_t next)
{
    uint64_t now = *deadlines->now;

    deadlines->next = next;
    ev_timer_stop(deadlines->loop, &deadlines->timer);
    if (next == UINT64_MAX)
        return;
    ev_timer_set(&deadlines->timer, next > now ? (double)(next - now) / 1000. : 0., 0.);
    ev_timer_start(deadlines->loop, &deadlines->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct deadlines *deadlines = w->data;
    struct wheel_entry *entry;

    (void)loop;
    (void)revents;
    deadlines->next = 0; /* what is set meanwhile arms nothing */
    wheel_turn(&deadlines->wheel, *deadlines->now);
    while ((entry = wheel_take(&deadlines->wheel)))
        deadlines->due(entry);
    arm(deadlines, wheel_next(&deadlines->wheel));
}

void deadlines_init(struct deadlines *deadlines, struct ev_loop *loop, const uint64_t *now,
                    void (*due)(struct wheel_entry *entry))
{
    deadlines->loop = loop;
    deadlines->now = now;
    deadlines->due = due;
    deadlines->next = UINT64_MAX;
    ev_init(&deadlines->timer, on_timer);
    deadlines->timer.data = deadlines;
}

void deadlines_set(struct deadlines *deadlines, struct wheel_entry *entry, uint64_t due)
{
    wheel_set(&deadlines->wheel, entry, due);
    if (due < deadlines->next)
        arm(deadlines, due);
}

void deadlines_done(struct deadlines *deadlines)
{
    if (deadlines->loop)
        ev_timer_stop(deadlines->loop, &deadlines->timer);
}
