/* status_server.h - the status page, /metrics, /status.json and /proxy.pac, over HTTP on the control plane's
 * loop. GNU libmicrohttpd speaks the protocol; it has no thread, and waits for nothing. Bounded: the
 * connections, what one of them may send, and how long it may take. */
#ifndef PAIRSOCKS_STATUS_SERVER_H
#define PAIRSOCKS_STATUS_SERVER_H

#include "daemon/sockets.h"

#include <stdio.h>

struct serving;
struct status_server;
struct status_place;

/* Connections at a time; more wait in the kernel's queue. */
#define STATUS_CONNECTIONS_MAX 64

/* The most bytes of a request, all its fields together. */
#define STATUS_REQUEST_MAX 16384

/* Seconds for a request and its answer together, and for a connection to say nothing. */
#define STATUS_DEADLINE 20
#define STATUS_SILENCE 15

/* `serving` (borrowed) is what is told of; it serves something before anybody is answered, and its workers
 * have ended when the server is freed. NULL without memory. */
struct status_server *status_server_new(struct ev_loop *loop, const struct serving *serving,
                                        struct workers *workers);
void status_server_free(struct status_server *server, bool in_chroot); /* harmless with NULL */

/* What `config` asks for is ready to be served: a place that is bound, or the one that there is. */
struct status_change {
    struct status_place *place; /* owned, but for one that stays; NULL: nothing is served */
    bool stays;
};

/* Binds what is new, or takes it from the daemon before (`inherited`, as "status"). False with a message logged, and
 * written to `told` (a line); nothing has changed then, and *ret_errno is why. */
bool status_server_prepare(struct status_server *server, const struct config *config,
                           struct socket_owner owner, struct inherited *inherited, FILE *told,
                           struct status_change *ret, int *ret_errno);

/* The port of what is ready to be served; 0: none. */
uint16_t status_change_port(const struct status_change *change);

/* Serves it. `in_chroot`: see sockets_unlink(). */
void status_server_apply(struct status_server *server, struct status_change *change,
                         bool in_chroot);
void status_server_discard(struct status_change *change);

/* What another process finds the socket by. */
#define STATUS_SOCKET_NAME "status"

/* What listens, to be handed over under that name; all borrowed until the next configuration. False: nothing. */
struct status_socket {
    int fd;
    const struct ip_endpoint *asked; /* NULL: `path` */
    const char *path;
};
bool status_server_socket(const struct status_server *server, struct status_socket *ret);

/* Another process serves there now, too: no file is removed. Until it does not any more. */
void status_server_share(struct status_server *server, bool with_another);

/* Another process has taken over: who is connected gets one answer more, nobody else is taken. */
void status_server_let_go(struct status_server *server);

#endif
