/* connector.c - Happy Eyeballs as one small machine: what is known (candidates, running
 * attempts, open questions) and advance(), which decides after every event what comes next. */
#include "streams/connector.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const double resolution_delay = 0.050; /* RFC 8305, 3 */
static const double attempt_delay = 0.250;    /* RFC 8305, 5 */

struct attempt {
    struct poll_watch watch;
    struct connector *connector;
    int fd; /* owned while the attempt runs */
    struct ip_endpoint address;
    bool running;
};

enum question { QUESTION_AAAA, QUESTION_A, QUESTION_COUNT };

struct connector {
    struct connector_options options;
    enum connector_state state;
    bool waiting_for_aaaa;
    bool delay_over;
    uint16_t port;
    int fd;                  /* owned once connected, until taken */
    struct attempt *watched; /* its watch is the descriptor's already; NULL: none is */
    int events;              /* that this one has been told */
    struct poller *poller;   /* a reference */
    struct ip_endpoint address;
    struct stream_error error;
    ev_timer timer; /* the resolution delay, then the attempt delay */
    struct {
        struct connector *connector;
        struct resolver_lookup *lookup; /* owned while it runs */
        struct ip_address found[RESOLVER_ADDRESSES_MAX];
        unsigned count, used;
    } questions[QUESTION_COUNT];
    enum question turn; /* which family the next attempt is of */
    unsigned attempts;  /* started, ever */
    unsigned extra;     /* places of the budget that its attempts hold */
    unsigned capacity;  /* of attempt[] */
    struct attempt attempt[];
};

static void settle(struct connector *c);

static bool resolving(const struct connector *c)
{
    return c->questions[QUESTION_AAAA].lookup || c->questions[QUESTION_A].lookup;
}

static unsigned running_attempts(const struct connector *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->attempts; i++)
        n += c->attempt[i].running;
    return n;
}

/* Gives back the places of attempts that have ended: the first needs none. */
static void give_back_budget(struct connector *c)
{
    unsigned running = running_attempts(c), needed = running ? running - 1 : 0;

    if (!c->options.budget || c->extra <= needed)
        return;
    c->options.budget->used -= c->extra - needed;
    c->extra = needed;
}

static void attempt_stop(struct connector *c, struct attempt *a)
{
    a->running = false;
    ev_unref(c->options.loop);
    give_back_budget(c);
}

static void attempt_close(struct connector *c, struct attempt *a)
{
    attempt_stop(c, a);
    poller_remove(&a->watch, -1);
    close(a->fd);
}

static void attempt_failed(struct connector *c, struct stream_error error)
{
    stream_error_keep_telling(&c->error, error);
    c->delay_over = true; /* a failure is followed by the next address at once */
}

static void end_oldest(struct connector *c)
{
    for (unsigned i = 0; i < c->attempts; i++) {
        if (!c->attempt[i].running)
            continue;
        attempt_close(c, &c->attempt[i]);
        stream_error_keep_telling(&c->error, stream_error_of(ERROR_SYSTEM_CONNECT_TIMEOUT));
        return;
    }
}

/* Room for one more attempt beside those that run, if need be in the oldest one's place. */
static void make_room(struct connector *c)
{
    struct connector_budget *budget = c->options.budget;
    unsigned running = running_attempts(c);

    if (running == 0)
        return;
    if (running >= CONNECTOR_AT_ONCE || (budget && budget->used >= budget->max)) {
        end_oldest(c);
        running--;
    }
    if (running && budget) {
        budget->used++;
        c->extra++;
    }
}

/* Ends everything that still runs; the state is set by the caller. */
static void cancel_all(struct connector *c)
{
    for (int q = 0; q < QUESTION_COUNT; q++) {
        if (c->questions[q].lookup)
            resolver_cancel(c->questions[q].lookup);
        c->questions[q].lookup = NULL;
    }
    for (unsigned i = 0; i < c->attempts; i++) {
        if (!c->attempt[i].running)
            continue;
        attempt_close(c, &c->attempt[i]);
    }
    ev_timer_stop(c->options.loop, &c->timer);
}

static void finish(struct connector *c, enum connector_state state)
{
    c->state = state;
    cancel_all(c);
}

static void succeed(struct connector *c, int fd, const struct ip_endpoint *address)
{
    c->fd = fd;
    c->address = *address;
    c->error = (struct stream_error){0};
    finish(c, CONNECTOR_CONNECTED);
}

