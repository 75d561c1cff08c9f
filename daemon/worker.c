/* worker.c - the worker thread: its loop, its listeners, its commands. */
#include "daemon/worker_machine.h"

#include "daemon/log.h"
#include "daemon/session.h"

#include <stdlib.h>
#include <time.h>

enum { PASSWORD_THREADS_MAX = 4 };

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

/* Any thread. */
void worker_wake(struct worker *worker)
{
    ev_async_send(worker->loop, &worker->wake);
}

static void resume_listeners(struct worker *worker)
{
    for (struct worker_listener *wl = worker->listeners; wl; wl = wl->next)
        listener_resume(&wl->listener);
}

static void abort_evicted(struct worker *worker)
{
    struct queue_entry *entry;

    while ((entry = queue_inbox_next(&worker->evicted)))
        session_evict(entry);
}

static void tell_checked(struct worker *worker)
{
    struct password_check *check;

    while ((check = password_inbox_next(&worker->checked)))
        session_password_checked(check);
}

static void answer_letters(struct worker *worker)
{
    struct inspect_letter *letter;

    while ((letter = inspect_inbox_next(&worker->letters)))
        session_inspect(worker, letter);
}

static void obey(struct worker *worker)
{
    int command = atomic_load(&worker->command);

    if (command == WORKER_SERVE)
        return;
    for (struct worker_listener *wl = worker->listeners; wl; wl = wl->next) {
        if (command == WORKER_DRAIN)
            worker_leave(wl);
        else
            listener_close(&wl->listener);
    }
    worker->closing = true;
    while (command == WORKER_STOP && worker->sessions.first)
        session_abort(worker->sessions.first, stream_error_of(ERROR_DAEMON_DRAINED));
    if (!worker->sessions.first)
        ev_break(worker->loop, EVBREAK_ALL);
}

static void on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
    struct worker *worker = w->data;

    (void)loop;
    (void)revents;
    worker_take_up_plan(worker);
    abort_evicted(worker);
    tell_checked(worker);
    answer_letters(worker);
    resume_listeners(worker);
    obey(worker);
}

static void on_asked(struct ev_loop *loop, ev_async *w, int revents)
{
    struct worker *worker = w->data;

    (void)loop;
    (void)revents;
    atomic_store(&worker->owes_turn, false);
}

bool worker_needs_datagrams(struct worker *worker)
{
    if (!worker->datagrams)
        worker->datagrams = datagram_scratch_new();
    return worker->datagrams != NULL;
}

void worker_session_ended(struct worker *worker)
{
    if (worker->closing && !worker->sessions.first)
        ev_break(worker->loop, EVBREAK_ALL);
}

/* A loop that runs while the last memory goes into threads ends the process where it needs some. */
static bool all_are_there(struct workers *workers)
{
    bool is_complete;

    pthread_mutex_lock(&workers->starting);
    is_complete = workers->is_complete;
    pthread_mutex_unlock(&workers->starting);
    return is_complete;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;

    if (!all_are_there(worker->all))
        return NULL;
    if (!log_attach_thread())
        log_message(LOG_LEVEL_ERROR, "worker", "no memory for the log of worker %u", worker->index);
    worker->now = monotonic_ms();
    ev_run(worker->loop, 0);
    inspect_inbox_close(&worker->letters);
    atomic_store(&worker->has_ended, true);
    worker->all->ended(worker->all->context);
    return NULL;
}

static void on_letter(void *context)
{
    worker_wake(context);
}

