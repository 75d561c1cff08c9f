/* sockets.h - the listening sockets of a configuration: opens what is new, finds what stays,
 * before anything of what is served changes. The control plane's; the workers get the descriptors
 * through workers_serve(). */
#ifndef PAIRSOCKS_SOCKETS_H
#define PAIRSOCKS_SOCKETS_H

#include "daemon/snapshot.h"
#include "daemon/worker.h"

#include <stdio.h>

/* One address, on which each worker has a socket of its own (of a unix path they share one). */
struct socket_set {
    unsigned id;             /* the workers know it by this */
    unsigned listener;       /* which one of the snapshot */
    const struct gate *gate; /* borrowed: that listener's */
    struct ip_endpoint asked, bound;
    char *unix_path; /* owned; NULL: an address */
    mode_t mode;     /* that its file has */
    bool v6_only;
    bool stays; /* the workers have it already */
    int *fds;   /* one for each worker, until they take them over; -1 = none */
};

struct sockets {
    struct socket_set *sets;
    unsigned count;
    unsigned workers;
};

/* Opens and binds all that `snapshot` listens on; what `current` (or NULL) has already stays. The
 * ports are noted in the snapshot. Each failure is logged, and written to `told` (a line); false after
 * any, and nothing has changed. `owner`: who new unix sockets belong to; uid or gid -1 = whom they are made by. */
struct socket_owner {
    int64_t uid, gid;
};
bool sockets_open(struct sockets *ret, struct snapshot *snapshot, const struct sockets *current,
                  unsigned workers, struct socket_owner owner, FILE *told);

/* What worker `index` shall serve: each socket, new or known. Hands over the new descriptors.
 * NULL without memory (then nothing is handed over). */
struct worker_plan *sockets_plan(struct sockets *sockets, struct snapshot *snapshot,
                                 unsigned index);

/* Gives the files of unix sockets that stay the modes that `snapshot` asks for. A failure is logged,
 * and tried again with the next configuration. */
void sockets_set_modes(struct sockets *sockets, const struct snapshot *snapshot);

/* Removes the files of unix sockets that `next` (or NULL) does not serve on. One that stays behind
 * is logged; one that has gone already is not, unless all paths mean something else since a chroot. */
void sockets_unlink(const struct sockets *sockets, const struct sockets *next, bool in_chroot);

/* Closes what was not handed over. */
void sockets_done(struct sockets *sockets);

/* Logs what is listened on anew. */
void sockets_log(const struct sockets *sockets, const struct snapshot *snapshot);

#endif
