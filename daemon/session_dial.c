/* session_dial.c - from the complete request to the truthful reply: resolving, connecting, and
 * watching that the client is still there. */
#include "daemon/session_machine.h"

#include <errno.h>
#include <stdlib.h>

/* Reads into the block in which a client's bytes wait, as far as there is room. */
enum io session_read_early(struct session *s)
{
    struct buffer *b = &s->up.waiting;
    size_t room, n = 0;
    uint8_t *space;
    enum io result;

    if (!(s->client.ready & s->client.top->read_waits))
        return IO_AGAIN;
    if (!buffer_reserve(b, s->worker->tools.pool, 1))
        return IO_AGAIN; /* the block is full */
    space = buffer_space(b, &room);
    result = pair_read(&s->client, space, room, &n);
    buffer_added(b, result == IO_OK ? n : 0);
    if (!buffer_waiting(b))
        buffer_clear(b, s->worker->tools.pool);
    return result;
}

/* What it waited for beside its pair. */
static void on_dial(void *context)
{
    session_run(context);
}

void session_free_dial(struct session *s)
{
    if (s->dial)
        s->path = dial_take_path(s->dial);
    dial_free(s->dial);
    s->dial = NULL;
}

/* The client's TLS has ended without its end. */
static bool is_cut(const struct session *s)
{
    return stream_error_is(&s->client.error, ERROR_TLS_CUT);
}

void session_reply_failure(struct session *s, struct stream_error error)
{
    struct answer answer = {.length = 0};

    session_count_failed(s, &error);
    pair_close(&s->target);
    association_free(s->association);
    s->association = NULL;
    session_free_dial(s);
    session_stop_bind(s);
    s->replied = session_now(s);
    s->handshake->frontend->reply(s->handshake, &error, NULL, &answer);
    if (s->handshake->frontend->is_silent)
        session_end_with_reset(s, error); /* all that can be said */
    else
        session_refuse(s, error, &answer);
}

void session_dial_options(struct session *s, struct dial_options *ret_options)
{
    struct ip_endpoint reached = pair_local_address(&s->client);

    *ret_options = (struct dial_options){
        .snapshot = s->listener->snapshot,
        .route = s->route,
        .loop = s->worker->loop,
        .resolver = s->worker->resolver,
        .budget = &s->worker->attempts,
        .pool = s->worker->tools.pool,
        .now = &s->worker->now,
        .bind_address = s->listener->config->bind_address,
        .client = dial_client_of(&s->peer, &reached),
        .target = {s->asked_ip.family == IP_NONE ? s->target_name : NULL, s->asked_ip,
                   s->target_port},
        .command = s->command,
        .wake = on_dial,
        .context = s,
    };
    if (s->command == SOCKS_UDP_ASSOCIATE) /* its targets are not known yet */
        ret_options->target = (struct dial_peer){NULL, {.family = IP_V4}, 0};
}

void session_prepare_dial(struct session *s)
{
    struct dial_options options;

    session_dial_options(s, &options);
    s->dial = dial_new(&options);
}

/* Whether the way is known already, and leads to proxies that take the target as it is. */
static bool goes_by_proxies(const struct session *s)
{
    return s->is_routed && dial_is_for(s->route) &&
           (s->asked_ip.family != IP_NONE || config_resolves_remotely(config_last_proxy(s->route)));
}

