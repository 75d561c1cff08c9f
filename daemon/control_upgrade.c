/* control_upgrade.c - the control plane's part in an upgrade: what is handed over, and what remains to be done when the
 * new process serves; and, in that process, when the old one has let go. */
#include "daemon/control_machine.h"
#include "daemon/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is handed over ---- */

static bool add(struct control_plane *cp, enum handoff_kind kind, const char *name, int fd)
{
    struct handoff_entry entry = {.kind = kind};

    snprintf(entry.name, sizeof entry.name, "%s", name);
    return upgrade_add(&cp->upgrade, &entry, &fd, fd >= 0);
}

/* Several descriptors of one place. */
static bool add_place(struct control_plane *cp, enum handoff_kind kind, const char *name,
                      const struct ip_endpoint *asked, const char *path, const int *fds,
                      unsigned count)
{
    struct handoff_entry entry = {.kind = kind};

    snprintf(entry.name, sizeof entry.name, "%s", name);
    if (path)
        snprintf(entry.path, sizeof entry.path, "%s", path);
    else
        entry.asked = *asked;
    return upgrade_add(&cp->upgrade, &entry, fds, count);
}

/* Of a path all workers have the same socket. */
static bool add_set(struct control_plane *cp, const struct socket_set *set)
{
    const char *name = cp->serving.snapshot->config->listeners[set->listener].name;
    unsigned count = set->unix_path ? 1 : set->fd_count;
    int *fds = calloc(count, sizeof *fds);
    bool added;

    for (unsigned i = 0; fds && i < count; i++)
        fds[i] = set->fds[i].fd;
    added = fds && add_place(cp, HANDOFF_LISTENER, name, &set->asked, set->unix_path, fds, count);
    free(fds);
    return added;
}

static bool add_listeners(struct control_plane *cp)
{
    const struct inherited *inherited = cp->serving.inherited;
    bool good = true;

    for (unsigned i = 0; good && i < cp->serving.sockets.count; i++)
        if (!cp->serving.sockets.sets[i].held)
            good = add_set(cp, &cp->serving.sockets.sets[i]);
    for (unsigned i = 0; good && i < inherited->count; i++) {
        const struct inherited_socket *s = &inherited->sockets[i];

        if (s->from == INHERITED_SYSTEMD && s->fd >= 0)
            good = add(cp, HANDOFF_SYSTEMD, s->name, s->fd);
    }
    return good;
}

static bool add_control(struct control_plane *cp)
{
    const char *path;
    int fd = control_socket_descriptor(cp->control, &path);

    return fd < 0 || add_place(cp, HANDOFF_OTHER, CONTROL_SOCKET_NAME, NULL, path, &fd, 1);
}

static bool add_status(struct control_plane *cp)
{
    struct status_socket status;

    return !status_server_socket(cp->serving.status, &status) ||
           add_place(cp, HANDOFF_OTHER, STATUS_SOCKET_NAME, status.asked, status.path, &status.fd,
                     1);
}

static bool add_log(struct control_plane *cp)
{
    const char *path;
    int fd = log_descriptor(&path);

    return fd < 0 || add(cp, HANDOFF_LOG, path, fd);
}

static bool add_all(struct control_plane *cp)
{
    return add(cp, HANDOFF_HELLO, "", -1) && add_listeners(cp) && add_control(cp) &&
           add_status(cp) && add_log(cp) &&
           (cp->notify->fd < 0 || add(cp, HANDOFF_NOTIFY, "", cp->notify->fd)) &&
           (!cp->serving.privileges.confines || add(cp, HANDOFF_CONFINED, "", -1)) &&
           add(cp, HANDOFF_END, "", -1);
}

/* ---- the old process ---- */

static void tell(struct control_plane *cp, pid_t pid, const char *failure, const char *errors)
{
    control_upgraded *told = cp->upgrade_tell;

    cp->upgrade_tell = NULL;
    if (told)
        told(cp->upgrade_context, pid, failure, errors);
}

void control_forget_upgrade(struct control_plane *cp, const void *context)
{
    if (cp->upgrade_context == context)
        cp->upgrade_tell = NULL;
}

