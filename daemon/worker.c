/* worker.c - the worker thread: its loop, its listeners, its commands. */
#include "daemon/worker.h"

#include "daemon/log.h"
#include "daemon/session.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Runs once a turn, before all other callbacks. */
static void on_clock(struct ev_loop *loop, ev_check *w, int revents)
{
    struct worker *worker = w->data;

    (void)loop;
    (void)revents;
    worker->now = monotonic_ms();
}

static void resume_listeners(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        listener_resume(&worker->listeners[i].listener);
}

static bool has_sessions(const struct worker *worker)
{
    return worker->sessions.first || worker->waiting.first;
}

static void abort_all(struct session_list *list)
{
    while (list->first)
        session_abort(list->first, stream_error_of(ERROR_DAEMON_DRAINED));
}

static void obey(struct worker *worker)
{
    int command = atomic_load(&worker->command);

    if (command == WORKER_SERVE)
        return;
    for (unsigned i = 0; i < worker->listener_count; i++) {
        if (command == WORKER_DRAIN)
            listener_drain(&worker->listeners[i].listener);
        else
            listener_close(&worker->listeners[i].listener);
    }
    worker->closing = true;
    if (command == WORKER_STOP) {
        abort_all(&worker->waiting);
        abort_all(&worker->sessions);
    }
    if (!has_sessions(worker))
        ev_break(worker->loop, EVBREAK_ALL);
}

static void on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
    struct worker *worker = w->data;

    (void)loop;
    (void)revents;
    resume_listeners(worker);
    obey(worker);
}

void worker_session_ended(struct worker *worker)
{
    if (worker->closing && !has_sessions(worker))
        ev_break(worker->loop, EVBREAK_ALL);
}

static void resume_if(struct workers *workers, bool waited_for)
{
    if (waited_for)
        workers_resume_listeners(workers);
}

static bool on_admit(struct listener *listener)
{
    struct worker_listener *wl = listener->context;
    struct workers *all = wl->worker->all;

    if (!limit_take(&all->sessions))
        return false;
    if (limit_take(&wl->limits->sessions))
        return true;
    resume_if(all, limit_give(&all->sessions));
    return false;
}

void worker_give_place(struct worker_listener *wl)
{
    struct workers *all = wl->worker->all;
    bool waited_for = limit_give(&wl->limits->sessions);

    waited_for |= limit_give(&all->sessions);
    resume_if(all, waited_for);
}

static void on_unadmit(struct listener *listener)
{
    worker_give_place(listener->context);
}

static void on_accepted(struct listener *listener, int fd, const struct ip_endpoint *peer)
{
    session_start(listener->context, fd, peer);
}

static const struct listener_callbacks listener_callbacks = {
    .admit = on_admit,
    .unadmit = on_unadmit,
    .accepted = on_accepted,
};

static void *worker_main(void *arg)
{
    struct worker *worker = arg;

    if (!log_attach_thread())
        log_message(LOG_LEVEL_ERROR, "worker", "no memory for the log of worker %u", worker->index);
    worker->now = monotonic_ms();
    ev_run(worker->loop, 0);
    worker->all->ended(worker->all->context);
    return NULL;
}

static bool worker_init(struct worker *worker, const struct config *config,
                        unsigned listener_capacity)
{
    struct resolver_options options = {
        .nameservers = config->nameservers,
        .search_domains = config->search_domains,
    };

    worker->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    worker->tools.scratch = malloc(RELAY_SCRATCH);
    worker->tools.pool = &worker->pool;
    worker->tools.pipes = &worker->pipes;
    worker->listeners = calloc(listener_capacity, sizeof *worker->listeners);
    worker->listener_capacity = listener_capacity;
    if (!worker->loop || !worker->tools.scratch || !worker->listeners)
        return false;
    worker->resolver = resolver_new(worker->loop, &options);
    if (!worker->resolver)
        return false;
    ev_async_init(&worker->wake, on_wake);
    worker->wake.data = worker;
    ev_async_start(worker->loop, &worker->wake);
    ev_check_init(&worker->clock, on_clock);
    ev_set_priority(&worker->clock, EV_MAXPRI);
    worker->clock.data = worker;
    ev_check_start(worker->loop, &worker->clock);
    return true;
}

bool workers_init(struct workers *workers, unsigned count, const struct config *config,
                  unsigned listener_capacity)
{
    workers->worker = calloc(count, sizeof *workers->worker);
    if (!workers->worker)
        return false;
    workers->count = count;
    for (unsigned i = 0; i < count; i++) {
        workers->worker[i].all = workers;
        workers->worker[i].index = i;
        if (!worker_init(&workers->worker[i], config, listener_capacity)) {
            log_message(LOG_LEVEL_ERROR, "start",
                        "cannot make worker %u: out of descriptors or memory", i);
            return false;
        }
    }
    return true;
}

void workers_add_listener(struct workers *workers, unsigned index, int fd,
                          const struct config_listener *config, struct listener_limits *limits)
{
    struct worker *worker = &workers->worker[index];
    struct worker_listener *wl = &worker->listeners[worker->listener_count++];

    wl->worker = worker;
    wl->config = config;
    wl->limits = limits;
    listener_start(&wl->listener, worker->loop, fd, &listener_callbacks, wl);
}

bool workers_start(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->worker[i];

        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            log_message(LOG_LEVEL_ERROR, "start", "cannot start the thread of worker %u", i);
            return false;
        }
    }
    return true;
}

static void wake(struct worker *worker)
{
    ev_async_send(worker->loop, &worker->wake);
}

static void command_worker(struct worker *worker, enum worker_command command)
{
    atomic_store(&worker->command, (int)command);
    wake(worker);
}

void workers_command(struct workers *workers, enum worker_command command)
{
    for (unsigned i = 0; i < workers->count; i++)
        command_worker(&workers->worker[i], command);
}

void workers_resume_listeners(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        wake(&workers->worker[i]);
}

static void worker_done(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        listener_close(&worker->listeners[i].listener);
    resolver_free(worker->resolver);
    buffer_pool_done(&worker->pool);
    pipe_pool_done(&worker->pipes);
    free(worker->tools.scratch);
    free(worker->listeners);
    if (worker->loop)
        ev_loop_destroy(worker->loop);
}

void workers_done(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        if (workers->worker[i].thread)
            command_worker(&workers->worker[i], WORKER_STOP);
    for (unsigned i = 0; i < workers->count; i++)
        if (workers->worker[i].thread)
            pthread_join(workers->worker[i].thread, NULL);
    for (unsigned i = 0; i < workers->count; i++)
        worker_done(&workers->worker[i]);
    free(workers->worker);
    workers->worker = NULL;
    workers->count = 0;
}
