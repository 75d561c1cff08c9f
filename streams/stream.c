/* stream.c - two handles, one connection: creation, opening, and the bytes of a pair of streams. Its end
 * is in stream_end.c. */
#include "streams/stream_private.h"

#include <stdlib.h>
#include <string.h>

void connection_set_why(struct connection *c, const char *why)
{
    free(c->why);
    c->why = why && *why ? strdup(why) : NULL;
}

/* ---- creation */

static struct connection *connection_new(struct ev_loop *loop)
{
    struct connection *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    connection_init_events(c, loop);
    c->socket = -1;
    c->read = (struct stream){.connection = c, .is_read = true};
    c->write = (struct stream){.connection = c};
    return c;
}

static void hand_out(struct connection *c, struct stream **ret_read, struct stream **ret_write)
{
    c->read.is_held = ret_read;
    c->write.is_held = ret_write;
    c->read.is_closed = c->read.is_left_out = !ret_read;
    c->write.is_closed = c->write.is_left_out = !ret_write;
    if (ret_read)
        *ret_read = &c->read;
    if (ret_write)
        *ret_write = &c->write;
}

bool stream_pair_to_host(struct ev_loop *loop, struct resolver *resolver, const char *host,
                         uint16_t port, struct stream **ret_read, struct stream **ret_write)
{
    struct connection *c = connection_new(loop);

    if (!c)
        return false;
    c->resolver = resolver;
    if (!stream_set_text(&c->read, STREAM_REMOTE_HOST, host) ||
        !stream_set_number(&c->read, STREAM_REMOTE_PORT, port)) {
        connection_free_unheld(c);
        return false;
    }
    hand_out(c, ret_read, ret_write);
    return true;
}

bool stream_pair_to_service(struct ev_loop *loop, struct resolver *resolver, const char *service,
                            struct stream **ret_read, struct stream **ret_write)
{
    struct connection *c = connection_new(loop);

    if (!c)
        return false;
    c->resolver = resolver;
    if (!stream_set_text(&c->read, STREAM_REMOTE_SERVICE, service)) {
        connection_free_unheld(c);
        return false;
    }
    hand_out(c, ret_read, ret_write);
    return true;
}

bool stream_pair_from_socket(struct ev_loop *loop, int fd, struct stream **ret_read,
                             struct stream **ret_write)
{
    struct connection *c = connection_new(loop);

    if (!c)
        return false;
    c->socket = fd;
    c->is_from_socket = true;
    hand_out(c, ret_read, ret_write);
    return true;
}

/* ---- opening */

void connection_begin(struct connection *c)
{
    c->is_up = false;
    c->read.told_open = c->read.told_error = c->read.told_end = c->read.told_ready = false;
    c->write.told_open = c->write.told_error = c->write.told_end = c->write.told_ready = false;
    connection_start_limit(c, connection_number(c, STREAM_CONNECT_TIMEOUT));
}

static void came_up(struct connection *c)
{
    c->is_up = true;
    connection_drop_service(c);
    connection_start_limit(c, 0);
    connection_apply_keepalive(c);
}

void connection_continue(struct connection *c)
{
    bool was_up = c->is_up;

    while (!c->is_up && (c->pair.state == PAIR_CONNECTED || connection_try_next(c))) {
        if (c->pair.state != PAIR_CONNECTED)
            continue;
        if (!c->plan)
            came_up(c);
        else if (!connection_pass(c))
            pair_fail(&c->pair, stream_error_connect(ENOMEM));
    }
    if (c->pair.state == PAIR_ERROR) {
        connection_drop_service(c);
        connection_start_limit(c, 0);
    }
    c->has_changed = c->has_changed || c->is_up != was_up || c->pair.state == PAIR_ERROR;
}

/* What only sends the rest of what was closed gives way, as does what is left of a failure. */
static bool may_open(struct connection *c)
{
    if ((c->is_ending && connection_is_closed(c)) || c->pair.state == PAIR_ERROR)
        connection_close(c);
    return c->pair.state != PAIR_CONNECTED && !pair_is_opening(&c->pair) &&
           (c->socket >= 0 || connection_text(c, STREAM_REMOTE_HOST) ||
            connection_text(c, STREAM_REMOTE_SERVICE));
}

bool stream_open(struct stream *stream, struct stream_error *ret_error)
{
    struct connection *c = stream->connection;

    if (!may_open(c)) {
        c->call_error = *ret_error = stream_error_of(ERROR_STREAM_BAD_STATE);
        return false;
    }
    connection_set_why(c, NULL);
    if (!connection_prepare(c, ret_error)) {
        c->call_error = *ret_error;
        return false;
    }
    c->call_error = (struct stream_error){0};
    c->ahead_at = c->ahead_n = 0;
    c->pair.should_close = connection_number(c, STREAM_SHOULD_CLOSE_NATIVE_SOCKET);
    connection_begin(c);
    if (!connection_connect(c)) {
        *ret_error = c->pair.error;
        return false;
    }
    c->read.is_closed = !c->read.is_held;
    c->write.is_closed = !c->write.is_held;
    c->pair.should_close = connection_number(c, STREAM_SHOULD_CLOSE_NATIVE_SOCKET);
    connection_continue(c);
    connection_update(c);
    return true;
}

