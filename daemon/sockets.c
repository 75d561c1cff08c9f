/* sockets.c - one set of sockets for each address of the configuration: a new one, or the one
 * that is there. */
#include "daemon/sockets.h"

#include "config/out_of_reach.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned next_id; /* the control plane's thread only */

/* ---- saying what happens ---- */

static const char *explain(const struct socket_set *set, int error_number)
{
    if (error_number == EADDRINUSE)
        return set->unix_path ? "path in use: another program listens there"
                              : "address in use: another program listens there";
    if (error_number == EACCES && !set->unix_path && geteuid() != 0)
        return "Permission denied: only root may listen on this port; start the daemon anew as "
               "root (with `user`), or let systemd bind it (`listen = systemd:NAME`)";
    return strerror(error_number);
}

/* What follows it. */
static const char *explain_reach(const struct socket_set *set, int error_number)
{
    return set->unix_path ? out_of_reach(set->unix_path, error_number, true) : "";
}

static void log_cannot_listen(enum log_level level, const struct config_listener *listener,
                              const struct socket_set *set, const struct stream_error *error)
{
    char name[STREAM_ERROR_NAME_MAX], message[256];
    struct log_record record;

    if (!log_wants(level))
        return;
    snprintf(message, sizeof message, "%s%s", explain(set, error->code),
             explain_reach(set, error->code));
    log_begin(&record, level, "listen");
    log_record_string(&record, "listener", listener->name);
    socket_set_put(set, &set->asked, &record);
    log_record_string(&record, "error", stream_error_name(error, name));
    log_record_string(&record, "message", message);
    log_commit(&record);
}

void sockets_log(const struct sockets *sockets, const struct snapshot *snapshot)
{
    for (unsigned i = 0; i < sockets->count; i++) {
        const struct socket_set *set = &sockets->sets[i];
        struct log_record record;

        if (set->stays || !log_wants(LOG_LEVEL_NOTICE))
            continue;
        log_begin(&record, LOG_LEVEL_NOTICE, "listening");
        log_record_string(&record, "listener", snapshot->config->listeners[set->listener].name);
        socket_set_put(set, &set->bound, &record);
        log_commit(&record);
    }
}

/* ---- opening ---- */

/* [::] takes IPv4 clients too, unless 0.0.0.0 is listened on with the same port. */
static bool needs_v6_only(const struct config *config, const struct ip_endpoint *endpoint)
{
    if (endpoint->ip.family != IP_V6 || !ip_is_unspecified(&endpoint->ip))
        return endpoint->ip.family == IP_V6;
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

/* Our own socket on the port, of whatever address, would make the probe fail. */
static bool has_port(const struct sockets *sockets, uint16_t port)
{
    for (unsigned i = 0; sockets && i < sockets->count; i++)
        if (!sockets->sets[i].unix_path && sockets->sets[i].bound.port == port)
            return true;
    return false;
}

/* What one of the two loopback addresses may fail with while the other one serves. */
static bool may_do_without(const struct stream_error *error)
{
    return error->code == EADDRNOTAVAIL || error->code == EAFNOSUPPORT || error->code == EADDRINUSE;
}

static bool has_id(const struct sockets *sockets, unsigned id)
{
    for (unsigned i = 0; i < sockets->count; i++)
        if (sockets->sets[i].id == id)
            return true;
    return false;
}

static const struct socket_set *find(const struct sockets *current, const struct socket_set *wanted,
                                     const struct sockets *taken)
{
    for (unsigned i = 0; current && i < current->count; i++)
        if (socket_set_equal(&current->sets[i], wanted) && !has_id(taken, current->sets[i].id))
            return &current->sets[i];
    return NULL;
}

struct opening {
    struct sockets *sockets;
    struct snapshot *snapshot;
    const struct sockets *current;
    struct inherited *inherited;
    struct socket_owner owner;
    FILE *told;
    int error_number; /* of the first failure; 0: none yet */
};

/* As messages about the file have it, which does not say where this is wrong. */
static void tell_cannot_listen(const struct opening *o, const struct config_listener *listener,
                               const struct socket_set *set, const struct stream_error *error)
{
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(&set->asked, text);
    if (set->held)
        fprintf(o->told, "[listener %s] listen = systemd:%s: %s\n", listener->name, set->held->name,
                explain(set, error->code));
    else
        fprintf(o->told, "[listener %s] listen = %s%s: %s%s\n", listener->name,
                set->unix_path ? "unix:" : "", set->unix_path ? set->unix_path : text,
                explain(set, error->code), explain_reach(set, error->code));
}

static bool open_new(struct opening *o, struct socket_set *set,
                     const struct config_listener *listener, struct stream_error *ret_error)
{
    unsigned workers = o->sockets->workers;
    int backlog = (int)listener->queue;
    bool taken, is_ours = has_port(o->current, set->asked.port) ||
                          inherited_has_port(o->inherited, set->asked.port);

    set->mode = (mode_t)listener->unix_mode;
    if (!socket_set_adopt(set, o->inherited, listener->name, workers, backlog, &taken, ret_error))
        return false;
    return taken || socket_set_open(set, workers, backlog, !is_ours, o->owner, ret_error);
}

static struct socket_set begin_set(const struct opening *o, unsigned index)
{
    return (struct socket_set){
        .listener = index,
        .gate = o->snapshot->listeners[index].gate,
    };
}

/* The set stands behind the last one. False: nothing is left of it, and it is logged. */
static bool finish_set(struct opening *o, struct socket_set *set, bool is_good,
                       enum log_level level, const struct stream_error *error)
{
    bool is_noted = is_good && (set->unix_path || !set->bound.port ||
                                snapshot_add_port(o->snapshot, set->bound.port));
    struct stream_error failure =
        is_good ? stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, ENOMEM) : *error;

    if (is_noted) {
        o->sockets->count++;
        return true;
    }
    if (level == LOG_LEVEL_ERROR && !o->error_number)
        o->error_number = failure.code;
    log_cannot_listen(level, &o->snapshot->config->listeners[set->listener], set, &failure);
    if (level == LOG_LEVEL_ERROR)
        tell_cannot_listen(o, &o->snapshot->config->listeners[set->listener], set, &failure);
    socket_set_done(set);
    return false;
}

