/* log_sink.c - the table of sinks, and what they have in common. */
#include "daemon/log_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const struct log_sink_ops *ops;
    const char *path;
} sinks[] = {
    [LOG_TARGET_STDERR] = {&log_sink_file_ops, NULL},
    [LOG_TARGET_SYSLOG] = {&log_sink_socket_ops, LOG_SYSLOG_SOCKET},
    [LOG_TARGET_JOURNAL] = {&log_sink_socket_ops, LOG_JOURNAL_SOCKET},
    [LOG_TARGET_FILE] = {&log_sink_file_ops, NULL},
};

const char *log_sink_path(enum log_target target, const char *file)
{
    return target == LOG_TARGET_FILE ? file : sinks[target].path;
}

/* NULL without memory. */
static struct log_sink *new_sink(enum log_target target, const char *path, int fd)
{
    struct log_sink *sink = calloc(1, sizeof *sink);

    if (!sink)
        return NULL;
    sink->ops = sinks[target].ops;
    sink->target = target;
    sink->fd = fd;
    sink->retry_ms = -1;
    sink->path = path ? strdup(path) : NULL;
    if (!path || sink->path)
        return sink;
    free(sink);
    return NULL;
}

struct log_sink *log_sink_adopt(const char *path, int fd)
{
    struct log_sink *sink = new_sink(LOG_TARGET_FILE, path, fd);
    struct stat st;

    if (sink)
        sink->is_regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    else
        close(fd);
    return sink;
}

struct log_sink *log_sink_open(enum log_target target, const char *path)
{
    struct log_sink *sink = new_sink(target, path, -1);
    int reason;

    if (!sink)
        return NULL;
    if (sink->ops->open(sink))
        return sink;
    reason = errno;
    log_sink_free(sink);
    errno = reason;
    return NULL;
}

void log_sink_free(struct log_sink *sink)
{
    if (!sink)
        return;
    if (sink->fd >= 0 && sink->target != LOG_TARGET_STDERR)
        close(sink->fd);
    free(sink->path);
    free(sink);
}

size_t log_sink_write(struct log_sink *sink, const struct log_line *lines, size_t count)
{
    return sink->ops->write(sink, lines, count);
}
