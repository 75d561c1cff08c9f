/* control_plane.c - sockets first, then workers, then signals. */
#include "daemon/control_plane.h"

#include "daemon/descriptors.h"
#include "daemon/log.h"
#include "daemon/report.h"
#include "daemon/serving.h"
#include "daemon/tls_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double report_interval = 60, expiry_interval = 24 * 3600;

struct control_plane {
    struct ev_loop *loop;
    struct serving serving;
    const char *file;      /* borrowed from the command line; NULL: none was given or found */
    int folder;            /* that the file is in, beyond the reach of a chroot; -1 = none needed */
    char *name;            /* of the file there; owned; NULL = none needed */
    atomic_uint ended;     /* workers */
    atomic_uint following; /* workers that have not taken up the last configuration yet */
    bool is_applying;      /* until they have: a plan that is not taken up yet holds its sockets */
    bool is_ready;         /* they have taken up the first one */
    bool reload_again;     /* asked for in the meantime */
    bool draining;
    ev_signal term, interrupt, hangup;
    ev_async worker_ended, worker_serves;
    ev_timer drain_deadline, report, expiry;
};

static unsigned cpus_allowed(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (unsigned)n;
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What a running daemon cannot change. */
static void tell_of_restart(const struct config *before, const struct config *now)
{
    const struct {
        const char *key;
        bool differs;
    } keys[] = {
        {"workers", before->workers != now->workers},
        {"max_files", before->max_files != now->max_files},
        {"user", !same_text(before->user, now->user)},
        {"group", !same_text(before->group, now->group)},
        {"chroot", !same_text(before->chroot, now->chroot)},
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].differs)
            log_message(LOG_LEVEL_WARNING, "reload", "[daemon] %s has changed: it needs a restart",
                        keys[i].key);
}

/* One record for each line. */
static void log_lines(char *text)
{
    char *rest = text, *line;

    while (rest && (line = strsep(&rest, "\n")))
        if (*line)
            log_message(LOG_LEVEL_ERROR, "reload", "%s", line);
}

/* From inside a chroot the file is opened by way of its folder, which was opened before. */
static struct config *load(const struct control_plane *cp, FILE *errors)
{
    struct config *config = NULL;
    FILE *in;
    int fd;

