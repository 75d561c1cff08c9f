/* control_notify.c - what systemd is told of the state of the service, in words. */
#include "daemon/control_machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned long long sessions_of(const struct snapshot *snapshot)
{
    unsigned long long n = 0;

    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        n += atomic_load(&snapshot->listeners[i].gate->sessions.used);
    return n;
}

static const char *plural(unsigned long long n)
{
    return n == 1 ? "" : "s";
}

static void describe(const struct control_plane *cp, char *out, size_t size)
{
    const struct snapshot *snapshot = cp->serving.snapshot;
    unsigned listeners = snapshot->config->listener_count;
    unsigned long long sessions = sessions_of(snapshot);

    if (cp->draining)
        snprintf(out, size, "Draining: %llu session%s left", sessions, plural(sessions));
    else
        snprintf(out, size, "Serving: %u listener%s, %llu session%s%s", listeners,
                 plural(listeners), sessions, plural(sessions),
                 cp->has_failed ? "; the last reload failed, see the log" : "");
}

void control_tell_ready(struct control_plane *cp)
{
    describe(cp, cp->status, sizeof cp->status);
    notify_ready(cp->notify, cp->status);
}

void control_tell_stopping(struct control_plane *cp, int64_t ms)
{
    describe(cp, cp->status, sizeof cp->status);
    notify_stopping(cp->notify, cp->status, ms);
}

void control_tell_status(struct control_plane *cp)
{
    char status[CONTROL_STATUS_MAX];

    describe(cp, status, sizeof status);
    if (strcmp(status, cp->status) == 0)
        return;
    strcpy(cp->status, status);
    notify_status(cp->notify, status);
}

void control_tell_failed(struct control_plane *cp)
{
    notify_failed(cp->notify, "Cannot start, see the log",
                  cp->serving.error_number ? cp->serving.error_number : EINVAL);
}
