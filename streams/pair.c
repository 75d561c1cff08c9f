/* pair.c - the life of a connection: opening, reading, writing, half-closing, ending. */
#include "streams/pair.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The only place that changes the state; the directions follow. */
static void set_state(struct stream_pair *pair, enum pair_state state)
{
    static const enum stream_status status[] = {
        [PAIR_INITIALIZED] = STREAM_NOT_OPEN, [PAIR_CONNECTED] = STREAM_OPEN,
        [PAIR_LISTENING] = STREAM_NOT_OPEN,   [PAIR_CLOSED] = STREAM_CLOSED,
        [PAIR_ERROR] = STREAM_ERROR,
    };

    pair->state = (uint8_t)state;
    pair->read_status = pair->write_status = (uint8_t)status[state];
}

/* What any layer waits for to hand down what it took. */
static int flush_waits(const struct stream_pair *pair)
{
    int waits = 0;

    for (const struct layer *layer = pair->top; layer; layer = layer->below)
        waits |= layer->flush_waits;
    return waits;
}

static bool holds(const struct stream_pair *pair)
{
    for (const struct layer *layer = pair->top; layer; layer = layer->below)
        if (layer->holds)
            return true;
    return false;
}

/* Behind the end nothing comes, and it stays readable for ever. */
static bool wants_to_read(const struct stream_pair *pair)
{
    return pair->interest & INTEREST_READ && pair->read_status == STREAM_OPEN;
}

/* Somebody waits for bytes that a layer has although the descriptor is silent. */
static bool waits_for_held(const struct stream_pair *pair)
{
    if (!pair->top || !holds(pair))
        return false;
    if (pair->opens_layer)
        return pair->top->open_waits & INTEREST_READ;
    return wants_to_read(pair);
}

static void fail(struct stream_pair *pair, struct stream_error error)
{
    stream_error_keep_first(&pair->error, error);
    set_state(pair, PAIR_ERROR);
}

/* What is waited for now. */
static int waits(const struct stream_pair *pair)
{
    int events;

    if (!pair->top || pair->state == PAIR_ERROR)
        return INTEREST_NONE;
    if (pair->opens_layer)
        events = pair->top->open_waits;
    else
        events = (wants_to_read(pair) ? pair->top->read_waits : 0) |
                 (pair->interest & INTEREST_WRITE ? pair->top->write_waits : 0);
    return events | flush_waits(pair);
}

/* While something is waited for the loop has something to do. */
static void set_watched(struct stream_pair *pair, int events)
{
    if (!pair->watched && events)
        ev_ref(pair->loop);
    else if (pair->watched && !events)
        ev_unref(pair->loop);
    pair->watched = (uint8_t)events;
}

/* The only place that watches: says to the poller what the next turn is to bring. */
static void watch(struct stream_pair *pair)
{
    int events = waits(pair);
    bool is_due = events & pair->ready || waits_for_held(pair);

    if (events && !poll_watch_is_added(&pair->watch) && pair->tcp.fd >= 0 &&
        !poller_add(pair->poller, &pair->watch, pair->tcp.fd)) {
        fail(pair, stream_error_read(errno));
        is_due = true;
    }
    set_watched(pair, events);
    if (is_due)
        poller_again(pair->poller, &pair->watch);
    else
        poller_not_again(&pair->watch);
}

/* After whatever may have left bytes in a layer. */
static void watch_flush(struct stream_pair *pair)
{
    if (pair->top->flush_waits || pair->top->below)
        watch(pair);
}

static void open_layer(struct stream_pair *pair);

/* A call has found that it has to wait. What comes next is told by an edge; but that the peer has ended
 * was told already, and what lies behind an urgent byte will not be. */
static void not_ready(struct stream_pair *pair, int events)
{
    if (pair->has_ended)
        events &= ~INTEREST_READ;
    else if (events & INTEREST_READ && pair->is_urgent) {
        pair->is_urgent = false;
        events &= ~INTEREST_READ;
    }
    pair->ready &= (uint8_t)~events;
}

static void flush(struct stream_pair *pair)
{
    enum io result = pair->top->ops->flush ? pair->top->ops->flush(pair->top) : IO_OK;

    if (result == IO_AGAIN)
        pair->ready &= (uint8_t)~INTEREST_WRITE;
    else if (result == IO_ERROR && pair->write_status == STREAM_OPEN)
        pair->write_status = STREAM_ERROR;
    watch(pair);
}

