/* control_plane.c - sockets first, then workers, then signals. */
#include "daemon/control_plane.h"

#include "daemon/log.h"
#include "daemon/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What the daemon needs for itself besides sessions: the standard ones, the log, signals,
 * reload; for each worker its loop and questions to DNS; for each worker and address a socket
 * and a reserve. */
enum {
    FILES_FIXED = 16,
    FILES_A_WORKER = 8,
    FILES_A_LISTENER = 2,
    FILES_A_PIPE = 2,
    FILES_AN_ATTEMPT = 1
};

enum { PIPES_MAX = 64, FILES_FOR_A_PIPE = 64 };

static const double report_interval = 60;

struct refused {
    uint64_t queue, descriptors;
};

struct control_plane {
    struct config *config; /* borrowed from the caller */
    struct ev_loop *loop;
    struct workers workers;
    struct listener_limits *limits; /* one for each [listener] */
    struct refused *reported;       /* likewise: what was logged already */
    atomic_uint ended;              /* workers */
    bool draining;
    ev_signal term, interrupt, hangup;
    ev_async worker_ended;
    ev_timer drain_deadline, report;
};

static unsigned cpus_allowed(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (unsigned)n;
}

/* ---- descriptors ---- */

static uint64_t raise_file_limit(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    if (config->max_files && (rlim_t)config->max_files < limit.rlim_max)
        limit.rlim_cur = (rlim_t)config->max_files;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_message(LOG_LEVEL_WARNING, "limits", "cannot set the descriptor limit: %s",
                    strerror(errno));
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/* A small part of the descriptors goes into pipes, and as many into attempts beside the first of a
 * connection: a worker without them copies, and tries one address at a time. */
static unsigned pipes_a_worker(uint64_t files, unsigned workers)
{
    uint64_t pipes = files / FILES_FOR_A_PIPE / workers;

    return pipes < PIPES_MAX ? (unsigned)pipes : PIPES_MAX;
}

static void bound_sessions(struct control_plane *cp, unsigned addresses)
{
    uint64_t files = raise_file_limit(cp->config), wanted = 0;
    unsigned pipes = pipes_a_worker(files, cp->workers.count);
    uint64_t a_worker =
        FILES_A_WORKER + FILES_A_PIPE * (uint64_t)pipes + FILES_A_LISTENER * (uint64_t)addresses;
    uint64_t allowed = limit_sessions_for_files(files, FILES_FIXED + cp->workers.count * a_worker);

    for (unsigned i = 0; i < cp->workers.count; i++) {
        cp->workers.worker[i].pipes.max = pipes;
        cp->workers.worker[i].attempts.max = pipes;
    }
    limit_init(&cp->workers.sessions, allowed);
    for (unsigned i = 0; i < cp->config->listener_count; i++)
        wanted += (uint64_t)cp->config->listeners[i].max_connections;
    if (wanted > allowed)
        log_message(LOG_LEVEL_WARNING, "limits",
                    "the descriptor limit of %llu allows %llu sessions at a time, max_connections "
                    "asks for %llu",
                    (unsigned long long)files, (unsigned long long)allowed,
                    (unsigned long long)wanted);
}

/* ---- listening sockets ---- */

/* [::] takes IPv4 clients too, unless 0.0.0.0 is listened on with the same port. */
static bool needs_v6_only(const struct config *config, const struct ip_endpoint *endpoint)
{
    if (endpoint->ip.family != IP_V6 || !ip_is_unspecified(&endpoint->ip))
        return true;
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        for (unsigned j = 0; j < listener->address_count; j++) {
            const struct ip_endpoint *other = &listener->addresses[j].endpoint;

            if (other->ip.family == IP_V4 && ip_is_unspecified(&other->ip) &&
                other->port == endpoint->port)
                return true;
        }
    }
    return false;
}

/* What one of the two loopback addresses may fail with while the other one serves. */
static bool may_do_without(const struct stream_error *error)
{
    return error->code == EADDRNOTAVAIL || error->code == EAFNOSUPPORT || error->code == EADDRINUSE;
}