static bool open_or_follow(struct opening *o, struct socket_set *set,
                           const struct config_listener *listener, struct stream_error *ret_error)
{
    const struct socket_set *known = find(o->current, set, o->sockets);

    *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, ENOMEM);
    if (known)
        return socket_set_follow(set, known);
    set->id = ++next_id;
    return set->held ? socket_set_hold(set, set->held, o->sockets->workers, (int)listener->queue,
                                       ret_error)
                     : open_new(o, set, listener, ret_error);
}

/* 1: done; 0: an optional one that cannot be had; -1: failed, and logged. */
static int open_address(struct opening *o, unsigned index, const struct config_address *address)
{
    const struct config_listener *listener = &o->snapshot->config->listeners[index];
    struct socket_set *set = &o->sockets->sets[o->sockets->count];
    struct stream_error error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, ENOMEM);
    bool is_good = true, may_fail;

    *set = begin_set(o, index);
    set->asked = address->endpoint;
    set->v6_only = needs_v6_only(o->snapshot->config, &address->endpoint);
    if (address->unix_path)
        is_good = (set->unix_path = strdup(address->unix_path)) != NULL;
    is_good = is_good && open_or_follow(o, set, listener, &error);
    may_fail = !is_good && address->optional && may_do_without(&error);
    if (finish_set(o, set, is_good, may_fail ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, &error))
        return 1;
    return may_fail ? 0 : -1;
}

static void log_not_passed(struct opening *o, unsigned index, const char *name, const char *what)
{
    const char *listener = o->snapshot->config->listeners[index].name;

    if (!o->error_number)
        o->error_number = EBADF;
    log_message(LOG_LEVEL_ERROR, "listen", "listener %s: systemd:%s: %s", listener, name, what);
    fprintf(o->told, "[listener %s] listen = systemd:%s: %s\n", listener, name, what);
}

/* All of the name: each is a set. How many there are; -1: one failed, or there is none. */
static int open_systemd(struct opening *o, unsigned index, const char *name)
{
    const struct config_listener *listener = &o->snapshot->config->listeners[index];
    int opened = 0;

    for (unsigned i = 0; i < o->inherited->count; i++) {
        struct inherited_socket *s = &o->inherited->sockets[i];
        struct socket_set *set = &o->sockets->sets[o->sockets->count];
        struct stream_error error;
        bool is_good;

        if (s->from != INHERITED_SYSTEMD || strcmp(s->name, name) != 0)
            continue;
        if (s->wrong || s->fd < 0) {
            log_not_passed(
                o, index, name,
                s->wrong ? s->wrong
                         : "nothing used it at the start, so it was closed: restart the daemon");
            return -1;
        }
        *set = begin_set(o, index);
        set->held = s;
        is_good = open_or_follow(o, set, listener, &error);
        if (!finish_set(o, set, is_good, LOG_LEVEL_ERROR, &error))
            return -1;
        s->is_used = true;
        opened++;
    }
    if (opened == 0)
        log_not_passed(o, index, name,
                       "no socket of this name was passed (FileDescriptorName=): start the .socket "
                       "unit that has it, then the daemon anew");
    return opened > 0 ? opened : -1;
}

