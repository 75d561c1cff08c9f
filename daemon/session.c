/* session.c - the session as one machine. Every event does the same: step() goes as far as it
 * can, finish_step() is the only place that arms watchers and timers, or frees. */
#include "daemon/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A refusal must reach a client that is still sending: closing with unread bytes would reset the
 * connection under it. So what comes is thrown away, for so long and so much. */
enum { LINGER_MS = 5000, LINGER_BYTES = 16 * 1024 * 1024, LINGER_READS_A_TURN = 4 };

/* How often a client from which nothing is read is looked at while its target is dialed. */
enum { DEAD_CLIENT_POLL_MS = 500 };

/* After this time in the relay a session is worth keep-alive probes; short ones are spared the
 * system calls. */
enum { KEEPALIVE_AFTER_MS = 5000 };

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

static uint64_t now_of(const struct session *s)
{
    return s->worker->now;
}

/* The only place that changes the state, and the first error wins. */
static void set_state(struct session *s, enum session_state state)
{
    if (s->state == SESSION_HANDSHAKE && state != SESSION_HANDSHAKE) {
        session_list_remove(&s->worker->waiting, s);
        session_list_add(&s->worker->sessions, s);
        limit_give(&s->listener->limits->waiting);
    }
    s->state = (uint8_t)state;
}

static void end(struct session *s, struct stream_error error)
{
    stream_error_keep_first(&s->error, error);
    set_state(s, SESSION_ENDED);
}

/* Ends with a reset to both: nobody may take what they got for the whole. */
static void end_with_reset(struct session *s, struct stream_error error)
{
    s->reset_client = s->reset_target = true;
    end(s, error);
}

/* Sends handshake bytes; what the socket does not take waits as the first bytes of the way down,
 * not counted. */
static void say(struct session *s, const struct answer *answer)
{
    const uint8_t *at = answer->bytes;
    size_t n = answer->length, written = 0;
    enum io result = IO_AGAIN;

    if (n == 0 || s->client.write_status != STREAM_OPEN)
        return;
    if (!relay_wants_write(&s->down))
        result = pair_write(&s->client, at, n, &written);
    if (result == IO_ERROR ||
        !buffer_append(&s->down.waiting, s->worker->tools.pool, at + written, n - written))
        end(s, stream_error_of(ERROR_CLIENT_GONE));
    s->down.bytes -= (int64_t)(n - written);
    s->down_moved = now_of(s);
}

static void refuse(struct session *s, struct stream_error error, const struct answer *answer)
{
    stream_error_keep_first(&s->error, error);
    buffer_clear(&s->up.waiting, s->worker->tools.pool);
    set_state(s, SESSION_REFUSING);
    s->active = now_of(s);
    say(s, answer);
}

/* ---- handshake ---- */

static void dial(struct session *s);

static void take_target(struct session *s)
{
    const struct socks_request *request = &s->handshake->request;

    s->command = request->command;
    s->target_port = request->port;
    s->target_ip = request->host.ip;
    if (request->host.name_length) {
        s->target_name = malloc(request->host.name_length + 1u);
        if (!s->target_name)
            return;
        memcpy(s->target_name, request->host.name, request->host.name_length);
        s->target_name[request->host.name_length] = '\0';
        s->target_name_length = request->host.name_length;
    }
}

/* Lets the front end read what has come. True: something changed, look again. */
static bool parse(struct session *s)
{
    struct handshake *h = s->handshake;
    struct cursor in = cursor_over(buffer_bytes(&s->up.waiting), buffer_waiting(&s->up.waiting));
    const uint8_t *start = in.at;
    struct answer answer = {.length = 0};
    enum parse parsed = PARSE_DONE;

    if (!h->frontend)
        parsed = frontend_sniff(h, s->listener->config->protocols, &in,
                                s->client.read_status == STREAM_AT_END);
    if (parsed == PARSE_DONE)
        parsed = h->frontend->step(h, &in, &answer);
    s->protocol = h->protocol;
    if (in.at != start)
        buffer_consume(&s->up.waiting, s->worker->tools.pool, (size_t)(in.at - start));
    if (h->has_request)
        take_target(s);
    switch (parsed) {
    case PARSE_MORE:
        say(s, &answer);
        return answer.length > 0;
    case PARSE_BAD:
        refuse(s, h->error, &answer);
        return true;
    case PARSE_DONE:
        break;
    }
    dial(s);
    return true;
}

/* The client has ended its direction before its request was complete. */
static void cut(struct session *s)
{
    struct answer answer = {.length = 0};

    if (!s->handshake->frontend || (s->handshake->stage && !buffer_waiting(&s->up.waiting))) {
        end(s, stream_error_of(ERROR_CLIENT_GONE)); /* nothing was begun */
        return;
    }
    s->handshake->frontend->cut(s->handshake, &answer);
    refuse(s, s->handshake->error, &answer);
}

