/* stream.c - two handles, one connection. */
#include "streams/stream.h"

#include <stdlib.h>
#include <string.h>

struct stream {
    struct connection *connection;
    bool is_read;
    bool is_held; /* the user has it */
    bool is_closed;
    stream_callback *callback;
    void *context;
};

/* What the handles share; freed with the last of them. */
struct connection {
    struct stream_pair pair;
    struct stream read, write;
    struct resolver *resolver; /* borrowed */
    char *host;
    uint16_t port;
    int socket; /* given at creation; -1 = none */
    bool should_close;
    bool wants_write; /* stream_write() said AGAIN */
    int keepalive;
    bool keepalive_applied;
    bool in_callback; /* frees wait until the callbacks have returned */
};

static void update_interest(struct connection *c)
{
    int interest = INTEREST_NONE;

    if (c->pair.state != PAIR_CONNECTED)
        return;
    if (c->read.callback && !c->read.is_closed && c->pair.read_status == STREAM_OPEN)
        interest |= INTEREST_READ;
    if (c->wants_write && c->write.callback && !c->write.is_closed)
        interest |= INTEREST_WRITE;
    pair_want(&c->pair, (enum interest)interest);
}

static void free_unheld(struct connection *c)
{
    if (c->read.is_held || c->write.is_held || c->in_callback)
        return;
    pair_close(&c->pair);
    free(c->host);
    free(c);
}

static void call(struct stream *stream)
{
    if (stream->is_held && !stream->is_closed && stream->callback)
        stream->callback(stream, stream->context);
}

static void apply_keepalive(struct connection *c)
{
    if (c->pair.state != PAIR_CONNECTED || c->keepalive_applied)
        return;
    c->keepalive_applied = true;
    if (c->keepalive)
        pair_set_keepalive(&c->pair, c->keepalive);
}

static void on_event(struct stream_pair *pair)
{
    struct connection *c = (struct connection *)((char *)pair - offsetof(struct connection, pair));

    apply_keepalive(c);
    c->in_callback = true;
    if (pair->ready & INTEREST_WRITE)
        c->wants_write = false;
    call(&c->read);
    call(&c->write);
    c->in_callback = false;
    update_interest(c);
    free_unheld(c);
}

static struct connection *connection_new(struct ev_loop *loop, struct stream **ret_read,
                                         struct stream **ret_write)
{
    struct connection *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    pair_init(&c->pair, loop, on_event);
    c->socket = -1;
    c->read = (struct stream){.connection = c, .is_read = true, .is_held = ret_read != NULL};
    c->write = (struct stream){.connection = c, .is_held = ret_write != NULL};
    c->read.is_closed = !ret_read;
    c->write.is_closed = !ret_write;
    if (ret_read)
        *ret_read = &c->read;
    if (ret_write)
        *ret_write = &c->write;
    return c;
}

bool stream_pair_to_host(struct ev_loop *loop, struct resolver *resolver, const char *host,
                         uint16_t port, struct stream **ret_read, struct stream **ret_write)
{
    char *copy = strdup(host);
    struct connection *c = copy ? connection_new(loop, ret_read, ret_write) : NULL;

    if (!c) {
        free(copy);
        return false;
    }
    c->resolver = resolver;
    c->host = copy;
    c->port = port;
    c->should_close = true;
    return true;
}

bool stream_pair_from_socket(struct ev_loop *loop, int fd, struct stream **ret_read,
                             struct stream **ret_write)
{
    struct connection *c = connection_new(loop, ret_read, ret_write);

    if (!c)
        return false;
    c->socket = fd;
    return true;
}

static bool open_socket(struct connection *c)
{
    static const struct ip_endpoint unknown;

    return pair_adopt(&c->pair, c->socket, &unknown, c->should_close);
}

static bool open_host(struct connection *c)
{
    struct connector_options options = {.resolver = c->resolver};
    struct ip_address literal = {0};

    host_classify(c->host, strlen(c->host), &literal);
    return pair_connect(&c->pair, &options, &literal, c->host, c->port);
}

bool stream_open(struct stream *stream, struct stream_error *ret_error)
{
    struct connection *c = stream->connection;

    c->pair.should_close = c->should_close;
    if (!(c->socket >= 0 ? open_socket(c) : open_host(c))) {
        *ret_error =
            c->pair.state == PAIR_ERROR ? c->pair.error : stream_error_of(ERROR_STREAM_BAD_STATE);
        return false;
    }
    if (c->read.is_held)
        c->read.is_closed = false;
    if (c->write.is_held)
        c->write.is_closed = false;
    c->keepalive_applied = false;
    apply_keepalive(c);
    update_interest(c);
    return true;
}

void stream_expire(struct stream *stream)
{
    pair_expire(&stream->connection->pair);
}

enum stream_status stream_status(const struct stream *stream)
{
    const struct stream_pair *pair = &stream->connection->pair;
    uint8_t status = stream->is_read ? pair->read_status : pair->write_status;