static void log_cannot_listen(enum log_level level, const struct config_listener *listener,
                              const struct ip_endpoint *endpoint, const struct stream_error *error)
{
    char text[ENDPOINT_TEXT_MAX], name[STREAM_ERROR_NAME_MAX];
    struct log_record record;

    if (!log_wants(level))
        return;
    endpoint_format(endpoint, text);
    log_begin(&record, level, "listen");
    log_record_string(&record, "listener", listener->name);
    log_record_string(&record, "address", text);
    log_record_string(&record, "error", stream_error_name(error, name));
    log_record_string(
        &record, "message",
        error->code == EADDRINUSE
            ? "address in use: another program, or another [listener] of this file, listens there"
            : strerror(error->code));
    log_commit(&record);
}

static void log_listening(const struct config_listener *listener,
                          const struct ip_endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_MAX];
    struct log_record record;

    if (!log_wants(LOG_LEVEL_NOTICE))
        return;
    endpoint_format(endpoint, text);
    log_begin(&record, LOG_LEVEL_NOTICE, "listening");
    log_record_string(&record, "listener", listener->name);
    log_record_string(&record, "address", text);
    log_commit(&record);
}

/* One socket for each worker on one address. 1: done; 0: an optional one that cannot be had; -1:
 * failed, and logged. */
static int open_address(struct control_plane *cp, const struct config_listener *listener,
                        struct listener_limits *limits, const struct config_address *address)
{
    bool v6_only = needs_v6_only(cp->config, &address->endpoint);
    struct ip_endpoint bound = address->endpoint;
    struct stream_error error;

    if (!listener_probe(&bound, v6_only, &error))
        goto fail;
    for (unsigned i = 0; i < cp->workers.count; i++) {
        int fd = listener_open_socket(&bound, (int)listener->queue, true, v6_only, &bound, &error);

        if (fd < 0)
            goto fail;
        workers_add_listener(&cp->workers, i, fd, listener, limits);
    }
    log_listening(listener, &bound);
    return 1;
fail:
    if (address->optional && may_do_without(&error)) {
        log_cannot_listen(LOG_LEVEL_WARNING, listener, &bound, &error);
        return 0;
    }
    log_cannot_listen(LOG_LEVEL_ERROR, listener, &bound, &error);
    return -1;
}

static bool open_listener(struct control_plane *cp, unsigned index)
{
    const struct config_listener *listener = &cp->config->listeners[index];
    struct listener_limits *limits = &cp->limits[index];
    int opened = 0;

    if (!listener_limits_init(limits, (uint64_t)listener->max_connections,
                              (uint64_t)listener->queue, cp->workers.count))
        return false;
    for (unsigned i = 0; i < listener->address_count; i++) {
        int result = open_address(cp, listener, limits, &listener->addresses[i]);

        if (result < 0)
            return false;
        opened += result;
    }
    if (opened == 0)
        log_message(LOG_LEVEL_ERROR, "listen", "none of the addresses of listener %s can be bound",
                    listener->name);
    return opened > 0;
}

static unsigned count_addresses(const struct config *config)
{
    unsigned n = 0;

    for (unsigned i = 0; i < config->listener_count; i++)
        n += config->listeners[i].address_count;
    return n;
}

/* ---- while it runs ---- */

/* Connections of one [listener] that were closed because descriptors had run out. */
static uint64_t refused_for_descriptors(const struct control_plane *cp,
                                        const struct listener_limits *limits)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < cp->workers.count; i++) {
        const struct worker *worker = &cp->workers.worker[i];

        for (unsigned j = 0; j < worker->listener_count; j++)
            if (worker->listeners[j].limits == limits)
                sum += atomic_load(&worker->listeners[j].listener.refused);
    }
    return sum;
}

