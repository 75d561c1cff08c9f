/* log_sink_file.c - lines into stderr or a file, which may be a pipe or a terminal, too.
 *
 * A file that we opened does not block. stderr is shared with others, so that it may not be made
 * non-blocking: it is asked before each write, and gets no more than a pipe that said yes takes at
 * once. (A terminal that was stopped in the middle may still hold the writing thread.) */
#include "daemon/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static bool file_open(struct log_sink *sink)
{
    struct stat st;

    if (sink->target == LOG_TARGET_STDERR)
        sink->fd = STDERR_FILENO;
    else
        sink->fd = open(sink->path,
                        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    sink->is_regular = sink->fd >= 0 && fstat(sink->fd, &st) == 0 && S_ISREG(st.st_mode);
    return sink->fd >= 0;
}

static bool takes_more(const struct log_sink *sink)
{
    struct pollfd p = {.fd = sink->fd, .events = POLLOUT};

    return sink->is_regular || poll(&p, 1, 0) > 0;
}

/* How many bytes go in one write: all, or into a pipe as many whole lines as it takes at once, so
 * that lines of others cannot come between. */
static size_t piece(const struct log_sink *sink, const struct log_line *lines, size_t count)
{
    size_t n = lines[0].head.length;

    for (size_t i = 1; i < count; i++) {
        if (!sink->is_regular && n + lines[i].head.length > PIPE_BUF)
            break;
        n += lines[i].head.length;
    }
    return n - sink->partial;
}

/* n more bytes are written: how many lines does that end? */
static size_t advance(struct log_sink *sink, const struct log_line *lines, size_t n)
{
    size_t done = 0;

    sink->partial += n;
    while (sink->partial && sink->partial >= lines[done].head.length)
        sink->partial -= lines[done++].head.length;
    return done;
}

/* A full disk, a pipe without a reader. */
static void give_up(struct log_sink *sink, const struct log_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sink->lost += lines[i].stands_for;
    sink->given_up += count;
    sink->is_torn = sink->is_torn || sink->partial;
    sink->partial = 0;
}

static size_t file_write(struct log_sink *sink, const struct log_line *lines, size_t count)
{
    size_t done = 0;

    while (done < count && takes_more(sink)) {
        const struct log_line *next = lines + done;
        ssize_t n;

        if (sink->is_torn) /* what follows a line that was cut begins a line of its own */
            sink->is_torn = write(sink->fd, "\n", 1) != 1;
        n = write(sink->fd, next->text + sink->partial, piece(sink, next, count - done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            give_up(sink, next, count - done);
            return count;
        }
        done += advance(sink, next, (size_t)n);
    }
    return done;
}

const struct log_sink_ops log_sink_file_ops = {file_open, file_write};
