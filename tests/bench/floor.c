/* floor.c - a relay that does nothing but relay: what a proxy costs at the least. Started by
 * tests/bench/run as the column "floor", beside the proxies that do more.
 *
 *     floor PORT [--forward ADDRESS:PORT] [--gear copy|splice|zerocopy|sockmap]
 *     floor PORT [--forward ADDRESS:PORT] --gear tls CERTIFICATE KEY SUITES
 *
 * It serves SOCKS5 CONNECT without authentication to IPv4 literals, or forwards each connection.
 * One thread, raw edge-triggered epoll. It has no timers, checks, log or limits, and must never be
 * used for anything but measuring: it serves whoever comes to 127.0.0.1. A message of SOCKS that
 * comes in pieces ends the session. */
#define _GNU_SOURCE
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum phase { GREETING, REQUEST, CONNECTING, RELAYING, OVER };

enum { EVENTS = 256, GREETING_MAX = 257, REQUEST_SIZE = 10 };

uint8_t floor_scratch[FLOOR_CHUNK];

static int poller;
static const struct gear *gear = &gear_copy;
static struct sockaddr_in forward; /* port 0: SOCKS */
static struct session *waiting;    /* sessions whose turn ended before their work */
static volatile sig_atomic_t is_ending;
static struct session *over; /* freed behind the events of one wait, which may name them */

void floor_die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- legs */

long leg_read(struct leg *from, void *ret_bytes, size_t max)
{
    ssize_t n = recv(from->fd, ret_bytes, max, 0);

    if (n < 0 && errno != EAGAIN)
        return -1;
    if (n == 0)
        from->ended = true;
    /* epoll(7): after a short read there is nothing more; only an end makes no byte less than asked
     * for */
    if (n < (ssize_t)max && !(n > 0 && from->hung_up))
        from->readable = false;
    return n > 0 ? n : 0;
}

static bool leg_keep(struct leg *from, const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n);

    if (!copy)
        return false;
    memcpy(copy, bytes, n);
    free(from->rest);
    from->rest = copy;
    from->rest_at = 0;
    from->rest_n = n;
    from->other->writable = false;
    return true;
}

bool leg_pass(struct leg *from, const void *bytes, size_t n)
{
    ssize_t sent = send(from->other->fd, bytes, n, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        return false;
    if (sent < 0)
        sent = 0;
    return (size_t)sent == n || leg_keep(from, (const uint8_t *)bytes + sent, n - (size_t)sent);
}

/* Writes what is left in from->rest. False: broken. */
static bool leg_pass_rest(struct leg *from)
{
    ssize_t sent = send(from->other->fd, from->rest + from->rest_at, from->rest_n - from->rest_at,
                        MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN)
        return false;
    if (sent > 0)
        from->rest_at += (size_t)sent;
    if (from->rest_at < from->rest_n) {
        from->other->writable = false;
        return true;
    }
    free(from->rest);
    from->rest = NULL;
    return true;
}

void leg_pass_end(struct leg *from)
{
    from->passed_on = true;
    if (!from->other->passed_on) /* else the session is over, and close(2) says it */
        shutdown(from->other->fd, SHUT_WR);
}

/* ---- sessions */

static void watch(struct leg *leg, struct session *s)
{
    /* which leg of the session: its lowest bit, which a pointer from malloc does not use */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u64 = (uintptr_t)s | (leg == &s->target)};

    if (epoll_ctl(poller, EPOLL_CTL_ADD, leg->fd, &event) < 0)
        floor_die("epoll_ctl");
}

static void session_end(struct session *s)
{
    if (gear->close && s->phase == RELAYING)
        gear->close(s);
    if (s->client.fd >= 0)
        close(s->client.fd);
    if (s->target.fd >= 0)
        close(s->target.fd);
    free(s->client.rest);
    free(s->target.rest);
    s->phase = OVER;
    if (!s->waits_for_turn) { /* else the list of those still has it */
        s->next = over;
        over = s;
    }
}

static bool session_connect(struct session *s, const struct sockaddr_in *to)
{
    s->target.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->target.fd < 0)
        floor_die("socket");
    if (connect(s->target.fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)
        return false;
    s->phase = CONNECTING;
    watch(&s->target, s);
    return true;
}

/* RFC 1928, 3: the methods that are offered are not looked at. */
static bool session_greeting(struct session *s)
{
    uint8_t greeting[GREETING_MAX];
    long n = leg_read(&s->client, greeting, sizeof greeting);

    if (n == 0 && !s->client.ended)
        return true;
    s->phase = REQUEST;
    return n >= 3 && send(s->client.fd, (uint8_t[]){5, 0}, 2, MSG_NOSIGNAL) == 2;
}

/* RFC 1928, 4: VER CMD RSV ATYP=1 DST.ADDR(4) DST.PORT(2); what follows it is the first to be
 * relayed. */
static bool session_request(struct session *s)
{
    const uint8_t *request = floor_scratch;
    struct sockaddr_in to = {.sin_family = AF_INET};
    long n = leg_read(&s->client, floor_scratch, sizeof floor_scratch);

    if (n == 0 && !s->client.ended)
        return true;
    if (n < REQUEST_SIZE || request[1] != 1 || request[3] != 1)
        return false;
    if (n > REQUEST_SIZE && !leg_keep(&s->client, request + REQUEST_SIZE, (size_t)n - REQUEST_SIZE))
        return false;
    memcpy(&to.sin_addr, request + 4, 4);
    memcpy(&to.sin_port, request + 8, 2);
    return session_connect(s, &to);
}

