/* log.c - the rings, the writing thread, and how it sleeps.
 *
 * The writer sleeps on an eventfd when all rings are empty. A producer that finds it asleep
 * wakes it; once awake it waits a moment before it writes, so that a busy daemon pays for twenty
 * wake-ups a second and not for one a line. A ring that is half full wakes it from that moment,
 * too. */
#include "daemon/log.h"

#include "daemon/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { GATHER_MS = 50, CLOSE_SECONDS = 1, MESSAGE_MAX = 1024 };

static struct {
    enum log_level level;
    enum log_format format;
    char *path; /* owned; NULL: stderr */
    int fd;     /* of the file; or 2 */
    int wake;   /* eventfd */
    bool running;
    pthread_t writer;
    pthread_mutex_t lock; /* guards `rings` while it grows */
    struct log_ring *_Atomic rings;
    uint64_t lost_at_target; /* lines that could not be written; the writing thread's */
    bool torn;               /* the last line was cut in the middle; likewise */
    atomic_bool asleep, closing, reopen, started;
} the_log = {
    .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .wake = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct log_ring *my_ring;

static void wake_writer(void)
{
    uint64_t one = 1;
    ssize_t n = write(the_log.wake, &one, sizeof one);

    (void)n; /* a full counter means that it is awake */
}

/* Blocks until everything is written; a target that fails (a full disk) loses lines, which
 * are counted. */
static void write_all(int fd, const char *bytes, size_t n)
{
    size_t whole = n;

    while (n) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};

            poll(&writable, 1, -1);
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            for (size_t i = 0; i < n; i++)
                the_log.lost_at_target += bytes[i] == '\n';
            the_log.torn = the_log.torn || n < whole;
            return;
        }
        bytes += done;
        n -= (size_t)done;
    }
}

/* What follows a line that was cut begins a line of its own. */
static void mend_torn_line(void)
{
    if (the_log.torn)
        the_log.torn = write(the_log.fd, "\n", 1) != 1;
}

static void report_lost(struct log_ring *ring)
{
    uint64_t lost = atomic_exchange(&ring->lost, 0) + the_log.lost_at_target;
    struct log_record record;

    if (!lost)
        return;
    the_log.lost_at_target = 0;
    log_begin(&record, LOG_LEVEL_WARNING, "log_lost");
    log_record_number(&record, "lines", lost);
    log_record_end(&record);
    mend_torn_line();
    write_all(the_log.fd, record.bytes, record.length);
    if (the_log.lost_at_target)
        the_log.lost_at_target = lost; /* that did not get through either */
}

