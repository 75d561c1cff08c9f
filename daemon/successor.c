/* successor.c - receives, serves, takes over. */
#include "daemon/successor.h"

#include "config/value.h"
#include "daemon/handoff.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All that is sent is there already, or comes while the other one turns its loop. */
enum { RECEIVE_MS = 10000 };

/* An old daemon that neither lets go nor ends is not waited for. */
static const double let_go_seconds = 30;

/* ---- what is handed over ---- */

static void close_all(const struct handoff_packet *packet)
{
    for (unsigned i = 0; i < packet->count; i++)
        close(packet->fds[i]);
}

static bool add_all(struct inherited *inherited, enum inherited_from from,
                    const struct handoff_entry *entry, const struct handoff_packet *packet)
{
    bool has_asked = entry->asked.ip.family != IP_NONE, good = true;

    for (unsigned i = 0; i < packet->count; i++)
        good = inherited_add(inherited, from, entry->name, packet->fds[i],
                             has_asked ? &entry->asked : NULL, *entry->path ? entry->path : NULL) &&
               good;
    return good;
}

static void take_notify(struct notify *notify, struct handoff_packet *packet)
{
    if (packet->count == 0 || notify->fd >= 0)
        return;
    notify->fd = packet->fds[0];
    packet->fds[0] = packet->fds[--packet->count];
}

/* Owns the packet's descriptors. */
static bool take(struct successor *s, struct inherited *inherited, struct notify *notify,
                 const struct handoff_entry *entry, struct handoff_packet *packet)
{
    switch (entry->kind) {
    case HANDOFF_SYSTEMD:
        return add_all(inherited, INHERITED_SYSTEMD, entry, packet);
    case HANDOFF_LISTENER:
        return add_all(inherited, INHERITED_LISTENER, entry, packet);
    case HANDOFF_OTHER:
        return add_all(inherited, INHERITED_OTHER, entry, packet);
    case HANDOFF_NOTIFY:
        take_notify(notify, packet);
        break;
    case HANDOFF_LOG:
        if (packet->count > 0)
            log_inherit(entry->name, packet->fds[--packet->count]);
        break;
    case HANDOFF_CONFINED:
        s->is_confined = true;
        break;
    default:
        break;
    }
    close_all(packet);
    return true;
}

static const char *receive_all(struct successor *s, struct inherited *inherited,
                               struct notify *notify)
{
    struct pollfd waiting = {.fd = s->channel, .events = POLLIN};

    for (;;) {
        struct handoff_packet packet;
        struct handoff_entry entry;
        enum handoff_result result = handoff_receive(s->channel, &packet);

        if (result == HANDOFF_AGAIN) {
            if (poll(&waiting, 1, RECEIVE_MS) != 1)
                return "nothing more has come";
            continue;
        }
        if (result != HANDOFF_DONE)
            return "it was cut";
        if (!handoff_parse(packet.text, &entry)) {
            close_all(&packet);
            return "it makes no sense";
        }
        if (!take(s, inherited, notify, &entry, &packet))
            return strerror(ENOMEM);
        if (entry.kind == HANDOFF_END)
            return NULL;
    }
}

bool successor_open(struct successor *successor, struct inherited *inherited, struct notify *notify,
                    FILE *errors)
{
    const char *text = getenv(HANDOFF_VARIABLE), *wrong = "it is no descriptor";
    int64_t number;

    *successor = (struct successor){.channel = -1};
    if (!text)
        return true;
    if (value_number(text, &number) && number <= INT_MAX &&
        fcntl((int)number, F_SETFD, FD_CLOEXEC) == 0) {
        successor->channel = (int)number;
        notify->is_silent = true;
        wrong = receive_all(successor, inherited, notify);
    }
    unsetenv(HANDOFF_VARIABLE);
    if (wrong)
        fprintf(errors, "pairsocksd: %s: what the process before hands over: %s\n",
                HANDOFF_VARIABLE, wrong);
    return !wrong;
}

/* ---- taking over ---- */

void successor_failed(struct successor *successor, const char *lines)
{
    while (successor->channel >= 0 && lines && *lines) {
        size_t n = strcspn(lines, "\n");
        char line[HANDOFF_TEXT_MAX];

        snprintf(line, sizeof line, "%.*s", (int)n, lines);
        for (char *tab = line; (tab = strchr(tab, '\t'));)
            *tab = ' ';
        handoff_say(successor->channel, HANDOFF_FAILED, line);
        lines += n + (lines[n] == '\n');
    }
}

static void take_over(struct successor *s)
{
    successor_done(s);
    s->takes_over(s->context);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct successor *s = w->data;
    struct handoff_packet packet;
    struct handoff_entry entry = {.kind = HANDOFF_UNKNOWN};
    enum handoff_result result = handoff_receive(s->channel, &packet);

    (void)loop;
    (void)revents;
    if (result == HANDOFF_DONE) {
        close_all(&packet);
        if (!handoff_parse(packet.text, &entry))
            entry.kind = HANDOFF_UNKNOWN;
    }
    if (entry.kind == HANDOFF_GO || result == HANDOFF_OVER || result == HANDOFF_BROKEN)
        take_over(s);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    take_over(w->data);
}

bool successor_ready(struct successor *successor, struct ev_loop *loop,
                     void (*takes_over)(void *context), void *context)
{
    if (successor->channel < 0)
        return false;
    successor->loop = loop;
    successor->takes_over = takes_over;
    successor->context = context;
    ev_io_init(&successor->io, on_readable, successor->channel, EV_READ);
    ev_timer_init(&successor->deadline, on_deadline, let_go_seconds, 0.);
    successor->io.data = successor->deadline.data = successor;
    ev_io_start(loop, &successor->io);
    ev_timer_start(loop, &successor->deadline);
    handoff_say(successor->channel, HANDOFF_READY, NULL);
    return true;
}

void successor_done(struct successor *successor)
{
    if (successor->loop) {
        ev_io_stop(successor->loop, &successor->io);
        ev_timer_stop(successor->loop, &successor->deadline);
    }
    if (successor->channel >= 0)
        close(successor->channel);
    successor->channel = -1;
    successor->loop = NULL;
}
