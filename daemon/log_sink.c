/* log_sink.c - the table of sinks, and what they have in common. */
#include "daemon/log_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
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

struct log_sink *log_sink_open(enum log_target target, const char *path)
{
    struct log_sink *sink = calloc(1, sizeof *sink);
    int reason;

    if (!sink)
        return NULL;
    sink->ops = sinks[target].ops;
    sink->target = target;
    sink->fd = -1;
    sink->retry_ms = -1;
    sink->path = path ? strdup(path) : NULL;
    if ((!path || sink->path) && sink->ops->open(sink))
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