    if (!cp->file)
        return config_default();
    if (cp->folder < 0)
        return config_load(cp->file, errors);
    fd = openat(cp->folder, cp->name, O_RDONLY | O_CLOEXEC);
    in = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (in) {
        config = config_read(in, cp->file, errors);
        fclose(in);
    } else {
        fprintf(errors, "%s: %s\n", cp->file, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    return config;
}

/* Before the chroot, where a symbolic link would lead elsewhere: the folder of the file that it means.
 * What has no path of its own (a pipe) is taken as it was given. */
static bool open_folder(struct control_plane *cp, const struct config *config)
{
    char *path, *slash;

    if (!config->chroot || !cp->file)
        return true;
    path = realpath(cp->file, NULL);
    if (!path)
        path = strdup(cp->file);
    slash = path ? strrchr(path, '/') : NULL;
    cp->name = path ? strdup(slash ? slash + 1 : path) : NULL;
    if (slash)
        slash[1] = '\0';
    if (cp->name)
        cp->folder = open(slash ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(path);
    if (cp->folder < 0)
        log_message(LOG_LEVEL_ERROR, "start", "cannot open the folder of %s: %s", cp->file,
                    strerror(errno));
    return cp->folder >= 0;
}

/* Everything that may fail. False: nothing has changed, and `errors` or the log says why. */
static bool prepare(struct control_plane *cp, FILE *errors, struct log_change **ret_log,
                    struct serving_change *ret)
{
    struct config *config = load(cp, errors);

    if (!config)
        return false;
    tell_of_restart(cp->serving.snapshot->config, config);
    *ret_log = log_prepare(config, errors);
    if (!*ret_log) {
        config_unref(config);
        return false;
    }
    if (!serving_prepare(&cp->serving, config, ret)) {
        log_discard(*ret_log);
        return false;
    }
    return true;
}

static void apply(struct control_plane *cp, struct serving_change *change)
{
    atomic_store(&cp->following, cp->serving.workers.count);
    cp->is_applying = true;
    serving_apply(&cp->serving, change);
}

static bool reload(struct control_plane *cp)
{
    struct serving_change change;
    struct log_change *log;
    char *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);
    bool prepared = errors && prepare(cp, errors, &log, &change);

    if (errors)
        fclose(errors);
    log_lines(text);
    free(text);
    if (!prepared)
        return false;
    log_apply(log);
    apply(cp, &change);
    return true;
}

static void start_reload(struct control_plane *cp)
{
    if (cp->draining)
        return;
    if (cp->is_applying) {
        cp->reload_again = true;
        return;
    }
    if (!reload(cp)) {
        log_reopen(); /* asked for, and harmless */
        log_message(LOG_LEVEL_ERROR, "reload_failed", "the configuration before stays in force");
    }
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
    start_reload(w->data);
}

/* In a worker's thread. */
static void on_serves(void *context)
{
    struct control_plane *cp = context;

    if (atomic_fetch_sub(&cp->following, 1) == 1)
        ev_async_send(cp->loop, &cp->worker_serves);
}

static void say_ready(struct control_plane *cp)
{
    unsigned count = cp->serving.workers.count;

    cp->is_ready = true;
    log_message(LOG_LEVEL_NOTICE, "ready", "serving with %u worker%s", count,
                count == 1 ? "" : "s");
    log_started();
}

static void on_all_serve(struct ev_loop *loop, ev_async *w, int revents)
{
    struct control_plane *cp = w->data;

    if (!cp->is_applying)
        return;
    cp->is_applying = false;
    if (cp->is_ready)
        log_message(LOG_LEVEL_NOTICE, "reloaded", "%s is in force",
                    cp->file ? cp->file : "the built-in default");
    else
        say_ready(cp);
    if (cp->reload_again) {
        cp->reload_again = false;
        start_reload(cp);
    }
}

/* ---- while it runs ---- */

static void report_all(struct control_plane *cp)
{
    const struct snapshot *snapshot = cp->serving.snapshot;

    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        report_refused(snapshot->listeners[i].gate);
}

static void on_report(struct ev_loop *loop, ev_timer *w, int revents)
{
    report_all(w->data);
}

static void on_expiry(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct control_plane *cp = w->data;

    snapshot_warn_expiry(cp->serving.snapshot);
}

static void stop(struct control_plane *cp)
{
    cp->draining = true; /* a SIGTERM that is handled after a SIGINT takes nothing back */
    log_message(LOG_LEVEL_NOTICE, "stop", "stopping at once");
    workers_command(&cp->serving.workers, WORKER_STOP);
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
    int64_t drain_timeout = cp->serving.snapshot->config->drain_timeout;

    if (cp->draining) {
        stop(cp);
        return;
    }
    cp->draining = true;
    log_message(LOG_LEVEL_NOTICE, "drain", "no new connections; sessions may finish within %lld ms",
                (long long)drain_timeout);
    workers_command(&cp->serving.workers, WORKER_DRAIN);
    ev_timer_set(&cp->drain_deadline, (double)drain_timeout / 1000., 0.);
    ev_timer_start(loop, &cp->drain_deadline);
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
    started = workers_start(&cp->serving.workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void tell_if_unreadable(const char *file, const char *key, const char *word,
                               const char *name)
{
    if (file && access(file, R_OK) != 0)
        log_message(LOG_LEVEL_WARNING, "start", "[%s %s] %s = %s: cannot be read again: %s", word,
                    name, key, file, strerror(errno));
}

static void tell_unreadable_tls(const struct config_tls *tls, const char *word, const char *name)
{
    tell_if_unreadable(tls->certificate, "certificate", word, name);
    tell_if_unreadable(tls->private_key, "private_key", word, name);
    tell_if_unreadable(tls->authority, "authority", word, name);
    tell_if_unreadable(tls->revoke, "revoke", word, name);
}

/* What the user, or the root directory, takes out of a reload's reach is said while somebody looks. */
static void tell_unreadable(const struct config *config)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        tell_if_unreadable(listener->users_file, "users_file", "listener", listener->name);
        tell_unreadable_tls(&listener->tls, "listener", listener->name);
    }
    for (unsigned i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];

        tell_if_unreadable(upstream->password_file, "password_file", "upstream", upstream->name);
        tell_unreadable_tls(&upstream->tls, "upstream", upstream->name);
        if (upstream->tls.security != SECURITY_NONE && tls_setup_uses_system(&upstream->tls))
            tell_if_unreadable(tls_trust_system_bundle(), "authority", "upstream", upstream->name);
    }
    for (unsigned i = 0; i < config->certificate_count; i++) {
        const struct config_certificate *certificate = &config->certificates[i];

        tell_if_unreadable(certificate->certificate, "certificate", "certificate",
                           certificate->name);
        tell_if_unreadable(certificate->private_key, "private_key", "certificate",
                           certificate->name);
        tell_if_unreadable(certificate->authority, "authority", "certificate", certificate->name);
    }
}

/* Workers, sockets, and then no more rights than the user has. */
static bool start(struct control_plane *cp, struct config *config)
{
    unsigned count =
        config->workers == CONFIG_WORKERS_AUTO ? cpus_allowed() : (unsigned)config->workers;
    struct serving *serving = &cp->serving;
    struct serving_change change;
    bool ready;

    serving->workers.ended = on_ended;
    serving->workers.serves = on_serves;
    serving->workers.context = cp;
    ready = privileges_find(config, &serving->privileges) &&
            serving_init(serving, cp->loop, config) &&
            workers_init(&serving->workers, count, config);
    if (!ready) {
        config_unref(config);
        return false;
    }
    descriptors_divide(&serving->workers, config);
    if (!serving_prepare(serving, config, &change))
        return false;
    watch(cp);
    if (!open_folder(cp, change.snapshot->config) || !privileges_drop(&serving->privileges) ||
        !start_workers(cp)) {
        serving_discard(serving, &change);
        return false;
    }
    tell_unreadable(change.snapshot->config);
    apply(cp, &change);
    return true;
}

int control_plane_run(struct config *config, const char *file)
{
    struct control_plane cp = {.file = file, .folder = -1};
    int status = 1;

    cp.loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (!cp.loop) {
        log_message(LOG_LEVEL_ERROR, "start", "out of descriptors or memory");
        config_unref(config);
        return 1;
    }
    if (start(&cp, config)) {
        ev_run(cp.loop, 0);
        report_all(&cp);
        log_message(LOG_LEVEL_NOTICE, "end", "all sessions have ended");
        status = 0;
    }
    workers_done(&cp.serving.workers);
    serving_done(&cp.serving);
    ignore_signals(&cp);
    ev_loop_destroy(cp.loop);
    if (cp.folder >= 0)
        close(cp.folder);
    free(cp.name);
    return status;
}