static bool worker_init(struct worker *worker, const struct config *config)
{
    struct resolver_options options = {
        .nameservers = config->nameservers,
        .search_domains = config->search_domains,
    };

    worker->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    worker->tools.scratch = malloc(RELAY_SCRATCH);
    worker->counters = counters_new();
    worker->tools.pool = &worker->pool;
    worker->tools.pipes = &worker->pipes;
    worker->handshakes.size = sizeof(struct handshake);
    queue_inbox_init(&worker->evicted, on_letter, worker);
    password_inbox_init(&worker->checked, on_letter, worker);
    inspect_inbox_init(&worker->letters, on_letter, worker);
    if (!worker->loop || !worker->tools.scratch || !worker->counters)
        return false;
    worker->poller = poller_of(worker->loop);
    if (!worker->poller)
        return false;
    worker->resolver = resolver_new(worker->loop, &options);
    if (!worker->resolver)
        return false;
    deadlines_init(&worker->deadlines, worker->loop, &worker->now, session_due);
    ev_async_init(&worker->wake, on_wake);
    worker->wake.data = worker;
    ev_async_start(worker->loop, &worker->wake);
    ev_async_init(&worker->asked, on_asked);
    worker->asked.data = worker;
    ev_async_start(worker->loop, &worker->asked);
    ev_check_init(&worker->clock, on_clock);
    ev_set_priority(&worker->clock, EV_MAXPRI);
    worker->clock.data = worker;
    ev_check_start(worker->loop, &worker->clock);
    return true;
}

/* Beside the workers, and never as many as they are. */
static unsigned password_threads(unsigned workers)
{
    unsigned threads = workers / 2;

    return threads < 1 ? 1 : threads < PASSWORD_THREADS_MAX ? threads : PASSWORD_THREADS_MAX;
}

bool workers_init(struct workers *workers, unsigned count, const struct config *config)
{
    workers->worker = calloc(count, sizeof *workers->worker);
    workers->passwords = password_pool_new(password_threads(count));
    workers->logins = login_cache_new();
    if (!workers->worker || !workers->passwords || !workers->logins)
        return false;
    workers->count = count;
    for (unsigned i = 0; i < count; i++) {
        workers->worker[i].all = workers;
        workers->worker[i].index = i;
        if (!worker_init(&workers->worker[i], config)) {
            log_message(LOG_LEVEL_ERROR, "start",
                        "cannot make worker %u: out of descriptors or memory", i);
            return false;
        }
    }
    return true;
}

bool workers_start(struct workers *workers)
{
    unsigned i = 0;

    pthread_mutex_init(&workers->starting, NULL);
    pthread_mutex_lock(&workers->starting);
    while (i < workers->count &&
           pthread_create(&workers->worker[i].thread, NULL, worker_main, &workers->worker[i]) == 0)
        i++;
    workers->is_complete = i == workers->count;
    pthread_mutex_unlock(&workers->starting);
    if (!workers->is_complete)
        log_message(LOG_LEVEL_ERROR, "start", "cannot start the thread of worker %u", i);
    return workers->is_complete;
}

static void command_worker(struct worker *worker, enum worker_command command)
{
    atomic_store(&worker->command, (int)command);
    worker_wake(worker);
}

void workers_command(struct workers *workers, enum worker_command command)
{
    for (unsigned i = 0; i < workers->count; i++)
        command_worker(&workers->worker[i], command);
}

void workers_resume_listeners(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        worker_wake(&workers->worker[i]);
}

void workers_ask(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        atomic_store(&workers->worker[i].owes_turn, true);
        ev_async_send(workers->worker[i].loop, &workers->worker[i].asked);
    }
}

bool worker_has_turned(const struct worker *worker)
{
    return !atomic_load(&worker->owes_turn) || atomic_load(&worker->has_ended);
}

static void worker_done(struct worker *worker)
{
    while (worker->listeners) {
        struct worker_listener *wl = worker->listeners;

        worker->listeners = wl->next;
        listener_close(&wl->listener);
        free(wl);
    }
    deadlines_done(&worker->deadlines);
    worker_plan_free(atomic_load(&worker->plan));
    snapshot_unref(worker->snapshot);
    queue_inbox_done(&worker->evicted);
    password_inbox_done(&worker->checked);
    inspect_inbox_done(&worker->letters);
    resolver_free(worker->resolver);
    buffer_pool_done(&worker->pool);
    pipe_pool_done(&worker->pipes);
    spares_done(&worker->handshakes);
    free(worker->tools.scratch);
    free(worker->counters);
    datagram_scratch_free(worker->datagrams);
    poller_unref(worker->poller);
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
    password_pool_free(workers->passwords); /* its threads wake workers */
    for (unsigned i = 0; i < workers->count; i++)
        worker_done(&workers->worker[i]);
    login_cache_free(workers->logins);
    free(workers->worker);
    workers->worker = NULL;
    workers->count = 0;
}
