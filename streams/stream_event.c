/* stream_event.c - what is told of a connection, to whom, and when. Nothing is told from inside a
 * call of the user: what is found there waits for the loop (`soon`). */
#include "streams/stream_private.h"

#include <stdlib.h>

enum {
    READS_AHEAD = STREAM_EVENT_HAS_BYTES | STREAM_EVENT_DATA | STREAM_EVENT_END_ENCOUNTERED,
    COMES_AGAIN = STREAM_EVENT_HAS_BYTES | STREAM_EVENT_DATA | STREAM_EVENT_CAN_ACCEPT_BYTES,
};

static bool wants(const struct stream *stream, unsigned events)
{
    return stream->is_held && !stream->is_closed && stream->callback && stream->events & events;
}

bool stream_reads_ahead(const struct stream *stream)
{
    return wants(stream, READS_AHEAD) && !stream->told_error;
}

/* The last thing that is done with what is told: the callback may free the stream. */
static void tell_bytes(struct stream *stream, enum stream_event_kind kind, const void *bytes,
                       size_t n)
{
    struct stream_event event = {kind, bytes, n};
    unsigned stays = (unsigned)connection_number(stream->connection, STREAM_AUTO_REENABLE);

    if (!wants(stream, kind))
        return;
    stream->events &= ~(COMES_AGAIN & (unsigned)kind & ~stays);
    stream->callback(stream, &event, stream->context);
}

static void tell(struct stream *stream, enum stream_event_kind kind)
{
    tell_bytes(stream, kind, NULL, 0);
}

static void tell_once(struct stream *stream, bool *told, enum stream_event_kind kind)
{
    if (*told)
        return;
    *told = true;
    tell(stream, kind);
}

/* ---- what there is to tell */

static bool failed(const struct stream *stream)
{
    return !stream->is_closed && stream_status(stream) == STREAM_ERROR;
}

static bool can_accept(const struct connection *c)
{
    return c->is_up && c->pair.write_status == STREAM_OPEN && !c->write.is_closed &&
           c->pair.ready & c->pair.top->write_waits;
}

static bool may_read_ahead(const struct connection *c)
{
    return c->is_up && c->pair.read_status == STREAM_OPEN && connection_ahead(c) == 0 &&
           stream_reads_ahead(&c->read);
}

/* Of one stream what both have. */
static bool has_to_tell(const struct stream *stream)
{
    const struct connection *c = stream->connection;

    return (c->is_up && !stream->told_open && wants(stream, STREAM_EVENT_OPEN_COMPLETED)) ||
           (failed(stream) && !stream->told_error && wants(stream, STREAM_EVENT_ERROR_OCCURRED));
}

bool connection_has_to_tell(const struct connection *c)
{
    const struct stream *read = &c->read;

    if ((c->on_change && c->has_changed) || has_to_tell(&c->read) || has_to_tell(&c->write))
        return true;
    if (connection_ahead(c) && !read->told_ready &&
        wants(read, STREAM_EVENT_HAS_BYTES | STREAM_EVENT_DATA))
        return true;
    if (may_read_ahead(c) && c->pair.ready & c->pair.top->read_waits)
        return true;
    if (c->pair.read_status == STREAM_AT_END && connection_ahead(c) == 0 && !read->told_end &&
        wants(read, STREAM_EVENT_END_ENCOUNTERED))
        return true;
    return can_accept(c) && !c->write.told_ready && wants(&c->write, STREAM_EVENT_CAN_ACCEPT_BYTES);
}

/* ---- telling */

void connection_consume_ahead(struct connection *c, size_t n)
{
    c->ahead_at += n;
    if (c->ahead_at == c->ahead_n)
        c->ahead_at = c->ahead_n = 0;
}

/* An error that is to stay in the socket is told before a read takes it out. */
static bool leaves_error(struct connection *c)
{
    if (!connection_number(c, STREAM_LEAVE_ERRORS) || !pair_is_dead(&c->pair))
        return false;
    c->write.told_error = true;
    tell_once(&c->read, &c->read.told_error, STREAM_EVENT_ERROR_OCCURRED);
    return true;
}

static void read_ahead(struct connection *c)
{
    size_t n;

    if (!may_read_ahead(c) || leaves_error(c))
        return;
    if (!c->ahead)
        c->ahead = malloc(STREAM_AHEAD_MAX);
    if (!c->ahead) {
        pair_fail(&c->pair, stream_error_read(ENOMEM));
        return;
    }
    if (pair_read(&c->pair, c->ahead, STREAM_AHEAD_MAX, &n) == IO_OK) {
        c->ahead_n = n;
        c->read.told_ready = false;
    }
}

