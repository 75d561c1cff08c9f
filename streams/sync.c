/* sync.c - each call tries, waits for an event of the socket, and tries again. */
#include "streams/sync.h"

#include "streams/coroutine.h"
#include "streams/stream_private.h"
#include "streams/tcp_socket.h"

#include <stdlib.h>

struct sync_socket {
    unsigned refs; /* of its owner and of who waits */
    bool is_freed;
    struct tcp_socket *tcp;            /* owned; NULL once freed */
    struct stream *read, *write;       /* its */
    struct coroutine *reader, *writer; /* borrowed: who waits for bytes, and for anything else */
    struct stream_error error;

    /* Of one that listens. */
    sync_handler *handler;
    void *handler_context;
    unsigned running, at_once;
};

static void unref(struct sync_socket *s)
{
    if (--s->refs == 0)
        free(s);
}

static enum io fail(struct sync_socket *s, struct stream_error error)
{
    s->error = error;
    return IO_ERROR;
}

static enum io bad_state(struct sync_socket *s)
{
    return fail(s, stream_error_of(ERROR_STREAM_BAD_STATE));
}

/* ---- time, and turns */

double sync_now(void)
{
    return coroutine_now();
}

double sync_in(double seconds)
{
    return coroutine_now() + seconds;
}

bool sync_start(struct ev_loop *loop, void (*function)(void *context), void *context)
{
    return coroutine_start(loop, function, context);
}

enum io sync_sleep(double deadline)
{
    if (!coroutine_current())
        return IO_ERROR;
    while (coroutine_wait(deadline))
        ;
    return IO_AGAIN;
}

/* Waits in `slot`, alone. OK: something happened. AGAIN: the deadline. ERROR: it was freed. */
static enum io wait(struct sync_socket *s, struct coroutine **slot, double deadline)
{
    bool is_woken, is_freed;

    *slot = coroutine_current();
    s->refs++;
    is_woken = coroutine_wait(deadline);
    is_freed = s->is_freed;
    *slot = NULL;
    unref(s);
    if (is_freed)
        return IO_ERROR;
    return is_woken ? IO_OK : IO_AGAIN;
}

static bool may_wait(struct coroutine *const *slot)
{
    return coroutine_current() && !*slot;
}

static void on_event(struct stream *stream, const struct stream_event *event, void *context)
{
    struct sync_socket *s = context;

    (void)stream;
    (void)event;
    coroutine_wake(s->reader);
    coroutine_wake(s->writer);
}

static void on_change(void *owner)
{
    on_event(NULL, NULL, owner);
}

/* ---- life */

static struct sync_socket *wrap(struct tcp_socket *tcp)
{
    struct sync_socket *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->refs = 1;
    s->tcp = tcp;
    s->read = tcp_socket_read_stream(tcp);
    s->write = tcp_socket_write_stream(tcp);
    stream_set_callback(s->read, STREAM_EVENT_HAS_BYTES | STREAM_EVENT_END_ENCOUNTERED, on_event,
                        s);
    stream_set_callback(s->write, STREAM_EVENT_CAN_ACCEPT_BYTES, on_event, s);
    connection_observe(s->read->connection, on_change, s);
    return s;
}

void sync_free(struct sync_socket *s)
{
    if (!s)
        return;
    s->is_freed = true;
    on_change(s);
    tcp_socket_free(s->tcp);
    s->tcp = NULL;
    s->read = s->write = NULL;
    unref(s);
}

bool sync_set_number(struct sync_socket *s, enum stream_property property, int64_t number)
{
    return stream_set_number(s->read, property, number);
}

bool sync_set_text(struct sync_socket *s, enum stream_property property, const char *text)
{
    return stream_set_text(s->read, property, text);
}

bool sync_copy_property(const struct sync_socket *s, enum stream_property property,
                        struct stream_value *ret_value)
{
    return stream_copy_property(s->read, property, ret_value);
}

/* ---- opening */

static enum io wait_until_open(struct sync_socket *s, double deadline)
{
    while (stream_status(s->read) == STREAM_OPENING) {
        enum io result = wait(s, &s->writer, deadline);

        if (result == IO_ERROR)
            return IO_ERROR;
        if (result == IO_AGAIN)
            stream_expire(s->read);
    }
    if (stream_pair_state(s->read) != PAIR_CONNECTED)
        return fail(s, stream_error(s->read));
    return IO_OK;
}

enum io sync_connect(struct sync_socket *s, const char *host, uint16_t port, double deadline)
{
    if (!may_wait(&s->writer) || !tcp_socket_set_address(s->tcp, host, port))
        return bad_state(s);
    if (!tcp_socket_connect(s->tcp, &s->error))
        return IO_ERROR;
    return wait_until_open(s, deadline);
}

enum io sync_secure(struct sync_socket *s, double deadline)
{
    struct stream_value level;

    if (!may_wait(&s->writer) || s->reader || tcp_socket_state(s->tcp) != PAIR_CONNECTED ||
        sync_is_secure(s))
        return bad_state(s);
    stream_copy_property(s->read, STREAM_SECURITY, &level);
    if (level.number == STREAM_SECURITY_NONE)
        level.number = STREAM_SECURITY_NEGOTIATED;
    if (!stream_set_property(s->read, STREAM_SECURITY, &level))
        return fail(s, stream_error_of(ERROR_STREAM_BAD_SETTINGS));
    return wait_until_open(s, deadline);
}

/* ---- listening */

