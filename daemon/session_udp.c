/* session_udp.c - a session whose request was UDP ASSOCIATE: from the request to the reply, and then
 * nothing but waiting for the end of its connections (RFC 1928, 7). The datagrams pass by the association
 * itself. */
#include "daemon/session_machine.h"

#include <errno.h>

/* Reads of one connection in a turn. */
enum { READS_A_TURN = 4 };

void session_associate(struct session *s)
{
    struct stream_error error = stream_error_of(ERROR_PROTOCOL_COMMAND_UNSUPPORTED);

    s->asked_ip = (struct ip_address){.family = IP_V4}; /* no name is asked for */
    if (s->peer.ip.family == IP_NONE) { /* nothing would tell its datagrams from others */
        session_reply_failure(s, error);
        return;
    }
    if (!session_judge_association(s, &error)) {
        session_reply_failure(s, error);
        return;
    }
    if (!config_can_associate(s->route)) {
        session_reply_failure(s, error);
        return;
    }
    s->association = association_new(s, &error);
    if (!s->association) {
        session_reply_failure(s, error);
        return;
    }
    if (!dial_is_for(s->route)) {
        session_reply_association(s);
        return;
    }
    session_prepare_dial(s);
    if (!s->dial)
        session_reply_failure(s, stream_error_connect(ENOMEM));
}

bool session_step_association_dial(struct session *s)
{
    switch (association_connect(s->association, &s->target, s->dial)) {
    case DIAL_RUNNING:
        return false;
    case DIAL_STANDS:
        session_reply_association(s);
        return true;
    case DIAL_FAILED:
        session_reply_failure(s, association_error(s->association));
        return true;
    }
    return false;
}

void session_reply_association(struct session *s)
{
    static const struct stream_error none;
    struct ip_endpoint bound = association_bound(s->association);
    struct answer answer = {.length = 0};

    session_count_stands(s);
    s->replied = s->active = session_now(s);
    s->handshake->frontend->reply(s->handshake, &none, &bound, &answer);
    session_free_dial(s);
    session_free_handshake(s);
    buffer_clear(&s->up.waiting, s->worker->tools.pool);
    session_set_state(s, SESSION_ASSOCIATED);
    association_start(s->association);
    session_say(s, &answer);
}

struct stream_error session_watch(struct session *s, struct stream_pair *pair)
{
    static const struct stream_error none;

    if (pair->state == PAIR_ERROR)
        return pair->error;
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t n = 0;

        switch (pair_read(pair, s->worker->tools.scratch, RELAY_SCRATCH, &n)) {
        case IO_OK:
            s->active = session_now(s);
            break;
        case IO_AGAIN:
            pair_want(pair, INTEREST_READ);
            return none;
        case IO_EOF:
            return stream_error_of(ERROR_STREAM_END_EARLY);
        case IO_ERROR:
            return pair->error;
        }
    }
    pair_want(pair, INTEREST_READ);
    return none;
}

/* The client's end is the association's, in order. */
static void watch_client(struct session *s)
{
    struct stream_error error = {0};

    if (relay_wants_write(&s->down) &&
        relay_flush(&s->down, &s->worker->tools) == RELAY_WRITE_FAILED) {
        session_end(s, stream_error_of(ERROR_CLIENT_GONE));
        return;
    }
    if (s->client.read_status == STREAM_OPEN)
        error = session_watch(s, &s->client);
    if (s->client.read_status == STREAM_AT_END)
        session_end(s, (struct stream_error){0});
    else if (stream_error_set(&error))
        session_end(s, error);
}

bool session_step_associated(struct session *s)
{
    struct stream_error error = {0};

    watch_client(s);
    if (s->state == SESSION_ASSOCIATED && dial_is_for(s->route)) {
        error = session_watch(s, &s->target);
        association_watch(s->association);
        if (!stream_error_set(&error))
            error = association_error(s->association);
        if (stream_error_set(&error))
            session_end(s, error);
    }
    return false;
}

uint64_t session_association_deadline(const struct session *s)
{
    uint64_t active = association_active(s->association);

    if (s->active > active)
        active = s->active;
    return active + (uint64_t)s->listener->config->idle_timeout;
}
