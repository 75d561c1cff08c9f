/* status_machine.h - what the files of the status page share. Nobody else includes it. */
#ifndef PAIRSOCKS_STATUS_MACHINE_H
#define PAIRSOCKS_STATUS_MACHINE_H

#include "daemon/inspect.h"
#include "daemon/serving.h"
#include "daemon/status_server.h"

#include <microhttpd.h>

struct status_server {
    struct ev_loop *loop;
    const struct serving *serving;
    struct inspector *inspector; /* owned; made with the first place */
    struct workers *workers;     /* borrowed */
    struct status_place *place;  /* owned; NULL: nothing is served */
    bool is_shared;              /* with another process: its files are not ours to remove */
    double counted; /* when the workers last counted their bytes; of the loop's clock */
};

/* A bound address, with the daemon of the library that serves it. */
struct status_place {
    struct status_server *server; /* borrowed */
    struct ip_endpoint asked, bound;
    char *unix_path; /* owned; NULL: an address */
    int fd;          /* listens; the library's, once there is one; -1: let go */
    bool is_inherited;
    struct MHD_Daemon *http; /* NULL: not yet */
    ev_io ready;
    ev_timer due;
    struct status_request *waiting; /* for the workers: their connections are suspended */
};

/* Lets the library go on with what has happened, and asks it when to look again. */
void status_place_turn(struct status_place *place);

/* status_request.c: the callbacks of a place's library. */
enum MHD_Result status_request_step(void *place, struct MHD_Connection *connection,
                                    const char *path, const char *method, const char *version,
                                    const char *body, size_t *body_length, void **request);
void status_request_completed(void *place, struct MHD_Connection *connection, void **request,
                              enum MHD_RequestTerminationCode how);

/* Those that wait for the workers wait no more, and get no answer. */
void status_request_abandon(struct status_place *place);

/* status_client.c: one connection, and its deadline. */
void status_client_notify(void *place, struct MHD_Connection *connection, void **client,
                          enum MHD_ConnectionNotificationCode what);

/* Its time begins anew: a request is answered. */
void status_client_answered(struct MHD_Connection *connection);

#endif
