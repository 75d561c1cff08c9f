/* session.c - the session as one machine. Every event does the same: step() goes as far as it
 * can, finish_step() is the only place that arms watchers and timers, or frees. What a step does
 * in each state stands in session_handshake.c, session_dial.c, session_bind.c, session_relay.c
 * and session_refuse.c; when it is too late, in session_time.c. */
#include "daemon/session_machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void list_add(struct session_list *list, struct session *s)
{
    s->next = NULL;
    s->previous = list->last;
    if (list->last)
        list->last->next = s;
    else
        list->first = s;
    list->last = s;
}

static void list_remove(struct session_list *list, struct session *s)
{
    if (s->previous)
        s->previous->next = s->next;
    else
        list->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        list->last = s->previous;
}

bool session_leave_queue(struct session *s)
{
    if (!s->is_queued)
        return true;
    s->is_queued = false;
    return queue_leave(&s->listener->gate->queue, &s->handshake->place);
}

void session_set_state(struct session *s, enum session_state state)
{
    if (s->state == SESSION_JUDGING)
        session_stop_judging(s);
    if (state >= SESSION_DIALING)
        session_leave_queue(s);
    s->state = (uint8_t)state;
}

void session_end(struct session *s, struct stream_error error)
{
    stream_error_keep_first(&s->error, error);
    session_set_state(s, SESSION_ENDED);
}

void session_end_with_reset(struct session *s, struct stream_error error)
{
    s->reset_client = s->reset_target = true;
    session_end(s, error);
}

/* Goes as far as it can. */
static void step(struct session *s)
{
    bool again = true;

    while (again) {
        switch (s->state) {
        case SESSION_SECURING:
            again = session_step_securing(s);
            break;
        case SESSION_HANDSHAKE:
            again = session_step_handshake(s);
            break;
        case SESSION_DIALING:
            again = session_step_dialing(s);
            break;
        case SESSION_BINDING:
            again = session_step_binding(s);
            break;
        case SESSION_RELAY:
            again = session_step_relay(s);
            break;
        case SESSION_ASSOCIATED:
            again = session_step_associated(s);
            break;
        case SESSION_REFUSING:
            again = session_step_refusing(s);
            break;
        default:
            return;
        }
    }
}

/* Gives back what the session has reserved. */
static void give_back(struct session *s)
{
    struct gate *gate = s->listener->gate;

    if (s->host_counted)
        gate_leave_host(gate, &s->peer.ip);
    if (s->user_counted)
        gate_leave_user(gate, s->user);
    worker_give_place(s->worker, gate);
    snapshot_unref(s->listener->snapshot);
}

/* These are told as numbers, see report.h. */
static bool is_counted(const struct stream_error *error)
{
    return stream_error_is(error, ERROR_POLICY_LIMIT_QUEUE) ||
           stream_error_is(error, ERROR_POLICY_WHITELIST_DENIED);
}

void session_free_handshake(struct session *s)
{
    if (s->handshake) {
        session_stop_bind(s);
        explicit_bzero(&s->handshake->login, sizeof s->handshake->login);
        explicit_bzero(&s->handshake->http.credentials, sizeof s->handshake->http.credentials);
    }
    spares_give(&s->worker->handshakes, s->handshake);
    s->handshake = NULL;
}

static void session_free(struct session *s)
{
    struct worker *worker = s->worker;

    if (s->association)
        association_count_last(s->association);
    if (!is_counted(&s->error))
        session_log(s);
    session_count_ended(s);
    wheel_clear(&s->deadline);
    relay_release(&s->up, &worker->tools);
    relay_release(&s->down, &worker->tools);
    (s->reset_client ? pair_reset : pair_close)(&s->client);
    (s->reset_target ? pair_reset : pair_close)(&s->target);
    association_free(s->association);
    dial_free(s->dial); /* after the pair that it opens */
    dial_path_free(s->path);
    free(s->rate);
    list_remove(&worker->sessions, s);
    give_back(s);
    session_free_handshake(s);
    free(s->target_name);
    free(s->user);
    free(s);
    worker_session_ended(worker);
}

static bool reads_early(const struct session *s)
{
    return s->up.state == RELAY_OPEN && buffer_waiting(&s->up.waiting) < BUFFER_SMALL;
}

static enum interest client_interest(const struct session *s)
{
    switch (s->state) {
    case SESSION_SECURING:
    case SESSION_JUDGING:
        return INTEREST_NONE;
    case SESSION_DIALING:
        return reads_early(s) ? INTEREST_READ : INTEREST_NONE;
    case SESSION_BINDING:
        return (reads_early(s) ? INTEREST_READ : 0) |
               (relay_wants_write(&s->down) ? INTEREST_WRITE : 0);
    case SESSION_RELAY:
        if (s->cut)
            return INTEREST_NONE;
        return (relay_wants_read(&s->up) ? INTEREST_READ : 0) |
               (relay_wants_write(&s->down) ? INTEREST_WRITE : 0);
    default:
        return relay_wants_write(&s->down) ? INTEREST_WRITE : INTEREST_READ;
    }
}

static enum interest target_interest(const struct session *s)
{
    if (s->state == SESSION_ASSOCIATED)
        return INTEREST_READ;
    if (s->state != SESSION_RELAY || s->cut)
        return INTEREST_NONE;
    return (relay_wants_read(&s->down) ? INTEREST_READ : 0) |
           (relay_wants_write(&s->up) ? INTEREST_WRITE : 0);
}

