/* status_server.c - where the status page is served: the sockets, and the library on our loop. */
#include "daemon/status_machine.h"

#include "config/out_of_reach.h"
#include "daemon/inherited.h"
#include "daemon/log.h"
#include "streams/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 64, UNIX_MODE = 0660 };

/* ---- saying what happens ---- */

static void log_place(enum log_level level, const struct status_place *place,
                      const struct ip_endpoint *endpoint, const char *message)
{
    struct log_record record;
    char text[ENDPOINT_TEXT_MAX];

    if (!log_wants(level))
        return;
    endpoint_format(endpoint, text);
    log_begin(&record, level, "status");
    log_record_string(&record, "address", place->unix_path ? place->unix_path : text);
    if (message)
        log_record_string(&record, "message", message);
    log_commit(&record);
}

static const char *explain(const struct status_place *place, int error_number)
{
    if (error_number != EADDRINUSE)
        return strerror(error_number);
    return place->unix_path ? "path in use: another program listens there"
                            : "address in use: another program listens there";
}

/* Why it cannot be had, to the log and, as messages about the file have it, to `told`. */
static void tell_cannot(const struct status_place *place, int error_number, FILE *told)
{
    const char *path = place->unix_path;
    char text[ENDPOINT_TEXT_MAX], message[256];

    snprintf(message, sizeof message, "%s%s", explain(place, error_number),
             path ? out_of_reach(path, error_number, true) : "");
    log_place(LOG_LEVEL_ERROR, place, &place->asked, message);
    endpoint_format(&place->asked, text);
    fprintf(told, "[daemon] status = %s%s: %s\n", path ? "unix:" : "", path ? path : text, message);
}

/* ---- the library on our loop ---- */

static void arm(struct status_place *place)
{
    struct ev_loop *loop = place->server->loop;
    MHD_UNSIGNED_LONG_LONG ms;

    ev_timer_stop(loop, &place->due);
    if (MHD_get_timeout(place->http, &ms) != MHD_YES)
        return;
    ev_timer_set(&place->due, (double)ms / 1000., 0.);
    ev_timer_start(loop, &place->due);
}

void status_place_turn(struct status_place *place)
{
    MHD_run(place->http);
    arm(place);
}

static void on_ready(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    status_place_turn(w->data);
}

static void on_due(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    status_place_turn(w->data);
}

static bool start_library(struct status_place *place)
{
    const union MHD_DaemonInfo *info;

    place->http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, status_request_step, place,
        MHD_OPTION_LISTEN_SOCKET, place->fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)STATUS_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)STATUS_REQUEST_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STATUS_SILENCE,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_NOTIFY_CONNECTION, status_client_notify, place, MHD_OPTION_NOTIFY_COMPLETED,
        status_request_completed, place, MHD_OPTION_END);
    info = place->http ? MHD_get_daemon_info(place->http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info) {
        place->fd = -1; /* better one too few is closed than one twice */
        return false;
    }
    ev_io_init(&place->ready, on_ready, info->epoll_fd, EV_READ);
    ev_init(&place->due, on_due);
    place->ready.data = place->due.data = place;
    return true;
}

/* ---- places ---- */

static void place_free(struct status_place *place)
{
    if (!place)
        return;
    if (place->http) {
        ev_io_stop(place->server->loop, &place->ready);
        ev_timer_stop(place->server->loop, &place->due);
        status_request_abandon(place);
        MHD_stop_daemon(place->http);
    } else if (place->fd >= 0) {
        close(place->fd);
    }
    free(place->unix_path);
    free(place);
}

static void remove_file(const struct status_place *place, bool in_chroot)
{
    if (!place->unix_path || place->server->is_shared)
        return;
    if (unlink(place->unix_path) != 0 && (errno != ENOENT || in_chroot))
        log_place(LOG_LEVEL_WARNING, place, &place->bound, "the socket's file stays behind");
}

/* From the daemon before. False: it had none there. */
static bool take_place(struct status_place *place, struct inherited *inherited)
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof sa;

    if (!inherited)
        return false;
    place->fd = inherited_take(inherited, STATUS_SOCKET_NAME,
                               place->unix_path ? NULL : &place->asked, place->unix_path);
    if (place->fd < 0)
        return false;
    if (getsockname(place->fd, (struct sockaddr *)&sa, &length) == 0)
        place->bound = endpoint_from_sockaddr(&sa);
    place->is_inherited = true;
    return true;
}

