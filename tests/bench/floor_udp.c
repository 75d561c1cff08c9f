/* floor_udp.c - a relay of datagrams that does nothing but relay: what UDP ASSOCIATE costs at the least. The column
 * "floor" of `tests/bench/run udp`.
 *
 *     floor_udp PORT
 *
 * It serves whoever comes to 127.0.0.1, as floor.c does, and must likewise never be used for anything but measuring: an
 * association lasts as long as its connection, no sender is checked, and only headers of IPv4 without fragments
 * are understood (RFC 1928, 7). Batches are read and sent with one call each; level-triggered, since a batch that is
 * not full has emptied the socket. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 32, ROOM = 1600, HEADER = 10, EVENTS = 256 };

/* What an event is for, in the lowest bits of its association's address. */
enum leg { CONTROL, CLIENT, TARGET, LEGS };

struct association {
    int fds[LEGS];
    struct sockaddr_in client; /* where its last datagram came from */
    bool is_over;
    struct association *next; /* among those that are over */
};

static int poller, listening;
static struct association *over; /* freed behind the events of one wait, which may name them */
static volatile sig_atomic_t is_ending;

static uint8_t bytes[BATCH][HEADER + ROOM];
static struct iovec vectors[BATCH];
static struct sockaddr_in names[BATCH];
static struct mmsghdr messages[BATCH];

static void watch(struct association *a, enum leg leg)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uintptr_t)a | leg};

    if (epoll_ctl(poller, EPOLL_CTL_ADD, a->fds[leg], &event) < 0)
        die(errno, "epoll_ctl");
}

static int udp_socket(struct sockaddr_in *ret_bound)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof sa;

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
        die(errno, "a UDP socket");
    *ret_bound = sa;
    return fd;
}

/* ---- the connection: greeting and request come whole, and nothing after them but its end */

static void end(struct association *a)
{
    for (enum leg leg = 0; leg < LEGS; leg++)
        if (a->fds[leg] >= 0)
            close(a->fds[leg]);
    a->is_over = true;
    a->next = over;
    over = a;
}

static void on_accept(void)
{
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct association *a = fd < 0 ? NULL : calloc(1, sizeof *a);

        if (fd < 0)
            return;
        if (!a)
            die(errno, "accept");
        a->fds[CONTROL] = fd;
        a->fds[CLIENT] = a->fds[TARGET] = -1;
        watch(a, CONTROL);
    }
}

static bool associate(struct association *a)
{
    uint8_t reply[HEADER] = {5, 0, 0, 1};
    struct sockaddr_in bound;

    a->fds[TARGET] = udp_socket(&bound);
    a->fds[CLIENT] = udp_socket(&bound);
    watch(a, CLIENT);
    watch(a, TARGET);
    memcpy(reply + 4, &bound.sin_addr, 4);
    memcpy(reply + 8, &bound.sin_port, 2);
    return send(a->fds[CONTROL], reply, sizeof reply, MSG_NOSIGNAL) == sizeof reply;
}

static void on_control(struct association *a)
{
    uint8_t said[64];
    ssize_t n = recv(a->fds[CONTROL], said, sizeof said, 0);
    bool good = false;

    if (n == 3 && a->fds[CLIENT] < 0)
        good = send(a->fds[CONTROL], (uint8_t[]){5, 0}, 2, MSG_NOSIGNAL) == 2;
    else if (n == HEADER && said[1] == 3 && a->fds[CLIENT] < 0)
        good = associate(a);
    else if (n < 0 && errno == EAGAIN)
        good = true;
    if (!good)
        end(a);
}

/* ---- datagrams */

/* How many; each stands behind the room for a header. */
static int read_batch(int fd)
{
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){bytes[i] + HEADER, ROOM};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i],
                                              .msg_namelen = sizeof names[i],
                                              .msg_iov = &vectors[i],
                                              .msg_iovlen = 1};
    }
    return recvmmsg(fd, messages, BATCH, 0, NULL);
}

/* What cannot be sent at once is lost. */
static void send_batch(int fd, int n)
{
    for (int at = 0; at < n;) {
        int sent = sendmmsg(fd, messages + at, (unsigned)(n - at), MSG_DONTWAIT);

        at += sent > 0 ? sent : 1;
    }
}

/* RSV(2)=0 FRAG(1)=0 ATYP(1)=1 DST.ADDR(4) DST.PORT(2) */
static void to_targets(struct association *a)
{
    static const uint8_t begin[4] = {0, 0, 0, 1};
    int n = read_batch(a->fds[CLIENT]), good = 0;

    for (int i = 0; i < n; i++) {
        const uint8_t *datagram = bytes[i] + HEADER;

        if (messages[i].msg_len < HEADER || memcmp(datagram, begin, sizeof begin) != 0)
            continue;
        a->client = names[i];
        vectors[good] = (struct iovec){bytes[i] + 2 * HEADER, messages[i].msg_len - HEADER};
        names[good] = (struct sockaddr_in){.sin_family = AF_INET};
        memcpy(&names[good].sin_addr, datagram + 4, 4);
        memcpy(&names[good].sin_port, datagram + 8, 2);
        good++;
    }
    send_batch(a->fds[TARGET], good);
}

static void to_client(struct association *a)
{
    int n = read_batch(a->fds[TARGET]);

    for (int i = 0; i < n; i++) {
        memcpy(bytes[i], (uint8_t[]){0, 0, 0, 1}, 4);
        memcpy(bytes[i] + 4, &names[i].sin_addr, 4);
        memcpy(bytes[i] + 8, &names[i].sin_port, 2);
        vectors[i] = (struct iovec){bytes[i], messages[i].msg_len + HEADER};
        names[i] = a->client;
    }
    send_batch(a->fds[CLIENT], n);
}

/* ---- the process */

static void on_event(const struct epoll_event *event)
{
    struct association *a = (struct association *)(uintptr_t)(event->data.u64 & ~3ull);

    if (!a)
        on_accept();
    else if (a->is_over)
        return;
    else if ((event->data.u64 & 3) == CONTROL)
        on_control(a);
    else if ((event->data.u64 & 3) == CLIENT)
        to_targets(a);
    else
        to_client(a);
}

static void serve(void)
{
    struct epoll_event events[EVENTS], on_listening = {.events = EPOLLIN};

    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listening, &on_listening) < 0)
        die(errno, "epoll");
    while (!is_ending) {
        int n = epoll_wait(poller, events, EVENTS, -1);

        for (int i = 0; i < n; i++)
            on_event(&events[i]);
        while (over) {
            struct association *a = over;

            over = a->next;
            free(a);
        }
    }
}

static void on_signal(int number)
{
    (void)number;
    is_ending = 1;
}

int main(int argc, char **argv)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    if (argc != 2)
        die(0, "floor_udp PORT");
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal}, NULL);
    raise_descriptor_limit();
    sa.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (listening < 0 || bind(listening, (struct sockaddr *)&sa, sizeof sa) < 0 ||
        listen(listening, SOMAXCONN) < 0)
        die(errno, "listen");
    serve();
    return 0;
}
