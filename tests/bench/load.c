/* load.c - the load generator of the benchmark: SOCKS5 clients of several kinds, and main().
 * Called by tests/bench/run, which starts one `load target PORT` and then one client process for
 * a measurement:
 *
 *     load KIND PROXY_PORT TARGET_PORT COUNT CONNECTIONS LIMIT
 *          [--direct] [--login USER PASSWORD] [--tls AUTHORITY [--cut]]
 *
 * KIND is a row of `kinds` below; COUNT is its units of work, done over CONNECTIONS at a time;
 * after LIMIT seconds it gives up. --direct: the port is a plain forwarder to the target, so no
 * SOCKS is spoken. --login: each connection logs in (RFC 1929). --tls: all of it is spoken over TLS
 * (tls_client.h). --cut: a proxy may end without a close_notify. It prints "ready" when what is not measured is done, waits for a line on stdin,
 * works, prints "done UNITS NANOSECONDS", waits for a second line, closes everything in order, and
 * ends with 0. Anything else (a refused request, a wrong byte, a missing end) ends it with 1 and
 * one line on stderr. It speaks only to 127.0.0.0/8.
 *
 * The client ends first, with a FIN, and waits for the proxy's: then the session is over on both
 * legs, no session overlaps the next one's place, and TIME_WAIT stays on the client's port of
 * the first leg and on the proxy's port of the second. The sources of the first and the
 * destinations of the second are spread over many addresses of 127/8, so that neither leg runs
 * out of ports. */
#define _GNU_SOURCE
#include "tls_client.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* each source and each destination address comes back after so many connections */
#define ADDRESSES 500
/* connections that are being set up at a time, where set-up is not the measured work */
#define OPENING_AT_ONCE 16
/* bytes of one exchange */
#define MESSAGE 64

enum phase { CONNECTING, SECURING, GREETED, LOGGED_IN, REQUESTED, OPEN, ENDING };

struct client {
    int fd;
    void *tls; /* NULL: plain */
    enum phase phase;
    unsigned index;         /* its place, 0 to CONNECTIONS - 1 */
    bool greeted_by_target; /* its first byte came back: the connection stands up to the target */
    bool drained;           /* the last read found nothing */
    uint8_t message[MESSAGE];
    size_t got;      /* bytes of the message's echo so far */
    uint64_t length; /* up and down: bytes in all, and done so far; the header is not counted */
    uint64_t done;
};

/* What one kind of work does with an open connection. `open` is called when the proxy has said
 * success, `start` for each connection when the measured work begins (NULL: the connections
 * themselves are the work). */
struct kind {
    const char *name;
    void (*open)(struct client *);
    void (*start)(struct client *);
    void (*readable)(struct client *);
    void (*writable)(struct client *);
};

static const struct kind *kind;
static uint16_t proxy_port, target_port;
static bool direct;
static bool secured;
static bool may_be_cut;
static uint8_t login[513];           /* the message of RFC 1929 */
static size_t login_length;          /* 0: none is wanted */
static uint64_t units, connections;  /* from the command line */
static uint64_t opened, ready, done; /* connections begun, connections set up, units done */
static uint64_t units_begun;
static struct client *clients;
static int poller;
static uint8_t chunk[WIRE_CHUNK];

static void watch(struct client *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, operation, c->fd, &event) < 0)
        die(errno, "epoll_ctl");
}

static ssize_t client_send(struct client *c, const void *bytes, size_t n)
{
    return c->tls ? tls_client.write(c->tls, bytes, n) : send(c->fd, bytes, n, MSG_NOSIGNAL);
}

static ssize_t client_receive(struct client *c, void *ret_bytes, size_t max)
{
    return c->tls ? tls_client.read(c->tls, ret_bytes, max) : recv(c->fd, ret_bytes, max, 0);
}

/* For messages so small that they always fit into the socket's buffer. */
static void put(struct client *c, const void *bytes, size_t n)
{
    if (client_send(c, bytes, n) != (ssize_t)n)
        die(errno, "cannot send %zu bytes", n);
}

/* Reads what is there; 0 = nothing yet. An end or a reset is a mistake: the client always ends
 * first. */
static size_t get(struct client *c, void *ret_bytes, size_t max)
{
    ssize_t n = client_receive(c, ret_bytes, max);
    c->drained = n < 0;
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN)
        return 0;
    die(n < 0 ? errno : 0, "connection ended early (phase %d, connection %llu)", c->phase,
        (unsigned long long)opened);
}