static void set_deadline(struct session *s)
{
    uint64_t due = session_next_look(s);

    if (wheel_is_set(&s->deadline) && s->deadline.due <= due)
        return; /* it comes early and looks again: cheaper than moving it each time */
    deadlines_set(&s->worker->deadlines, &s->deadline, due);
}

static void finish_step(struct session *s)
{
    if (s->state == SESSION_ENDED) {
        session_free(s);
        return;
    }
    pair_want(&s->client, client_interest(s));
    if (s->target.state == PAIR_CONNECTED || s->target.state == PAIR_ERROR)
        pair_want(&s->target, target_interest(s));
    set_deadline(s);
}

void session_look_again(struct session *s)
{
    set_deadline(s);
}

void session_run(struct session *s)
{
    step(s);
    finish_step(s);
}

static void on_client(struct stream_pair *pair)
{
    session_run(SESSION_OF(pair, client));
}

static void on_target(struct stream_pair *pair)
{
    session_run(SESSION_OF(pair, target));
}

void session_due(struct wheel_entry *deadline)
{
    struct session *s = SESSION_OF(deadline, deadline);

    session_look(s);
    session_run(s);
}

static struct session *session_new(struct worker *worker, const struct snapshot_listener *listener,
                                   const struct ip_endpoint *peer)
{
    struct session *s = calloc(1, sizeof *s);

    if (s)
        s->handshake = spares_take(&worker->handshakes);
    if (!s || !s->handshake) {
        free(s);
        return NULL;
    }
    snapshot_ref(listener->snapshot);
    s->state = SESSION_HANDSHAKE;
    s->worker = worker;
    s->listener = listener;
    s->id = ++worker->next_id * CONFIG_WORKERS_MAX + worker->index;
    s->started = s->active = worker->now;
    s->peer = *peer;
    s->counted = listener_blocks_of(&listener->gate->counters, worker->index);
    session_count_started(s);
    s->handshake->session = s;
    s->handshake->auth = listener->config->auth;
    s->handshake->commands = listener->config->commands;
    s->expects_proxy_header = listener->config->proxy_protocol;
    s->up = (struct relay_direction){.from = &s->client, .to = &s->target, .reverse = &s->down};
    s->down = (struct relay_direction){.from = &s->target, .to = &s->client, .reverse = &s->up};
    pair_init(&s->client, worker->loop, on_client);
    pair_init(&s->target, worker->loop, on_target);
    pair_use_poller(&s->client, worker->poller);
    pair_use_poller(&s->target, worker->poller);
    list_add(&worker->sessions, s);
    return s;
}

void session_enter_queue(struct session *s)
{
    struct gate *gate = s->listener->gate;

    s->is_queued = true;
    queue_enter(&gate->queue, &s->handshake->place, &s->peer.ip, &s->worker->evicted);
    s->on_probation = queue_on_probation(&gate->queue, &s->handshake->place);
}

bool session_enter_host(struct session *s)
{
    struct gate *gate = s->listener->gate;

    if (gate_enter_host(gate, &s->peer.ip, &s->host_counted))
        return true;
    gate_count(gate, GATE_HOST);
    session_end(s, stream_error_of(ERROR_POLICY_LIMIT_HOST));
    return false;
}

void session_begin(struct session *s)
{
    if (s->listener->tls && !s->client_secured)
        session_secure_client(s);
    else if (s->listener->config->protocols == PROTOCOL_FORWARD)
        session_forward(s);
}

/* Whether to listen to it at all. Behind a PROXY header the client is not known yet. */
static bool admits(const struct snapshot_listener *listener, const struct ip_address *peer)
{
    bool expects_header = listener->config->proxy_protocol;
    bool admitted = expects_header ? config_believes_proxy(listener->config, peer)
                                   : whitelist_allows(listener->whitelist, peer);

    if (!admitted)
        gate_count(listener->gate, expects_header ? GATE_PROXY : GATE_WHITELIST);
    return admitted;
}

void session_start(struct worker *worker, const struct snapshot_listener *listener, int fd,
                   const struct ip_endpoint *peer)
{
    struct session *s = admits(listener, &peer->ip) ? session_new(worker, listener, peer) : NULL;

    counter_add(&listener_blocks_of(&listener->gate->counters, worker->index)->accepted, 1);
    if (!s) {
        close(fd);
        worker_give_place(worker, listener->gate);
        return;
    }
    pair_adopt(&s->client, fd, peer, true);
    pair_inherited_no_delay(&s->client);
    if (s->expects_proxy_header || session_enter_host(s))
        session_enter_queue(s);
    if (s->state == SESSION_HANDSHAKE && !s->expects_proxy_header)
        session_begin(s);
    session_run(s);
}

void session_evict(struct queue_entry *place)
{
    struct handshake *handshake =
        (struct handshake *)((char *)place - offsetof(struct handshake, place));

    session_abort(handshake->session, stream_error_of(ERROR_POLICY_LIMIT_QUEUE));
}

void session_abort(struct session *s, struct stream_error error)
{
    session_end_with_reset(s, error);
    finish_step(s);
}