static void note_events(struct stream_pair *pair, int events)
{
    pair->ready |= (uint8_t)(events & (INTEREST_READ | INTEREST_WRITE));
    pair->has_ended |= (events & POLLER_ENDED) != 0;
    pair->is_urgent |= (events & POLLER_URGENT) != 0;
}

static void on_ready(struct poll_watch *w, int events)
{
    struct stream_pair *pair =
        (struct stream_pair *)((char *)w - offsetof(struct stream_pair, watch));

    note_events(pair, events);
    if (waits_for_held(pair))
        pair->ready |= INTEREST_READ;
    else if (!(pair->watched & pair->ready) && pair->state != PAIR_ERROR)
        return;
    if (pair->opens_layer) {
        open_layer(pair);
        if (pair->opens_layer)
            return;
    } else if (flush_waits(pair) & pair->ready) {
        flush(pair);
    }
    pair->on_event(pair);
}

void pair_init(struct stream_pair *pair, struct ev_loop *loop, pair_callback *on_event)
{
    *pair = (struct stream_pair){.loop = loop, .on_event = on_event, .should_close = true};
    pair->tcp.fd = -1;
    poll_watch_init(&pair->watch, on_ready);
}

void pair_use_poller(struct stream_pair *pair, struct poller *poller)
{
    pair->poller = poller;
}

static bool have_poller(struct stream_pair *pair)
{
    if (!pair->poller) {
        pair->poller = poller_of(pair->loop);
        pair->holds_poller = pair->poller != NULL;
    }
    return pair->poller != NULL;
}

void pair_inherited_no_delay(struct stream_pair *pair)
{
    layer_tcp_init(&pair->tcp, pair->tcp.fd, true, &pair->error);
}

static bool may_open(const struct stream_pair *pair)
{
    return pair->state != PAIR_CONNECTED && !pair_is_opening(pair);
}

static void adopt(struct stream_pair *pair, int fd, bool no_delay, bool should_close)
{
    layer_tcp_init(&pair->tcp, fd, no_delay, &pair->error);
    pair->top = &pair->tcp.layer;
    pair->should_close = should_close;
    pair->ready = INTEREST_WRITE;
    pair->has_ended = pair->is_urgent = false;
    set_state(pair, PAIR_CONNECTED);
}

bool pair_adopt(struct stream_pair *pair, int fd, const struct ip_endpoint *peer, bool should_close)
{
    if (!may_open(pair) || !have_poller(pair))
        return false;
    pair->error = (struct stream_error){0};
    pair->peer = *peer;
    adopt(pair, fd, false, should_close);
    return true;
}

static void adopt_connected(struct stream_pair *pair, struct connector *connector)
{
    adopt(pair, connector_take_fd(connector, &pair->watch), false, pair->should_close);
    note_events(pair, connector_events(connector));
}

/* Takes over what the connector found, if it has finished. */
static void take_result(struct stream_pair *pair)
{
    struct connector *connector = pair->connector;

    pair->peer = *connector_address(connector);
    if (connector_state(connector) == CONNECTOR_RUNNING)
        return;
    pair->connector = NULL;
    if (connector_state(connector) == CONNECTOR_CONNECTED)
        adopt_connected(pair, connector);
    else
        fail(pair, *connector_error(connector));
    connector_free(connector);
}

static void on_connector(void *context, struct connector *connector)
{
    struct stream_pair *pair = context;

    (void)connector;
    take_result(pair);
    pair->on_event(pair);
}

bool pair_connect(struct stream_pair *pair, const struct connector_options *options,
                  const struct ip_address *ip, const char *name, uint16_t port)
{
    struct connector_options ours = *options;

    if (!may_open(pair) || !have_poller(pair))
        return false;
    ours.loop = pair->loop;
    ours.poller = pair->poller;
    ours.finished = on_connector;
    ours.context = pair;
    pair->error = (struct stream_error){0};
    set_state(pair, PAIR_INITIALIZED);
    pair->read_status = pair->write_status = STREAM_OPENING;
    pair->connector = connector_start(&ours, ip, name, port);
    if (!pair->connector) {
        fail(pair, stream_error_connect(ENOMEM));
        return false;
    }
    take_result(pair);
    return true;
}

static void stop_opening(struct stream_pair *pair)
{
    pair->opens_layer = false;
    watch(pair);
}

static void take_off_top(struct stream_pair *pair)
{
    struct layer *layer = pair->top;

    pair->top = layer->below;
    layer->ops->done(layer);
}

