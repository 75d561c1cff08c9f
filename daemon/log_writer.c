/* log_writer.c - the rings, the writing thread, and how it sleeps.
 *
 * The writer sleeps on an eventfd when all rings are empty. A producer that finds it asleep
 * wakes it; once awake it waits a moment before it writes, and the longer the less it has slept, so
 * that a busy daemon pays for twenty wake-ups a second and not for one a line, and who watches a
 * quiet one sees its lines at once. A ring that is half full wakes it from that moment,
 * too. Where the sink takes no more it waits for that, for a change of sink, or for the end. */
#include "daemon/log_writer.h"

#include "daemon/log.h"
#include "daemon/log_batch.h"
#include "daemon/log_ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { GATHER_LEAST_MS = 1, GATHER_MS = 50, CLOSE_MS = 1000 };

static struct {
    int wake; /* eventfd */
    pthread_t thread;
    pthread_mutex_t lock; /* guards `rings` while it grows */
    struct log_ring *_Atomic rings;
    struct log_sink *sink;         /* the thread's */
    struct log_sink *_Atomic next; /* takes its place; owned until the thread takes it */
    struct log_batch batch;        /* the thread's */
    int64_t close_at;              /* ms: how long it tries once `closing` is set */
    _Atomic uint64_t lost;         /* lines, ever */
    atomic_bool asleep, closing;
    bool has_started; /* the thread */
} the_writer = {.wake = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct log_ring *my_ring;

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wake_writer(void)
{
    uint64_t one = 1;
    ssize_t n = write(the_writer.wake, &one, sizeof one);

    (void)n; /* a full counter means that it is awake */
}

/* ---- the thread ---- */

static void take_change(void)
{
    struct log_sink *next = atomic_exchange(&the_writer.next, NULL);

    if (!next)
        return;
    next->lost += the_writer.sink->lost;
    next->given_up += the_writer.sink->given_up;
    log_sink_free(the_writer.sink);
    the_writer.sink = next;
}

static void clear_wake(void)
{
    uint64_t count;

    if (read(the_writer.wake, &count, sizeof count) < 0)
        return;
}

/* Until the sink may take more, or there is something else to do. False: it is the end, and it was
 * waited for long enough. */
static bool wait_for_sink(void)
{
    struct pollfd p[] = {
        {.fd = the_writer.sink->fd, .events = POLLOUT},
        {.fd = the_writer.wake, .events = POLLIN},
    };
    int timeout = the_writer.sink->retry_ms;

    if (atomic_load(&the_writer.closing)) {
        int64_t left = the_writer.close_at - now_ms();

        if (left <= 0)
            return false;
        if (timeout < 0 || left < timeout)
            timeout = (int)left;
    }
    if (poll(p, 2, timeout) > 0 && p[1].revents)
        clear_wake();
    return true;
}

/* Waits for the sink as long as it takes: producers do not. */
static void write_batch(void)
{
    struct log_batch *batch = &the_writer.batch;
    size_t done = 0;

    do {
        take_change(); /* no line that came after a change goes to the old sink */
        done += log_sink_write(the_writer.sink, batch->lines + done, batch->count - done);
    } while (done < batch->count && wait_for_sink());
    log_batch_clear(batch);
}

/* Says how many lines are missing. If that does not get through either, they are lost again. */
static void report_lost(uint64_t lost)
{
    struct log_record record;

    atomic_fetch_add_explicit(&the_writer.lost, lost + the_writer.sink->given_up,
                              memory_order_relaxed);
    the_writer.sink->given_up = 0;
    lost += the_writer.sink->lost;
    if (!lost)
        return;
    the_writer.sink->lost = 0;
    log_begin(&record, LOG_LEVEL_WARNING, "log_lost");
    log_record_number(&record, "lines", lost);
    log_record_end(&record);
    if (!log_batch_add(&the_writer.batch, &record, lost)) {
        write_batch();
        log_batch_add(&the_writer.batch, &record, lost);
    }
}

/* False: there was nothing. */
static bool drain_rings(void)
{
    uint64_t lost = 0;
    bool any = false;

    for (struct log_ring *ring = atomic_load(&the_writer.rings); ring; ring = ring->next) {
        bool emptied = log_batch_take(&the_writer.batch, ring);

        any = any || the_writer.batch.count;
        lost += atomic_exchange(&ring->lost, 0);
        if (!emptied) /* it has its turn again: no ring may keep the others waiting */
            write_batch();
    }
    report_lost(lost);
    if (the_writer.batch.count)
        write_batch();
    return any;
}

static void wait_awake(int timeout_ms)
{
    struct pollfd p = {.fd = the_writer.wake, .events = POLLIN};

    if (poll(&p, 1, timeout_ms) > 0)
        clear_wake();
}

/* Sleeps until a line comes. The moment to wait for more doubles with each sleep that was short. */
static int sleep_and_gather(int gather_ms)
{
    int64_t since = now_ms();

    wait_awake(-1);
    if (now_ms() - since >= GATHER_MS)
        return GATHER_LEAST_MS;
    return gather_ms < GATHER_MS / 2 ? gather_ms * 2 : GATHER_MS;
}

static void *writer_main(void *unused)
{
    int gather_ms = GATHER_LEAST_MS;

    (void)unused;
    for (;;) {
        bool closing = atomic_load(&the_writer.closing);

        take_change();
        if (drain_rings())
            continue;
        if (closing)
            return NULL;
        /* A producer puts its line first and looks at `asleep` second, we do the reverse: one of
         * us notices. */
        atomic_store(&the_writer.asleep, true);
        if (!drain_rings())
            gather_ms = sleep_and_gather(gather_ms);
        atomic_store(&the_writer.asleep, false);
        if (!atomic_load(&the_writer.closing))
            wait_awake(gather_ms);
    }
}

/* ---- the other threads ---- */

/* Signals are the control plane's. */
static bool start_thread(void)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&the_writer.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errno == 0;
}

