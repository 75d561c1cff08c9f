/* layer_tcp.c - recv, send and shutdown with their errno values turned into results. */
#include "streams/layer_tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Nagle's algorithm (RFC 9293, 3.7.4) delays a small write only while an earlier one is not
 * acknowledged: it is switched off before the second write, and a connection that has but one is
 * spared the call. */
enum { NAGLE_UNTOUCHED, NAGLE_WROTE_ONCE, NAGLE_OFF };

static enum io tcp_open(struct layer *layer)
{
    (void)layer; /* the connector hands over connected sockets only */
    return IO_OK;
}

/* What recv(2) and splice(2) from a socket say. */
static enum io read_result(struct layer *layer, ssize_t got, size_t *ret_n)
{
    if (got > 0) {
        *ret_n = (size_t)got;
        return IO_OK;
    }
    if (got == 0)
        return IO_EOF;
    if (errno == EAGAIN)
        return IO_AGAIN;
    stream_error_keep_first(layer->error, stream_error_read(errno));
    return IO_ERROR;
}

/* What send(2) and splice(2) to a socket say. */
static enum io write_result(struct layer *layer, ssize_t sent, size_t *ret_n)
{
    if (sent > 0) {
        *ret_n = (size_t)sent;
        return IO_OK;
    }
    if (sent == 0 || errno == EAGAIN)
        return IO_AGAIN;
    stream_error_keep_first(layer->error, stream_error_write(errno));
    return IO_ERROR;
}

static enum io tcp_read(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct layer_tcp *tcp = (struct layer_tcp *)layer;
    ssize_t got;

    do
        got = recv(tcp->fd, out, n, 0);
    while (got < 0 && errno == EINTR);
    return read_result(layer, got, ret_n);
}

static enum io tcp_peek(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct layer_tcp *tcp = (struct layer_tcp *)layer;
    ssize_t got;

    do
        got = recv(tcp->fd, out, n, MSG_PEEK);
    while (got < 0 && errno == EINTR);
    return read_result(layer, got, ret_n);
}

static enum io tcp_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    struct layer_tcp *tcp = (struct layer_tcp *)layer;
    int flags = MSG_NOSIGNAL | (layer->more_follows ? MSG_MORE : 0);
    ssize_t sent;

    if (tcp->nagle != NAGLE_OFF && tcp->nagle++ == NAGLE_WROTE_ONCE) {
        int one = 1;

        setsockopt(tcp->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    do
        sent = send(tcp->fd, bytes, n, flags);
    while (sent < 0 && errno == EINTR);
    return write_result(layer, sent, ret_n);
}

static enum io tcp_splice_read(struct layer *layer, int pipe, size_t room, size_t *ret_n)
{
    struct layer_tcp *tcp = (struct layer_tcp *)layer;
    uint8_t byte;
    ssize_t got;
    size_t n;

    do
        got = splice(tcp->fd, NULL, pipe, NULL, room, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (got < 0 && errno == EINTR);
    if (got == 0 && tcp_peek(layer, &byte, sizeof byte, &n) == IO_OK)
        return IO_AGAIN; /* it stopped at an urgent byte, and called that the end because one has come */
    return read_result(layer, got, ret_n);
}

/* splice has no MSG_NOSIGNAL: who splices ignores SIGPIPE. */
static enum io tcp_splice_write(struct layer *layer, int pipe, size_t n, size_t *ret_n)
{
    struct layer_tcp *tcp = (struct layer_tcp *)layer;
    ssize_t sent;

    do
        sent = splice(pipe, NULL, tcp->fd, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (sent < 0 && errno == EINTR);
    return write_result(layer, sent, ret_n);
}

static enum io tcp_end(struct layer *layer)
{
    struct layer_tcp *tcp = (struct layer_tcp *)layer;

    /* ENOTCONN: the peer reset in the meantime; the next read says so. */
    if (shutdown(tcp->fd, SHUT_WR) == 0 || errno == ENOTCONN)
        return IO_OK;
    stream_error_keep_first(layer->error, stream_error_write(errno));
    return IO_ERROR;
}

static void tcp_done(struct layer *layer)
{
    (void)layer;
}

static const struct layer_ops tcp_ops = {
    .name = "tcp",
    .close_ends = true,
    .open = tcp_open,
    .read = tcp_read,
    .peek = tcp_peek,
    .write = tcp_write,
    .end = tcp_end,
    .splice_read = tcp_splice_read,
    .splice_write = tcp_splice_write,
    .done = tcp_done,
};

void layer_tcp_init(struct layer_tcp *tcp, int fd, bool no_delay, struct stream_error *error)
{
    *tcp = (struct layer_tcp){
        .layer =
            {
                .ops = &tcp_ops,
                .error = error,
                .read_waits = INTEREST_READ,
                .write_waits = INTEREST_WRITE,
            },
        .fd = fd,
        .nagle = no_delay ? NAGLE_OFF : NAGLE_UNTOUCHED,
    };
}
