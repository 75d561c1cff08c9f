/* sockets.h - the listening sockets of a configuration: opens what is new, finds what stays,
 * before anything of what is served changes. The control plane's; the workers get the descriptors
 * through workers_serve(). */
#ifndef PAIRSOCKS_SOCKETS_H
#define PAIRSOCKS_SOCKETS_H

#include "daemon/snapshot.h"
#include "daemon/socket_set.h"
#include "daemon/worker.h"

#include <stdio.h>

struct sockets {
    struct socket_set *sets;
    unsigned count;
    unsigned workers;
};

/* Opens and binds all that `snapshot` listens on; what `current` (or NULL) has already stays, what is
 * `inherited` is taken. The ports are noted in the snapshot. Each failure is logged, and written to `told` (a line); false after any, and
 * nothing has changed; then *ret_errno is why the first of them failed. */
bool sockets_open(struct sockets *ret, struct snapshot *snapshot, const struct sockets *current,
                  struct inherited *inherited, unsigned workers, struct socket_owner owner,
                  FILE *told, int *ret_errno);

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

/* Another daemon serves all of them, too, or (false) we are the only one from now on. */
void sockets_share(struct sockets *sockets, bool with_another);

/* Closes what was not handed over. */
void sockets_done(struct sockets *sockets);

/* Logs what is listened on anew. */
void sockets_log(const struct sockets *sockets, const struct snapshot *snapshot);

#endif
