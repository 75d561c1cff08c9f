/* watchdog.c - asks, waits, feeds. */
#include "daemon/watchdog.h"

#include "config/value.h"
#include "daemon/log.h"

#include <stdlib.h>
#include <unistd.h>

/* Feeds in the time that systemd allows; and, while an answer is late, looks in one time between two feeds. */
enum { FEEDS = 2, LOOKS = 8 };

uint64_t watchdog_usec(const char *usec, const char *pid, long self)
{
    int64_t n, owner = self;

    if (!usec || !value_number(usec, &n) || (pid && !value_number(pid, &owner)) || owner != self)
        return 0;
    return (uint64_t)n;
}

static void name_who_hangs(struct watchdog *watchdog)
{
    double seconds = ev_now(watchdog->loop) - watchdog->asked;

    for (unsigned i = 0; i < watchdog->workers->count; i++)
        if (!worker_has_turned(&watchdog->workers->worker[i]))
            log_message(LOG_LEVEL_ERROR, "watchdog",
                        "worker %u has not turned for %.0f ms: nothing is fed", i, seconds * 1000.);
}

static bool all_have_turned(const struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        if (!worker_has_turned(&workers->worker[i]))
            return false;
    return true;
}

static void again_in(struct watchdog *watchdog, double seconds)
{
    watchdog->tick.repeat = seconds;
    ev_timer_again(watchdog->loop, &watchdog->tick);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct watchdog *watchdog = w->data;

    (void)loop;
    (void)revents;
    if (!all_have_turned(watchdog->workers)) {
        if (!watchdog->is_told)
            name_who_hangs(watchdog);
        watchdog->is_told = true;
        again_in(watchdog, watchdog->interval / LOOKS);
        return;
    }
    if (watchdog->is_told)
        log_message(LOG_LEVEL_NOTICE, "watchdog", "all workers turn again");
    watchdog->is_told = false;
    notify_alive(watchdog->notify);
    workers_ask(watchdog->workers);
    watchdog->asked = ev_now(watchdog->loop);
    again_in(watchdog, watchdog->interval);
}

void watchdog_start(struct watchdog *watchdog, struct ev_loop *loop, struct workers *workers,
                    struct notify *notify)
{
    uint64_t usec = watchdog_usec(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid());

    *watchdog = (struct watchdog){.loop = loop, .workers = workers, .notify = notify};
    ev_init(&watchdog->tick, on_tick);
    watchdog->tick.data = watchdog;
    watchdog->interval = (double)usec / 1e6 / FEEDS;
    if (usec == 0 || notify->fd < 0)
        return;
    workers_ask(workers);
    watchdog->asked = ev_now(loop);
    again_in(watchdog, watchdog->interval);
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (watchdog->loop)
        ev_timer_stop(watchdog->loop, &watchdog->tick);
}
