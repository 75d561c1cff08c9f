/* stream_end.c - how a pair of streams ends: one direction or both, at once or when what is under way is
 * sent, and when its memory goes. */
#include "streams/stream_private.h"

#include <stdlib.h>
#include <unistd.h>

/* How long what was written before a close may take, unless there is a timeout for writes. */
static const int64_t linger_milliseconds = 30 * 1000;

void connection_close(struct connection *c)
{
    bool closes_socket = c->pair.should_close && c->pair.tcp.fd >= 0;

    connection_drop_service(c);
    connection_drop_plan(c);
    pair_close(&c->pair);
    connection_start_limit(c, 0);
    c->is_ending = c->wants_room = c->is_up = false;
    c->ahead_at = c->ahead_n = 0;
    if (closes_socket)
        c->socket = -1;
}

void connection_free_unheld(struct connection *c)
{
    if (c->read.is_held || c->write.is_held || c->in_callback || c->is_ending)
        return;
    connection_close(c);
    if (c->socket >= 0 && connection_number(c, STREAM_SHOULD_CLOSE_NATIVE_SOCKET))
        close(c->socket); /* it was never opened */
    connection_stop_events(c);
    connection_done_properties(c);
    buffer_pool_done(&c->pool);
    free(c->ahead);
    free(c->why);
    free(c);
}

void connection_end(struct connection *c)
{
    c->is_ending = pair_end(&c->pair) == IO_AGAIN;
    if (!c->is_ending && connection_is_closed(c))
        connection_close(c);
}

static void begin_end(struct connection *c)
{
    int64_t limit = connection_number(c, STREAM_WRITE_TIMEOUT);

    connection_end(c);
    if (c->is_ending)
        connection_start_limit(c, limit ? limit : linger_milliseconds);
}

void connection_expire(struct connection *c)
{
    if (pair_is_opening(&c->pair))
        connection_expire_opening(c);
    else if (connection_is_closed(c))
        connection_close(c);
    else if (c->pair.state == PAIR_CONNECTED)
        pair_fail(&c->pair, stream_error_of(ERROR_SYSTEM_WRITE_TIMEOUT));
    c->is_ending = false;
}

/* A half that was left out says nothing to the peer, but for TLS, which would be cut. */
static bool has_to_end(const struct connection *c)
{
    if (!c->is_up || c->pair.write_status != STREAM_OPEN || !c->write.is_closed || c->is_ending)
        return false;
    if (c->write.is_left_out)
        return connection_is_closed(c) && connection_is_secure(c);
    return !connection_is_closed(c) || !pair_ends_by_close(&c->pair);
}

void connection_reset(struct connection *c)
{
    if (c->pair.should_close)
        c->socket = -1;
    pair_reset(&c->pair);
    c->read.is_closed = c->write.is_closed = true;
    connection_close(c);
    connection_update(c);
}

bool stream_close(struct stream *stream)
{
    struct connection *c = stream->connection;
    enum stream_status status = stream_status(stream);

    if (status == STREAM_NOT_OPEN || status == STREAM_CLOSED) {
        c->call_error = stream_error_of(ERROR_STREAM_BAD_STATE);
        return false;
    }
    stream->is_closed = true;
    if (stream->is_read)
        c->ahead_at = c->ahead_n = 0;
    else
        c->wants_room = false;
    if (has_to_end(c))
        begin_end(c);
    else if (connection_is_closed(c) && !c->is_ending)
        connection_close(c);
    connection_update(c);
    return true;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    stream_close(stream);
    stream->is_closed = true;
    stream->is_held = false;
    connection_free_unheld(stream->connection);
}
