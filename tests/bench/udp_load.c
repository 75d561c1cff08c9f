/* udp_load.c - the load generator of `tests/bench/run udp`: clients with SOCKS5 associations, and the
 * target that sends their datagrams back. As load.c it is called as
 *
 *     udp_load target PORT
 *     udp_load KIND PROXY_PORT TARGET_PORT COUNT ASSOCIATIONS LIMIT
 *
 * and says "ready", waits for a line, works, says "done UNITS NANOSECONDS", waits for a line and ends. A unit
 * is one datagram with 1,200 bytes of data that was relayed, there or back. Each association has a window
 * of datagrams under way, which KIND names: `burst` 16, `single` 1. Every byte that comes back is checked.
 * A datagram may be lost, as UDP has it: it is sent again, and the benchmark fails when more than one of a
 * thousand is. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DATA = 1200, HEADER = 10, WINDOW_MAX = 16, BATCH = 64, AGAIN_MS = 300 };

struct association {
    int tcp, udp;
    struct sockaddr_in relay;
    uint64_t expected[WINDOW_MAX]; /* what is under way in each place of the window; 0: nothing */
};

static struct association *associations;
static uint64_t count, association_count, begun, done, lost;
static uint16_t proxy_port, target_port;
static unsigned window;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sa;
}