/* One more step of opening the top layer. */
static void open_layer(struct stream_pair *pair)
{
    switch (pair->top->ops->open(pair->top)) {
    case IO_OK:
        if (pair->top->ops->sets_up)
            take_off_top(pair);
        set_state(pair, PAIR_CONNECTED);
        pair->ready = INTEREST_READ | INTEREST_WRITE;
        stop_opening(pair);
        break;
    case IO_AGAIN:
        not_ready(pair, pair->top->open_waits | flush_waits(pair));
        watch(pair);
        break;
    case IO_EOF:
        fail(pair, stream_error_read(ECONNRESET));
        stop_opening(pair);
        break;
    case IO_ERROR:
        set_state(pair, PAIR_ERROR);
        stop_opening(pair);
        break;
    }
}

void pair_expire(struct stream_pair *pair)
{
    if (pair->opens_layer) {
        const struct layer *layer = pair->top;

        while (layer->ops->expired == ERROR_NONE && layer->below)
            layer = layer->below;
        fail(pair, stream_error_of(layer->ops->expired));
        stop_opening(pair);
        return;
    }
    if (!pair->connector)
        return;
    connector_expire(pair->connector);
    take_result(pair);
}

bool pair_announce(struct stream_pair *pair)
{
    if (!may_open(pair))
        return false;
    pair->error = (struct stream_error){0};
    set_state(pair, PAIR_INITIALIZED);
    pair->read_status = pair->write_status = STREAM_OPENING;
    return true;
}

void pair_fail(struct stream_pair *pair, struct stream_error error)
{
    fail(pair, error);
    stop_opening(pair);
}

void pair_push_layer(struct stream_pair *pair, struct layer *layer)
{
    layer->below = pair->top;
    layer->error = &pair->error;
    pair->top = layer;
}

bool pair_open_layer(struct stream_pair *pair, struct layer *layer)
{
    if (pair->state != PAIR_CONNECTED || pair->read_status != STREAM_OPEN ||
        pair->write_status != STREAM_OPEN)
        return false;
    pair_push_layer(pair, layer);
    set_state(pair, PAIR_INITIALIZED);
    pair->read_status = pair->write_status = STREAM_OPENING;
    pair->opens_layer = true;
    pair->interest = INTEREST_NONE;
    open_layer(pair);
    return true;
}

struct layer *pair_find_layer(const struct stream_pair *pair, const char *name)
{
    struct layer *layer = pair->top;

    while (layer && strcmp(layer->ops->name, name) != 0)
        layer = layer->below;
    return layer;
}

static enum io bad_state(struct stream_pair *pair)
{
    stream_error_keep_first(&pair->error, stream_error_of(ERROR_STREAM_BAD_STATE));
    return IO_ERROR;
}

/* What every kind of read does before and after it. */
static bool may_read(struct stream_pair *pair, enum io *ret_answer)
{
    if (pair->read_status != STREAM_OPEN) {
        *ret_answer = pair->read_status == STREAM_AT_END ? IO_EOF : bad_state(pair);
        return false;
    }
    *ret_answer = IO_AGAIN;
    return pair->ready & pair->top->read_waits;
}

static enum io after_read(struct stream_pair *pair, enum io result, bool drained)
{
    if (result == IO_AGAIN || (drained && !pair->top->holds))
        not_ready(pair, pair->top->read_waits);
    else if (result == IO_EOF)
        pair->read_status = STREAM_AT_END;
    else if (result == IO_ERROR)
        set_state(pair, PAIR_ERROR);
    watch_flush(pair);
    return result;
}

enum io pair_read(struct stream_pair *pair, void *out, size_t n, size_t *ret_n)
{
    enum io result;

    if (!may_read(pair, &result))
        return result;
    result = pair->top->ops->read(pair->top, out, n, ret_n);
    return after_read(pair, result, result == IO_OK && *ret_n < n);
}

enum io pair_splice_read(struct stream_pair *pair, int pipe, size_t n, size_t *ret_n)
{
    enum io result;

    if (!may_read(pair, &result))
        return result;
    return after_read(pair, pair->top->ops->splice_read(pair->top, pipe, n, ret_n), false);
}

/* A peek that fails has taken the error off the descriptor: it must be told here. */
enum io pair_read_end(struct stream_pair *pair)
{
    enum io result;
    uint8_t byte;
    size_t n;

    if (!pair->has_ended || !pair->top->ops->peek || !may_read(pair, &result))
        return IO_AGAIN;
    result = pair->top->ops->peek(pair->top, &byte, sizeof byte, &n);
    return result == IO_OK || result == IO_AGAIN ? IO_AGAIN : after_read(pair, result, false);
}

