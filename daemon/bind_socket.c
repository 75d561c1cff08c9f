/* bind_socket.c - the system calls of BIND. */
#include "daemon/bind_socket.h"

#include "daemon/bind_ports.h"
#include "streams/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1 };

/* Of a large range that others use, too: each try costs a socket. */
enum { TRIES_MAX = 256 };

enum { ANY_PORT = 9 }; /* discard: nothing is ever sent there */

bool bind_socket_facing(const struct ip_address *peer, struct ip_address *ret_own,
                        struct stream_error *ret_error)
{
    struct sockaddr_storage sa, own;
    socklen_t length = endpoint_to_sockaddr(&(struct ip_endpoint){*peer, ANY_PORT}, &sa);
    socklen_t own_length = sizeof own;
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && connect(fd, (const struct sockaddr *)&sa, length) == 0 &&
                 getsockname(fd, (struct sockaddr *)&own, &own_length) == 0;

    if (found)
        *ret_own = endpoint_from_sockaddr(&own).ip;
    else
        *ret_error = stream_error_connect(errno);
    if (fd >= 0)
        close(fd);
    return found;
}

static uint64_t random_number(void)
{
    uint64_t number;

    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        abort(); /* up to 256 bytes cannot fail on a kernel that has it (getrandom(2)) */
    return number;
}

static int open_port(const struct ip_address *own, uint16_t port, struct ip_endpoint *ret_bound,
                     struct stream_error *ret_error)
{
    return listener_open_socket(&(struct ip_endpoint){*own, port}, BACKLOG, false, true, ret_bound,
                                ret_error);
}

/* Somebody else has the port, or it is one that only root may have. */
static bool is_taken(const struct stream_error *error)
{
    return error->code == EADDRINUSE || error->code == EACCES;
}

int bind_socket_open(const struct ip_address *own, const struct config_listener *listener,
                     struct ip_endpoint *ret_bound, struct stream_error *ret_error)
{
    struct stream_error error = stream_error_of(ERROR_SYSTEM_LISTEN_ADDRESS_IN_USE);
    struct bind_walk walk;
    uint16_t port;
    int fd = -1;

    if (!listener->bind_port_count)
        fd = open_port(own, 0, ret_bound, &error);
    bind_walk_init(&walk, listener->bind_ports, listener->bind_port_count, random_number());
    for (int i = 0; i < TRIES_MAX && fd < 0 && is_taken(&error); i++) {
        port = bind_walk_next(&walk);
        if (!port)
            break;
        fd = open_port(own, port, ret_bound, &error);
    }
    if (fd >= 0)
        return fd;
    if (error.code == EMFILE || error.code == ENFILE)
        *ret_error = stream_error_connect(error.code);
    else
        *ret_error = is_taken(&error) ? stream_error_of(ERROR_POLICY_LIMIT_BIND_PORTS) : error;
    return -1;
}

int bind_socket_accept(int fd, struct ip_endpoint *ret_peer, struct stream_error *ret_error)
{
    struct sockaddr_storage sa;
    socklen_t length = sizeof sa;
    int accepted = accept4(fd, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (accepted >= 0) {
        *ret_peer = endpoint_from_sockaddr(&sa);
        ret_peer->ip = ip_unmapped(&ret_peer->ip);
        return accepted;
    }
    /* What else accept(2) reports is of a connection that is gone again. */
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        *ret_error = stream_error_connect(errno);
    return -1;
}
