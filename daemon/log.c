/* log.c - what is logged, how, and where to: the front of the writing thread. */
#include "daemon/log.h"

#include "config/out_of_reach.h"
#include "daemon/log_sink.h"
#include "daemon/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 1024 };

static struct {
    atomic_int level, format;      /* enums log_level, log_format */
    bool running;                  /* lines go to the writing thread */
    bool is_elsewhere;             /* not on stderr: errors of the start are told there, too */
    const struct log_sink *newest; /* borrowed: what the writing thread has, or will take next */
    atomic_bool started;
    char *inherited_path; /* owned; NULL: none */
    int inherited;        /* the descriptor of that file; owned */
} the_log = {.level = LOG_LEVEL_INFO};

static bool say_unstarted(void)
{
    fprintf(stderr, "pairsocksd: cannot start the log: %s\n", strerror(errno));
    return false;
}

static void say_unopened(FILE *to, const char *path, int reason)
{
    fprintf(to, "cannot open the log %s: %s%s\n", path ? path : "stderr", strerror(reason),
            path ? out_of_reach(path, reason, true) : "");
}

void log_inherit(const char *path, int fd)
{
    free(the_log.inherited_path);
    the_log.inherited_path = strdup(path);
    the_log.inherited = fd;
    if (!the_log.inherited_path)
        close(fd);
}

int log_descriptor(const char **ret_path)
{
    if (!the_log.newest || the_log.newest->target != LOG_TARGET_FILE)
        return -1;
    *ret_path = the_log.newest->path;
    return the_log.newest->fd;
}

/* What the other daemon opened as somebody else, or outside of a chroot. */
static struct log_sink *open_or_inherit(enum log_target target, const char *path)
{
    struct log_sink *sink = log_sink_open(target, path);
    bool is_there = the_log.inherited_path && target == LOG_TARGET_FILE &&
                    strcmp(the_log.inherited_path, path) == 0;
    int reason = errno;

    if (!sink && is_there)
        sink = log_sink_adopt(path, the_log.inherited);
    else if (the_log.inherited_path)
        close(the_log.inherited);
    free(the_log.inherited_path);
    the_log.inherited_path = NULL;
    errno = reason;
    return sink;
}

bool log_open(const struct config *config)
{
    enum log_target target = (enum log_target)config->log_target;
    const char *path = log_sink_path(target, config->log_file);
    struct log_sink *sink;

    the_log.level = (int)config->log_level;
    the_log.format = config->log_format;
    the_log.is_elsewhere = config->log_target != LOG_TARGET_STDERR;
    sink = open_or_inherit(target, path);
    if (!sink) {
        int reason = errno;

        fputs("pairsocksd: ", stderr);
        say_unopened(stderr, path, reason);
        return false;
    }
    if (!log_attach_thread() || !log_writer_open(sink)) {
        log_sink_free(sink);
        return say_unstarted();
    }
    the_log.newest = sink;
    the_log.running = true;
    return true;
}

bool log_start(void)
{
    return log_writer_start() || say_unstarted();
}

void log_close(void)
{
    if (!the_log.running || !log_writer_stop())
        return;
    the_log.running = false;
    the_log.newest = NULL;
}

void log_started(void)
{
    atomic_store(&the_log.started, true);
}

/* ---- reload ---- */

struct log_change {
    struct log_sink *sink; /* NULL: the old one goes on */
    int reason;            /* errno, if that is because it could not be opened again */
    int level, format;
};

static bool is_newest(enum log_target target, const char *path)
{
    const struct log_sink *sink = the_log.newest;

    return sink->target == target && (!path || strcmp(sink->path, path) == 0);
}

struct log_change *log_prepare(const struct config *config, FILE *errors)
{
    enum log_target target = (enum log_target)config->log_target;
    const char *path = log_sink_path(target, config->log_file);
    struct log_change *change = calloc(1, sizeof *change);

