/* inherited.c - looks at each descriptor: what it is, and where. */
#include "daemon/inherited.h"

#include "config/list.h"
#include "daemon/listen_fds.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- what it is ---- */

static int option(int fd, int level, int name)
{
    socklen_t length = sizeof(int);
    int value = -1;

    return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

/* NULL: nothing is. */
static const char *what_is_wrong(int fd, int family)
{
    int type = option(fd, SOL_SOCKET, SO_TYPE);

    if (type < 0)
        return "it is no socket";
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
        return "it is neither of IPv4 nor of IPv6 nor of unix";
    if (type != SOCK_STREAM)
        return "it is no stream socket (ListenStream=)";
    if (option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
        return "it does not listen (Accept=no is needed)";
    return NULL;
}

/* NULL without memory. Text of an abstract socket begins with @. */
static char *path_of(const struct sockaddr_un *sa, socklen_t length)
{
    size_t n = length > offsetof(struct sockaddr_un, sun_path)
                   ? length - offsetof(struct sockaddr_un, sun_path)
                   : 0;
    char text[sizeof sa->sun_path + 1] = "";

    memcpy(text, sa->sun_path, n < sizeof sa->sun_path ? n : sizeof sa->sun_path);
    if (n > 0 && !text[0])
        text[0] = '@';
    return strdup(text);
}

static bool look_at(struct inherited_socket *s)
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof sa;

    if (getsockname(s->fd, (struct sockaddr *)&sa, &length) != 0)
        sa.ss_family = AF_UNSPEC;
    s->wrong = what_is_wrong(s->fd, sa.ss_family);
    if (sa.ss_family == AF_UNIX)
        return (s->path = path_of((const struct sockaddr_un *)&sa, length)) != NULL;
    s->bound = endpoint_from_sockaddr(&sa);
    s->bound.ip = ip_unmapped(&s->bound.ip);
    s->v6_only = sa.ss_family == AF_INET6 && option(s->fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
    return true;
}

/* What listener_open_socket() gives its own. TCP_NODELAY is inherited by what is accepted. */
static void set_up(const struct inherited_socket *s)
{
    int one = 1, flags = fcntl(s->fd, F_GETFL);

    if (flags >= 0)
        fcntl(s->fd, F_SETFL, flags | O_NONBLOCK);
    fcntl(s->fd, F_SETFD, FD_CLOEXEC);
    if (!s->wrong && !s->path)
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* ---- collecting ---- */

static void socket_done(struct inherited_socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->name);
    free(s->path);
}

/* The list may move, and its names are borrowed: so it is made anew. */
static bool note_places(struct inherited *inherited)
{
    unsigned n = 0;

    free(inherited->places);
    inherited->places = calloc(inherited->count + 1, sizeof *inherited->places);
    for (unsigned i = 0; inherited->places && i < inherited->count; i++)
        if (inherited->sockets[i].from == INHERITED_SYSTEMD)
            inherited->places[n++] =
                (struct activation_socket){inherited->sockets[i].name, inherited->sockets[i].bound};
    inherited->activation = (struct activation){inherited->places, n};
    return inherited->places != NULL;
}

/* False without memory. */
static bool rename_to(struct inherited_socket *s, const char *path)
{
    free(s->path);
    return (s->path = strdup(path)) != NULL;
}

bool inherited_add(struct inherited *inherited, enum inherited_from from, const char *name, int fd,
                   const struct ip_endpoint *asked, const char *path)
{
    struct inherited_socket s = {.from = from, .fd = fd, .name = strdup(name)};
    struct inherited_socket *item = NULL;

    if (s.name && look_at(&s) && (!s.path || !path || rename_to(&s, path)))
        item = list_grow(&inherited->sockets, inherited->count, sizeof *item);
    if (!item) {
        socket_done(&s);
        return false;
    }
    set_up(&s);
    s.asked = asked ? *asked : s.bound;
    *item = s;
    inherited->count++;
    return note_places(inherited);
}

static bool take(struct inherited *inherited, unsigned count, const char *names)
{
    bool good = true;

    for (unsigned i = 0; i < count; i++) {
        int fd = LISTEN_FDS_FIRST + (int)i;
        char *name = listen_fds_name(names, i);

        good = name && fcntl(fd, F_GETFD) >= 0 &&
               inherited_add(inherited, INHERITED_SYSTEMD, name, fd, NULL, NULL) && good;
        free(name);
    }
    return good;
}

bool inherited_from_systemd(struct inherited *inherited, FILE *errors)
{
    const char *names = getenv("LISTEN_FDNAMES");
    unsigned count = 0;
    enum listen_fds found =
        listen_fds_count(getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getpid(), &count);
    bool good = found != LISTEN_FDS_BAD;

    if (found == LISTEN_FDS_SOME)
        good = take(inherited, count, names);
    if (!good)
        fprintf(errors, "pairsocksd: LISTEN_FDS: the sockets that it speaks of are not there\n");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return good && note_places(inherited);
}

/* ---- giving ---- */

bool inherited_has_port(const struct inherited *inherited, uint16_t port)
{
    for (unsigned i = 0; i < inherited->count; i++)
        if (!inherited->sockets[i].path && inherited->sockets[i].bound.port == port)
            return true;
    return false;
}

static bool is_at(const struct inherited_socket *s, const struct ip_endpoint *address,
                  const char *path)
{
    if (path || s->path)
        return path && s->path && strcmp(s->path, path) == 0;
    return endpoint_equal(&s->asked, address);
}

int inherited_take(struct inherited *inherited, const char *name, const struct ip_endpoint *address,
                   const char *path)
{
    for (unsigned i = 0; i < inherited->count; i++) {
        struct inherited_socket *s = &inherited->sockets[i];
        int fd = s->fd;

        if (s->from != INHERITED_OTHER || fd < 0 || s->wrong || strcmp(s->name, name) != 0 ||
            !is_at(s, address, path))
            continue;
        s->fd = -1;
        s->is_used = true;
        return fd;
    }
    return -1;
}

static void tell_unused(const struct inherited_socket *s)
{
    bool is_systemds = s->from == INHERITED_SYSTEMD;
    enum log_level level = is_systemds ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE;
    struct log_record record;
    char text[ENDPOINT_TEXT_MAX];

    if (!log_wants(level))
        return;
    endpoint_format(&s->bound, text);
    log_begin(&record, level, "inherited");
    log_record_string(&record, "name", s->name);
    log_record_string(&record, "address", s->path ? s->path : text);
    log_record_string(&record, "message",
                      is_systemds ? "closed: no listener has `listen = systemd:` and this name"
                                  : "closed: the configuration has it no more");
    log_commit(&record);
}

/* Several descriptors may be of one place, and some of them in use. */
static bool is_served(const struct inherited *inherited, const char *path)
{
    for (unsigned i = 0; i < inherited->count; i++) {
        const struct inherited_socket *s = &inherited->sockets[i];

        if (s->is_used && s->path && strcmp(s->path, path) == 0)
            return true;
    }
    return false;
}

void inherited_close_unused(struct inherited *inherited)
{
    for (unsigned i = 0; i < inherited->count; i++) {
        struct inherited_socket *s = &inherited->sockets[i];

        if (s->is_used || s->fd < 0)
            continue;
        tell_unused(s);
        if (s->from != INHERITED_SYSTEMD && s->path && *s->path == '/' &&
            !is_served(inherited, s->path))
            unlink(s->path);
        close(s->fd);
        s->fd = -1;
    }
}

void inherited_done(struct inherited *inherited)
{
    for (unsigned i = 0; i < inherited->count; i++)
        socket_done(&inherited->sockets[i]);
    free(inherited->sockets);
    free(inherited->places);
    *inherited = (struct inherited){0};
}