void session_dial(struct session *s)
{
    struct connector_options options = {
        .resolver = s->worker->resolver,
        .budget = &s->worker->attempts,
        .ipv4_only = s->handshake->frontend->ipv4_only,
        .bind_address = &s->worker->source,
    };
    struct ip_address literal = ip_unmapped(&s->target_ip);
    struct stream_error denied;

    if (!session_leave_queue(s)) {
        session_end_with_reset(s, stream_error_of(ERROR_POLICY_LIMIT_QUEUE));
        return;
    }
    session_set_state(s, SESSION_DIALING);
    s->dialed = session_now(s);
    if (s->command == SOCKS_UDP_ASSOCIATE) {
        session_associate(s);
        return;
    }
    if (s->handshake->request.host.name_length) {
        if (!s->target_name) {
            session_reply_failure(s, stream_error_connect(ENOMEM));
            return;
        }
        if (host_classify(s->target_name, s->target_name_length, &literal) == HOST_INVALID) {
            session_reply_failure(s, stream_error_of(ERROR_RESOLVER_INVALID));
            return;
        }
        literal = ip_unmapped(&literal);
        if (literal.family == IP_V6 && options.ipv4_only) {
            session_reply_failure(s, stream_error_of(ERROR_RESOLVER_NO_ADDRESS));
            return;
        }
    }
    s->asked_ip = literal;
    if (!session_judge_request(s, &denied)) {
        session_reply_failure(s, denied);
        return;
    }
    if (s->command == SOCKS_BIND && !session_prepare_bind(s)) {
        session_reply_failure(s, stream_error_connect(ENOMEM));
        return;
    }
    if (goes_by_proxies(s)) {
        session_prepare_dial(s);
        if (!s->dial)
            session_reply_failure(s, stream_error_connect(ENOMEM));
        return;
    }
    if (s->command == SOCKS_BIND && literal.family != IP_NONE) {
        session_listen(s);
        return;
    }
    if (literal.family == IP_NONE)
        options.judge = s->command == SOCKS_BIND ? session_note_peer : session_judge_address;
    pair_connect(&s->target, &options, &literal, s->target_name, s->target_port);
}

void session_reply_success(struct session *s, const struct ip_endpoint *told)
{
    static const struct stream_error none;
    struct answer answer = {.length = 0};

    if (!session_limit(s)) {
        session_reply_failure(s, stream_error_connect(ENOMEM));
        return;
    }
    session_count_stands(s);
    s->replied = s->active = s->up_progress.moved = session_now(s);
    s->handshake->frontend->reply(s->handshake, &none, told, &answer);
    session_free_dial(s);
    session_free_handshake(s);
    session_set_state(s, SESSION_RELAY);
    session_say(s, &answer);
    if (is_cut(s))
        s->down.state = RELAY_ENDED; /* nothing more can be said to it */
}

/* The target is connected, and from this address of ours. */
static void stand(struct session *s)
{
    struct ip_endpoint bound = {.port = 0};
    struct stream_error unused;

    if (s->dial)
        bound = dial_bound(s->dial);
    else if (s->handshake->frontend->tells_bound)
        bound = pair_local_address(&s->target);

    if (s->asked_ip.family == IP_NONE && !s->dial)
        session_judge_address(&s->target, &s->address, &unused); /* for the rule's name */
    session_reply_success(s, &bound);
}

static bool step_dial(struct session *s)
{
    enum dial_result result = dial_step(s->dial, &s->target);

    if (s->command != SOCKS_BIND)
        s->address = s->target.peer;
    if (result == DIAL_RUNNING)
        return false;
    if (result == DIAL_FAILED)
        session_reply_failure(s, dial_error(s->dial));
    else if (s->association)
        return session_step_association_dial(s);
    else if (s->command == SOCKS_BIND)
        session_listen_by_proxy(s);
    else
        stand(s);
    return true;
}

bool session_keep_early(struct session *s)
{
    if (s->up.state != RELAY_OPEN)
        return true;
    switch (session_read_early(s)) {
    case IO_EOF:
        s->up.state = RELAY_ENDING; /* half-closed: the request still stands */
        return true;
    case IO_ERROR:
        if (is_cut(s))
            return true; /* what came is for the target all the same; the relay meets the cut behind it */
        session_end(s, session_client_error(s));
        return false;
    default:
        return true;
    }
}

bool session_step_dialing(struct session *s)
{
    if (!session_keep_early(s))
        return true;
    if (pair_is_opening(&s->target))
        return false;
    if (s->dial)
        return step_dial(s);
    if (s->command == SOCKS_BIND) { /* its name is resolved */
        session_listen(s);
        return true;
    }
    s->address = s->target.peer;
    if (s->target.state == PAIR_CONNECTED && session_secure_target(s))
        return true;
    if (s->target.state == PAIR_CONNECTED)
        stand(s);
    else
        session_reply_failure(s, s->target.error);
    return true;
}