static int udp_socket(uint16_t port)
{
    struct sockaddr_in sa = loopback(port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 1 << 21;

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
        die(errno, "a UDP socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

/* ---- the target */

static void target(uint16_t port)
{
    static uint8_t bytes[BATCH][DATA + 64];
    static struct mmsghdr messages[BATCH];
    static struct iovec vectors[BATCH];
    static struct sockaddr_in names[BATCH];
    int fd = udp_socket(port);

    printf("ready\n");
    fflush(stdout);
    for (;;) {
        for (unsigned i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i],
                                                  .msg_namelen = sizeof names[i],
                                                  .msg_iov = &vectors[i],
                                                  .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL), sent = 0;

        for (int i = 0; i < n; i++)
            vectors[i].iov_len = messages[i].msg_len;
        while (sent < n) {
            int result = sendmmsg(fd, messages + sent, (unsigned)(n - sent), 0);

            sent += result > 0 ? result : 1;
        }
    }
}

/* ---- clients */

static void say(int fd, const void *bytes, size_t n)
{
    if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        die(errno, "to the proxy");
}

static void hear(int fd, void *bytes, size_t n)
{
    if (recv(fd, bytes, n, MSG_WAITALL) != (ssize_t)n)
        die(errno, "the proxy ended");
}

static void open_association(struct association *a)
{
    struct sockaddr_in proxy = loopback(proxy_port);
    uint8_t reply[10];

    a->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a->tcp < 0 || connect(a->tcp, (struct sockaddr *)&proxy, sizeof proxy) != 0)
        die(errno, "connect");
    say(a->tcp, "\5\1\0", 3);
    hear(a->tcp, reply, 2);
    a->udp = udp_socket(0);
    say(a->tcp, "\5\3\0\1\0\0\0\0\0\0", 10);
    hear(a->tcp, reply, 10);
    if (reply[1] != 0 || reply[3] != 1)
        die(0, "reply %u", reply[1]);
    a->relay.sin_family = AF_INET;
    memcpy(&a->relay.sin_addr, reply + 4, 4);
    memcpy(&a->relay.sin_port, reply + 8, 2);
    if (connect(a->udp, (struct sockaddr *)&a->relay, sizeof a->relay) != 0)
        die(errno, "connect a UDP socket");
}

/* [header][number: place of the window and turn][pattern] */
static void fill(uint8_t *out, uint64_t number)
{
    uint8_t header[HEADER] = {
        0, 0, 0, 1, 127, 0, 0, 1, (uint8_t)(target_port >> 8), (uint8_t)target_port};

    memcpy(out, header, HEADER);
    memcpy(out + HEADER, &number, 8);
    memcpy(out + HEADER + 8, wire_pattern((uint8_t)number, number % 100000), DATA - 8);
}

static void send_numbers(struct association *a, const uint64_t *numbers, unsigned n)
{
    static uint8_t bytes[WINDOW_MAX][HEADER + DATA];
    static struct mmsghdr messages[WINDOW_MAX];
    static struct iovec vectors[WINDOW_MAX];

    for (unsigned i = 0; i < n; i++) {
        fill(bytes[i], numbers[i]);
        vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    if (n && sendmmsg(a->udp, messages, n, 0) < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
        die(errno, "send");
}

/* The next number for this place; 0: there is no more work. */
static uint64_t next_number(unsigned place)
{
    if (begun * 2 >= count)
        return 0;
    return ++begun << 8 | place;
}

static bool take(struct association *a, const uint8_t *in, size_t n, uint64_t *ret_next)
{
    uint64_t number;
    unsigned place;

    if (n != HEADER + DATA)
        die(0, "%zu bytes came", n);
    memcpy(&number, in + HEADER, 8);
    place = number & 0xFF;
    if (place >= window || a->expected[place] != number)
        return false; /* a second one, of two that were sent again */
    if (memcmp(in + HEADER + 8, wire_pattern((uint8_t)number, number % 100000), DATA - 8) != 0)
        die(0, "other bytes came back");
    done++;
    a->expected[place] = *ret_next = next_number(place);
    return *ret_next != 0;
}

static void receive(struct association *a)
{
    static uint8_t bytes[WINDOW_MAX][HEADER + DATA + 64];
    static struct mmsghdr messages[WINDOW_MAX];
    static struct iovec vectors[WINDOW_MAX];
    uint64_t numbers[WINDOW_MAX];
    unsigned wanted = 0;
    int n;

    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    n = recvmmsg(a->udp, messages, WINDOW_MAX, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        wanted += take(a, bytes[i], messages[i].msg_len, &numbers[wanted]);
    send_numbers(a, numbers, wanted);
}

static void start(struct association *a)
{
    uint64_t numbers[WINDOW_MAX];
    unsigned n = 0;

    for (unsigned place = 0; place < window; place++) {
        a->expected[place] = next_number(place);
        if (a->expected[place])
            numbers[n++] = a->expected[place];
    }
    send_numbers(a, numbers, n);
}

static void send_again(void)
{
    for (uint64_t i = 0; i < association_count; i++) {
        uint64_t numbers[WINDOW_MAX];
        unsigned n = 0;

        for (unsigned place = 0; place < window; place++)
            if (associations[i].expected[place])
                numbers[n++] = associations[i].expected[place];
        lost += n;
        send_numbers(&associations[i], numbers, n);
    }
    if (lost * 1000 > count + 64 * 1000)
        die(0, "%llu datagrams were lost", (unsigned long long)lost);
}

static void wait_for_line(void)
{
    char c;

    while (read(0, &c, 1) == 1 && c != '\n')
        ;
}

/* Until `exchanges` are done. */
static void work(int poller, uint64_t exchanges)
{
    struct epoll_event events[64];

    while (done < exchanges) {
        int n = epoll_wait(poller, events, 64, AGAIN_MS);

        if (n == 0)
            send_again();
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    uint64_t started;
    int poller;

    wire_init();
    raise_descriptor_limit();
    if (argc == 3 && strcmp(argv[1], "target") == 0)
        target((uint16_t)atoi(argv[2]));
    if (argc != 7)
        die(0, "usage: udp_load KIND PROXY_PORT TARGET_PORT COUNT ASSOCIATIONS LIMIT");
    window = strcmp(argv[1], "burst") == 0 ? WINDOW_MAX : 1;
    proxy_port = (uint16_t)atoi(argv[2]);
    target_port = (uint16_t)atoi(argv[3]);
    count = strtoull(argv[4], NULL, 10);
    association_count = strtoull(argv[5], NULL, 10);
    alarm((unsigned)atoi(argv[6]));
    associations = calloc(association_count, sizeof *associations);
    poller = epoll_create1(0);
    for (uint64_t i = 0; i < association_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &associations[i]};

        open_association(&associations[i]);
        epoll_ctl(poller, EPOLL_CTL_ADD, associations[i].udp, &event);
    }
    printf("ready\n");
    fflush(stdout);
    wait_for_line();
    started = now_ns();
    for (uint64_t i = 0; i < association_count; i++)
        start(&associations[i]);
    work(poller, count / 2);
    printf("done %llu %llu\n", (unsigned long long)count, (unsigned long long)(now_ns() - started));
    fflush(stdout);
    wait_for_line();
    return 0;
}
