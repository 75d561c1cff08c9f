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

static void put_address(struct log_record *record, const struct socket_set *set,
                        const struct ip_endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_MAX];

    if (set->unix_path) {
        log_record_string(record, "address", set->unix_path);
    } else {
        endpoint_format(endpoint, text);
        log_record_string(record, "address", text);
    }
}

static const char *explain(const struct socket_set *set, int error_number)
{
    if (error_number == EADDRINUSE)
        return set->unix_path ? "path in use: another program listens there"
                              : "address in use: another program listens there";
    if (error_number == EACCES && !set->unix_path && geteuid() != 0)
        return "Permission denied: only root may listen on this port, and the daemon is not (or "
               "no longer) root: restart it";
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
    put_address(&record, set, &set->asked);
    log_record_string(&record, "error", stream_error_name(error, name));
    log_record_string(&record, "message", message);
    log_commit(&record);
}

static void remove_file(const struct socket_set *set, bool in_chroot)
{
    struct log_record record;
    char message[128];

    if (unlink(set->unix_path) == 0 || (errno == ENOENT && !in_chroot))
        return;
    if (!log_wants(LOG_LEVEL_WARNING))
        return;
    snprintf(message, sizeof message, "the socket's file stays behind: %s", strerror(errno));
    log_begin(&record, LOG_LEVEL_WARNING, "listen");
    log_record_string(&record, "address", set->unix_path);
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
        put_address(&record, set, &set->bound);
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

static void close_fds(struct socket_set *set, unsigned workers)
{
    for (unsigned i = 0; set->fds && i < workers; i++) {
        if (set->fds[i] >= 0)
            close(set->fds[i]);
        set->fds[i] = -1;
    }
}

/* Our own socket on the port, of whatever address, would make the probe fail. */
static bool has_port(const struct sockets *sockets, uint16_t port)
{
    for (unsigned i = 0; sockets && i < sockets->count; i++)
        if (!sockets->sets[i].unix_path && sockets->sets[i].bound.port == port)
            return true;
    return false;
}

static bool open_tcp(struct socket_set *set, const struct sockets *current, unsigned workers,
                     int backlog, struct stream_error *ret_error)
{
    set->bound = set->asked;
    if (!has_port(current, set->asked.port) &&
        !listener_probe(&set->asked, set->v6_only, ret_error))
        return false;
    for (unsigned i = 0; i < workers; i++) {
        set->fds[i] =
            listener_open_socket(&set->bound, backlog, true, set->v6_only, &set->bound, ret_error);
        if (set->fds[i] < 0)
            return false;
    }
    return true;
}

/* There is no SO_REUSEPORT for paths: the workers share one socket. */
static bool open_unix(struct socket_set *set, unsigned workers, int backlog,
                      struct socket_owner owner, struct stream_error *ret_error)
{
    set->fds[0] = listener_open_unix(set->unix_path, backlog, set->mode, ret_error);
    if (set->fds[0] < 0)
        return false;
    if ((owner.uid >= 0 || owner.gid >= 0) &&
        chown(set->unix_path, (uid_t)owner.uid, (gid_t)owner.gid) != 0) {
        *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, errno);
        remove_file(set, false);
        return false;
    }
    for (unsigned i = 1; i < workers; i++) {
        set->fds[i] = fcntl(set->fds[0], F_DUPFD_CLOEXEC, 0);
        if (set->fds[i] < 0) {
            *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, errno);
            return false;
        }
    }
    return true;
}

/* What one of the two loopback addresses may fail with while the other one serves. */
static bool may_do_without(const struct stream_error *error)
{
    return error->code == EADDRNOTAVAIL || error->code == EAFNOSUPPORT || error->code == EADDRINUSE;
}

static bool same_place(const struct socket_set *a, const struct socket_set *b)
{
    if (a->unix_path || b->unix_path)
        return a->unix_path && b->unix_path && strcmp(a->unix_path, b->unix_path) == 0;
    if (a->asked.port == 0 && a->gate != b->gate)
        return false; /* any port, but not that of another listener */
    return endpoint_equal(&a->asked, &b->asked) && a->v6_only == b->v6_only;
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
        if (same_place(&current->sets[i], wanted) && !has_id(taken, current->sets[i].id))
            return &current->sets[i];
    return NULL;
}

struct opening {
    struct sockets *sockets;
    struct snapshot *snapshot;
    const struct sockets *current;
    struct socket_owner owner;
    FILE *told;
};

