/* session.c - the session as one machine. Every event does the same: step() goes as far as it
 * can, finish_step() is the only place that arms watchers and timers, or frees. What a step does
 * in each state stands in session_handshake.c, session_dial.c, session_relay.c and
 * session_refuse.c; when it is too late, in session_time.c. */
#include "daemon/session_machine.h"

#include <stdlib.h>
#include <unistd.h>

#define SESSION_OF(pointer, member)                                                                \
    ((struct session *)((char *)(pointer)-offsetof(struct session, member)))

void session_list_add(struct session_list *list, struct session *s)
{
    s->next = NULL;
    s->previous = list->last;
    if (list->last)
        list->last->next = s;
    else
        list->first = s;
    list->last = s;
}

void session_list_remove(struct session_list *list, struct session *s)
{
    if (s->previous)
        s->previous->next = s->next;
    else
        list->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        list->last = s->previous;
    s->next = s->previous = NULL;
}

void session_set_state(struct session *s, enum session_state state)
{
    if (s->state == SESSION_HANDSHAKE && state != SESSION_HANDSHAKE) {
        session_list_remove(&s->worker->waiting, s);
        session_list_add(&s->worker->sessions, s);
        limit_give(&s->listener->limits->waiting[s->worker->index]);
    }
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
        case SESSION_HANDSHAKE:
            again = session_step_handshake(s);
            break;
        case SESSION_DIALING:
            again = session_step_dialing(s);
            break;
        case SESSION_RELAY:
            again = session_step_relay(s);
            break;
        case SESSION_REFUSING:
            again = session_step_refusing(s);
            break;
        default:
            return;
        }
    }
}

static void session_free(struct session *s)
{
    struct worker_listener *listener = s->listener;
    struct worker *worker = s->worker;

    if (!stream_error_is(&s->error, ERROR_POLICY_LIMIT_QUEUE)) /* these are counted */
        session_log(s);
    ev_timer_stop(worker->loop, &s->timer);
    relay_release(&s->up, &worker->tools);
    relay_release(&s->down, &worker->tools);
    (s->reset_client ? pair_reset : pair_close)(&s->client);
    (s->reset_target ? pair_reset : pair_close)(&s->target);
    session_list_remove(&worker->sessions, s);
    free(s->handshake);
    free(s->target_name);
    free(s);
    worker_give_place(listener);
    worker_session_ended(worker);
}

static enum interest client_interest(const struct session *s)
{
    switch (s->state) {
    case SESSION_DIALING:
        return s->up.state == RELAY_OPEN && buffer_waiting(&s->up.waiting) < BUFFER_SMALL
                   ? INTEREST_READ
                   : INTEREST_NONE;
    case SESSION_RELAY:
        return (relay_wants_read(&s->up) ? INTEREST_READ : 0) |
               (relay_wants_write(&s->down) ? INTEREST_WRITE : 0);
    default:
        return relay_wants_write(&s->down) ? INTEREST_WRITE : INTEREST_READ;
    }
}

static enum interest target_interest(const struct session *s)
{
    if (s->state != SESSION_RELAY)
        return INTEREST_NONE;
    return (relay_wants_read(&s->down) ? INTEREST_READ : 0) |
           (relay_wants_write(&s->up) ? INTEREST_WRITE : 0);
}

static void arm_timer(struct session *s)
{
    uint64_t due = session_next_look(s);

    if (ev_is_active(&s->timer) && s->timer_due <= due)
        return; /* it fires early and looks again: cheaper than moving it each time */
    s->timer_due = due;
    ev_timer_stop(s->worker->loop, &s->timer);
    ev_timer_set(&s->timer, due > session_now(s) ? (double)(due - session_now(s)) / 1000. : 0., 0.);
    ev_timer_start(s->worker->loop, &s->timer);
}

static void finish_step(struct session *s)
{
    if (s->state == SESSION_ENDED) {
        session_free(s);
        return;
    }
    pair_want(&s->client, client_interest(s));
    if (s->target.state == PAIR_CONNECTED)
        pair_want(&s->target, target_interest(s));
    arm_timer(s);
}

static void on_client(struct stream_pair *pair)
{
    struct session *s = SESSION_OF(pair, client);

    step(s);
    finish_step(s);
}

static void on_target(struct stream_pair *pair)
{
    struct session *s = SESSION_OF(pair, target);

    step(s);
    finish_step(s);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct session *s = SESSION_OF(w, timer);

    (void)loop;
    (void)revents;
    session_look(s);
    step(s);
    finish_step(s);
}

static void give_up(struct worker_listener *listener, int fd)
{
    close(fd);
    worker_give_place(listener);
}

void session_start(struct worker_listener *listener, int fd, const struct ip_endpoint *peer)
{
    struct worker *worker = listener->worker;
    struct session *s = NULL;

    if (!session_queue_make_room(listener, peer)) {
        give_up(listener, fd);
        return;
    }
    s = calloc(1, sizeof *s);
    if (s)
        s->handshake = calloc(1, sizeof *s->handshake);
    if (!s || !s->handshake) {
        free(s);
        limit_give(&listener->limits->waiting[worker->index]);
        give_up(listener, fd);
        return;
    }
    s->worker = worker;
    s->listener = listener;
    s->id = ++worker->next_id * CONFIG_WORKERS_MAX + worker->index;
    s->started = s->active = worker->now;
    s->peer = *peer;
    s->up = (struct relay_direction){.from = &s->client, .to = &s->target, .reverse = &s->down};
    s->down = (struct relay_direction){.from = &s->target, .to = &s->client, .reverse = &s->up};
    pair_init(&s->client, worker->loop, on_client);
    pair_init(&s->target, worker->loop, on_target);
    pair_adopt(&s->client, fd, peer, true);
    pair_inherited_no_delay(&s->client);
    ev_init(&s->timer, on_timer);
    session_list_add(&worker->waiting, s);
    finish_step(s);
}

void session_abort(struct session *s, struct stream_error error)
{
    session_end_with_reset(s, error);
    finish_step(s);
}