bool log_writer_open(struct log_sink *sink)
{
    the_writer.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (the_writer.wake < 0)
        return false;
    the_writer.sink = sink;
    return true;
}

bool log_writer_start(void)
{
    the_writer.has_started = start_thread();
    return the_writer.has_started;
}

static void free_rings(void)
{
    for (struct log_ring *ring = atomic_exchange(&the_writer.rings, NULL); ring;) {
        struct log_ring *next = ring->next;

        free(ring);
        ring = next;
    }
    my_ring = NULL;
}

bool log_writer_stop(void)
{
    struct timespec until;

    the_writer.close_at = now_ms() + CLOSE_MS;
    atomic_store(&the_writer.closing, true);
    wake_writer();
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_MS / 1000 + 1;
    if ((!the_writer.has_started && !start_thread()) ||
        pthread_timedjoin_np(the_writer.thread, NULL, &until) != 0)
        return false;
    the_writer.has_started = false;
    free_rings();
    log_sink_free(the_writer.sink);
    the_writer.sink = NULL;
    close(the_writer.wake);
    the_writer.wake = -1;
    atomic_store(&the_writer.closing, false);
    return true;
}

void log_writer_replace(struct log_sink *sink)
{
    struct log_sink *untaken = atomic_exchange(&the_writer.next, sink);

    log_sink_free(untaken);
    wake_writer();
}

bool log_writer_attach_thread(void)
{
    my_ring = calloc(1, sizeof *my_ring);
    if (!my_ring)
        return false;
    pthread_mutex_lock(&the_writer.lock);
    my_ring->next = atomic_load(&the_writer.rings);
    atomic_store(&the_writer.rings, my_ring);
    pthread_mutex_unlock(&the_writer.lock);
    return true;
}

uint64_t log_writer_lost(void)
{
    return atomic_load_explicit(&the_writer.lost, memory_order_relaxed);
}

void log_writer_put(const struct log_record *record)
{
    size_t used, n = sizeof record->head + record->length;

    if (!my_ring || !log_ring_put(my_ring, (const char *)&record->head, n, &used))
        return;
    if ((atomic_load(&the_writer.asleep) && atomic_exchange(&the_writer.asleep, false)) ||
        (used > LOG_RING_SIZE / 2 && used - n <= LOG_RING_SIZE / 2))
        wake_writer();
}
