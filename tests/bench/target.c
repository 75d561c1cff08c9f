/* target.c - the server at the far end of the measured proxies: echo, sink and source in one
 * (wire.h). Run by main() of load.c as `load target`, one process for a whole benchmark, one
 * thread, epoll. It must never be what is measured: it holds 32 bytes for a connection, and does
 * nothing that may block. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct served {
    int fd;
    uint8_t command; /* 0 until the first byte came */
    uint8_t seed;
    uint64_t length;
    uint64_t done;
};

static int poller;
static uint8_t chunk[WIRE_CHUNK];

static void served_free(struct served *s)
{
    close(s->fd);
    free(s);
}

/* A client of ours has at most one small message outstanding, so a write that blocks is a
 * mistake. */
static void answer(const struct served *s, const void *bytes, size_t n)
{
    if (send(s->fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        die(errno, "target: cannot answer %zu bytes", n);
}

static void served_source(struct served *s)
{
    while (s->done < s->length) {
        size_t n = s->length - s->done < WIRE_CHUNK ? s->length - s->done : WIRE_CHUNK;
        ssize_t sent = send(s->fd, wire_pattern(s->seed, s->done), n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0 && (errno == ECONNRESET || errno == EPIPE)) {
            served_free(s); /* whoever left early knows why, or misses bytes and says so */
            return;
        }
        if (sent < 0)
            die(errno, "target: write");
        s->done += sent;
        if ((size_t)sent < n)
            return;
    }
    struct epoll_event end = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &end);
}

static void served_sink(struct served *s, const uint8_t *bytes, size_t n)
{
    if (n > s->length - s->done)
        die(0, "target: %zu bytes too many", n - (size_t)(s->length - s->done));
    if (memcmp(bytes, wire_pattern(s->seed, s->done), n) != 0)
        die(0, "target: wrong bytes in the read after byte %llu of a stream",
            (unsigned long long)s->done);
    s->done += n;
    if (s->done == s->length)
        answer(s, &(uint8_t){WIRE_UP_GOOD}, 1);
}

/* The client wrote its header with one call and a proxy's first read is never shorter: a header
 * that comes in pieces is reported rather than put together. */
static void served_command(struct served *s, const uint8_t *bytes, size_t n)
{
    s->command = bytes[0];
    if (s->command == WIRE_ECHO) {
        answer(s, bytes, n);
        return;
    }
    if ((s->command != WIRE_UP && s->command != WIRE_DOWN) || n < WIRE_HEADER)
        die(0, "target: not a command: %zu bytes, the first 0x%02x", n, s->command);
    s->seed = bytes[1];
    for (int i = 2; i < WIRE_HEADER; i++)
        s->length = s->length << 8 | bytes[i];
    if (s->command == WIRE_UP) {
        served_sink(s, bytes + WIRE_HEADER, n - WIRE_HEADER);
        return;
    }
    struct epoll_event writable = {.events = EPOLLOUT, .data.ptr = s};
    epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &writable);
}

static void served_readable(struct served *s)
{
    ssize_t n = recv(s->fd, chunk, sizeof(chunk), 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        /* A direction that was cut is seen by the client, which misses its answer; a reset
         * likewise. */
        served_free(s);
        return;
    }
    if (s->command == 0)
        served_command(s, chunk, n);
    else if (s->command == WIRE_ECHO)
        answer(s, chunk, n);
    else if (s->command == WIRE_UP)
        served_sink(s, chunk, n);
    else
        die(0, "target: bytes after the command of a download");
}

static void accept_all(int listening)
{
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        if (fd < 0)
            die(errno, "target: accept");
        struct served *s = calloc(1, sizeof(*s));
        if (!s)
            die(errno, "target: no memory");
        s->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct epoll_event readable = {.events = EPOLLIN, .data.ptr = s};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &readable) < 0)
            die(errno, "target: epoll_ctl");
    }
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) < 0)
        die(errno, "target: cannot stay on the loopback interface");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4096) < 0)
        die(errno, "target: port %u", port);
    return fd;
}

void target_run(uint16_t port)
{
    int listening = listen_on(port);
    int stdin_marker,
        listening_marker; /* only their addresses are used, as names of these two descriptors */
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = &stdin_marker};
    struct epoll_event on_accept = {.events = EPOLLIN, .data.ptr = &listening_marker};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin) < 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, listening, &on_accept) < 0)
        die(errno, "target: epoll_ctl (stdin must be a pipe or a terminal)");
    puts("ready");
    fflush(stdout);

    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &stdin_marker)
                return;
            if (events[i].data.ptr == &listening_marker)
                accept_all(listening);
            else if (events[i].events & EPOLLOUT)
                served_source(events[i].data.ptr);
            else
                served_readable(events[i].data.ptr);
        }
    }
}
