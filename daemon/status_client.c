/* status_client.c - a connection of the status page. The library bounds its silence; here is bounded what it
 * may take in all, so that who sends a byte now and then does not keep a place for good. */
#include "daemon/status_machine.h"

#include <stdlib.h>
#include <sys/socket.h>

struct status_client {
    struct status_place *place;
    ev_timer deadline;
    int fd; /* borrowed */
};

/* The library finds the end when it reads. */
static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct status_client *client = w->data;

    (void)loop;
    (void)revents;
    shutdown(client->fd, SHUT_RDWR);
    status_place_turn(client->place);
}

static struct status_client *client_new(struct status_place *place,
                                        struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct status_client *client = calloc(1, sizeof *client);

    if (!client)
        return NULL; /* its silence is bounded all the same */
    client->place = place;
    client->fd = info->connect_fd;
    ev_timer_init(&client->deadline, on_deadline, STATUS_DEADLINE, STATUS_DEADLINE);
    client->deadline.data = client;
    ev_timer_start(place->server->loop, &client->deadline);
    return client;
}

void status_client_notify(void *place, struct MHD_Connection *connection, void **ret_client,
                          enum MHD_ConnectionNotificationCode what)
{
    struct status_client *client = *ret_client;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *ret_client = client_new(place, connection);
        return;
    }
    if (client)
        ev_timer_stop(client->place->server->loop, &client->deadline);
    free(client);
    *ret_client = NULL;
}

void status_client_answered(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct status_client *client = info ? info->socket_context : NULL;

    if (client)
        ev_timer_again(client->place->server->loop, &client->deadline);
}
