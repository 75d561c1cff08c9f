/* socket_set.c - opening, taking over, sharing. */
#include "daemon/socket_set.h"

#include "daemon/log.h"
#include "streams/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(struct stream_error *ret_error, int error_number)
{
    *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, error_number);
    return false;
}

/* All of them -1. */
static bool make_room(struct socket_set *set, unsigned count, struct stream_error *ret_error)
{
    set->fds = malloc(count * sizeof *set->fds);
    if (!set->fds)
        return fail(ret_error, ENOMEM);
    set->fd_count = count;
    for (unsigned i = 0; i < count; i++)
        set->fds[i] = (struct set_descriptor){-1, true};
    return true;
}

/* From `from` on they are copies of those before, in turn. */
static bool share(struct socket_set *set, unsigned from, struct stream_error *ret_error)
{
    for (unsigned i = from; i < set->fd_count; i++) {
        set->fds[i].fd = fcntl(set->fds[i - from].fd, F_DUPFD_CLOEXEC, 0);
        if (set->fds[i].fd < 0)
            return fail(ret_error, errno);
    }
    return true;
}

/* ---- new ones ---- */

static bool open_tcp(struct socket_set *set, int backlog, bool is_probed,
                     struct stream_error *ret_error)
{
    set->bound = set->asked;
    if (is_probed && !listener_probe(&set->asked, set->v6_only, ret_error))
        return false;
    for (unsigned i = 0; i < set->fd_count; i++) {
        set->fds[i].fd =
            listener_open_socket(&set->bound, backlog, true, set->v6_only, &set->bound, ret_error);
        if (set->fds[i].fd < 0)
            return false;
    }
    return true;
}

/* There is no SO_REUSEPORT for paths: the workers share one socket. */
static bool open_unix(struct socket_set *set, int backlog, struct socket_owner owner,
                      struct stream_error *ret_error)
{
    set->fds[0].fd = listener_open_unix(set->unix_path, backlog, set->mode, ret_error);
    if (set->fds[0].fd < 0)
        return false;
    if ((owner.uid >= 0 || owner.gid >= 0) &&
        chown(set->unix_path, (uid_t)owner.uid, (gid_t)owner.gid) != 0) {
        fail(ret_error, errno);
        socket_set_remove_file(set, false);
        return false;
    }
    return share(set, 1, ret_error);
}

bool socket_set_open(struct socket_set *set, unsigned workers, int backlog, bool is_probed,
                     struct socket_owner owner, struct stream_error *ret_error)
{
    if (!make_room(set, workers, ret_error))
        return false;
    return set->unix_path ? open_unix(set, backlog, owner, ret_error)
                          : open_tcp(set, backlog, is_probed, ret_error);
}

/* ---- those that were there ---- */

bool socket_set_hold(struct socket_set *set, const struct inherited_socket *held, unsigned workers,
                     int backlog, struct stream_error *ret_error)
{
    set->held = held;
    set->asked = set->bound = held->bound;
    if (!make_room(set, workers, ret_error))
        return false;
    set->fds[0].fd = fcntl(held->fd, F_DUPFD_CLOEXEC, 0);
    if (set->fds[0].fd < 0 || listen(set->fds[0].fd, backlog) != 0)
        return fail(ret_error, errno);
    return share(set, 1, ret_error);
}

/* A port of the kernel's choice belongs to the listener that got it. */
static bool is_this(const struct socket_set *set, const struct inherited_socket *s,
                    const char *listener)
{
    if (s->from != INHERITED_LISTENER || s->fd < 0 || s->wrong)
        return false;
    if (set->unix_path || s->path)
        return set->unix_path && s->path && strcmp(set->unix_path, s->path) == 0;
    if (set->asked.port == 0 && strcmp(s->name, listener) != 0)
        return false;
    return endpoint_equal(&set->asked, &s->asked) &&
           (set->asked.ip.family != IP_V6 || set->v6_only == s->v6_only);
}

/* Of several that have any port, all are of one. */
static bool is_same_socket(const struct socket_set *set, const struct inherited_socket *s)
{
    return set->bound.port == 0 || endpoint_equal(&set->bound, &s->bound);
}

static mode_t mode_of(const char *path)
{
    struct stat file;

    return stat(path, &file) == 0 ? file.st_mode & 07777 : 0;
}

bool socket_set_adopt(struct socket_set *set, struct inherited *inherited, const char *listener,
                      unsigned workers, int backlog, bool *ret_taken,
                      struct stream_error *ret_error)
{
    unsigned n = 0;

    *ret_taken = false;
    if (!make_room(set, workers > inherited->count ? workers : inherited->count, ret_error))
        return false;
    for (unsigned i = 0; i < inherited->count; i++) {
        struct inherited_socket *s = &inherited->sockets[i];

        if (!is_this(set, s, listener) || !is_same_socket(set, s))
            continue;
        set->bound = s->bound;
        listen(s->fd, backlog);
        set->fds[n++].fd = s->fd;
        s->fd = -1;
        s->is_used = true;
    }
    *ret_taken = n > 0;
    if (n == 0) {
        free(set->fds);
        set->fds = NULL;
        set->fd_count = 0;
        return true;
    }
    set->fd_count = n > workers ? n : workers;
    set->is_anothers = true;
    if (set->unix_path)
        set->mode = mode_of(set->unix_path);
    return n >= workers || share(set, n, ret_error);
}

bool socket_set_follow(struct socket_set *set, const struct socket_set *known)
{
    struct stream_error error;

    if (!make_room(set, known->fd_count, &error))
        return false;
    for (unsigned i = 0; i < known->fd_count; i++)
        set->fds[i] = (struct set_descriptor){known->fds[i].fd, false};
    set->id = known->id;
    set->bound = known->bound;
    set->mode = known->mode;
    set->is_anothers = known->is_anothers;
    set->stays = true;
    return true;
}

bool socket_set_equal(const struct socket_set *a, const struct socket_set *b)
{
    if (a->held || b->held)
        return a->held == b->held;
    if (a->unix_path || b->unix_path)
        return a->unix_path && b->unix_path && strcmp(a->unix_path, b->unix_path) == 0;
    if (a->asked.port == 0 && a->gate != b->gate)
        return false; /* any port, but not that of another listener */
    return endpoint_equal(&a->asked, &b->asked) && a->v6_only == b->v6_only;
}

/* ---- handing over ---- */

unsigned socket_set_count(const struct socket_set *set, unsigned index, unsigned workers)
{
    return (set->fd_count - index - 1) / workers + 1;
}

struct set_descriptor *socket_set_at(struct socket_set *set, unsigned index, unsigned workers,
                                     unsigned at)
{
    return &set->fds[index + at * workers];
}

/* ---- files and texts ---- */

void socket_set_put(const struct socket_set *set, const struct ip_endpoint *endpoint,
                    struct log_record *record)
{
    const char *path = set->held ? set->held->path : set->unix_path;
    char text[ENDPOINT_TEXT_MAX];

    if (!path)
        endpoint_format(endpoint, text);
    log_record_string(record, "address", path ? path : text);
}

void socket_set_remove_file(const struct socket_set *set, bool in_chroot)
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

void socket_set_done(struct socket_set *set)
{
    for (unsigned i = 0; i < set->fd_count; i++)
        if (set->fds[i].is_ours && set->fds[i].fd >= 0)
            close(set->fds[i].fd);
    free(set->fds);
    free(set->unix_path);
    *set = (struct socket_set){0};
}