    if (!change) {
        fprintf(errors, "the log: out of memory\n");
        return NULL;
    }
    change->level = (int)config->log_level;
    change->format = config->log_format;
    change->sink = log_sink_open(target, path);
    change->reason = change->sink ? 0 : errno;
    if (!change->sink && !is_newest(target, path)) {
        say_unopened(errors, path, change->reason);
        free(change);
        return NULL;
    }
    return change;
}

static void log_reopen_failed(int reason)
{
    struct log_record record;

    log_begin(&record, LOG_LEVEL_ERROR, "log_reopen");
    log_record_string(&record, "path", the_log.newest->path ? the_log.newest->path : "stderr");
    log_record_string(&record, "message", strerror(reason));
    log_commit(&record);
}

static void hand_over(struct log_sink *sink)
{
    the_log.newest = sink;
    log_writer_replace(sink);
}

void log_apply(struct log_change *change)
{
    atomic_store(&the_log.level, change->level);
    atomic_store(&the_log.format, change->format);
    if (change->sink)
        hand_over(change->sink);
    else
        log_reopen_failed(change->reason);
    free(change);
}

void log_discard(struct log_change *change)
{
    if (!change)
        return;
    log_sink_free(change->sink);
    free(change);
}

void log_reopen(void)
{
    const struct log_sink *newest = the_log.newest;
    struct log_sink *sink;

    if (!the_log.running)
        return;
    sink = log_sink_open(newest->target, newest->path);
    if (sink)
        hand_over(sink);
    else
        log_reopen_failed(errno);
}

/* ---- lines, in any thread ---- */

bool log_attach_thread(void)
{
    return log_writer_attach_thread();
}

uint64_t log_lost(void)
{
    return log_writer_lost();
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&the_log.level, memory_order_relaxed);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load(&the_log.level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&the_log.level, (int)level);
}

/* 2026-11-21T09:20:32.123Z. The calendar is computed once a second. */
static void put_time(struct log_record *record)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char text[] = "0000-00-00T00:00:00.000Z";
    struct timespec now;
    struct tm tm;
    unsigned ms;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != second && gmtime_r(&now.tv_sec, &tm)) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        second = now.tv_sec;
    }
    ms = (unsigned)(now.tv_nsec / 1000000);
    text[20] = (char)('0' + ms / 100);
    text[21] = (char)('0' + ms / 10 % 10);
    text[22] = (char)('0' + ms % 10);
    record->head.second = now.tv_sec;
    log_record_bytes(record, "time", text, sizeof text - 1);
}

static void begin(struct log_record *record, enum log_level level)
{
    int format = atomic_load_explicit(&the_log.format, memory_order_relaxed);

    log_record_begin(record, (enum log_format)format);
    record->head.level = (uint16_t)level;
    put_time(record);
}

void log_begin(struct log_record *record, enum log_level level, const char *event)
{
    begin(record, level);
    log_record_string(record, "level", config_log_level_name(level));
    log_record_string(record, "event", event);
}

void log_begin_session(struct log_record *record)
{
    begin(record, LOG_LEVEL_INFO);
    log_record_string(record, "event", "session");
}

/* While the daemon does not serve, before or after: this may block. */
static void write_stderr(const struct log_record *record)
{
    for (size_t done = 0; done < record->length;) {
        ssize_t n = write(STDERR_FILENO, record->bytes + done, record->length - done);

        if (n < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (n < 0 && errno != EINTR)
            return;
        done += n > 0 ? (size_t)n : 0;
    }
}

void log_commit(struct log_record *record)
{
    log_record_end(record);
    if (!the_log.running) {
        write_stderr(record);
        return;
    }
    if (record->head.level == LOG_LEVEL_ERROR && the_log.is_elsewhere &&
        !atomic_load(&the_log.started))
        write_stderr(record);
    log_writer_put(record);
}

void log_message(enum log_level level, const char *event, const char *format, ...)
{
    char text[MESSAGE_MAX];
    struct log_record record;
    va_list args;

    if (!log_wants(level))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_begin(&record, level, event);
    log_record_string(&record, "message", text);
    log_commit(&record);
}