/* The address that connection number `n` uses: 127.`net`.0.1 to 127.`net`.1.250. */
static struct sockaddr_in spread(unsigned net, uint64_t n, uint16_t port)
{
    uint32_t low = n % ADDRESSES;
    uint32_t ip = 127u << 24 | net << 16 | low / 250 << 8 | (low % 250 + 1);
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

static void client_open(struct client *c)
{
    struct sockaddr_in proxy = {.sin_family = AF_INET,
                                .sin_port = htons(proxy_port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in source = spread(1, opened, 0);

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die(errno, "socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    /* the port is chosen by connect(): then it need only be unique for this pair of addresses */
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(c->fd, (struct sockaddr *)&source, sizeof(source)) < 0)
        die(errno, "bind");
    if (connect(c->fd, (struct sockaddr *)&proxy, sizeof(proxy)) < 0 && errno != EINPROGRESS)
        die(errno, "connect to the proxy");
    c->phase = CONNECTING;
    c->greeted_by_target = false;
    opened++;
    watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Ends our direction; the connection is over when the other one ends too. */
static void client_end(struct client *c)
{
    if (c->tls)
        tls_client.end(c->tls);
    if (shutdown(c->fd, SHUT_WR) < 0)
        die(errno, "shutdown");
    c->phase = ENDING;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* RFC 1928: version 5, one method, "no authentication" or "username/password" */
static void send_greeting(struct client *c)
{
    put(c, (uint8_t[]){5, 1, login_length ? 2 : 0}, 3);
    c->phase = GREETED;
}

/* RFC 1928, 4: CONNECT to an IPv4 literal */
static void send_request(struct client *c)
{
    struct sockaddr_in target = spread(2, opened, target_port);
    uint8_t request[10] = {5, 1, 0, 1};
    memcpy(request + 4, &target.sin_addr, 4);
    memcpy(request + 8, &target.sin_port, 2);
    put(c, request, sizeof(request));
    c->phase = REQUESTED;
}

static void client_stands(struct client *c)
{
    if (!direct) {
        send_greeting(c);
        return;
    }
    c->phase = OPEN;
    kind->open(c);
}

static void client_handshake(struct client *c)
{
    if (tls_client.handshake(c->tls))
        client_stands(c);
}

static void client_connected(struct client *c)
{
    int err;
    socklen_t size = sizeof(err);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size);
    if (err)
        die(err, "connect to the proxy");
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    if (!secured) {
        client_stands(c);
        return;
    }
    c->tls = tls_client.new(c->fd);
    c->phase = SECURING;
    client_handshake(c);
}

static void client_method(struct client *c)
{
    uint8_t method[2];
    size_t n = get(c, method, sizeof(method));
    if (n == 0)
        return;
    if (n != 2 || method[0] != 5 || method[1] != (login_length ? 2 : 0))
        die(0, "the proxy's method: %zu bytes, %02x %02x", n, method[0], method[1]);
    if (!login_length) {
        send_request(c);
        return;
    }
    put(c, login, login_length);
    c->phase = LOGGED_IN;
}

static void client_status(struct client *c)
{
    uint8_t status[2];
    size_t n = get(c, status, sizeof(status));
    if (n == 0)
        return;
    if (n != 2 || status[0] != 1 || status[1] != 0)
        die(0, "the proxy's status: %zu bytes, %02x %02x", n, status[0], status[1]);
    send_request(c);
}

/* Nothing may follow the reply before the client speaks, so it is read with one call and must be
 * complete. */
static void client_reply(struct client *c)
{
    uint8_t reply[262] = {0};
    size_t n = get(c, reply, sizeof(reply));
    if (n == 0)
        return;
    size_t want = reply[3] == 4 ? 22 : 10;
    if (n != want || reply[0] != 5 || reply[1] != 0 || reply[2] != 0)
        die(0, "the proxy's reply: %zu bytes, %02x %02x %02x %02x", n, reply[0], reply[1], reply[2],
            reply[3]);
    c->phase = OPEN;
    kind->open(c);
}

/* --- connect: one unit is a new connection up to the proxy's success, and its end */

static void connect_open(struct client *c)
{
    client_end(c);
}

static void connect_ended(struct client *c)
{
    done++;
    if (units_begun < units) {
        units_begun++;
        client_open(c);
    }
}

/* --- first: one unit is a new connection up to its first byte's echo, and its end */

static void first_readable(struct client *c)
{
    uint8_t back[2];
    size_t n = get(c, back, sizeof(back));
    if (n == 0)
        return;
    if (n != 1 || back[0] != WIRE_ECHO)
        die(0, "wrong echo: %zu bytes, 0x%02x", n, back[0]);
    client_end(c);
}

/* --- exchange and idle: connections that echoed their first byte; then messages, or nothing */

static void echo_open(struct client *c)
{
    put(c, &(uint8_t){WIRE_ECHO}, 1);
}

static void exchange_send(struct client *c)
{
    uint64_t serial = units_begun++;
    for (size_t i = 0; i < MESSAGE / 8; i++) {
        uint64_t word = (serial << 8 | i) * 0x9e3779b97f4a7c15;
        memcpy(c->message + 8 * i, &word, 8);
    }
    c->got = 0;
    put(c, c->message, MESSAGE);
}

static void exchange_readable(struct client *c)
{
    uint8_t back[MESSAGE + 1];
    size_t n = get(c, back, sizeof(back));
    if (n == 0)
        return;
    if (!c->greeted_by_target) {
        if (n != 1 || back[0] != WIRE_ECHO)
            die(0, "wrong echo: %zu bytes, 0x%02x", n, back[0]);
        c->greeted_by_target = true;
        ready++;
        return;
    }
    if (n > MESSAGE - c->got || memcmp(back, c->message + c->got, n) != 0)
        die(0, "wrong echo of a message");
    c->got += n;
    if (c->got < MESSAGE)
        return;
    done++;
    if (units_begun < units)
        exchange_send(c);
}

static void exchange_start(struct client *c)
{
    if (units_begun < units)
        exchange_send(c);
}

static void idle_start(struct client *c)
{
    (void)c;
    done++;
}

/* --- up and down: a unit is a byte; each connection carries its share */

static void bytes_open(struct client *c)
{
    (void)c;
    ready++;
}

static void bytes_command(struct client *c, uint8_t command)
{
    uint8_t header[WIRE_HEADER] = {command, c->index};
    c->length = units / connections;
    c->done = 0;
    for (int i = 0; i < 8; i++)
        header[2 + i] = c->length >> (56 - 8 * i);
    put(c, header, sizeof(header));
}

static void up_start(struct client *c)
{
    bytes_command(c, WIRE_UP);
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

static void up_writable(struct client *c)
{
    while (c->done < c->length) {
        size_t n = c->length - c->done < WIRE_CHUNK ? c->length - c->done : WIRE_CHUNK;
        ssize_t sent = client_send(c, wire_pattern(c->index, c->done), n);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0)
            die(errno, "write");
        c->done += sent;
        if ((size_t)sent < n)
            return;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void up_readable(struct client *c)
{
    uint8_t answer[2];
    size_t n = get(c, answer, sizeof(answer));
    if (n == 0)
        return;
    if (n != 1 || answer[0] != WIRE_UP_GOOD || c->done != c->length)
        die(0, "wrong answer to an upload");
    done += c->length;
}

static void down_start(struct client *c)
{
    bytes_command(c, WIRE_DOWN);
}

static void down_readable(struct client *c)
{
    size_t n = get(c, chunk, sizeof(chunk));
    if (n > c->length - c->done || memcmp(chunk, wire_pattern(c->index, c->done), n) != 0)
        die(0, "wrong bytes in the read after byte %llu of a download",
            (unsigned long long)c->done);
    c->done += n;
    done += n;
}

static const struct kind kinds[] = {
    {"connect", connect_open, NULL, NULL, NULL},
    {"first", echo_open, NULL, first_readable, NULL},
    {"exchange", echo_open, exchange_start, exchange_readable, NULL},
    {"up", bytes_open, up_start, up_readable, up_writable},
    {"down", bytes_open, down_start, down_readable, NULL},
    {"idle", echo_open, idle_start, exchange_readable, NULL},
};

/* --- the loop */

static void client_ended(struct client *c)
{
    uint8_t byte;
    ssize_t n = client_receive(c, &byte, 1);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n != 0 && !(n < 0 && errno == EPROTO && may_be_cut))
        die(n < 0 ? errno : 0, "not the end that was due");
    if (c->tls) { /* after close_notify comes the FIN */
        tls_client.free(c->tls);
        c->tls = NULL;
        client_ended(c);
        return;
    }
    close(c->fd);
    c->fd = -1;
    if (!kind->start)
        connect_ended(c);
    else
        ready--;
}

static void client_open_step(struct client *c)
{
    if (kind->writable && c->done < c->length) {
        kind->writable(c);
        return;
    }
    do
        kind->readable(c);
    while (c->tls && c->phase == OPEN && !c->drained);
}

static void client_step(struct client *c)
{
    switch (c->phase) {
    case CONNECTING:
        client_connected(c);
        return;
    case SECURING:
        client_handshake(c);
        return;
    case GREETED:
        client_method(c);
        return;
    case LOGGED_IN:
        client_status(c);
        return;
    case REQUESTED:
        client_reply(c);
        return;
    case OPEN:
        client_open_step(c);
        return;
    case ENDING:
        client_ended(c);
        return;
    }
}

static void step(void)
{
    struct epoll_event events[64];
    int n = epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < n; i++)
        client_step(events[i].data.ptr);
}

static void open_all(void)
{
    while (ready < connections) {
        while (opened < connections && opened - ready < OPENING_AT_ONCE)
            client_open(&clients[opened]);
        step();
    }
}

static void end_all(void)
{
    for (uint64_t i = 0; i < connections; i++)
        client_end(&clients[i]);
    while (ready > 0)
        step();
}

static void wait_for_line(void)
{
    char line[16];
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        die(0, "nobody wants the result");
}

static uint64_t work(void)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (kind->start) {
        for (uint64_t i = 0; i < connections; i++)
            kind->start(&clients[i]);
    } else {
        for (uint64_t i = 0; i < connections && units_begun < units; i++) {
            units_begun++;
            client_open(&clients[i]);
        }
    }
    while (done < units)
        step();
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (end.tv_sec - begin.tv_sec) * 1000000000ull + end.tv_nsec - begin.tv_nsec;
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value == 0 || value > max)
        die(0, "not a number from 1 to %llu: %s", (unsigned long long)max, text);
    return value;
}

static void read_arguments(char **argv)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            kind = &kinds[i];
    if (!kind)
        die(0, "no such kind of work: %s", argv[1]);
    proxy_port = number(argv[2], 65535);
    target_port = number(argv[3], 65535);
    units = number(argv[4], 1ull << 50);
    connections = number(argv[5], 100000);
    alarm(number(argv[6], 3600)); /* its default action is the end that we want */
    if (units % connections != 0 &&
        (strcmp(kind->name, "up") == 0 || strcmp(kind->name, "down") == 0))
        die(0, "%llu bytes are not the same on each of %llu connections", (unsigned long long)units,
            (unsigned long long)connections);
    if (strcmp(kind->name, "idle") == 0 && units != connections)
        die(0, "idle: one unit for each connection");
}

/* RFC 1929, 2 */
static void take_login(const char *user, const char *password)
{
    size_t u = strlen(user), p = strlen(password);
    if (u == 0 || u > 255 || p == 0 || p > 255)
        die(0, "not a login");
    login[0] = 1;
    login[1] = (uint8_t)u;
    memcpy(login + 2, user, u);
    login[2 + u] = (uint8_t)p;
    memcpy(login + 3 + u, password, p);
    login_length = 3 + u + p;
}

/* Whether the arguments from `at` on are options. */
static bool take_options(char **at)
{
    while (*at) {
        if (strcmp(*at, "--direct") == 0) {
            direct = true;
            at += 1;
        } else if (strcmp(*at, "--login") == 0 && at[1] && at[2]) {
            take_login(at[1], at[2]);
            at += 3;
        } else if (strcmp(*at, "--tls") == 0 && at[1]) {
            if (!&tls_client)
                die(0, "built without TLS");
            tls_client.begin(at[1]);
            secured = true;
            at += 2;
        } else if (strcmp(*at, "--cut") == 0) {
            may_be_cut = true;
            at += 1;
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    raise_descriptor_limit();
    wire_init();
    if (argc == 3 && strcmp(argv[1], "target") == 0) {
        target_run(number(argv[2], 65535));
        return 0;
    }
    if (argc < 7 || !take_options(argv + 7))
        die(0, "usage: load target PORT | load KIND PROXY_PORT TARGET_PORT COUNT CONNECTIONS LIMIT "
               "[--direct] [--login USER PASSWORD] [--tls AUTHORITY [--cut]]");
    read_arguments(argv);

    clients = calloc(connections, sizeof(*clients));
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || poller < 0)
        die(errno, "cannot begin");
    for (uint64_t i = 0; i < connections; i++)
        clients[i].index = i;

    if (kind->start)
        open_all();
    puts("ready");
    wait_for_line();
    uint64_t nanoseconds = work();
    printf("done %llu %llu\n", (unsigned long long)done, (unsigned long long)nanoseconds);
    wait_for_line();
    if (kind->start)
        end_all();
    free(clients);
    return 0;
}
