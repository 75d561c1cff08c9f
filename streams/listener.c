/* listener.c - accepting, and what to do when that fails. */
#include "streams/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections taken in one turn of the loop: sessions that run get their turn, too. */
enum { BATCH = 64 };

/* Connections taken before a listener closes: those that wait, not those that a flood adds. */
enum { DRAIN_MAX = 4096 };

/* After descriptors or memory have run out; seconds. */
static const double pause_seconds = 0.1;

static int open_bound(const struct ip_endpoint *address, bool share, bool v6_only)
{
    struct sockaddr_storage sa;
    socklen_t length = endpoint_to_sockaddr(address, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    int one = 1, only = v6_only;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
        (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0) &&
        (sa.ss_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0) &&
        bind(fd, (const struct sockaddr *)&sa, length) == 0)
        return fd;
    close(fd);
    return -1;
}

int listener_open_socket(const struct ip_endpoint *address, int backlog, bool share, bool v6_only,
                         struct ip_endpoint *ret_bound, struct stream_error *ret_error)
{
    int fd = open_bound(address, share, v6_only);
    struct sockaddr_storage sa;
    socklen_t length = sizeof sa;
    int one = 1;

    /* TCP_NODELAY set here is inherited: one call less for every connection. */
    if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
        listen(fd, backlog) == 0 && getsockname(fd, (struct sockaddr *)&sa, &length) == 0) {
        *ret_bound = endpoint_from_sockaddr(&sa);
        return fd;
    }
    *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* True when the path is the socket of somebody who has gone. */
static bool is_left_behind(const struct sockaddr_un *sa)
{
    struct stat file;
    int fd, refused;

    if (lstat(sa->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    refused = connect(fd, (const struct sockaddr *)sa, sizeof *sa) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* Bound under a name beside it and renamed: nobody finds the socket before it has its mode and
 * listens, and what it replaces never leaves a gap. */
static bool bind_unix(int fd, const char *path, int backlog, mode_t mode)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX}, fresh = {.sun_family = AF_UNIX};
    int error_number;

    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof sa.sun_path ||
        snprintf(fresh.sun_path, sizeof fresh.sun_path, "%s.%d", path, (int)getpid()) >=
            (int)sizeof fresh.sun_path)
        return false;
    strcpy(sa.sun_path, path);
    if (access(path, F_OK) == 0 && !is_left_behind(&sa)) {
        struct stat file;

        errno = lstat(path, &file) == 0 && S_ISSOCK(file.st_mode) ? EADDRINUSE : EEXIST;
        return false;
    }
    unlink(fresh.sun_path);
    if (bind(fd, (const struct sockaddr *)&fresh, sizeof fresh) != 0)
        return false;
    if (chmod(fresh.sun_path, mode) == 0 && listen(fd, backlog) == 0 &&
        rename(fresh.sun_path, path) == 0)
        return true;
    error_number = errno;
    unlink(fresh.sun_path);
    errno = error_number;
    return false;
}

int listener_open_unix(const char *path, int backlog, mode_t mode, struct stream_error *ret_error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind_unix(fd, path, backlog, mode))
        return fd;
    *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool listener_probe(const struct ip_endpoint *address, bool v6_only, struct stream_error *ret_error)
{
    int fd = open_bound(address, false, v6_only);

    if (fd < 0) {
        *ret_error = stream_error_code(ERROR_SYSTEM_LISTEN_OTHER, errno);
        return false;
    }
    close(fd);
    return true;
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void pause_a_while(struct listener *listener)
{
    ev_io_stop(listener->loop, &listener->io);
    ev_timer_set(&listener->resume, pause_seconds, 0.);
    ev_timer_start(listener->loop, &listener->resume);
}

/* Descriptors have run out: one client learns it by being closed, the others wait in the
 * kernel's queue. */
static void refuse_one(struct listener *listener)
{
    int fd;

    if (listener->reserve >= 0)
        close(listener->reserve);
    fd = accept4(listener->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        if (listener->callbacks->refused)
            listener->callbacks->refused(listener);
    }
    listener->reserve = open_reserve();
}

/* A failed accept that says nothing about the next one (accept(2): errors of the connection
 * itself). */
static bool is_of_the_connection(int error_number)
{
    switch (error_number) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
        return true;
    default:
        return false;
    }
}

/* Takes one connection. False: enough for now. */
static bool accept_one(struct listener *listener)
{
    const struct listener_callbacks *cb = listener->callbacks;
    struct sockaddr_storage sa;
    socklen_t length = sizeof sa;
    struct ip_endpoint peer;
    int fd, error_number;

    if (cb->admit && !cb->admit(listener)) {
        listener->paused = true;
        ev_io_stop(listener->loop, &listener->io);
        return false;
    }
    fd = accept4(listener->io.fd, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        peer = endpoint_from_sockaddr(&sa);
        peer.ip = ip_unmapped(&peer.ip);
        cb->accepted(listener, fd, &peer);
        return true;
    }
    error_number = errno;
    if (cb->unadmit)
        cb->unadmit(listener);
    if (error_number == EAGAIN)
        return false;
    if (is_of_the_connection(error_number))
        return true;
    if (error_number == EMFILE || error_number == ENFILE)
        refuse_one(listener);
    pause_a_while(listener);
    return false;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct listener *listener = w->data;

    (void)loop;
    (void)revents;
    for (int i = 0; i < BATCH; i++)
        if (!accept_one(listener))
            return;
}

static void on_resume(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct listener *listener = w->data;

    (void)loop;
    (void)revents;
    if (listener->reserve < 0)
        listener->reserve = open_reserve();
    if (!listener->paused)
        ev_io_start(listener->loop, &listener->io);
}

void listener_start(struct listener *listener, struct ev_loop *loop, int fd,
                    const struct listener_callbacks *callbacks, void *context)
{
    *listener = (struct listener){
        .loop = loop,
        .callbacks = callbacks,
        .context = context,
        .reserve = open_reserve(),
    };
    ev_io_init(&listener->io, on_readable, fd, EV_READ);
    ev_init(&listener->resume, on_resume);
    listener->io.data = listener->resume.data = listener;
    ev_io_start(loop, &listener->io);
}

void listener_resume(struct listener *listener)
{
    if (!listener->paused || listener->io.fd < 0)
        return;
    listener->paused = false;
    if (!ev_is_active(&listener->resume))
        ev_io_start(listener->loop, &listener->io);
}

void listener_set_backlog(struct listener *listener, int backlog)
{
    if (listener->io.fd >= 0)
        listen(listener->io.fd, backlog);
}

void listener_drain(struct listener *listener)
{
    if (listener->io.fd < 0)
        return;
    for (int i = 0; i < DRAIN_MAX && accept_one(listener); i++)
        ;
    listener_close(listener);
}

void listener_close(struct listener *listener)
{
    if (listener->io.fd < 0)
        return;
    ev_io_stop(listener->loop, &listener->io);
    ev_timer_stop(listener->loop, &listener->resume);
    close(listener->io.fd);
    listener->io.fd = -1;
    if (listener->reserve >= 0)
        close(listener->reserve);
    listener->reserve = -1;
}
