/* session_relay.c - both directions of a session that stands, and how a failure of one ends both. */
#include "daemon/session_machine.h"

/* A peer that does not take our bytes any more may have sent a last word before (a server that
 * refuses an upload): it is delivered as far as that goes at once. */
static void deliver_last_word(struct session *s, struct relay_direction *back)
{
    enum relay_result result;

    back->from->ready |= INTEREST_READ;
    do
        result = relay_pump(back, &s->worker->tools);
    while (result == RELAY_MOVED && back->state == RELAY_OPEN && !relay_wants_write(back));
}

static void relay_failed(struct session *s, enum relay_result result, struct relay_direction *d,
                         struct relay_direction *back)
{
    struct stream_error error = result == RELAY_READ_FAILED ? d->from->error : d->to->error;

    if (result == RELAY_WRITE_FAILED)
        deliver_last_word(s, back);
    session_end_with_reset(s, error);
}

static void pump(struct session *s, struct relay_direction *d, struct relay_direction *back,
                 uint64_t *moved)
{
    enum relay_result result = relay_pump(d, &s->worker->tools);

    if (result == RELAY_MOVED)
        *moved = s->active = session_now(s);
    else if (result != RELAY_IDLE)
        relay_failed(s, result, d, back);
}

bool session_step_relay(struct session *s)
{
    pump(s, &s->up, &s->down, &s->up_moved);
    if (s->state == SESSION_RELAY)
        pump(s, &s->down, &s->up, &s->down_moved);
    if (s->up.state == RELAY_ENDED && s->down.state == RELAY_ENDED)
        session_end(s, (struct stream_error){0});
    return false;
}