static bool open_listener(struct opening *o, unsigned index)
{
    const struct config_listener *listener = &o->snapshot->config->listeners[index];
    bool good = true;
    int opened = 0;

    for (unsigned i = 0; i < listener->address_count; i++) {
        const struct config_address *address = &listener->addresses[i];
        int result = address->systemd_name ? open_systemd(o, index, address->systemd_name)
                                           : open_address(o, index, address);

        good = good && result >= 0;
        opened += result;
    }
    if (good && opened == 0) {
        log_message(LOG_LEVEL_ERROR, "listen", "none of the addresses of listener %s can be bound",
                    listener->name);
        fprintf(o->told, "[listener %s] listen: none of the addresses can be bound\n",
                listener->name);
    }
    return good && opened > 0;
}

bool sockets_open(struct sockets *ret, struct snapshot *snapshot, const struct sockets *current,
                  struct inherited *inherited, unsigned workers, struct socket_owner owner,
                  FILE *told, int *ret_errno)
{
    struct opening o = {ret, snapshot, current, inherited, owner, told, 0};
    unsigned addresses = inherited->count; /* a name may stand for all of them */
    bool good = true;

    *ret = (struct sockets){.workers = workers};
    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        addresses += snapshot->config->listeners[i].address_count;
    ret->sets = calloc(addresses, sizeof *ret->sets);
    if (!ret->sets) {
        log_message(LOG_LEVEL_ERROR, "listen", "out of memory");
        fputs("out of memory\n", told);
        *ret_errno = ENOMEM;
        return false;
    }
    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        good = open_listener(&o, i) && good; /* every failure is told */
    if (!good) {
        sockets_unlink(ret, current, false); /* opened right now */
        sockets_done(ret);
        *ret_errno = o.error_number ? o.error_number : EADDRNOTAVAIL;
    }
    return good;
}

/* ---- handing over ---- */

static unsigned entries_for(const struct sockets *sockets, unsigned index)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sockets->count; i++)
        n += sockets->sets[i].stays ? 1
                                    : socket_set_count(&sockets->sets[i], index, sockets->workers);
    return n;
}

struct worker_plan *sockets_plan(struct sockets *sockets, struct snapshot *snapshot, unsigned index)
{
    struct worker_plan *plan = worker_plan_new(snapshot, entries_for(sockets, index));
    struct worker_plan_entry *entry = plan ? plan->entries : NULL;

    for (unsigned i = 0; plan && i < sockets->count; i++) {
        struct socket_set *set = &sockets->sets[i];
        unsigned n = set->stays ? 1 : socket_set_count(set, index, sockets->workers);

        for (unsigned j = 0; j < n; j++, entry++) {
            *entry = (struct worker_plan_entry){
                .id = set->id,
                .fd = -1,
                .is_shared = set->held != NULL,
                .listener = &snapshot->listeners[set->listener],
            };
            if (set->stays)
                continue;
            entry->fd = socket_set_at(set, index, sockets->workers, j)->fd;
            socket_set_at(set, index, sockets->workers, j)->is_ours = false;
        }
    }
    return plan;
}

/* As after chroot, where it is out of reach. */
static void log_mode_stays(const struct config_listener *listener, const struct socket_set *set,
                           int error_number)
{
    struct log_record record;
    char message[128];

    if (!log_wants(LOG_LEVEL_WARNING))
        return;
    snprintf(message, sizeof message, "unix_mode stays %04o: %s", (unsigned)set->mode,
             strerror(error_number));
    log_begin(&record, LOG_LEVEL_WARNING, "listen");
    log_record_string(&record, "listener", listener->name);
    log_record_string(&record, "address", set->unix_path);
    log_record_string(&record, "message", message);
    log_commit(&record);
}

void sockets_set_modes(struct sockets *sockets, const struct snapshot *snapshot)
{
    for (unsigned i = 0; i < sockets->count; i++) {
        struct socket_set *set = &sockets->sets[i];
        const struct config_listener *listener = &snapshot->config->listeners[set->listener];
        mode_t mode = (mode_t)listener->unix_mode;

        if (!set->unix_path || set->mode == mode)
            continue;
        if (chmod(set->unix_path, mode) == 0)
            set->mode = mode;
        else
            log_mode_stays(listener, set, errno);
    }
}

void sockets_unlink(const struct sockets *sockets, const struct sockets *next, bool in_chroot)
{
    for (unsigned i = 0; i < sockets->count; i++) {
        const struct socket_set *set = &sockets->sets[i];
        bool serves_on = false;

        for (unsigned j = 0; set->unix_path && next && j < next->count; j++)
            serves_on = serves_on || socket_set_equal(set, &next->sets[j]);
        if (set->unix_path && !set->is_anothers && !serves_on)
            socket_set_remove_file(set, in_chroot);
    }
}

void sockets_share(struct sockets *sockets, bool with_another)
{
    for (unsigned i = 0; i < sockets->count; i++)
        sockets->sets[i].is_anothers = with_another;
}

void sockets_done(struct sockets *sockets)
{
    for (unsigned i = 0; i < sockets->count; i++)
        socket_set_done(&sockets->sets[i]);
    free(sockets->sets);
    *sockets = (struct sockets){0};
}
