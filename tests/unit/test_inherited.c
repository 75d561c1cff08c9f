/* test_inherited.c - descriptors of all kinds are looked at, and found again. */
#include "daemon/inherited.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(inherited, .timeout = 10);

static const struct ip_address loopback = {IP_V4, {127, 0, 0, 1}};

static int listening(int kind, bool listens)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, kind, 0);

    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
    cr_assert(!listens || listen(fd, 1) == 0);
    return fd;
}

static const struct inherited_socket *add(struct inherited *all, int fd)
{
    cr_assert(inherited_add(all, INHERITED_SYSTEMD, "web", fd, NULL, NULL));
    return &all->sockets[all->count - 1];
}

Test(inherited, listening_stream_socket_is_good_and_is_set_up)
{
    struct inherited all = {0};
    int fd = listening(SOCK_STREAM, true);
    const struct inherited_socket *s = add(&all, fd);

    cr_assert_null(s->wrong);
    cr_assert_null(s->path);
    cr_assert(ip_equal(&s->bound.ip, &loopback) && s->bound.port != 0);
    cr_assert(endpoint_equal(&s->asked, &s->bound));
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert(inherited_has_port(&all, s->bound.port));
    cr_assert_eq(all.activation.count, 1);
    cr_assert_str_eq(all.activation.sockets[0].name, "web");
    cr_assert(endpoint_equal(&all.activation.sockets[0].endpoint, &s->bound));
    inherited_done(&all);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
}

Test(inherited, abstract_unix_socket_is_told_by_its_name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "\0pairsocks-test-inherited"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct inherited all = {0};
    const struct inherited_socket *s;

    cr_assert_eq(
        bind(fd, (struct sockaddr *)&sa, sizeof sa.sun_family + 1 + strlen(sa.sun_path + 1)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    s = add(&all, fd);
    cr_assert_null(s->wrong);
    cr_assert_str_eq(s->path, "@pairsocks-test-inherited");
    cr_assert_eq(s->bound.ip.family, IP_NONE);
    inherited_done(&all);
}

Test(inherited, what_no_listener_can_accept_on_is_wrong)
{
    struct inherited all = {0};
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_not_null(add(&all, listening(SOCK_DGRAM, false))->wrong);
    cr_assert_not_null(add(&all, listening(SOCK_STREAM, false))->wrong);
    cr_assert_not_null(add(&all, open("/dev/null", O_RDONLY))->wrong);
    cr_assert_not_null(add(&all, socket(AF_NETLINK, SOCK_RAW, 0))->wrong);
    cr_assert_not_null(add(&all, pair[0])->wrong);
    close(pair[1]);
    inherited_done(&all);
}

Test(inherited, socket_of_another_purpose_is_given_once_to_who_asks_for_it)
{
    struct inherited all = {0};
    struct ip_endpoint asked = {loopback, 0}, other = {loopback, 1};
    int fd = listening(SOCK_STREAM, true);

    cr_assert(inherited_add(&all, INHERITED_OTHER, "status", fd, &asked, NULL));
    cr_assert_eq(all.activation.count, 0);
    cr_assert_eq(inherited_take(&all, "control", &asked, NULL), -1);
    cr_assert_eq(inherited_take(&all, "status", &other, NULL), -1);
    cr_assert_eq(inherited_take(&all, "status", NULL, "/x"), -1);
    cr_assert_eq(inherited_take(&all, "status", &asked, NULL), fd);
    cr_assert_eq(inherited_take(&all, "status", &asked, NULL), -1);
    inherited_done(&all);
    cr_assert(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}
