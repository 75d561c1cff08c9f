/* control_socket.h - the unix socket that `pairsocks` talks to the daemon by (`control`, `control_group`):
 * bound before privileges are dropped, followed over reloads, removed at the end. The control plane's thread. */
#ifndef PAIRSOCKS_CONTROL_SOCKET_H
#define PAIRSOCKS_CONTROL_SOCKET_H

#include "daemon/control_client.h"
#include "daemon/inherited.h"
#include "daemon/privileges.h"

#include <stdio.h>
#include <sys/stat.h>

struct control_socket;

/* Its name among what a process inherits. */
#define CONTROL_SOCKET_NAME "control"

/* Listens nowhere yet. `confines`: there will be a chroot, beyond which files cannot be removed. `inherited` (borrowed)
 * may have the socket of the daemon before. `request` as in struct control_clients. NULL without memory. */
struct control_socket *
control_socket_new(struct ev_loop *loop, bool confines, struct inherited *inherited,
                   void (*request)(void *context, struct control_client *client, char *line),
                   void *context);

/* Ends all clients, closes, and removes the file if it is still this socket's. Harmless with NULL. */
void control_socket_free(struct control_socket *control);

/* The socket, for the next process: its descriptor (borrowed, until a reload) and *ret_path; -1: there is none. */
int control_socket_descriptor(const struct control_socket *control, const char **ret_path);

/* The next process has it: closes it here, and leaves the file. The clients that there are stay. */
void control_socket_release(struct control_socket *control);

/* What the next configuration wants. */
struct control_socket_change {
    char *path; /* owned; NULL: none is wanted */
    int fd;     /* owned; -1: none, or the one that there is stays */
    int reason; /* why there is none though one is wanted: errno; ENOENT: it has no folder */
    bool stays;
    bool is_anothers; /* the daemon before has it, too: the file is not ours to remove yet */
    int64_t uid, gid; /* who the file is to belong to; -1: whom it does */
    dev_t device;     /* of the file that was bound */
    ino_t inode;
};

/* Binds what is not bound yet. False, with a line in `errors`: a path or a group that was asked for cannot be
 * had. The default's path, and a folder that does not exist, are no reason to fail: when it is applied that is
 * logged, once, and there is no socket. `privileges`: the user that the daemon serves as, who the file belongs to. */
bool control_socket_prepare(const struct control_socket *control, const struct config *config,
                            const struct privileges *privileges, FILE *errors,
                            struct control_socket_change *ret);

/* Serves it; the clients that there are stay. One of the two is called after a success; both end the change. */
void control_socket_apply(struct control_socket *control, struct control_socket_change *change);
void control_socket_discard(struct control_socket_change *change);

#endif