static void on_attempt(struct poll_watch *watch, int events)
{
    struct attempt *a = (struct attempt *)watch;
    struct connector *c = a->connector;
    int error_number = 0;
    socklen_t length = sizeof error_number;

    if (events & POLLER_ENDED &&
        getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error_number, &length) != 0)
        error_number = errno;
    if (error_number == 0) {
        attempt_stop(c, a);
        c->watched = a;
        c->events = events;
        succeed(c, a->fd, &a->address);
    } else {
        attempt_close(c, a);
        attempt_failed(c, stream_error_connect(error_number));
    }
    settle(c);
}

/* The port is left to connect(), which may then use one that is in use towards other targets. */
static bool bind_source(const struct connector *c, int fd, const struct ip_endpoint *target)
{
    struct ip_endpoint source = {.port = 0};
    struct sockaddr_storage sa;
    int one = 1;

    if (c->options.bind_address)
        source.ip = *c->options.bind_address;
    if (source.ip.family == IP_NONE)
        return true;
    if (source.ip.family != target->ip.family) {
        errno = ENETUNREACH;
        return false;
    }
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, (const struct sockaddr *)&sa, endpoint_to_sockaddr(&source, &sa)) == 0;
}

static bool wait_for_answer(struct connector *c, struct attempt *a, int fd)
{
    poll_watch_init(&a->watch, on_attempt);
    if (!c->poller || !poller_add(c->poller, &a->watch, fd)) {
        errno = ENOMEM;
        return false;
    }
    a->connector = c;
    a->fd = fd;
    a->running = true;
    ev_ref(c->options.loop);
    return true;
}

static void attempt_start(struct connector *c, const struct ip_endpoint *address)
{
    struct attempt *a = &c->attempt[c->attempts++];
    struct sockaddr_storage sa;
    socklen_t length = endpoint_to_sockaddr(address, &sa);
    int fd;

    c->address = *address;
    a->address = *address;
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        attempt_failed(c, stream_error_connect(errno));
        return;
    }
    if (!bind_source(c, fd, address)) {
        attempt_failed(c, stream_error_connect(errno));
        close(fd);
        return;
    }
    if (connect(fd, (const struct sockaddr *)&sa, length) == 0) {
        succeed(c, fd, address);
        return;
    }
    if (errno == EINPROGRESS && wait_for_answer(c, a, fd))
        return;
    attempt_failed(c, stream_error_connect(errno));
    close(fd);
}

/* The next address to try, the families in turn, IPv6 first. */
static bool next_candidate(struct connector *c, struct ip_endpoint *ret_address)
{
    for (int i = 0; i < QUESTION_COUNT; i++) {
        enum question q = c->turn;

        c->turn = c->turn == QUESTION_AAAA ? QUESTION_A : QUESTION_AAAA;
        if (c->questions[q].used < c->questions[q].count) {
            ret_address->ip = c->questions[q].found[c->questions[q].used++];
            ret_address->port = c->port;
            return true;
        }
    }
    return false;
}

