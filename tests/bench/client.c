/* client.c - one connection of the load generator, from connect(2) to its end (client.h). */
#define _GNU_SOURCE
#include "client.h"

#include "tls_client.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* each source and each destination address comes back after so many connections */
#define ADDRESSES 500

struct load load;

void client_watch(struct client *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(load.poller, operation, c->fd, &event) < 0)
        die(errno, "epoll_ctl");
}

ssize_t client_send(struct client *c, const void *bytes, size_t n)
{
    return c->tls ? tls_client.write(c->tls, bytes, n) : send(c->fd, bytes, n, MSG_NOSIGNAL);
}

static ssize_t client_receive(struct client *c, void *ret_bytes, size_t max)
{
    return c->tls ? tls_client.read(c->tls, ret_bytes, max) : recv(c->fd, ret_bytes, max, 0);
}

/* For messages so small that they always fit into the socket's buffer. */
void client_put(struct client *c, const void *bytes, size_t n)
{
    if (client_send(c, bytes, n) != (ssize_t)n)
        die(errno, "cannot send %zu bytes", n);
}

/* Reads what is there; 0 = nothing yet. An end or a reset is a mistake: the client always ends
 * first. */
size_t client_get(struct client *c, void *ret_bytes, size_t max)
{
    ssize_t n = client_receive(c, ret_bytes, max);
    c->drained = n < 0;
    if (n > 0)
        return n;
    if (n < 0 && errno == EAGAIN)
        return 0;
    die(n < 0 ? errno : 0, "connection ended early (phase %d, connection %llu)", c->phase,
        (unsigned long long)load.opened);
}

/* The address that connection number `n` uses: 127.`net`.0.1 to 127.`net`.1.250. */
static struct sockaddr_in spread(unsigned net, uint64_t n, uint16_t port)
{
    uint32_t low = n % ADDRESSES;
    uint32_t ip = 127u << 24 | net << 16 | low / 250 << 8 | (low % 250 + 1);
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

void client_open(struct client *c)
{
    struct sockaddr_in proxy = {.sin_family = AF_INET,
                                .sin_port = htons(load.proxy_port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in source = spread(1, load.opened, 0);

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
    load.opened++;
    client_watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Ends our direction; the connection is over when the other one ends too. */
void client_end(struct client *c)
{
    if (c->tls)
        tls_client.end(c->tls);
    if (shutdown(c->fd, SHUT_WR) < 0)
        die(errno, "shutdown");
    c->phase = ENDING;
    client_watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* RFC 1928: version 5, one method, "no authentication" or "username/password" */
static void send_greeting(struct client *c)
{
    client_put(c, (uint8_t[]){5, 1, load.login_length ? 2 : 0}, 3);
    c->phase = GREETED;
}

/* RFC 1928, 4: CONNECT to an IPv4 literal */
static void send_request(struct client *c)
{
    struct sockaddr_in target = spread(2, load.opened, load.target_port);
    uint8_t request[10] = {5, 1, 0, 1};
    memcpy(request + 4, &target.sin_addr, 4);
    memcpy(request + 8, &target.sin_port, 2);
    client_put(c, request, sizeof(request));
    c->phase = REQUESTED;
}

static void client_stands(struct client *c)
{
    if (!load.direct) {
        send_greeting(c);
        return;
    }
    c->phase = OPEN;
    load.kind->open(c);
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
    client_watch(c, EPOLL_CTL_MOD, EPOLLIN);
    if (!load.secured) {
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
    size_t n = client_get(c, method, sizeof(method));
    if (n == 0)
        return;
    if (n != 2 || method[0] != 5 || method[1] != (load.login_length ? 2 : 0))
        die(0, "the proxy's method: %zu bytes, %02x %02x", n, method[0], method[1]);
    if (!load.login_length) {
        send_request(c);
        return;
    }
    client_put(c, load.login, load.login_length);
    c->phase = LOGGED_IN;
}

static void client_status(struct client *c)
{
    uint8_t status[2];
    size_t n = client_get(c, status, sizeof(status));
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
    size_t n = client_get(c, reply, sizeof(reply));
    if (n == 0)
        return;
    size_t want = reply[3] == 4 ? 22 : 10;
    if (n != want || reply[0] != 5 || reply[1] != 0 || reply[2] != 0)
        die(0, "the proxy's reply: %zu bytes, %02x %02x %02x %02x", n, reply[0], reply[1], reply[2],
            reply[3]);
    c->phase = OPEN;
    load.kind->open(c);
}

static void connect_ended(struct client *c)
{
    load.done++;
    if (load.units_begun < load.units) {
        load.units_begun++;
        client_open(c);
    }
}

static void client_ended(struct client *c)
{
    uint8_t byte;
    ssize_t n = client_receive(c, &byte, 1);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n != 0 && !(n < 0 && errno == EPROTO && load.may_be_cut))
        die(n < 0 ? errno : 0, "not the end that was due");
    if (c->tls) { /* after close_notify comes the FIN */
        tls_client.free(c->tls);
        c->tls = NULL;
        client_ended(c);
        return;
    }
    close(c->fd);
    c->fd = -1;
    if (!load.kind->start)
        connect_ended(c);
    else
        load.ready--;
}

static void client_open_step(struct client *c)
{
    if (load.kind->writable && c->done < c->length) {
        load.kind->writable(c);
        return;
    }
    do
        load.kind->readable(c);
    while (c->tls && c->phase == OPEN && !c->drained);
}

void client_step(struct client *c)
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