static void tell_ahead(struct connection *c)
{
    size_t at = c->ahead_at, n = connection_ahead(c);

    if (n == 0 || c->read.told_ready)
        return;
    if (wants(&c->read, STREAM_EVENT_DATA)) {
        connection_consume_ahead(c, n);
        tell_bytes(&c->read, STREAM_EVENT_DATA, c->ahead + at, n);
    } else if (wants(&c->read, STREAM_EVENT_HAS_BYTES)) {
        c->read.told_ready = true;
        tell(&c->read, STREAM_EVENT_HAS_BYTES);
    }
}

static void tell_read(struct connection *c)
{
    if (c->is_up)
        tell_once(&c->read, &c->read.told_open, STREAM_EVENT_OPEN_COMPLETED);
    read_ahead(c);
    tell_ahead(c);
    if (c->pair.read_status == STREAM_AT_END && connection_ahead(c) == 0)
        tell_once(&c->read, &c->read.told_end, STREAM_EVENT_END_ENCOUNTERED);
    if (failed(&c->read))
        tell_once(&c->read, &c->read.told_error, STREAM_EVENT_ERROR_OCCURRED);
}

static void tell_write(struct connection *c)
{
    if (c->is_up)
        tell_once(&c->write, &c->write.told_open, STREAM_EVENT_OPEN_COMPLETED);
    if (can_accept(c) && !c->write.told_ready && wants(&c->write, STREAM_EVENT_CAN_ACCEPT_BYTES)) {
        c->write.told_ready = true;
        tell(&c->write, STREAM_EVENT_CAN_ACCEPT_BYTES);
    }
    if (failed(&c->write))
        tell_once(&c->write, &c->write.told_error, STREAM_EVENT_ERROR_OCCURRED);
}

static void tell_all(struct connection *c)
{
    c->in_callback = true;
    c->has_changed = false;
    if (c->on_change)
        c->on_change(c->owner);
    tell_read(c);
    tell_write(c);
    c->in_callback = false;
    if (c->ahead && connection_ahead(c) == 0) {
        free(c->ahead); /* an idle connection holds none */
        c->ahead = NULL;
    }
    if (c->is_ending)
        connection_end(c);
    connection_update(c);
    connection_free_unheld(c);
}

/* ---- from the loop */

static void on_pair(struct stream_pair *pair)
{
    struct connection *c = (struct connection *)((char *)pair - offsetof(struct connection, pair));

    connection_continue(c);
    tell_all(c);
}

static void on_soon(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    tell_all(w->data);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct connection *c = w->data;

    (void)loop;
    (void)revents;
    connection_expire(c);
    on_pair(&c->pair);
}

void connection_init_events(struct connection *c, struct ev_loop *loop)
{
    pair_init(&c->pair, loop, on_pair);
    ev_timer_init(&c->soon, on_soon, 0., 0.);
    ev_timer_init(&c->limit, on_limit, 0., 0.);
    c->soon.data = c->limit.data = c;
}

void connection_stop_events(struct connection *c)
{
    ev_timer_stop(c->pair.loop, &c->soon);
    ev_timer_stop(c->pair.loop, &c->limit);
}

/* Counted from now, not from when the loop looked at the clock last. */
void connection_start_limit(struct connection *c, int64_t milliseconds)
{
    struct ev_loop *loop = c->pair.loop;

    ev_timer_stop(loop, &c->limit);
    if (milliseconds == 0)
        return;
    ev_timer_set(&c->limit, (double)milliseconds / 1e3 + (ev_time() - ev_now(loop)), 0.);
    ev_timer_start(loop, &c->limit);
}

/* ---- for the user */

void stream_set_callback(struct stream *stream, unsigned events, stream_callback *callback,
                         void *context)
{
    stream->callback = callback;
    stream->context = context;
    stream->events = callback ? events : 0;
    stream->told_ready = false;
    connection_update(stream->connection);
}

void stream_enable_events(struct stream *stream, unsigned events)
{
    stream->events |= events;
    if (events & COMES_AGAIN)
        stream->told_ready = false;
    connection_update(stream->connection);
}

void stream_disable_events(struct stream *stream, unsigned events)
{
    stream->events &= ~events;
    connection_update(stream->connection);
}

unsigned stream_enabled_events(const struct stream *stream)
{
    return stream->events;
}
