/* control_plane.c - sockets first, then workers, then signals. */
#include "daemon/control_machine.h"
#include "daemon/descriptors.h"
#include "daemon/log.h"
#include "daemon/report.h"
#include "daemon/sandbox.h"
#include "daemon/unreadable.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double report_interval = 60, expiry_interval = 24 * 3600;

static unsigned cpus_allowed(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (unsigned)n;
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
    control_reload(w->data);
}

/* In a worker's thread. */
static void on_serves(void *context)
{
    struct control_plane *cp = context;

    if (atomic_fetch_sub(&cp->following, 1) == 1)
        ev_async_send(cp->loop, &cp->worker_serves);
}

static void on_all_serve(struct ev_loop *loop, ev_async *w, int revents)
{
    control_follows(w->data);
}

static void report_all(struct control_plane *cp)
{
    const struct snapshot *snapshot = cp->serving.snapshot;

    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        report_refused(snapshot->listeners[i].gate);
}

static void on_report(struct ev_loop *loop, ev_timer *w, int revents)
{
    report_all(w->data);
    control_tell_status(w->data);
}

static void on_expiry(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct control_plane *cp = w->data;

    snapshot_warn_expiry(cp->serving.snapshot);
}

void control_stop(struct control_plane *cp)
{
    control_upgrade_abort(cp);
    cp->draining = true; /* a SIGTERM that is handled after a SIGINT takes nothing back */
    log_message(LOG_LEVEL_NOTICE, "stop", "stopping at once");
    control_end_reloads(cp);
    control_tell_stopping(cp, 0);
    workers_command(&cp->serving.workers, WORKER_STOP);
}

static void on_interrupt(struct ev_loop *loop, ev_signal *w, int revents)
{
    control_stop(w->data);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    control_stop(w->data);
}

void control_drain(struct control_plane *cp)
{
    int64_t drain_timeout = cp->serving.snapshot->config->drain_timeout;

    if (cp->draining)
        return;
    control_upgrade_abort(cp);
    cp->draining = true;
    log_message(LOG_LEVEL_NOTICE, "drain", "no new connections; sessions may finish within %lld ms",
                (long long)drain_timeout);
    control_end_reloads(cp);
    control_tell_stopping(cp, drain_timeout);
    workers_command(&cp->serving.workers, WORKER_DRAIN);
    ev_timer_set(&cp->drain_deadline, (double)drain_timeout / 1000., 0.);
    ev_timer_start(cp->loop, &cp->drain_deadline);
}

static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct control_plane *cp = w->data;

    if (cp->is_replaced) {
        cp->is_replaced = false; /* it drains, but nobody has asked it to before */
        log_message(LOG_LEVEL_NOTICE, "drain", "it goes on: another process serves already");
    } else if (cp->draining) {
        control_stop(cp);
    } else {
        control_drain(cp);
    }
}

static void on_user2(struct ev_loop *loop, ev_signal *w, int revents)
{
    control_upgrade(w->data, NULL, NULL);
}

/* In a worker's thread. */
static void on_ended(void *context)
{
    struct control_plane *cp = context;

    atomic_fetch_add(&cp->ended, 1);
    ev_async_send(cp->loop, &cp->worker_ended);
}

static void on_worker_ended(struct ev_loop *loop, ev_async *w, int revents)
{
    struct control_plane *cp = w->data;

    if (atomic_load(&cp->ended) == cp->serving.workers.count)
        ev_break(loop, EVBREAK_ALL);
}

static void watch_signal(struct control_plane *cp, ev_signal *w, int number,
                         void (*callback)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(w, callback, number);
    w->data = cp;
    ev_signal_start(cp->loop, w);
}

static void watch(struct control_plane *cp)
{
    watch_signal(cp, &cp->term, SIGTERM, on_term);
    watch_signal(cp, &cp->interrupt, SIGINT, on_interrupt);
    watch_signal(cp, &cp->hangup, SIGHUP, on_hangup);
    watch_signal(cp, &cp->user2, SIGUSR2, on_user2);
    ev_async_init(&cp->worker_ended, on_worker_ended);
    ev_async_start(cp->loop, &cp->worker_ended);
    ev_init(&cp->drain_deadline, on_drain_deadline);
    ev_timer_init(&cp->report, on_report, report_interval, report_interval);
    ev_timer_start(cp->loop, &cp->report);
    ev_timer_init(&cp->expiry, on_expiry, expiry_interval, expiry_interval);
    ev_timer_start(cp->loop, &cp->expiry);
    ev_async_init(&cp->worker_serves, on_all_serve);
    ev_async_start(cp->loop, &cp->worker_serves);
    cp->worker_serves.data = cp;
    cp->worker_ended.data = cp->drain_deadline.data = cp->report.data = cp->expiry.data = cp;
}