    return stream->is_closed ? STREAM_CLOSED : (enum stream_status)status;
}

enum pair_state stream_pair_state(const struct stream *stream)
{
    return (enum pair_state)stream->connection->pair.state;
}

struct stream_error stream_error(const struct stream *stream)
{
    return stream->connection->pair.error;
}

void stream_set_callback(struct stream *stream, stream_callback *callback, void *context)
{
    stream->callback = callback;
    stream->context = context;
    update_interest(stream->connection);
}

enum io stream_read(struct stream *stream, void *out, size_t n, size_t *ret_n)
{
    struct connection *c = stream->connection;
    enum io result;

    if (!stream->is_read || stream->is_closed)
        return IO_ERROR;
    /* Whoever polls without a callback is not told when to: every try asks the socket. */
    if (!stream->callback && c->pair.state == PAIR_CONNECTED)
        c->pair.ready |= INTEREST_READ;
    result = pair_read(&c->pair, out, n, ret_n);
    update_interest(c);
    return result;
}

enum io stream_write(struct stream *stream, const void *bytes, size_t n, size_t *ret_n)
{
    struct connection *c = stream->connection;
    enum io result;

    if (stream->is_read || stream->is_closed)
        return IO_ERROR;
    if (!stream->callback && c->pair.state == PAIR_CONNECTED)
        c->pair.ready |= INTEREST_WRITE;
    result = pair_write(&c->pair, bytes, n, ret_n);
    c->wants_write = result == IO_AGAIN || (result == IO_OK && *ret_n < n);
    update_interest(c);
    return result;
}

bool stream_close(struct stream *stream)
{
    struct connection *c = stream->connection;
    enum stream_status status = stream_status(stream);

    if (status == STREAM_NOT_OPEN || status == STREAM_CLOSED)
        return false;
    if (!stream->is_read && c->pair.write_status == STREAM_OPEN && !c->read.is_closed)
        pair_end(&c->pair);
    stream->is_closed = true;
    if (c->read.is_closed && c->write.is_closed)
        pair_close(&c->pair);
    else
        update_interest(c);
    return true;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    stream_close(stream);
    stream->is_closed = true;
    stream->is_held = false;
    free_unheld(stream->connection);
}

static bool set_text(char **slot, const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    if (!copy)
        return false;
    free(*slot);
    *slot = copy;
    return true;
}

bool stream_set_property(struct stream *stream, enum stream_property property,
                         const struct stream_value *value)
{
    struct connection *c = stream->connection;
    bool is_fixed = c->pair.state == PAIR_CONNECTED || pair_is_opening(&c->pair) || c->socket >= 0;

    switch (property) {
    case STREAM_SHOULD_CLOSE_NATIVE_SOCKET:
        c->should_close = c->pair.should_close = value->number != 0;
        return true;
    case STREAM_REMOTE_HOST:
        return !is_fixed && set_text(&c->host, value->text);
    case STREAM_REMOTE_PORT:
        if (is_fixed || value->number < 0 || value->number > UINT16_MAX)
            return false;
        c->port = (uint16_t)value->number;
        return true;
    case STREAM_KEEPALIVE:
        if (value->number < 0 || value->number > INT32_MAX)
            return false;
        c->keepalive = (int)value->number;
        if (c->pair.state == PAIR_CONNECTED)
            pair_set_keepalive(&c->pair, c->keepalive);
        return true;
    case STREAM_NATIVE_HANDLE:
    case STREAM_LOCAL_ADDRESS:
        return false;
    }
    return false;
}

static bool copy_text(struct stream_value *ret_value, const char *text)
{
    *ret_value = (struct stream_value){.text = strdup(text)};
    return ret_value->text != NULL;
}

bool stream_copy_property(const struct stream *stream, enum stream_property property,
                          struct stream_value *ret_value)
{
    const struct connection *c = stream->connection;
    char text[ENDPOINT_TEXT_MAX];
    struct ip_endpoint local;

    *ret_value = (struct stream_value){0};
    switch (property) {
    case STREAM_SHOULD_CLOSE_NATIVE_SOCKET:
        ret_value->number = c->should_close;
        return true;
    case STREAM_NATIVE_HANDLE:
        ret_value->number = c->pair.tcp.fd >= 0 ? c->pair.tcp.fd : c->socket;
        return ret_value->number >= 0;
    case STREAM_REMOTE_HOST:
        return c->host && copy_text(ret_value, c->host);
    case STREAM_REMOTE_PORT:
        ret_value->number = c->port;
        return c->host != NULL;
    case STREAM_LOCAL_ADDRESS:
        local = pair_local_address(&c->pair);
        endpoint_format(&local, text);
        return local.ip.family != IP_NONE && copy_text(ret_value, text);
    case STREAM_KEEPALIVE:
        ret_value->number = c->keepalive;
        return true;
    }
    return false;
}
