/* session_time.c - the deadlines of a session: stored times, looked at when the earliest comes. */
#include "daemon/session_machine.h"

/* How long a refused client may take to read its refusal. */
enum { LINGER_MS = 5000 };

/* How often a client from which nothing is read is looked at while its target is dialed. */
enum { DEAD_CLIENT_POLL_MS = 500 };

/* After this time in the relay a session is worth keep-alive probes; short ones are spared the
 * system calls. */
enum { KEEPALIVE_AFTER_MS = 5000 };

/* How often a peer from which nothing is read (its direction has ended, or ours to the other
 * side is stuck) is looked at: its reset would go unseen. */
enum { DEAD_PEER_POLL_MS = 1000 };

/* How often it is looked whether what came before a cut has arrived. */
enum { CUT_POLL_MS = 20 };

/* While bytes wait for a peer it is looked at so many times within write_timeout: the kernel
 * calls it writable only when a good part of a large buffer is free, and a slow peer that lives
 * takes longer. */
enum { LOOKS_A_WRITE = 4 };

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_half_closed(const struct session *s)
{
    return s->up.state != RELAY_OPEN || s->down.state != RELAY_OPEN;
}

/* When the relay must end if nothing moves before, and with what. */
static uint64_t relay_deadline(const struct session *s, enum stream_error_id *ret_error)
{
    const struct config_listener *config = s->listener->config;
    uint64_t due = s->active + (uint64_t)config->idle_timeout, other;

    *ret_error = ERROR_TIMEOUT_IDLE;
    if (is_half_closed(s)) {
        other = s->active + (uint64_t)config->half_close_timeout;
        if (other < due) {
            due = other;
            *ret_error = ERROR_TIMEOUT_HALF_CLOSE;
        }
    }
    if (relay_wants_write(&s->up) || relay_wants_write(&s->down)) {
        other = UINT64_MAX;
        if (relay_wants_write(&s->up))
            other = s->up_progress.moved;
        if (relay_wants_write(&s->down))
            other = earlier(other, s->down_progress.moved);
        other += (uint64_t)config->write_timeout;
        if (other < due) {
            due = other;
            *ret_error = ERROR_SYSTEM_WRITE_TIMEOUT;
        }
    }
    return due;
}

/* The dial that is under way, and the pair that it opens if that is not the target's; NULL: none. */
static struct dial *current_dial(const struct session *s, struct stream_pair **ret_pair)
{
    struct dial *dial;

    *ret_pair = NULL;
    dial = association_dial(s->association, ret_pair);
    return dial ? dial : s->dial;
}

static uint64_t dial_timeout(const struct session *s)
{
    uint64_t timeout = (uint64_t)s->listener->config->connect_timeout;

    return s->route && !s->dial ? earlier(timeout, (uint64_t)s->route->connect_timeout) : timeout;
}

static bool has_unwatched(const struct session *s)
{
    return !pair_is_watched(&s->client) || !pair_is_watched(&s->target);
}

/* When somebody has to look at the session again. */
uint64_t session_next_look(const struct session *s)
{
    const struct config_listener *config = s->listener->config;
    enum stream_error_id unused;

    switch (s->state) {
    case SESSION_SECURING:
    case SESSION_HANDSHAKE:
    case SESSION_JUDGING: {
        uint64_t due = s->started + (uint64_t)config->handshake_timeout;

        if (s->state == SESSION_JUDGING)
            due = earlier(due, session_now(s) + DEAD_CLIENT_POLL_MS);
        return s->on_probation ? earlier(due, s->started + QUEUE_PROBATION_MS) : due;
    }
    case SESSION_DIALING: {
        uint64_t due = s->dialed + dial_timeout(s);
        struct stream_pair *pair;
        struct dial *dial = current_dial(s, &pair);

        if (dial)
            due = earlier(due, dial_next_look(dial, pair ? pair : &s->target));
        if (pair_is_watched(&s->client))
            return due;
        return earlier(due, session_now(s) + DEAD_CLIENT_POLL_MS);
    }
    case SESSION_BINDING: {
        uint64_t due = session_bind_due(s);

        return pair_is_watched(&s->client) ? due
                                           : earlier(due, session_now(s) + DEAD_CLIENT_POLL_MS);
    }
    case SESSION_RELAY: {
        uint64_t due = earlier(relay_deadline(s, &unused), session_throttle_due(s));

        if (s->cut)
            return session_now(s) + CUT_POLL_MS;
        if (!s->keepalive_set && config->keepalive)
            due = earlier(due, s->replied + KEEPALIVE_AFTER_MS);
        if (has_unwatched(s))
            due = earlier(due, session_now(s) + DEAD_PEER_POLL_MS);
        if (relay_wants_write(&s->up) || relay_wants_write(&s->down))
            due =
                earlier(due, session_now(s) + 1 + (uint64_t)config->write_timeout / LOOKS_A_WRITE);
        return due;
    }
    case SESSION_ASSOCIATED: {
        uint64_t due =
            earlier(session_association_deadline(s), association_next_look(s->association));

        if (!s->keepalive_set && config->keepalive)
            due = earlier(due, s->replied + KEEPALIVE_AFTER_MS);
        return due;
    }
    default:
        return s->active + LINGER_MS;
    }
}