static void fail(struct control_plane *cp, const char *why, const char *errors)
{
    log_message(LOG_LEVEL_ERROR, "upgrade_failed", "%s; this process serves on", why);
    tell(cp, 0, why, errors);
    control_reload_again(cp);
}

static void on_failed(void *context, const char *why)
{
    struct control_plane *cp = context;

    fail(cp, why, cp->upgrade.errors);
}

/* Now there are two that serve. The new one must be the service before this one ends. */
static void on_ready(void *context)
{
    struct control_plane *cp = context;
    pid_t pid = cp->upgrade.pid;

    log_message(LOG_LEVEL_NOTICE, "upgraded", "process %ld serves from now on", (long)pid);
    watchdog_stop(&cp->watchdog);
    notify_main_pid(cp->notify, pid);
    notify_done(cp->notify);
    sockets_share(&cp->serving.sockets, true);
    control_socket_release(cp->control);
    status_server_let_go(cp->serving.status);
    upgrade_let_go(&cp->upgrade);
    if (cp->reload_again)
        kill(pid, SIGHUP); /* it may have read the configuration before it was changed */
    cp->is_replaced = true;
    tell(cp, pid, NULL, "");
    control_drain(cp);
}

static const char *why_not_now(const struct control_plane *cp)
{
    if (cp->draining)
        return "the daemon is ending";
    if (!cp->is_ready || cp->successor->channel >= 0)
        return "the daemon is still starting";
    return cp->upgrade.pid || cp->upgrade_again ? "an upgrade is going on already" : NULL;
}

static void begin(struct control_plane *cp)
{
    const char *why = "out of memory";

    cp->upgrade_again = false;
    cp->upgrade.is_service = cp->notify->fd >= 0;
    log_message(LOG_LEVEL_NOTICE, "upgrade", "starting %s",
                cp->upgrade.binary ? cp->upgrade.binary : "the program");
    if (!add_all(cp)) {
        upgrade_abort(&cp->upgrade);
        fail(cp, why, "");
    } else if (!upgrade_start(&cp->upgrade, &why)) {
        char text[256];

        snprintf(text, sizeof text, "cannot start %s: %s%s",
                 cp->upgrade.binary ? cp->upgrade.binary : "the program", why,
                 cp->serving.privileges.confines ? " (looked for inside the chroot)" : "");
        fail(cp, text, "");
    }
}

void control_upgrade(struct control_plane *cp, control_upgraded *told, void *context)
{
    const char *why = why_not_now(cp);

    if (why) {
        log_message(LOG_LEVEL_WARNING, "upgrade", "not now: %s", why);
        if (told)
            told(context, 0, why, "");
        return;
    }
    cp->upgrade_tell = told;
    cp->upgrade_context = context;
    cp->upgrade_again = cp->is_applying; /* the sockets are in motion */
    if (!cp->upgrade_again)
        begin(cp);
}

void control_upgrade_again(struct control_plane *cp)
{
    if (cp->upgrade_again)
        begin(cp);
}

void control_upgrade_abort(struct control_plane *cp)
{
    bool was_going_on = cp->upgrade.pid || cp->upgrade_again;

    cp->upgrade_again = false;
    upgrade_abort(&cp->upgrade);
    if (was_going_on)
        tell(cp, 0, "the daemon is ending", "");
}

void control_upgrade_init(struct control_plane *cp, const char *binary, char **arguments)
{
    upgrade_init(&cp->upgrade, cp->loop, binary, arguments);
    cp->upgrade.ready = on_ready;
    cp->upgrade.failed = on_failed;
    cp->upgrade.context = cp;
}

/* ---- the new process ---- */

static void on_takes_over(void *context)
{
    struct control_plane *cp = context;

    log_message(LOG_LEVEL_NOTICE, "took_over", "the process before serves no more");
    cp->notify->is_silent = false;
    inherited_close_unused(cp->serving.inherited);
    sockets_share(&cp->serving.sockets, false);
    status_server_share(cp->serving.status, false);
    if (cp->draining)
        control_tell_stopping(cp, cp->serving.snapshot->config->drain_timeout);
    else
        control_tell_ready(cp);
}

void control_serves(struct control_plane *cp)
{
    if (successor_ready(cp->successor, cp->loop, on_takes_over, cp))
        return;
    inherited_close_unused(cp->serving.inherited);
    control_tell_ready(cp);
}
