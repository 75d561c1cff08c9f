/* socket_set.h - one place that is listened on, with a descriptor or more for each worker: opened anew, or taken over
 * from systemd or from the daemon before. sockets.c keeps them; nobody else changes them. */
#ifndef PAIRSOCKS_SOCKET_SET_H
#define PAIRSOCKS_SOCKET_SET_H

#include "daemon/gate.h"
#include "daemon/inherited.h"
#include "daemon/log_record.h"
#include "streams/error.h"

#include <sys/types.h>

struct set_descriptor {
    int fd;
    bool
        is_ours; /* owned; else the worker's, who closes it no sooner than it is told to: borrowed */
};

struct socket_set {
    unsigned id;             /* the workers know it by this */
    unsigned listener;       /* which one of the snapshot */
    const struct gate *gate; /* borrowed: that listener's */
    struct ip_endpoint asked, bound;
    char *unix_path; /* owned; NULL: an address, or `held` */
    const struct inherited_socket
        *held;   /* borrowed: systemd's. It keeps its file, its mode, and who waits */
    mode_t mode; /* that the file of unix_path has */
    bool v6_only;
    bool is_anothers; /* another daemon serves it, too, and it is not for us to remove its file */
    bool stays;       /* the workers have it already */
    struct set_descriptor *fds; /* owned: worker i has those at i, i + workers ... */
    unsigned fd_count;          /* no fewer than the workers */
};

struct socket_owner {
    int64_t uid, gid; /* of new unix sockets; -1: whom they are made by */
};

/* Opens new sockets: TCP ones with SO_REUSEPORT, one for each worker, after a probe if `is_probed`; of a unix path they share
 * one. False with *ret_error; what was opened is closed by socket_set_done(). */
bool socket_set_open(struct socket_set *set, unsigned workers, int backlog, bool is_probed,
                     struct socket_owner owner, struct stream_error *ret_error);

/* Takes systemd's, which they all share. */
bool socket_set_hold(struct socket_set *set, const struct inherited_socket *held, unsigned workers,
                     int backlog, struct stream_error *ret_error);

/* Takes what the daemon before had there: every descriptor, so that no queue is lost; workers beyond their number share them.
 * *ret_taken: there was anything. */
bool socket_set_adopt(struct socket_set *set, struct inherited *inherited, const char *listener,
                      unsigned workers, int backlog, bool *ret_taken,
                      struct stream_error *ret_error);

/* The set `known`, which the workers serve, is this one. False without memory. */
bool socket_set_follow(struct socket_set *set, const struct socket_set *known);

/* Both are the same place. */
bool socket_set_equal(const struct socket_set *a, const struct socket_set *b);

/* How many descriptors worker `index` has to be given, and the one at `at` of these. */
unsigned socket_set_count(const struct socket_set *set, unsigned index, unsigned workers);
struct set_descriptor *socket_set_at(struct socket_set *set, unsigned index, unsigned workers,
                                     unsigned at);

/* Adds the field `address`: what was asked for, or what it is bound to. */
void socket_set_put(const struct socket_set *set, const struct ip_endpoint *endpoint,
                    struct log_record *record);

/* Removes the file of a unix socket of ours; one that stays behind is logged, one that has gone is not unless
 * `in_chroot`. */
void socket_set_remove_file(const struct socket_set *set, bool in_chroot);

/* Closes what was not handed over. */
void socket_set_done(struct socket_set *set);

#endif