/* What was closed without a line of its own. */
static void report_refused(struct control_plane *cp)
{
    for (unsigned i = 0; i < cp->config->listener_count; i++) {
        struct refused *reported = &cp->reported[i];
        struct refused now = {
            .queue = atomic_load(&cp->limits[i].queue_closed),
            .descriptors = refused_for_descriptors(cp, &cp->limits[i]),
        };
        struct log_record record;

        if ((now.queue == reported->queue && now.descriptors == reported->descriptors) ||
            !log_wants(LOG_LEVEL_NOTICE))
            continue;
        log_begin(&record, LOG_LEVEL_NOTICE, "refused");
        log_record_string(&record, "listener", cp->config->listeners[i].name);
        log_record_number(&record, "queue", now.queue - reported->queue);
        log_record_number(&record, "descriptors", now.descriptors - reported->descriptors);
        log_commit(&record);
        *reported = now;
    }
}

static void on_report(struct ev_loop *loop, ev_timer *w, int revents)
{
    report_refused(w->data);
}

static void stop(struct control_plane *cp)
{
    log_message(LOG_LEVEL_NOTICE, "stop", "stopping at once");
    workers_command(&cp->workers, WORKER_STOP);
}

static void on_interrupt(struct ev_loop *loop, ev_signal *w, int revents)
{
    stop(w->data);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    stop(w->data);
}

static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct control_plane *cp = w->data;

    if (cp->draining) {
        stop(cp);
        return;
    }
    cp->draining = true;
    log_message(LOG_LEVEL_NOTICE, "drain", "no new connections; sessions may finish within %lld ms",
                (long long)cp->config->drain_timeout);
    workers_command(&cp->workers, WORKER_DRAIN);
    ev_timer_set(&cp->drain_deadline, (double)cp->config->drain_timeout / 1000., 0.);
    ev_timer_start(loop, &cp->drain_deadline);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
    log_reopen();
    log_message(LOG_LEVEL_NOTICE, "reload",
                "a log file is opened again; this version does not re-read its configuration");
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

    if (atomic_load(&cp->ended) == cp->workers.count)
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
    ev_async_init(&cp->worker_ended, on_worker_ended);
    ev_async_start(cp->loop, &cp->worker_ended);
    ev_init(&cp->drain_deadline, on_drain_deadline);
    ev_timer_init(&cp->report, on_report, report_interval, report_interval);
    ev_timer_start(cp->loop, &cp->report);
    cp->worker_ended.data = cp->drain_deadline.data = cp->report.data = cp;
}

/* What remains is short; a signal must find neither a loop that is gone nor its default action. */
static void ignore_signals(struct control_plane *cp)
{
    ev_signal *const watchers[] = {&cp->term, &cp->interrupt, &cp->hangup};

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
    started = workers_start(&cp->workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

int control_plane_run(struct config *config)
{
    struct control_plane cp = {.config = config};
    unsigned addresses = count_addresses(config);
    unsigned count =
        config->workers == CONFIG_WORKERS_AUTO ? cpus_allowed() : (unsigned)config->workers;
    int status = 1;

    cp.loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    cp.limits = calloc(config->listener_count, sizeof *cp.limits);
    cp.reported = calloc(config->listener_count, sizeof *cp.reported);
    if (!cp.loop || !cp.limits || !cp.reported) {
        log_message(LOG_LEVEL_ERROR, "start", "out of descriptors or memory");
        goto out;
    }
    cp.workers.ended = on_ended;
    cp.workers.context = &cp;
    if (!workers_init(&cp.workers, count, config, addresses))
        goto out;
    bound_sessions(&cp, addresses);
    for (unsigned i = 0; i < config->listener_count; i++)
        if (!open_listener(&cp, i))
            goto out;
    watch(&cp);
    if (!start_workers(&cp))
        goto out;
    log_message(LOG_LEVEL_NOTICE, "ready", "serving with %u worker%s", count,
                count == 1 ? "" : "s");
    log_started();
    ev_run(cp.loop, 0);
    report_refused(&cp);
    log_message(LOG_LEVEL_NOTICE, "end", "all sessions have ended");
    status = 0;
out:
    workers_done(&cp.workers);
    if (cp.loop) {
        ignore_signals(&cp);
        ev_loop_destroy(cp.loop);
    }
    for (unsigned i = 0; cp.limits && i < config->listener_count; i++)
        listener_limits_done(&cp.limits[i]);
    free(cp.limits);
    free(cp.reported);
    return status;
}