/* As messages about the file have it, which does not say where this is wrong. */
static void tell_cannot_listen(const struct opening *o, const struct config_listener *listener,
                               const struct socket_set *set, const struct stream_error *error)
{
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(&set->asked, text);
    fprintf(o->told, "[listener %s] listen = %s%s: %s\n", listener->name,
            set->unix_path ? "unix:" : "", set->unix_path ? set->unix_path : text,
            explain(set, error->code));
}

static bool open_new(struct opening *o, struct socket_set *set,
                     const struct config_listener *listener, struct stream_error *ret_error)
{
    unsigned workers = o->sockets->workers;
    int backlog = (int)listener->queue;

    set->id = ++next_id;
    set->fds = malloc(workers * sizeof *set->fds);
    *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, ENOMEM);
    if (!set->fds)
        return false;
    for (unsigned i = 0; i < workers; i++)
        set->fds[i] = -1;
    set->mode = (mode_t)listener->unix_mode;
    if (set->unix_path)
        return open_unix(set, workers, backlog, o->owner, ret_error);
    return open_tcp(set, o->current, workers, backlog, ret_error);
}

static void set_done(struct socket_set *set, unsigned workers)
{
    close_fds(set, workers);
    free(set->fds);
    free(set->unix_path);
    *set = (struct socket_set){0};
}

/* 1: done; 0: an optional one that cannot be had; -1: failed, and logged. */
static int open_address(struct opening *o, unsigned index, const struct config_address *address)
{
    const struct config_listener *listener = &o->snapshot->config->listeners[index];
    struct socket_set *set = &o->sockets->sets[o->sockets->count];
    struct stream_error error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, ENOMEM);
    const struct socket_set *known;
    enum log_level level;

    *set = (struct socket_set){
        .listener = index,
        .gate = o->snapshot->listeners[index].gate,
        .asked = address->endpoint,
    };
    if (address->unix_path && !(set->unix_path = strdup(address->unix_path)))
        goto fail;
    set->v6_only = needs_v6_only(o->snapshot->config, &address->endpoint);
    known = find(o->current, set, o->sockets);
    if (known) {
        set->id = known->id;
        set->bound = known->bound;
        set->mode = known->mode;
        set->stays = true;
    } else if (!open_new(o, set, listener, &error)) {
        goto fail;
    }
    if (!set->unix_path && !snapshot_add_port(o->snapshot, set->bound.port))
        goto fail;
    o->sockets->count++;
    return 1;
fail:
    level = address->optional && may_do_without(&error) ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR;
    log_cannot_listen(level, listener, set, &error);
    if (level == LOG_LEVEL_ERROR)
        tell_cannot_listen(o, listener, set, &error);
    set_done(set, o->sockets->workers);
    return level == LOG_LEVEL_WARNING ? 0 : -1;
}

static bool open_listener(struct opening *o, unsigned index)
{
    const struct config_listener *listener = &o->snapshot->config->listeners[index];
    bool good = true;
    int opened = 0;

    for (unsigned i = 0; i < listener->address_count; i++) {
        int result = open_address(o, index, &listener->addresses[i]);

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
                  unsigned workers, struct socket_owner owner, FILE *told)
{
    struct opening o = {ret, snapshot, current, owner, told};
    unsigned addresses = 0;
    bool good = true;

    *ret = (struct sockets){.workers = workers};
    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        addresses += snapshot->config->listeners[i].address_count;
    ret->sets = calloc(addresses, sizeof *ret->sets);
    if (!ret->sets) {
        log_message(LOG_LEVEL_ERROR, "listen", "out of memory");
        fputs("out of memory\n", told);
        return false;
    }
    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        good = open_listener(&o, i) && good; /* every failure is told */
    if (!good) {
        sockets_unlink(ret, current, false); /* opened right now */
        sockets_done(ret);
    }
    return good;
}

/* ---- handing over ---- */

struct worker_plan *sockets_plan(struct sockets *sockets, struct snapshot *snapshot, unsigned index)
{
    struct worker_plan *plan = worker_plan_new(snapshot, sockets->count);

    for (unsigned i = 0; plan && i < sockets->count; i++) {
        struct socket_set *set = &sockets->sets[i];

        plan->entries[i] = (struct worker_plan_entry){
            .id = set->id,
            .fd = set->fds ? set->fds[index] : -1, /* none: it stays */
            .listener = &snapshot->listeners[set->listener],
        };
        if (set->fds)
            set->fds[index] = -1;
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
            serves_on = serves_on || same_place(set, &next->sets[j]);
        if (set->unix_path && !serves_on)
            remove_file(set, in_chroot);
    }
}

void sockets_done(struct sockets *sockets)
{
    for (unsigned i = 0; i < sockets->count; i++)
        set_done(&sockets->sets[i], sockets->workers);
    free(sockets->sets);
    *sockets = (struct sockets){0};
}
