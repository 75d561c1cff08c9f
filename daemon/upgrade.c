/* upgrade.c - a new process, and a channel to it. */
#include "daemon/upgrade.h"

#include "config/list.h"
#include "daemon/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reading the configuration, users and certificates takes no longer. */
static const double serve_seconds = 30;

/* ---- starting it ---- */

/* What must not reach the new process as it is: the channel's number of an upgrade before, and whose the
 * watchdog is. */
static bool is_left_out(const char *variable)
{
    static const char *const names[] = {HANDOFF_VARIABLE "=", "WATCHDOG_PID="};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The caller frees the array alone. */
static char **make_environment(char *channel)
{
    unsigned n = 0;
    char **result;

    while (environ[n])
        n++;
    result = calloc(n + 2, sizeof *result);
    if (!result)
        return NULL;
    n = 0;
    for (char **at = environ; *at; at++)
        if (!is_left_out(*at))
            result[n++] = *at;
    result[n] = channel;
    return result;
}

/* 0, or an error's number. */
static int spawn(struct upgrade *upgrade, int channel)
{
    char variable[64];
    struct process_order order = {
        .program = upgrade->binary,
        .arguments = upgrade->arguments,
        .channel = channel,
        .is_sibling = upgrade->is_service,
    };
    int rc;

    snprintf(variable, sizeof variable, "%s=%d", HANDOFF_VARIABLE, PROCESS_CHANNEL);
    order.environment = make_environment(variable);
    if (!order.environment)
        return ENOMEM;
    rc = process_start(&order, &upgrade->process);
    free(order.environment);
    if (rc != 0)
        return rc;
    upgrade->pid = upgrade->process.pid;
    ev_io_set(&upgrade->ended, upgrade->process.fd, EV_READ);
    ev_io_start(upgrade->loop, &upgrade->ended);
    return 0;
}

/* ---- its end ---- */

static void forget(struct upgrade *upgrade)
{
    ev_io_stop(upgrade->loop, &upgrade->io);
    ev_io_stop(upgrade->loop, &upgrade->ended);
    ev_timer_stop(upgrade->loop, &upgrade->deadline);
    if (upgrade->channel >= 0)
        close(upgrade->channel);
    process_done(&upgrade->process);
    free(upgrade->packets);
    upgrade->packets = NULL;
    upgrade->count = upgrade->sent = 0;
    upgrade->channel = -1;
    upgrade->pid = 0;
    upgrade->is_late = false;
}

static void describe_end(const struct upgrade *upgrade, enum process_end end, int status, char *out,
                         size_t size)
{
    if (upgrade->is_late)
        snprintf(out, size, "the new process did not serve within %.0f s", serve_seconds);
    else if (end == PROCESS_EXITED)
        snprintf(out, size, "the new process ended with status %d before it served", status);
    else if (end == PROCESS_KILLED)
        snprintf(out, size, "the new process was ended by signal %d before it served", status);
    else
        snprintf(out, size, "the new process ended before it served");
}

static void hear(struct upgrade *upgrade);

static void on_ended(struct ev_loop *loop, ev_io *w, int revents)
{
    struct upgrade *upgrade = w->data;
    char why[128];
    int status = 0;
    enum process_end end = process_end(&upgrade->process, &status);

    (void)loop;
    (void)revents;
    if (end == PROCESS_RUNS)
        return;
    upgrade->pid = 0;
    if (upgrade->channel >= 0)
        hear(upgrade); /* its last words */
    describe_end(upgrade, end, status, why, sizeof why);
    forget(upgrade);
    upgrade->failed(upgrade->context, why);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct upgrade *upgrade = w->data;

    (void)loop;
    (void)revents;
    upgrade->is_late = true;
    process_signal(&upgrade->process, SIGKILL); /* and its end is seen by on_ended() */
}

/* ---- the channel ---- */

/* Nothing more is to be said or heard; the process' end is waited for. */
static void hang_up(struct upgrade *upgrade)
{
    ev_io_stop(upgrade->loop, &upgrade->io);
    close(upgrade->channel);
    upgrade->channel = -1;
}

/* What has no room any more is in the log. */
static void note_error(struct upgrade *upgrade, const char *line)
{
    size_t used = strlen(upgrade->errors);

    log_message(LOG_LEVEL_ERROR, "upgrade", "the new process: %s", line);
    if (strlen(line) + 1 < sizeof upgrade->errors - used)
        snprintf(upgrade->errors + used, sizeof upgrade->errors - used, "%s\n", line);
}

static void hear(struct upgrade *upgrade)
{
    struct handoff_packet packet;
    struct handoff_entry entry;
    enum handoff_result result;

    while ((result = handoff_receive(upgrade->channel, &packet)) == HANDOFF_DONE) {
        for (unsigned i = 0; i < packet.count; i++)
            close(packet.fds[i]);
        if (!handoff_parse(packet.text, &entry))
            continue;
        if (entry.kind == HANDOFF_FAILED)
            note_error(upgrade, entry.name);
        if (entry.kind == HANDOFF_READY && upgrade->pid && !upgrade->is_late) {
            upgrade->ready(upgrade->context);
            return;
        }
    }
    if (result != HANDOFF_AGAIN)
        hang_up(upgrade);
}

static void speak(struct upgrade *upgrade)
{
    enum handoff_result result = HANDOFF_DONE;

    while (upgrade->sent < upgrade->count && result == HANDOFF_DONE) {
        result = handoff_send(upgrade->channel, &upgrade->packets[upgrade->sent]);
        upgrade->sent += result == HANDOFF_DONE;
    }
    if (result == HANDOFF_DONE || result == HANDOFF_AGAIN) {
        ev_io_stop(upgrade->loop, &upgrade->io);
        ev_io_set(&upgrade->io, upgrade->channel,
                  upgrade->sent < upgrade->count ? EV_READ | EV_WRITE : EV_READ);
        ev_io_start(upgrade->loop, &upgrade->io);
    } else if (result == HANDOFF_BROKEN) {
        log_message(LOG_LEVEL_ERROR, "upgrade", "cannot hand over: %s", strerror(errno));
        hang_up(upgrade); /* the new process ends at that */
    } else {
        hang_up(upgrade);
    }
}

static void on_channel(struct ev_loop *loop, ev_io *w, int revents)
{
    struct upgrade *upgrade = w->data;

    (void)loop;
    if (revents & EV_WRITE)
        speak(upgrade);
    if ((revents & EV_READ) && upgrade->channel >= 0)
        hear(upgrade);
}

/* ---- from outside ---- */

void upgrade_init(struct upgrade *upgrade, struct ev_loop *loop, const char *binary,
                  char **arguments)
{
    *upgrade = (struct upgrade){
        .loop = loop,
        .binary = binary,
        .arguments = arguments,
        .channel = -1,
        .process.fd = -1,
    };
    ev_init(&upgrade->io, on_channel);
    ev_init(&upgrade->ended, on_ended);
    ev_timer_init(&upgrade->deadline, on_deadline, serve_seconds, 0.);
    upgrade->io.data = upgrade->ended.data = upgrade->deadline.data = upgrade;
}

bool upgrade_add(struct upgrade *upgrade, const struct handoff_entry *entry, const int *fds,
                 unsigned count)
{
    for (unsigned at = 0; at == 0 || at < count; at += HANDOFF_FDS_MAX) {
        struct handoff_packet *packet =
            list_grow(&upgrade->packets, upgrade->count, sizeof *packet);

        if (!packet)
            return false;
        packet->count = count - at < HANDOFF_FDS_MAX ? count - at : HANDOFF_FDS_MAX;
        if (packet->count > 0)
            memcpy(packet->fds, fds + at, packet->count * sizeof *fds);
        handoff_format(entry, packet->text);
        upgrade->count++;
    }
    return true;
}

bool upgrade_start(struct upgrade *upgrade, const char **ret_why)
{
    int pair[2], error_number = ENOENT;

    upgrade->errors[0] = '\0';
    if (!upgrade->binary || access(upgrade->binary, X_OK) != 0) {
        *ret_why =
            upgrade->binary ? strerror(errno) : "the program's file was not found at the start";
        forget(upgrade);
        return false;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        *ret_why = strerror(errno);
        forget(upgrade);
        return false;
    }
    upgrade->channel = pair[0];
    error_number = spawn(upgrade, pair[1]);
    close(pair[1]);
    if (error_number != 0) {
        *ret_why = strerror(error_number);
        forget(upgrade);
        return false;
    }
    ev_timer_set(&upgrade->deadline, serve_seconds, 0.);
    ev_timer_start(upgrade->loop, &upgrade->deadline);
    speak(upgrade);
    return true;
}

void upgrade_let_go(struct upgrade *upgrade)
{
    handoff_say(upgrade->channel, HANDOFF_GO, NULL);
    forget(upgrade);
}

void upgrade_abort(struct upgrade *upgrade)
{
    if (upgrade->pid)
        process_signal(&upgrade->process, SIGTERM);
    forget(upgrade);
}
