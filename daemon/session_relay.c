/* session_relay.c - both directions of a session that stands, and how a failure of one ends
 * both. */
#include "daemon/session_machine.h"

static void pump(struct session *s, struct relay_direction *d, struct relay_direction *reverse,
                 struct progress *progress)
{
    switch (relay_pump(d, &s->worker->tools)) {
    case RELAY_IDLE:
        break;
    case RELAY_MOVED:
        progress->moved = s->active = session_now(s);
        break;
    case RELAY_READ_FAILED:
        if (s->listener->config->tls_cut_ends && stream_error_is(&d->from->error, ERROR_TLS_CUT))
            session_end(s, d->from->error);
        else
            session_end_with_reset(s, d->from->error);
        break;
    case RELAY_WRITE_FAILED:
        relay_last_word(reverse, &s->worker->tools);
        session_end_with_reset(s, d->to->error);
        break;
    }
}

bool session_step_relay(struct session *s)
{
    pump(s, &s->up, &s->down, &s->up_progress);
    if (s->state == SESSION_RELAY)
        pump(s, &s->down, &s->up, &s->down_progress);
    if (s->up.state == RELAY_ENDED && s->down.state == RELAY_ENDED)
        session_end(s, (struct stream_error){0});
    return false;
}