/* False: *ret_error says why. */
static bool bind_place(struct status_place *place, struct socket_owner owner,
                       struct stream_error *ret_error)
{
    if (!place->unix_path) {
        bool v6_only = place->asked.ip.family == IP_V6 && !ip_is_unspecified(&place->asked.ip);

        place->bound = place->asked;
        place->fd =
            listener_open_socket(&place->asked, BACKLOG, false, v6_only, &place->bound, ret_error);
        return place->fd >= 0;
    }
    place->fd = listener_open_unix(place->unix_path, BACKLOG, UNIX_MODE, ret_error);
    if (place->fd < 0)
        return false;
    if ((owner.uid < 0 && owner.gid < 0) ||
        chown(place->unix_path, (uid_t)owner.uid, (gid_t)owner.gid) == 0)
        return true;
    *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, errno);
    remove_file(place, false);
    return false;
}

/* NULL with the reason logged and told, and in *ret_errno. */
static struct status_place *place_new(struct status_server *server,
                                      const struct config_address *address,
                                      struct socket_owner owner, struct inherited *inherited,
                                      FILE *told, int *ret_errno)
{
    struct stream_error error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, ENOMEM);
    struct status_place *place = calloc(1, sizeof *place);

    *ret_errno = ENOMEM;
    if (!place)
        return NULL;
    *place = (struct status_place){.server = server, .fd = -1, .asked = address->endpoint};
    if (address->unix_path && !(place->unix_path = strdup(address->unix_path)))
        goto fail;
    if (!take_place(place, inherited) && !bind_place(place, owner, &error))
        goto fail;
    if (start_library(place))
        return place;
    if (!place->is_inherited)
        remove_file(place, false);
fail:
    *ret_errno = error.code;
    tell_cannot(place, error.code, told);
    place_free(place);
    return NULL;
}

static bool is_at(const struct status_place *place, const struct config_address *address)
{
    if (place->unix_path || address->unix_path)
        return place->unix_path && address->unix_path &&
               strcmp(place->unix_path, address->unix_path) == 0;
    return endpoint_equal(&place->asked, &address->endpoint);
}

/* ---- the server ---- */

struct status_server *status_server_new(struct ev_loop *loop, const struct serving *serving,
                                        struct workers *workers)
{
    struct status_server *server = calloc(1, sizeof *server);

    if (server)
        *server = (struct status_server){.loop = loop, .serving = serving, .workers = workers};
    return server;
}

static void close_place(struct status_server *server, bool in_chroot)
{
    if (server->place)
        remove_file(server->place, in_chroot);
    place_free(server->place);
    server->place = NULL;
}

void status_server_free(struct status_server *server, bool in_chroot)
{
    if (!server)
        return;
    close_place(server, in_chroot);
    inspector_free(server->inspector);
    free(server);
}

bool status_server_prepare(struct status_server *server, const struct config *config,
                           struct socket_owner owner, struct inherited *inherited, FILE *told,
                           struct status_change *ret, int *ret_errno)
{
    const struct config_address *address = &config->status;
    struct status_change change = {0};

    if (server->place && is_at(server->place, address)) {
        change = (struct status_change){.place = server->place, .stays = true};
    } else if (address->unix_path || address->endpoint.ip.family != IP_NONE) {
        if (!server->inspector)
            server->inspector = inspector_new(server->loop, server->workers);
        *ret_errno = ENOMEM;
        if (server->inspector)
            change.place = place_new(server, address, owner, inherited, told, ret_errno);
        if (!change.place)
            return false;
    }
    *ret = change;
    return true;
}

uint16_t status_change_port(const struct status_change *change)
{
    return change->place && !change->place->unix_path ? change->place->bound.port : 0;
}

void status_server_apply(struct status_server *server, struct status_change *change, bool in_chroot)
{
    if (change->stays)
        return;
    close_place(server, in_chroot);
    server->place = change->place;
    if (!change->place)
        return;
    server->is_shared = change->place->is_inherited;
    log_place(LOG_LEVEL_NOTICE, change->place, &change->place->bound, NULL);
    ev_io_start(server->loop, &change->place->ready);
    arm(change->place);
}

void status_server_discard(struct status_change *change)
{
    if (change->stays || !change->place)
        return;
    if (!change->place->is_inherited)
        remove_file(change->place, false);
    place_free(change->place);
}

bool status_server_socket(const struct status_server *server, struct status_socket *ret)
{
    const struct status_place *place = server->place;

    if (!place || place->fd < 0)
        return false;
    *ret = (struct status_socket){
        .fd = place->fd,
        .asked = place->unix_path ? NULL : &place->asked,
        .path = place->unix_path,
    };
    return true;
}

void status_server_share(struct status_server *server, bool with_another)
{
    server->is_shared = with_another;
}

void status_server_let_go(struct status_server *server)
{
    struct status_place *place = server->place;
    MHD_socket fd;

    if (!place || place->fd < 0)
        return;
    server->is_shared = true;
    place->fd = -1;
    fd = MHD_quiesce_daemon(place->http);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    status_place_turn(place);
}
