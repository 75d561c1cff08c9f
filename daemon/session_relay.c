/* session_relay.c - both directions of a session that stands, and how a failure of one ends
 * both. */
#include "daemon/session_machine.h"

#include <stdlib.h>

/* A TLS stream without its end: what came of it is to be delivered, then `tls_cut` says how the
 * other side hears of it. Nothing more can be said to the side that was cut. */
static void cut(struct session *s, struct relay_direction *d, struct relay_direction *reverse,
                struct progress *progress)
{
    progress->moved = session_now(s);
    stream_error_keep_first(&s->error, d->from->error);
    relay_release(reverse, &s->worker->tools);
    reverse->state = RELAY_ENDED;
    if (s->listener->config->tls_cut_ends)
        d->state = RELAY_ENDING;
    else
        s->cut = d;
}

/* With all that has come into it; NULL: the direction has none. */
static struct throttle *throttle_of(const struct session *s, const struct relay_direction *d)
{
    struct throttle *throttle;

    if (!s->rate)
        return NULL;
    throttle = d == &s->up ? &s->rate->up : &s->rate->down;
    throttle_fill(throttle, session_now(s));
    return throttle;
}

static void pump(struct session *s, struct relay_direction *d, struct relay_direction *reverse,
                 struct progress *progress)
{
    switch (relay_pump(d, &s->worker->tools, throttle_of(s, d))) {
    case RELAY_IDLE:
        break;
    case RELAY_MOVED:
        progress->moved = s->active = session_now(s);
        break;
    case RELAY_READ_FAILED:
        if (stream_error_is(&d->from->error, ERROR_TLS_CUT))
            cut(s, d, reverse, progress);
        else
            session_end_with_reset(s, d->from->error);
        break;
    case RELAY_WRITE_FAILED:
        relay_last_word(reverse, &s->worker->tools, throttle_of(s, reverse));
        session_end_with_reset(s, d->to->error);
        break;
    }
}

/* A reset that overtakes bytes destroys them. */
void session_look_at_cut(struct session *s)
{
    struct progress *progress = s->cut == &s->up ? &s->up_progress : &s->down_progress;
    uint64_t left = pair_unacknowledged(s->cut->to);

    if (left != progress->unacknowledged)
        progress->moved = session_now(s);
    progress->unacknowledged = left;
    if ((left == 0 && !pair_is_flushing(s->cut->to)) || pair_is_dead(s->cut->to) ||
        session_now(s) - progress->moved >= (uint64_t)s->listener->config->write_timeout)
        session_end_with_reset(s, s->error);
}

bool session_limit(struct session *s)
{
    int64_t rate = s->rule ? s->rule->rate : 0;

    if (!rate)
        return true;
    s->rate = malloc(sizeof *s->rate);
    if (!s->rate)
        return false;
    throttle_init(&s->rate->up, rate, session_now(s));
    throttle_init(&s->rate->down, rate, session_now(s));
    throttle_take(&s->rate->up, buffer_waiting(&s->up.waiting)); /* what came before counts */
    return true;
}

uint64_t session_throttle_due(const struct session *s)
{
    uint64_t up = UINT64_MAX, down = UINT64_MAX;

    if (relay_waits_for_throttle(&s->up))
        up = throttle_due(&s->rate->up);
    if (relay_waits_for_throttle(&s->down))
        down = throttle_due(&s->rate->down);
    return up < down ? up : down;
}

static void pump_both(struct session *s)
{
    pump(s, &s->up, &s->down, &s->up_progress);
    if (s->state == SESSION_RELAY && !s->cut)
        pump(s, &s->down, &s->up, &s->down_progress);
}

bool session_step_relay(struct session *s)
{
    bool was_whole = !stream_error_set(&s->error);

    if (!s->cut)
        pump_both(s);
    if (s->state == SESSION_RELAY && !s->cut && was_whole && stream_error_set(&s->error))
        pump_both(s); /* the end that a cut has become is passed on now, no event will come */
    if (s->state == SESSION_RELAY && s->cut)
        session_look_at_cut(s);
    if (s->up.state == RELAY_ENDED && s->down.state == RELAY_ENDED)
        session_end(s, (struct stream_error){0});
    return false;
}