static bool session_connected(struct session *s)
{
    static const uint8_t success[REQUEST_SIZE] = {5, 0, 0, 1}; /* BND.ADDR is not looked up */

    if (!s->target.writable)
        return true;
    s->phase = RELAYING;
    s->reply_size = forward.sin_port ? 0 : sizeof success;
    if (gear->open && !gear->open(s))
        return false;
    return s->reply_size == 0 ||
           send(s->client.fd, success, s->reply_size, MSG_NOSIGNAL) == s->reply_size;
}

static void session_wait_for_turn(struct session *s)
{
    if (s->waits_for_turn)
        return;
    s->waits_for_turn = true;
    s->next = waiting;
    waiting = s;
}

static enum moved leg_move(struct leg *from)
{
    if (from->rest && from->other->writable && !leg_pass_rest(from))
        return MOVED_BROKEN;
    return from->rest ? MOVED_OK : gear->move(from);
}

static void session_relay(struct session *s)
{
    enum moved up = leg_move(&s->client);
    enum moved down = up == MOVED_BROKEN ? MOVED_BROKEN : leg_move(&s->target);

    if (down == MOVED_BROKEN || (s->client.passed_on && s->target.passed_on))
        session_end(s);
    else if (up == MOVED_TURN || down == MOVED_TURN)
        session_wait_for_turn(s);
}

static void session_step(struct session *s)
{
    bool good = true;

    if (s->phase == GREETING && s->client.readable)
        good = session_greeting(s);
    if (good && s->phase == REQUEST && s->client.readable)
        good = session_request(s);
    if (good && s->phase == CONNECTING)
        good = session_connected(s);
    if (!good)
        session_end(s);
    else if (s->phase == RELAYING)
        session_relay(s);
}

static void on_event(const struct epoll_event *event)
{
    struct session *s = (struct session *)(uintptr_t)(event->data.u64 & ~1ull);
    struct leg *leg = event->data.u64 & 1 ? &s->target : &s->client;

    if (s->phase == OVER)
        return;
    /* MSG_ZEROCOPY reports on the error queue; a connection that failed is not writable without
     * EPOLLHUP */
    if (event->events & EPOLLERR && (gear != &gear_zerocopy || event->events & EPOLLHUP)) {
        session_end(s);
        return;
    }
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        leg->readable = true;
    if (event->events & (EPOLLRDHUP | EPOLLHUP))
        leg->hung_up = true;
    if (event->events & EPOLLOUT)
        leg->writable = true;
    session_step(s);
}

static void on_accept(int listening)
{
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct session *s;

        if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
            return;
        s = fd < 0 ? NULL : calloc(1, sizeof *s);
        if (!s)
            floor_die("accept");
        s->client = (struct leg){.fd = fd, .other = &s->target};
        s->target = (struct leg){.fd = -1, .other = &s->client};
        watch(&s->client, s);
        if (forward.sin_port && !session_connect(s, &forward))
            session_end(s);
    }
}

/* ---- the process */

static void give_turns(void)
{
    struct session *list = waiting;

    waiting = NULL;
    while (list) {
        struct session *s = list;

        list = s->next;
        s->waits_for_turn = false;
        if (s->phase == OVER) {
            s->next = over;
            over = s;
        } else {
            session_step(s);
        }
    }
}

static void free_over(void)
{
    while (over) {
        struct session *s = over;

        over = s->next;
        free(s);
    }
}

static void serve(int listening)
{
    struct epoll_event events[EVENTS];
    struct epoll_event on_listening = {.events = EPOLLIN, .data.u64 = 0};

    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listening, &on_listening) < 0)
        floor_die("epoll");
    while (!is_ending) {
        int n = epoll_wait(poller, events, EVENTS, waiting ? 0 : -1);

        for (int i = 0; i < n; i++)
            if (events[i].data.u64)
                on_event(&events[i]);
            else
                on_accept(listening);
        give_turns();
        free_over();
    }
}

static int listen_on(const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0)
        floor_die(port);
    return fd;
}

static bool take_forward(const char *text)
{
    char address[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');

    if (!colon || colon - text >= (long)sizeof address)
        return false;
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = '\0';
    forward.sin_family = AF_INET;
    forward.sin_port = htons((uint16_t)atoi(colon + 1));
    return forward.sin_port && inet_pton(AF_INET, address, &forward.sin_addr) == 1;
}

/* How many words it took; 0: there is no such gear. */
static int take_gear(char **words)
{
    const struct gear *all[] = {&gear_copy, &gear_splice, &gear_tls, &gear_zerocopy, &gear_sockmap};

    for (size_t i = 0; words[0] && i < sizeof all / sizeof all[0]; i++)
        if (all[i] && strcmp(words[0], all[i]->name) == 0) {
            gear = all[i];
            return 1 + (gear->begin ? gear->begin(words + 1) : 0);
        }
    return 0;
}

static void on_term(int number)
{
    (void)number;
    is_ending = 1;
}

int main(int argc, char **argv)
{
    bool good = argc > 1;

    for (char **at = argv + 2; good && *at;) {
        int took = 0;

        if (strcmp(*at, "--forward") == 0 && at[1] && take_forward(at[1]))
            took = 1;
        else if (strcmp(*at, "--gear") == 0)
            took = take_gear(at + 1);
        good = took > 0;
        at += 1 + took;
    }
    if (!good) {
        fprintf(stderr, "usage: floor PORT [--forward ADDRESS:PORT] [--gear GEAR ...] (floor.c)\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* splice(2) knows no MSG_NOSIGNAL */
    signal(SIGTERM, on_term);
    serve(listen_on(argv[1]));
    if (gear->say)
        gear->say();
    return 0;
}