/* What remains is short; a signal must find neither a loop that is gone nor its default action. */
static void ignore_signals(struct control_plane *cp)
{
    ev_signal *const watchers[] = {&cp->term, &cp->interrupt, &cp->hangup, &cp->user2};

    for (size_t i = 0; i < sizeof watchers / sizeof watchers[0]; i++) {
        if (!ev_is_active(watchers[i]))
            continue;
        ev_signal_stop(cp->loop, watchers[i]);
        signal(watchers[i]->signum, SIG_IGN);
    }
}

/* Workers take no signals: they are the control plane's. */
static bool start_workers(struct control_plane *cp)
{
    sigset_t all, before;
    bool started;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = workers_start(&cp->serving.workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* What is told to who asks for a reload is told to the daemon before, if there is one, at the start. */
static bool prepare(struct control_plane *cp, struct config *config, struct serving_change *ret)
{
    char *text = NULL;
    size_t size;
    FILE *told = open_memstream(&text, &size);
    bool prepared;

    if (!told) {
        log_message(LOG_LEVEL_ERROR, "start", "no memory");
        config_unref(config);
        return false;
    }
    prepared = serving_prepare(&cp->serving, config, told, ret);
    fclose(told);
    if (!prepared)
        successor_failed(cp->successor, text);
    free(text);
    return prepared;
}

/* The socket for commands, and who answers them. */
static bool open_control(struct control_plane *cp, const struct config *config,
                         struct control_socket_change *ret)
{
    const struct privileges *privileges = &cp->serving.privileges;
    char *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);
    bool opened;

    cp->inspector = inspector_new(cp->loop, &cp->serving.workers);
    cp->control = control_socket_new(cp->loop, privileges->confines, cp->serving.inherited,
                                     control_request, cp);
    opened = errors && cp->inspector && cp->control &&
             control_socket_prepare(cp->control, config, privileges, errors, ret);
    if (errors)
        fclose(errors);
    if (!opened)
        log_message(LOG_LEVEL_ERROR, "start", "%.*s", (int)strcspn(text, "\n"),
                    *text ? text : "no memory");
    if (!opened)
        successor_failed(cp->successor, text);
    free(text);
    return opened;
}

/* Workers, sockets, and then no more rights than the user has. */
static bool start(struct control_plane *cp, struct config *config)
{
    unsigned count =
        config->workers == CONFIG_WORKERS_AUTO ? cpus_allowed() : (unsigned)config->workers;
    struct serving *serving = &cp->serving;
    struct control_socket_change control = {.fd = -1};
    struct serving_change change;
    bool ready;

    serving->workers.ended = on_ended;
    serving->workers.serves = on_serves;
    serving->workers.context = cp;
    ready = privileges_find(config, cp->successor->is_confined, &serving->privileges) &&
            serving_init(serving, cp->loop, config) &&
            workers_init(&serving->workers, count, config);
    if (!ready) {
        config_unref(config);
        return false;
    }
    descriptors_divide(&serving->workers, config);
    if (!prepare(cp, config, &change))
        return false;
    watch(cp);
    if (!open_control(cp, change.snapshot->config, &control) ||
        !control_open_folder(cp, change.snapshot->config) ||
        !privileges_drop(&serving->privileges) || !sandbox_enter(config, cp->file, cp->folder) ||
        !log_start() || !start_workers(cp)) {
        control_socket_discard(&control);
        serving_discard(serving, &change);
        return false;
    }
    unreadable_tell(change.snapshot->config);
    control_socket_apply(cp->control, &control);
    control_apply(cp, &change);
    watchdog_start(&cp->watchdog, cp->loop, &serving->workers, cp->notify);
    return true;
}

int control_plane_run(const struct control_setup *setup)
{
    struct control_plane cp = {
        .file = setup->file,
        .folder = -1,
        .started = (int64_t)time(NULL),
        .notify = setup->notify,
        .successor = setup->successor,
        .serving.inherited = setup->inherited,
    };
    int status = 1;

    clock_gettime(CLOCK_MONOTONIC, &cp.started_at);

    cp.loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (!cp.loop) {
        log_message(LOG_LEVEL_ERROR, "start", "out of descriptors or memory");
        config_unref(setup->config);
        return 1;
    }
    notify_watch(cp.notify, cp.loop);
    control_upgrade_init(&cp, setup->binary, setup->arguments);
    if (start(&cp, setup->config)) {
        ev_run(cp.loop, 0);
        report_all(&cp);
        log_message(LOG_LEVEL_NOTICE, "end", "all sessions have ended");
        status = 0;
    } else {
        control_tell_failed(&cp);
    }
    control_socket_free(cp.control);
    control_upgrade_abort(&cp);
    successor_done(cp.successor);
    watchdog_stop(&cp.watchdog);
    workers_done(&cp.serving.workers);
    inspector_free(cp.inspector);
    serving_done(&cp.serving);
    ignore_signals(&cp);
    notify_done(cp.notify);
    ev_loop_destroy(cp.loop);
    if (cp.folder >= 0)
        close(cp.folder);
    free(cp.name);
    free(cp.notes);
    return status;
}
