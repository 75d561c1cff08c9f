/* pair.c - the life of a connection: reading, writing, half-closing, ending. */
#include "streams/pair_private.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The only place that changes the state; the directions follow. */
void pair_set_state(struct stream_pair *pair, enum pair_state state)
{
    static const enum stream_status status[] = {
        [PAIR_INITIALIZED] = STREAM_NOT_OPEN, [PAIR_CONNECTED] = STREAM_OPEN,
        [PAIR_LISTENING] = STREAM_NOT_OPEN,   [PAIR_CLOSED] = STREAM_CLOSED,
        [PAIR_ERROR] = STREAM_ERROR,
    };

    pair->state = (uint8_t)state;
    pair->read_status = pair->write_status = (uint8_t)status[state];
}

void pair_set_failed(struct stream_pair *pair, struct stream_error error)
{
    stream_error_keep_first(&pair->error, error);
    pair_set_state(pair, PAIR_ERROR);
}

void pair_init(struct stream_pair *pair, struct ev_loop *loop, pair_callback *on_event)
{
    *pair = (struct stream_pair){.loop = loop, .on_event = on_event, .should_close = true};
    pair->tcp.fd = -1;
    poll_watch_init(&pair->watch, pair_on_ready);
}

void pair_use_poller(struct stream_pair *pair, struct poller *poller)
{
    pair->poller = poller;
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
        pair_not_ready(pair, pair->top->read_waits);
    else if (result == IO_EOF)
        pair->read_status = STREAM_AT_END;
    else if (result == IO_ERROR)
        pair_set_state(pair, PAIR_ERROR);
    pair_watch_flush(pair);
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
    pair_watch_flush(pair);
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
    pair_watch_flush(pair);
    if (result == IO_OK)
        pair->write_status = STREAM_AT_END;
    else if (result == IO_ERROR)
        pair->write_status = STREAM_ERROR;
    return result;
}

void pair_want(struct stream_pair *pair, enum interest interest)
{
    pair->interest = (uint8_t)interest;
    pair_watch(pair);
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
    return pair_flush_waits(pair) != 0;
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
    pair_set_watched(pair, INTEREST_NONE);
    poller_remove(&pair->watch, pair->should_close ? -1 : pair->tcp.fd);
    pair->opens_layer = false;
    pair->interest = INTEREST_NONE;
    connector_free(pair->connector);
    pair->connector = NULL;
    while (pair->top)
        pair_take_off_top(pair);
    if (pair->tcp.fd >= 0 && pair->should_close)
        close(pair->tcp.fd);
    pair->tcp.fd = -1;
    if (pair->holds_poller) {
        poller_unref(pair->poller);
        pair->poller = NULL;
        pair->holds_poller = false;
    }
    pair_set_state(pair, pair->state == PAIR_ERROR ? PAIR_ERROR : PAIR_CLOSED);
}

void pair_reset(struct stream_pair *pair)
{
    static const struct linger abort_ = {.l_onoff = 1, .l_linger = 0};

    if (pair->tcp.fd >= 0 && pair->should_close)
        setsockopt(pair->tcp.fd, SOL_SOCKET, SO_LINGER, &abort_, sizeof abort_);
    pair_close(pair);
}