static void wait_for(struct connector *c, double seconds)
{
    ev_timer_stop(c->options.loop, &c->timer);
    ev_timer_set(&c->timer, seconds, 0.);
    ev_timer_start(c->options.loop, &c->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct connector *c = w->data;

    (void)loop;
    (void)revents;
    c->waiting_for_aaaa = false;
    c->delay_over = true;
    settle(c);
}

static bool allowed(struct connector *c, const struct ip_endpoint *address)
{
    struct stream_error why = {0};

    if (!c->options.judge || c->options.judge(c->options.context, address, &why))
        return true;
    stream_error_keep_telling(&c->error, why);
    return false;
}

/* Starts the attempts that are due; fails when nothing is left. */
static void advance(struct connector *c)
{
    struct ip_endpoint address;

    while (c->state == CONNECTOR_RUNNING && !c->waiting_for_aaaa && c->delay_over &&
           c->attempts < c->capacity && next_candidate(c, &address)) {
        if (!allowed(c, &address))
            continue;
        c->delay_over = false;
        make_room(c);
        attempt_start(c, &address);
        give_back_budget(c); /* if it failed at once */
        if (c->state == CONNECTOR_RUNNING && !c->delay_over && c->capacity > 1)
            wait_for(c, attempt_delay);
    }
    if (c->state == CONNECTOR_RUNNING && !resolving(c) && !c->waiting_for_aaaa && c->delay_over &&
        !running_attempts(c))
        finish(c, CONNECTOR_FAILED);
}

/* The last thing that every event does: the callback may free the connector. */
static void settle(struct connector *c)
{
    advance(c);
    if (c->state != CONNECTOR_RUNNING)
        c->options.finished(c->options.context, c);
}

/* Errors of the two questions: a failure of the server says more than an empty answer, "no such
 * name" most. */
static void keep_resolver_error(struct connector *c, const struct stream_error *error)
{
    bool weak =
        !stream_error_set(&c->error) || stream_error_is(&c->error, ERROR_RESOLVER_NO_ADDRESS);

    if (weak || stream_error_is(error, ERROR_RESOLVER_NOT_FOUND))
        c->error = *error;
}

static void on_resolved(struct connector *c, enum question q, const struct ip_address *addresses,
                        unsigned count, const struct stream_error *error)
{
    c->questions[q].lookup = NULL;
    c->questions[q].count = count;
    memcpy(c->questions[q].found, addresses, count * sizeof *addresses);
    if (count == 0 && c->attempts == 0)
        keep_resolver_error(c, error);
    if (q == QUESTION_A && count && c->questions[QUESTION_AAAA].lookup && c->attempts == 0) {
        c->waiting_for_aaaa = true;
        wait_for(c, resolution_delay);
    } else if (q == QUESTION_AAAA && c->waiting_for_aaaa) {
        c->waiting_for_aaaa = false;
        ev_timer_stop(c->options.loop, &c->timer);
    }
    settle(c);
}

static void on_aaaa(void *context, const struct ip_address *addresses, unsigned count,
                    const struct stream_error *error)
{
    on_resolved(context, QUESTION_AAAA, addresses, count, error);
}

static void on_a(void *context, const struct ip_address *addresses, unsigned count,
                 const struct stream_error *error)
{
    on_resolved(context, QUESTION_A, addresses, count, error);
}

static void resolve(struct connector *c, const char *name)
{
    struct resolver *resolver = c->options.resolver;
    struct ip_address ip;

    if (!resolver || host_classify(name, strlen(name), &ip) != HOST_NAME) {
        c->error =
            stream_error_of(resolver ? ERROR_RESOLVER_INVALID : ERROR_RESOLVER_SERVER_FAILED);
        return;
    }
    if (!c->options.ipv4_only)
        c->questions[QUESTION_AAAA].lookup = resolver_start(resolver, name, IP_V6, on_aaaa, c);
    c->questions[QUESTION_A].lookup = resolver_start(resolver, name, IP_V4, on_a, c);
    if (!resolving(c))
        c->error = stream_error_of(ERROR_RESOLVER_SERVER_FAILED);
}

struct connector *connector_start(const struct connector_options *options,
                                  const struct ip_address *ip, const char *name, uint16_t port)
{
    bool literal = ip && ip->family != IP_NONE;
    unsigned capacity = literal ? 1 : CONNECTOR_ADDRESSES_MAX;
    struct connector *c = calloc(1, sizeof *c + capacity * sizeof c->attempt[0]);

    if (!c)
        return NULL;
    c->options = *options;
    c->poller = options->poller ? poller_ref(options->poller) : poller_of(options->loop);
    c->port = port;
    c->fd = -1;
    c->capacity = capacity;
    c->delay_over = true;
    ev_init(&c->timer, on_timer);
    c->timer.data = c;
    if (literal) {
        enum question q = ip->family == IP_V4 ? QUESTION_A : QUESTION_AAAA;

        c->questions[q].found[0] = *ip;
        c->questions[q].count = 1;
    } else {
        resolve(c, name);
    }
    advance(c);
    return c;
}

void connector_free(struct connector *c)
{
    if (!c)
        return;
    cancel_all(c);
    if (c->fd >= 0) {
        if (c->watched)
            poller_remove(&c->watched->watch, -1);
        close(c->fd);
    }
    poller_unref(c->poller);
    free(c);
}

void connector_expire(struct connector *c)
{
    if (c->state != CONNECTOR_RUNNING)
        return;
    if (c->attempts == 0)
        c->error = stream_error_of(ERROR_RESOLVER_TIMEOUT);
    else
        stream_error_keep_telling(&c->error, stream_error_of(ERROR_SYSTEM_CONNECT_TIMEOUT));
    finish(c, CONNECTOR_FAILED);
}

enum connector_state connector_state(const struct connector *c)
{
    return c->state;
}

int connector_take_fd(struct connector *c, struct poll_watch *watch)
{
    int fd = c->fd;

    c->fd = -1;
    if (!c->watched)
        return fd;
    if (watch)
        poller_move(&c->watched->watch, watch);
    else
        poller_remove(&c->watched->watch, fd);
    return fd;
}

int connector_events(const struct connector *c)
{
    return c->events;
}

const struct ip_endpoint *connector_address(const struct connector *c)
{
    return &c->address;
}

const struct stream_error *connector_error(const struct connector *c)
{
    return &c->error;
}