struct handling {
    struct sync_socket *listening; /* counted */
    struct sync_socket *socket;    /* the handler's */
};

static void ask_for_one(struct sync_socket *s)
{
    struct stream_error error;

    if (!s->is_freed && s->running < s->at_once)
        tcp_socket_accept(s->tcp, NULL, NULL, &error);
}

static void handled(struct sync_socket *s)
{
    s->running--;
    ask_for_one(s);
    unref(s);
}

static void handle(void *context)
{
    struct handling handling = *(struct handling *)context;

    free(context);
    handling.listening->handler(handling.socket, handling.listening->handler_context);
    handled(handling.listening);
}

static void on_accepted(struct tcp_socket *listening, struct tcp_socket *inbound, void *context)
{
    struct sync_socket *s = context;
    struct handling *handling = malloc(sizeof *handling);
    struct sync_socket *socket = handling ? wrap(inbound) : NULL;

    (void)listening;
    s->refs++;
    s->running++;
    if (socket) {
        *handling = (struct handling){s, socket};
        if (coroutine_start(s->read->connection->pair.loop, handle, handling)) {
            ask_for_one(s);
            return;
        }
        sync_free(socket);
    } else {
        tcp_socket_free(inbound);
    }
    free(handling);
    handled(s);
}

static const struct tcp_socket_callbacks callbacks = {.accepted = on_accepted};

bool sync_listen(struct sync_socket *s, const char *address, uint16_t port, unsigned at_once,
                 sync_handler *handler, void *context)
{
    if (at_once == 0 || at_once > TCP_SOCKET_QUEUE_MAX / 2 ||
        !tcp_socket_set_address(s->tcp, address, port)) {
        bad_state(s);
        return false;
    }
    tcp_socket_set_queue(s->tcp, 2 * at_once); /* they may all come in one turn */
    s->handler = handler;
    s->handler_context = context;
    s->at_once = at_once;
    if (!tcp_socket_listen(s->tcp, &s->error))
        return false;
    ask_for_one(s);
    return true;
}

struct sync_socket *sync_new(struct ev_loop *loop, struct resolver *resolver)
{
    struct tcp_socket *tcp = tcp_socket_new(loop, resolver, &callbacks, NULL);
    struct sync_socket *s = tcp ? wrap(tcp) : NULL;

    if (s)
        tcp_socket_set_context(tcp, s);
    else
        tcp_socket_free(tcp);
    return s;
}

uint16_t sync_port(const struct sync_socket *s)
{
    struct ip_endpoint bound;

    return tcp_socket_bound(s->tcp, &bound) ? bound.port : 0;
}

/* ---- bytes */

enum io sync_read(struct sync_socket *s, void *out, size_t n, size_t *ret_n, double deadline)
{
    enum io result;

    if (!may_wait(&s->reader))
        return bad_state(s);
    while ((result = stream_read(s->read, out, n, ret_n)) == IO_AGAIN) {
        result = wait(s, &s->reader, deadline);
        if (result != IO_OK)
            return result;
    }
    return result == IO_ERROR ? fail(s, stream_error(s->read)) : result;
}

enum io sync_write(struct sync_socket *s, const void *bytes, size_t n, size_t *ret_n,
                   double deadline)
{
    const uint8_t *at = bytes;
    size_t done = 0, taken;
    enum io result = IO_OK;

    if (!may_wait(&s->writer))
        return bad_state(s);
    while (done < n && result == IO_OK) {
        result = stream_write(s->write, at + done, n - done, &taken);
        if (result == IO_OK)
            done += taken;
        else if (result == IO_AGAIN)
            result = wait(s, &s->writer, deadline);
        else
            fail(s, stream_error(s->write));
    }
    if (ret_n)
        *ret_n = done;
    return result;
}

/* ---- the end */

/* Until the end of our direction is on its way. */
static enum io wait_until_ended(struct sync_socket *s, double deadline)
{
    enum io result = IO_OK;

    while (result == IO_OK && s->read->connection->is_ending)
        result = wait(s, &s->writer, deadline);
    return result;
}

enum io sync_end(struct sync_socket *s, double deadline)
{
    if (!may_wait(&s->writer) || !stream_close(s->write))
        return bad_state(s);
    return wait_until_ended(s, deadline);
}

enum io sync_close(struct sync_socket *s, double deadline)
{
    enum io result;

    if (!may_wait(&s->writer))
        return bad_state(s);
    if (tcp_socket_state(s->tcp) == PAIR_CONNECTED) {
        stream_close(s->write); /* harmless if sync_end() did it */
        result = wait_until_ended(s, deadline);
        if (result == IO_ERROR)
            return result;
        if (result == IO_AGAIN)
            connection_reset(s->read->connection);
        else
            stream_close(s->read);
        return result;
    }
    return tcp_socket_close(s->tcp, &s->error) ? IO_OK : IO_ERROR;
}

bool sync_is_closed(const struct sync_socket *s)
{
    enum pair_state state = tcp_socket_state(s->tcp);

    return state != PAIR_CONNECTED && state != PAIR_LISTENING;
}

bool sync_is_at_end(const struct sync_socket *s)
{
    return stream_status(s->read) == STREAM_AT_END && connection_ahead(s->read->connection) == 0;
}

bool sync_is_secure(const struct sync_socket *s)
{
    return connection_is_secure(s->read->connection);
}

struct stream_error sync_error(const struct sync_socket *s)
{
    return s->error;
}
