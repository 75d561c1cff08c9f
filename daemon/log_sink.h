/* log_sink.h - where the log's lines end: stderr or a file, a syslog daemon, the journal. One
 * struct for all of them and a small table of what each does; `log_target` chooses it.
 *
 * A sink is opened by the control plane and belongs to the writing thread (log.c) from its first
 * line on. No sink waits: what cannot be written now is left to the caller, who polls. */
#ifndef PAIRSOCKS_LOG_SINK_H
#define PAIRSOCKS_LOG_SINK_H

#include "config/config.h"
#include "daemon/log_batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_SYSLOG_SOCKET "/dev/log"
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

struct log_sink;

struct log_sink_ops {
    /* False: errno says why. */
    bool (*open)(struct log_sink *sink);
    /* See log_sink_write(). */
    size_t (*write)(struct log_sink *sink, const struct log_line *lines, size_t count);
};

struct log_sink {
    const struct log_sink_ops *ops;
    enum log_target target;
    char *path;    /* owned; NULL: stderr */
    int fd;        /* owned but for stderr; -1: a socket whose reader is gone */
    int retry_ms;  /* after write() stopped early: try again by then, even if `fd` takes nothing;
                    * -1: no need */
    uint64_t lost; /* lines that were given up; the caller takes the number away */
    uint64_t given_up; /* the same, each line that says how many were lost being one itself */
    /* A file: */
    bool is_regular;
    bool is_torn;   /* a line was cut in the middle by an error */
    size_t partial; /* bytes of the next line that are written already */
    /* A socket: */
    bool is_full; /* nothing has got through since it was found full */
    pid_t pid;
};

/* The sink of a target. `path`: of the file, or of the socket instead of the usual one; NULL for
 * stderr. NULL with errno: it cannot be opened, or nobody reads the socket. */
struct log_sink *log_sink_open(enum log_target target, const char *path);

/* A file of this path that is open already. Owns `fd`. NULL without memory. */
struct log_sink *log_sink_adopt(const char *path, int fd);
void log_sink_free(struct log_sink *sink);

/* The path that belongs to a target: `file`, one of the sockets above, or NULL for stderr. */
const char *log_sink_path(enum log_target target, const char *file);

/* Writes lines that stand one behind the other (those of one batch). Returns how many of them are
 * done with: written, or given up and counted in `lost`. Less than `count`: it takes no more now;
 * call again with the rest when `fd` can be written or `retry_ms` have passed. */
size_t log_sink_write(struct log_sink *sink, const struct log_line *lines, size_t count);

/* The kinds. */
extern const struct log_sink_ops log_sink_file_ops;
extern const struct log_sink_ops log_sink_socket_ops;

#endif
