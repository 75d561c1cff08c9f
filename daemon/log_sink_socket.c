/* log_sink_socket.c - one datagram a line to a syslog daemon or to the journal.
 *
 * A reader that went away (a restart) is looked for again and again while the lines wait; a
 * reader that is stuck, too, as another one may have taken its place at the path. What no longer
 * finds room meanwhile is lost in the rings, and counted there. */
#include "daemon/log_encode.h"
#include "daemon/log_sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { GONE_RETRY_MS = 200, FULL_RETRY_MS = 1000 };

/* Closes the old socket only if there is a new one. */
static bool connect_socket(struct log_sink *sink)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(sink->path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, sink->path, strlen(sink->path));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int reason = errno;

        close(fd);
        errno = reason;
        return false;
    }
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = fd;
    return true;
}

static bool socket_open(struct log_sink *sink)
{
    sink->pid = getpid();
    tzset(); /* the zone's file is out of reach after chroot */
    return connect_socket(sink);
}

static size_t encode(const struct log_sink *sink, const struct log_line *line,
                     char out[LOG_DATAGRAM_MAX])
{
    time_t second = (time_t)line->head.second;
    struct tm local = {0};

    if (sink->target == LOG_TARGET_JOURNAL)
        return log_encode_journal(line, out);
    localtime_r(&second, &local);
    return log_encode_syslog(line, &local, sink->pid, out);
}

static bool no_reader(int reason)
{
    return reason == ECONNREFUSED || reason == ECONNRESET || reason == ENOTCONN ||
           reason == EDESTADDRREQ || reason == EPIPE;
}

enum sent {
    SENT,
    REFUSED, /* this datagram never gets through */
    FULL,
    GONE, /* there is no reader */
};

/* By the connection that there is, or a new one. */
static enum sent try_send(struct log_sink *sink, const char *bytes, size_t n)
{
    ssize_t sent;

    if (sink->fd < 0 && !connect_socket(sink))
        return GONE;
    do
        sent = send(sink->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return SENT;
    if (errno == EAGAIN)
        return FULL;
    if (!no_reader(errno))
        return REFUSED; /* too long for it, no memory: the next one may do */
    close(sink->fd);
    sink->fd = -1;
    return GONE;
}

static enum sent send_datagram(struct log_sink *sink, const char *bytes, size_t n)
{
    enum sent sent = try_send(sink, bytes, n);

    /* Once more where the connection was lost, or where waiting for room has not helped. */
    if (sent == GONE || (sent == FULL && sink->is_full && connect_socket(sink)))
        sent = try_send(sink, bytes, n);
    sink->is_full = sent == FULL;
    sink->retry_ms = sent == GONE ? GONE_RETRY_MS : FULL_RETRY_MS;
    return sent;
}

static size_t socket_write(struct log_sink *sink, const struct log_line *lines, size_t count)
{
    char datagram[LOG_DATAGRAM_MAX];

    for (size_t done = 0; done < count; done++) {
        size_t n = encode(sink, &lines[done], datagram);
        enum sent sent = send_datagram(sink, datagram, n);

        if (sent == FULL || sent == GONE)
            return done;
        if (sent == REFUSED) {
            sink->lost += lines[done].stands_for;
            sink->given_up++;
        }
    }
    return count;
}

const struct log_sink_ops log_sink_socket_ops = {socket_open, socket_write};