/* While a service is looked up the pair itself has nothing to wait for. */
void connection_expire_opening(struct connection *c)
{
    connection_drop_service(c);
    pair_expire(&c->pair);
    if (pair_is_opening(&c->pair))
        pair_fail(&c->pair, stream_error_of(ERROR_RESOLVER_TIMEOUT));
}

void stream_expire(struct stream *stream)
{
    struct connection *c = stream->connection;

    if (pair_is_opening(&c->pair))
        connection_expire_opening(c);
    c->read.told_error = c->write.told_error = c->pair.state == PAIR_ERROR;
    connection_continue(c);
    connection_update(c);
}

enum stream_status stream_status(const struct stream *stream)
{
    const struct stream_pair *pair = &stream->connection->pair;
    uint8_t status = stream->is_read ? pair->read_status : pair->write_status;

    return stream->is_closed ? STREAM_CLOSED : (enum stream_status)status;
}

enum pair_state stream_pair_state(const struct stream *stream)
{
    const struct connection *c = stream->connection;

    /* While the rest is sent, whoever has closed it has closed it. */
    if (c->pair.state == PAIR_CONNECTED && c->read.is_closed && c->write.is_closed)
        return PAIR_CLOSED;
    return (enum pair_state)c->pair.state;
}

struct stream_error stream_error(const struct stream *stream)
{
    const struct connection *c = stream->connection;

    return stream_error_set(&c->pair.error) ? c->pair.error : c->call_error;
}

/* ---- bytes */

static bool may_move(struct stream *stream, bool is_read)
{
    struct connection *c = stream->connection;
    enum stream_status status = stream_status(stream);

    if (stream->is_read == is_read && !stream->is_closed && c->is_up &&
        (status == STREAM_OPEN || status == STREAM_AT_END))
        return true;
    c->call_error = stream_error_of(ERROR_STREAM_BAD_STATE);
    return false;
}

static size_t take_ahead(struct connection *c, uint8_t *out, size_t n)
{
    size_t waiting = connection_ahead(c), taken = n < waiting ? n : waiting;

    if (taken)
        memcpy(out, c->ahead + c->ahead_at, taken);
    connection_consume_ahead(c, taken);
    return taken;
}

enum io stream_read(struct stream *stream, void *out, size_t n, size_t *ret_n)
{
    struct connection *c = stream->connection;
    size_t ahead;
    enum io result;

    if (connection_ahead(c) == 0 && !may_move(stream, true))
        return IO_ERROR;
    stream->told_ready = false;
    ahead = take_ahead(c, out, n);
    if (ahead) {
        *ret_n = ahead;
        connection_update(c);
        return IO_OK;
    }
    /* Whoever polls without a callback is not told when to: every try asks the socket. */
    if (!stream_reads_ahead(stream))
        c->pair.ready |= INTEREST_READ | INTEREST_WRITE;
    result = pair_read(&c->pair, out, n, ret_n);
    c->has_changed = c->has_changed || result == IO_ERROR;
    connection_update(c);
    return result;
}

/* The time of a write that waits begins anew with every byte that is taken. */
static void time_write(struct connection *c, bool has_moved)
{
    if (!c->wants_room && !c->is_ending)
        connection_start_limit(c, 0);
    else if (has_moved || !ev_is_active(&c->limit))
        connection_start_limit(c, connection_number(c, STREAM_WRITE_TIMEOUT));
}

enum io stream_write(struct stream *stream, const void *bytes, size_t n, size_t *ret_n)
{
    struct connection *c = stream->connection;
    enum io result;

    if (!may_move(stream, false) || stream_status(stream) != STREAM_OPEN) {
        c->call_error = stream_error_of(ERROR_STREAM_BAD_STATE);
        return IO_ERROR;
    }
    stream->told_ready = false;
    if (!stream->callback)
        c->pair.ready |= INTEREST_READ | INTEREST_WRITE;
    result = pair_write(&c->pair, bytes, n, ret_n);
    c->has_changed = c->has_changed || result == IO_ERROR;
    c->wants_room = result == IO_AGAIN || (result == IO_OK && *ret_n < n);
    time_write(c, result == IO_OK);
    connection_update(c);
    return result;
}

void connection_update(struct connection *c)
{
    int interest = INTEREST_NONE;

    if (c->pair.state == PAIR_CONNECTED && c->is_up) {
        if (stream_reads_ahead(&c->read) && connection_ahead(c) == 0)
            interest |= INTEREST_READ;
        if (c->write.callback && !c->write.is_closed &&
            (c->wants_room || c->write.events & STREAM_EVENT_CAN_ACCEPT_BYTES) &&
            !(c->pair.ready & c->pair.top->write_waits))
            interest |= INTEREST_WRITE;
        pair_want(&c->pair, (enum interest)interest);
    }
    if (!c->in_callback && connection_has_to_tell(c))
        ev_timer_start(c->pair.loop, &c->soon);
    else
        ev_timer_stop(c->pair.loop, &c->soon);
}