/* Reads into the block in which a client's bytes wait, as far as there is room. */
static enum io read_early(struct session *s)
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

static bool step_handshake(struct session *s)
{
    if (relay_wants_write(&s->down)) {
        if (relay_flush(&s->down, &s->worker->tools) == RELAY_WRITE_FAILED)
            end(s, stream_error_of(ERROR_CLIENT_GONE));
        if (relay_wants_write(&s->down))
            return false; /* who does not read our answers is not asked for more */
    }
    switch (read_early(s)) {
    case IO_OK:
        while (s->state == SESSION_HANDSHAKE && buffer_waiting(&s->up.waiting) && parse(s))
            ;
        return true;
    case IO_AGAIN:
        return false;
    case IO_EOF:
        if (!s->handshake->frontend && buffer_waiting(&s->up.waiting) && parse(s))
            return true;
        cut(s);
        return true;
    case IO_ERROR:
        break;
    }
    end(s, stream_error_of(ERROR_CLIENT_GONE));
    return true;
}

/* ---- dialing ---- */

static void reply_failure(struct session *s, struct stream_error error)
{
    struct answer answer = {.length = 0};

    s->handshake->frontend->reply(s->handshake, &error, NULL, &answer);
    refuse(s, error, &answer);
}

static void dial(struct session *s)
{
    struct connector_options options = {
        .resolver = s->worker->resolver,
        .ipv4_only = s->handshake->frontend == &frontend_socks4,
    };

    set_state(s, SESSION_DIALING);
    s->dialed = now_of(s);
    if (s->handshake->request.host.name_length) {
        struct ip_address literal = {0};

        if (!s->target_name) {
            reply_failure(s, stream_error_connect(ENOMEM));
            return;
        }
        if (host_classify(s->target_name, s->target_name_length, &literal) == HOST_INVALID) {
            reply_failure(s, stream_error_of(ERROR_RESOLVER_INVALID));
            return;
        }
        if (literal.family == IP_V6 && options.ipv4_only) {
            reply_failure(s, stream_error_of(ERROR_RESOLVER_NO_ADDRESS));
            return;
        }
        pair_connect(&s->target, &options, &literal, s->target_name, s->target_port);
    } else {
        pair_connect(&s->target, &options, &s->target_ip, NULL, s->target_port);
    }
}

/* The truth, told once: the target is connected, and from this address of ours. */
static void reply_success(struct session *s)
{
    static const struct stream_error none;
    struct ip_endpoint bound = pair_local_address(&s->target);
    struct answer answer = {.length = 0};

    s->address = s->target.peer;
    s->replied = s->active = s->up_moved = now_of(s);
    s->handshake->frontend->reply(s->handshake, &none, &bound, &answer);
    free(s->handshake);
    s->handshake = NULL;
    set_state(s, SESSION_RELAY);
    say(s, &answer);
}

static bool step_dialing(struct session *s)
{
    if (s->up.state == RELAY_OPEN) {
        switch (read_early(s)) {
        case IO_EOF:
            s->up.state = RELAY_ENDING; /* half-closed: the request still stands */
            break;
        case IO_ERROR:
            end(s, stream_error_of(ERROR_CLIENT_GONE));
            return true;
        default:
            break;
        }
    }
    if (pair_is_opening(&s->target))
        return false;
    s->address = s->target.peer;
    if (s->target.state == PAIR_CONNECTED)
        reply_success(s);
    else
        reply_failure(s, s->target.error);
    return true;
}

/* ---- relay ---- */

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
    end_with_reset(s, error);
}

static void pump(struct session *s, struct relay_direction *d, struct relay_direction *back,
                 uint64_t *moved)
{
    enum relay_result result = relay_pump(d, &s->worker->tools);

    if (result == RELAY_MOVED)
        *moved = s->active = now_of(s);
    else if (result != RELAY_IDLE)
        relay_failed(s, result, d, back);
}

static bool step_relay(struct session *s)
{
    pump(s, &s->up, &s->down, &s->up_moved);
    if (s->state == SESSION_RELAY)
        pump(s, &s->down, &s->up, &s->down_moved);
    if (s->up.state == RELAY_ENDED && s->down.state == RELAY_ENDED)
        end(s, (struct stream_error){0});
    return false;
}

/* ---- refusing ---- */

static bool step_refusing(struct session *s)
{
    if (relay_flush(&s->down, &s->worker->tools) == RELAY_WRITE_FAILED) {
        end(s, s->error);
        return false;
    }
    if (relay_wants_write(&s->down))
        return false;
    if (pair_end(&s->client) == IO_ERROR) {
        end(s, s->error);
        return false;
    }
    for (int i = 0; i < LINGER_READS_A_TURN; i++) {
        size_t n = 0;
        enum io result = pair_read(&s->client, s->worker->tools.scratch, RELAY_SCRATCH, &n);

        if (result == IO_AGAIN)
            return false;
        s->discarded += n;
        if (result != IO_OK || s->discarded > LINGER_BYTES) {
            end(s, s->error);
            return false;
        }
    }
    return false;
}