static void keep_alive(struct session *s)
{
    int seconds = (int)((s->listener->config->keepalive + 999) / 1000);

    s->keepalive_set = true;
    pair_set_keepalive(&s->client, seconds);
    pair_set_keepalive(&s->target, seconds);
}

/* A peer that acknowledges is a peer that takes, even if nothing could be written since. */
static void look_at_waiting(struct session *s, const struct relay_direction *d,
                            struct progress *progress)
{
    uint64_t unacknowledged;

    if (!relay_wants_write(d))
        return;
    unacknowledged = pair_unacknowledged(d->to);
    if (unacknowledged < progress->unacknowledged)
        progress->moved = s->active = session_now(s);
    progress->unacknowledged = unacknowledged;
}

/* The queue was full when it came: either it has a regular place by now, or it must go. */
static void end_probation(struct session *s)
{
    s->on_probation = false;
    if (!queue_end_probation(&s->listener->gate->queue, &s->handshake->place))
        session_end_with_reset(s, stream_error_of(ERROR_POLICY_LIMIT_QUEUE));
}

/* Too late. HTTP has a word for it (408), SOCKS has none. */
static void end_handshake(struct session *s)
{
    struct stream_error error = stream_error_of(ERROR_TIMEOUT_HANDSHAKE);
    struct answer answer = {.length = 0};

    if (s->state == SESSION_SECURING) {
        pair_expire(&s->client);
        error = s->client.error;
    }
    if (s->handshake->frontend)
        s->handshake->frontend->reply(s->handshake, &error, NULL, &answer);
    if (answer.length)
        session_refuse(s, error, &answer);
    else
        session_end(s, error);
}

static void expire_dialing(struct session *s)
{
    struct stream_pair *pair;
    struct dial *dial = current_dial(s, &pair);

    if (dial)
        dial_expire(dial, pair ? pair : &s->target);
    else
        pair_expire(&s->target);
}

/* What is due now? Often nothing, because something moved since the deadline was set. */
void session_look(struct session *s)
{
    const struct config_listener *config = s->listener->config;
    uint64_t now = session_now(s);
    enum stream_error_id error;
    struct stream_pair *pair;
    struct dial *dial;

    switch (s->state) {
    case SESSION_SECURING:
    case SESSION_HANDSHAKE:
    case SESSION_JUDGING:
        if (now >= s->started + (uint64_t)config->handshake_timeout)
            end_handshake(s);
        else if (s->on_probation && now >= s->started + QUEUE_PROBATION_MS)
            end_probation(s);
        else if (s->state == SESSION_JUDGING && pair_is_dead(&s->client))
            session_end(s, stream_error_of(ERROR_CLIENT_GONE));
        break;
    case SESSION_DIALING:
        if (now >= s->dialed + dial_timeout(s))
            expire_dialing(s);
        else if ((dial = current_dial(s, &pair)))
            dial_look(dial, pair ? pair : &s->target);
        if (!pair_is_watched(&s->client) && pair_is_dead(&s->client))
            session_end(s, stream_error_of(ERROR_CLIENT_GONE));
        break;
    case SESSION_BINDING:
        if (now >= session_bind_due(s))
            session_reply_failure(s, stream_error_of(ERROR_TIMEOUT_BIND));
        else if (!pair_is_watched(&s->client) && pair_is_dead(&s->client))
            session_end(s, stream_error_of(ERROR_CLIENT_GONE));
        break;
    case SESSION_RELAY:
        if (s->cut) {
            session_look_at_cut(s);
            break;
        }
        if (session_throttle_due(s) != UINT64_MAX)
            s->active = now; /* who waits for us is not idle */
        if (!s->keepalive_set && now >= s->replied + KEEPALIVE_AFTER_MS)
            keep_alive(s);
        if ((!pair_is_watched(&s->client) && pair_is_dead(&s->client)) ||
            (!pair_is_watched(&s->target) && pair_is_dead(&s->target))) {
            session_end_with_reset(s, stream_error_of(ERROR_SYSTEM_READ_RESET));
            break;
        }
        look_at_waiting(s, &s->up, &s->up_progress);
        look_at_waiting(s, &s->down, &s->down_progress);
        if (now < relay_deadline(s, &error))
            break;
        if (error == ERROR_SYSTEM_WRITE_TIMEOUT)
            session_end_with_reset(s, stream_error_of(error));
        else
            session_end(s, stream_error_of(error));
        break;
    case SESSION_ASSOCIATED:
        if (!s->keepalive_set && now >= s->replied + KEEPALIVE_AFTER_MS)
            keep_alive(s);
        association_look(s->association);
        if (now >= session_association_deadline(s))
            session_end(s, stream_error_of(ERROR_TIMEOUT_IDLE));
        break;
    case SESSION_REFUSING:
        if (now >= s->active + LINGER_MS)
            session_end(s, s->error);
        break;
    default:
        break;
    }
}