static bool drain_rings(void)
{
    bool any = false;

    for (struct log_ring *ring = atomic_load(&the_log.rings); ring; ring = ring->next) {
        struct iovec pieces[2];
        int n = log_ring_peek(ring, pieces);

        if (n)
            mend_torn_line();
        for (int i = 0; i < n; i++) {
            write_all(the_log.fd, pieces[i].iov_base, pieces[i].iov_len);
            log_ring_taken(ring, pieces[i].iov_len);
            any = true;
        }
        report_lost(ring);
    }
    return any;
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

static void reopen_file(void)
{
    struct log_record record;
    int fd;

    if (!the_log.path)
        return;
    fd = open_file(the_log.path);
    if (fd < 0 || dup3(fd, the_log.fd, O_CLOEXEC) < 0) {
        log_begin(&record, LOG_LEVEL_ERROR, "log_reopen"); /* the old file goes on */
        log_record_string(&record, "message", strerror(errno));
        log_record_end(&record);
        write_all(the_log.fd, record.bytes, record.length);
    }
    if (fd >= 0)
        close(fd);
}

static void wait_awake(int timeout_ms)
{
    struct pollfd p = {.fd = the_log.wake, .events = POLLIN};
    uint64_t count;

    if (poll(&p, 1, timeout_ms) > 0 && read(the_log.wake, &count, sizeof count) < 0)
        return;
}

static void *writer_main(void *unused)
{
    (void)unused;
    for (;;) {
        bool closing = atomic_load(&the_log.closing);

        if (atomic_exchange(&the_log.reopen, false))
            reopen_file();
        if (drain_rings())
            continue;
        if (closing)
            return NULL;
        /* A producer puts its line first and looks at `asleep` second, we do the reverse: one of
         * us notices. */
        atomic_store(&the_log.asleep, true);
        if (!drain_rings())
            wait_awake(-1);
        atomic_store(&the_log.asleep, false);
        if (!atomic_load(&the_log.closing))
            wait_awake(GATHER_MS);
    }
}

bool log_open(const struct config *config)
{
    the_log.level = config->log_level;
    the_log.format = config->log_format;
    if (config->log_file) {
        the_log.path = strdup(config->log_file);
        the_log.fd = the_log.path ? open_file(the_log.path) : -1;
        if (the_log.fd < 0) {
            fprintf(stderr, "pairsocksd: cannot open the log %s: %s\n", config->log_file,
                    strerror(errno));
            the_log.fd = STDERR_FILENO;
            return false;
        }
    }
    the_log.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (the_log.wake < 0 || !log_attach_thread() ||
        pthread_create(&the_log.writer, NULL, writer_main, NULL) != 0) {
        fprintf(stderr, "pairsocksd: cannot start the log: %s\n", strerror(errno));
        return false;
    }
    the_log.running = true;
    return true;
}

void log_close(void)
{
    struct timespec until;

    if (!the_log.running)
        return;
    atomic_store(&the_log.closing, true);
    wake_writer();
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_SECONDS;
    if (pthread_timedjoin_np(the_log.writer, NULL, &until) != 0)
        return; /* its reader is stuck: what waits is lost, and nothing it uses may be freed */
    the_log.running = false;
    for (struct log_ring *ring = atomic_load(&the_log.rings); ring;) {
        struct log_ring *next = ring->next;

        free(ring);
        ring = next;
    }
    atomic_store(&the_log.rings, NULL);
    my_ring = NULL;
    if (the_log.path)
        close(the_log.fd);
    close(the_log.wake);
    free(the_log.path);
    the_log.path = NULL;
    the_log.fd = STDERR_FILENO;
}

void log_started(void)
{
    atomic_store(&the_log.started, true);
}

void log_reopen(void)
{
    atomic_store(&the_log.reopen, true);
    if (the_log.running)
        wake_writer();
}

bool log_attach_thread(void)
{
    my_ring = calloc(1, sizeof *my_ring);
    if (!my_ring)
        return false;
    pthread_mutex_lock(&the_log.lock);
    my_ring->next = atomic_load(&the_log.rings);
    atomic_store(&the_log.rings, my_ring);
    pthread_mutex_unlock(&the_log.lock);
    return true;
}

bool log_wants(enum log_level level)
{
    return level <= the_log.level;
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
    log_record_bytes(record, "time", text, sizeof text - 1);
}

void log_begin(struct log_record *record, enum log_level level, const char *event)
{
    log_record_begin(record, the_log.format);
    put_time(record);
    record->is_error = level == LOG_LEVEL_ERROR;
    log_record_string(record, "level", config_log_level_name(level));
    log_record_string(record, "event", event);
}

void log_begin_session(struct log_record *record)
{
    log_record_begin(record, the_log.format);
    put_time(record);
    log_record_string(record, "event", "session");
}

void log_commit(struct log_record *record)
{
    size_t used, n;

    log_record_end(record);
    n = record->length;
    if (!the_log.running) {
        write_all(STDERR_FILENO, record->bytes, record->length);
        return;
    }
    if (record->is_error && the_log.path && !atomic_load(&the_log.started))
        write_all(STDERR_FILENO, record->bytes, n);
    if (!my_ring)
        return;
    if (!log_ring_put(my_ring, record->bytes, n, &used))
        return;
    if ((atomic_load(&the_log.asleep) && atomic_exchange(&the_log.asleep, false)) ||
        (used > LOG_RING_SIZE / 2 && used - n <= LOG_RING_SIZE / 2))
        wake_writer();
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