/* ---- time ---- */

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
            other = s->up_moved;
        if (relay_wants_write(&s->down))
            other = earlier(other, s->down_moved);
        other += (uint64_t)config->write_timeout;
        if (other < due) {
            due = other;
            *ret_error = ERROR_SYSTEM_WRITE_TIMEOUT;
        }
    }
    return due;
}

/* When somebody has to look at the session again. */
static uint64_t next_look(const struct session *s)
{
    const struct config_listener *config = s->listener->config;
    enum stream_error_id unused;

    switch (s->state) {
    case SESSION_HANDSHAKE:
        return s->started + (uint64_t)config->handshake_timeout;
    case SESSION_DIALING: {
        uint64_t due = s->dialed + (uint64_t)config->connect_timeout;

        if (s->client.io.active)
            return due;
        return earlier(due, now_of(s) + DEAD_CLIENT_POLL_MS);
    }
    case SESSION_RELAY: {
        uint64_t due = relay_deadline(s, &unused);

        if (!s->keepalive_set && config->keepalive)
            return earlier(due, s->replied + KEEPALIVE_AFTER_MS);
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

/* The timer has fired: what is due now? Often nothing, because something moved since it was set. */
static void look(struct session *s)
{
    const struct config_listener *config = s->listener->config;
    uint64_t now = now_of(s);
    enum stream_error_id error;

    switch (s->state) {
    case SESSION_HANDSHAKE:
        if (now >= s->started + (uint64_t)config->handshake_timeout)
            end(s, stream_error_of(ERROR_TIMEOUT_HANDSHAKE));
        break;
    case SESSION_DIALING:
        if (now >= s->dialed + (uint64_t)config->connect_timeout)
            pair_expire(&s->target);
        else if (!s->client.io.active && pair_is_dead(&s->client))
            end(s, stream_error_of(ERROR_CLIENT_GONE));
        break;
    case SESSION_RELAY:
        if (!s->keepalive_set && now >= s->replied + KEEPALIVE_AFTER_MS)
            keep_alive(s);
        if (now < relay_deadline(s, &error))
            break;
        if (error == ERROR_SYSTEM_WRITE_TIMEOUT)
            end_with_reset(s, stream_error_of(error));
        else
            end(s, stream_error_of(error));
        break;
    case SESSION_REFUSING:
        if (now >= s->active + LINGER_MS)
            end(s, s->error);
        break;
    default:
        break;
    }
}

/* ---- one step, and what follows it ---- */

static void step(struct session *s)
{
    bool again = true;

    while (again) {
        switch (s->state) {
        case SESSION_HANDSHAKE:
            again = step_handshake(s);
            break;
        case SESSION_DIALING:
            again = step_dialing(s);
            break;
        case SESSION_RELAY:
            again = step_relay(s);
            break;
        case SESSION_REFUSING:
            again = step_refusing(s);
            break;
        default:
            return;
        }
    }
}

static void session_free(struct session *s)
{
    struct worker *worker = s->worker;
    bool waited_for;

    if (!stream_error_is(&s->error, ERROR_POLICY_LIMIT_QUEUE)) /* these are counted */
        session_log(s);
    ev_timer_stop(worker->loop, &s->timer);
    buffer_clear(&s->up.waiting, worker->tools.pool);
    buffer_clear(&s->down.waiting, worker->tools.pool);
    (s->reset_client ? pair_reset : pair_close)(&s->client);
    (s->reset_target ? pair_reset : pair_close)(&s->target);
    session_list_remove(&worker->sessions, s);
    waited_for = limit_give(&s->listener->limits->sessions);
    waited_for |= limit_give(&worker->all->sessions);
    free(s->handshake);
    free(s->target_name);
    free(s);
    if (waited_for)
        workers_resume_listeners(worker->all);
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
    uint64_t due = next_look(s);

    if (ev_is_active(&s->timer) && s->timer_due <= due)
        return; /* it fires early and looks again: cheaper than moving it each time */
    s->timer_due = due;
    ev_timer_stop(s->worker->loop, &s->timer);
    ev_timer_set(&s->timer, due > now_of(s) ? (double)(due - now_of(s)) / 1000. : 0., 0.);
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
    look(s);
    step(s);
    finish_step(s);
}

static void give_up(struct worker_listener *listener, int fd)
{
    close(fd);
    limit_give(&listener->limits->sessions);
    limit_give(&listener->worker->all->sessions);
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
        limit_give(&listener->limits->waiting);
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
    ev_init(&s->timer, on_timer);
    session_list_add(&worker->waiting, s);
    finish_step(s);
}

void session_abort(struct session *s, struct stream_error error)
{
    end_with_reset(s, error);
    finish_step(s);
}