static bool may_write(struct stream_pair *pair, enum io *ret_answer)
{
    if (pair->write_status != STREAM_OPEN) {
        *ret_answer = bad_state(pair);
        return false;
    }
    *ret_answer = IO_AGAIN;
    return pair->ready & pair->top->write_waits;
}

static enum io after_write(struct stream_pair *pair, enum io result, bool full)
{
    watch_flush(pair);
    if (result == IO_AGAIN || full)
        pair->ready &= (uint8_t)~pair->top->write_waits;
    else if (result == IO_ERROR)
        pair->write_status = STREAM_ERROR; /* what the peer sent before may still be read */
    return result;
}

enum io pair_write(struct stream_pair *pair, const void *bytes, size_t n, size_t *ret_n)
{
    enum io result;

    if (!may_write(pair, &result))
        return result;
    result = pair->top->ops->write(pair->top, bytes, n, ret_n);
    return after_write(pair, result, result == IO_OK && *ret_n < n);
}

enum io pair_splice_write(struct stream_pair *pair, int pipe, size_t n, size_t *ret_n)
{
    enum io result;

    if (!may_write(pair, &result))
        return result;
    return after_write(pair, pair->top->ops->splice_write(pair->top, pipe, n, ret_n), false);
}

enum io pair_end(struct stream_pair *pair)
{
    enum io result;

    if (pair->write_status == STREAM_AT_END)
        return IO_OK;
    if (pair->write_status != STREAM_OPEN)
        return bad_state(pair);
    result = pair->top->ops->end(pair->top);
    watch_flush(pair);
    if (result == IO_OK)
        pair->write_status = STREAM_AT_END;
    else if (result == IO_ERROR)
        pair->write_status = STREAM_ERROR;
    return result;
}

void pair_want(struct stream_pair *pair, enum interest interest)
{
    pair->interest = (uint8_t)interest;
    watch(pair);
}

struct ip_endpoint pair_local_address(const struct stream_pair *pair)
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof sa;

    if (pair->tcp.fd < 0 || getsockname(pair->tcp.fd, (struct sockaddr *)&sa, &length) != 0)
        sa.ss_family = AF_UNSPEC;
    return endpoint_from_sockaddr(&sa);
}

void pair_set_keepalive(struct stream_pair *pair, int seconds)
{
    static const int probes = 5; /* a dead peer is found after 1 + 5/4 times the idle time */
    int on = seconds > 0, interval = seconds / 4 ? seconds / 4 : 1;

    if (pair->tcp.fd < 0)
        return;
    setsockopt(pair->tcp.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (!on)
        return;
    setsockopt(pair->tcp.fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(pair->tcp.fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(pair->tcp.fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

uint64_t pair_unacknowledged(const struct stream_pair *pair)
{
    int bytes = 0;

    if (pair->tcp.fd < 0 || ioctl(pair->tcp.fd, SIOCOUTQ, &bytes) != 0)
        return 0;
    return (uint64_t)bytes;
}

bool pair_is_flushing(const struct stream_pair *pair)
{
    return flush_waits(pair) != 0;
}

/* Not by the state of the connection: one that both sides have ended is over for the kernel too,
 * while its last bytes wait to be read. */
bool pair_is_dead(const struct stream_pair *pair)
{
    struct pollfd pending = {.fd = pair->tcp.fd};

    return pending.fd >= 0 && poll(&pending, 1, 0) == 1 && pending.revents & POLLERR;
}

void pair_close(struct stream_pair *pair)
{
    set_watched(pair, INTEREST_NONE);
    poller_remove(&pair->watch, pair->should_close ? -1 : pair->tcp.fd);
    pair->opens_layer = false;
    pair->interest = INTEREST_NONE;
    connector_free(pair->connector);
    pair->connector = NULL;
    while (pair->top)
        take_off_top(pair);
    if (pair->tcp.fd >= 0 && pair->should_close)
        close(pair->tcp.fd);
    pair->tcp.fd = -1;
    if (pair->holds_poller) {
        poller_unref(pair->poller);
        pair->poller = NULL;
        pair->holds_poller = false;
    }
    set_state(pair, pair->state == PAIR_ERROR ? PAIR_ERROR : PAIR_CLOSED);
}

void pair_reset(struct stream_pair *pair)
{
    static const struct linger abort_ = {.l_onoff = 1, .l_linger = 0};

    if (pair->tcp.fd >= 0 && pair->should_close)
        setsockopt(pair->tcp.fd, SOL_SOCKET, SO_LINGER, &abort_, sizeof abort_);
    pair_close(pair);
}
