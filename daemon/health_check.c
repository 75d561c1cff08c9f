/* health_check.c - a connection to the server, then what comes before a dialogue, then the dialogue. */
#include "daemon/health_check.h"

#include "daemon/check_script.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum state { STATE_REACHING, STATE_SECURING, STATE_TALKING, STATE_OVER };

struct health_check {
    struct health_check_options options;
    enum state state;
    struct stream_pair pair;
    struct dial *dial; /* owned; through other proxies, while it is being reached */
    struct check_script *script;
    ev_timer timer;    /* the next look */
    uint64_t now, due; /* ms */
    char why[256];     /* "": it is good */
};

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void over(struct health_check *check)
{
    check->state = STATE_OVER;
}

static void fail(struct health_check *check, struct stream_error error)
{
    stream_error_name(&error, check->why);
    over(check);
}

/* In the middle of the dialogue: for what it waited is said, too. */
static void fail_talking(struct health_check *check, const char *what)
{
    char waited[128];

    check_script_describe(check->script, waited, sizeof waited);
    snprintf(check->why, sizeof check->why, "%s at `check = %s`", what, waited);
    over(check);
}

/* ---- the dialogue */

static void hear(struct health_check *check)
{
    uint8_t bytes[4096];
    char name[STREAM_ERROR_NAME_MAX];
    size_t n = 0;

    switch (pair_read(&check->pair, bytes, sizeof bytes, &n)) {
    case IO_OK:
        if (!check_script_hear(check->script, bytes, n))
            fail_talking(check, "another answer");
        break;
    case IO_AGAIN:
        pair_want(&check->pair, INTEREST_READ);
        break;
    case IO_EOF:
        fail_talking(check, "the server ended");
        break;
    case IO_ERROR:
        fail_talking(check, stream_error_name(&check->pair.error, name));
        break;
    }
}

/* True: it may go on. */
static bool say(struct health_check *check, const uint8_t *text, size_t length)
{
    char name[STREAM_ERROR_NAME_MAX];
    size_t n = 0;

    switch (pair_write(&check->pair, text, length, &n)) {
    case IO_OK:
        check_script_sent(check->script, n);
        return true;
    case IO_AGAIN:
        pair_want(&check->pair, INTEREST_WRITE);
        return false;
    default:
        fail_talking(check, stream_error_name(&check->pair.error, name));
        return false;
    }
}

/* True: another turn. */
static bool talk(struct health_check *check)
{
    const uint8_t *text;
    size_t n;

    if (check_script_is_over(check->script)) {
        over(check);
        return false;
    }
    text = check_script_next(check->script, &n);
    if (text)
        return say(check, text, n);
    hear(check);
    return check->state == STATE_TALKING && !pair_is_watched(&check->pair);
}

/* ---- what comes before */

/* What of the steps needs more than a connection. */
static bool goes_on(const struct health_check *check)
{
    const struct config_upstream *upstream = check->options.upstream;

    return upstream->check_count &&
           upstream->checks[upstream->check_count - 1].kind != CHECK_CONNECT;
}

static void secure(struct health_check *check)
{
    const struct config_upstream *upstream = check->options.upstream;
    const struct upstream_server *server = check->options.server;
    const struct dial_peer peer = {server->host, server->ip, server->port};
    const struct dial_client nobody = {0};
    struct stream_error error = stream_error_connect(ENOMEM);
    struct open_plan *plan;

    if (!goes_on(check)) {
        over(check);
        return;
    }
    check->state = STATE_SECURING;
    plan = open_plan_new(check->options.pool);
    if (plan &&
        dial_plan_add_connection(plan, 0, upstream,
                                 snapshot_route_tls(check->options.snapshot, upstream), &peer,
                                 &nobody, &error) &&
        pair_open_plan(&check->pair, plan))
        return;
    open_plan_free(plan);
    fail(check, error);
}

/* ---- the machine */

static bool step_reaching(struct health_check *check)
{
    if (pair_is_opening(&check->pair))
        return false;
    switch (check->dial                           ? dial_step(check->dial, &check->pair)
            : check->pair.state == PAIR_CONNECTED ? DIAL_STANDS
                                                  : DIAL_FAILED) {
    case DIAL_RUNNING:
        return false;
    case DIAL_STANDS:
        secure(check);
        return true;
    default:
        fail(check, check->dial ? dial_error(check->dial) : check->pair.error);
        return false;
    }
}

static bool step(struct health_check *check)
{
    switch (check->state) {
    case STATE_REACHING:
        return step_reaching(check);
    case STATE_SECURING:
        if (pair_is_opening(&check->pair))
            return false;
        if (check->pair.state == PAIR_CONNECTED)
            check->state = STATE_TALKING;
        else
            fail(check, check->pair.error);
        return true;
    case STATE_TALKING:
        pair_want(&check->pair, INTEREST_NONE);
        return talk(check);
    default:
        return false;
    }
}

static void arm(struct health_check *check)
{
    uint64_t due = check->due, look = UINT64_MAX;

    if (check->dial && check->state == STATE_REACHING)
        look = dial_next_look(check->dial, &check->pair);
    if (look < due)
        due = look;
    ev_timer_stop(check->options.loop, &check->timer);
    ev_timer_set(&check->timer, due > check->now ? (double)(due - check->now) / 1000. : 0., 0.);
    ev_timer_start(check->options.loop, &check->timer);
}

/* The end of every event; the check may be gone then. */
static void run(struct health_check *check)
{
    check->now = monotonic_ms();
    while (step(check))
        ;
    if (check->state != STATE_OVER) {
        arm(check);
        return;
    }
    ev_timer_stop(check->options.loop, &check->timer);
    check->options.finished(check->options.context, check, *check->why ? check->why : NULL);
}

static void on_pair(struct stream_pair *pair)
{
    run((struct health_check *)((char *)pair - offsetof(struct health_check, pair)));
}

static void on_dial(void *context)
{
    run(context);
}

static void expire(struct health_check *check)
{
    if (check->dial && check->state == STATE_REACHING)
        dial_expire(check->dial, &check->pair);
    else if (check->state == STATE_TALKING)
        fail_talking(check, "no answer in time");
    else
        pair_expire(&check->pair);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct health_check *check = w->data;

    (void)loop;
    (void)revents;
    check->now = monotonic_ms();
    if (check->now >= check->due)
        expire(check);
    else if (check->dial)
        dial_look(check->dial, &check->pair);
    run(check);
}

/* ---- from its beginning to its end */

static bool dial_server(struct health_check *check)
{
    const struct upstream_server *server = check->options.server;
    struct dial_options options = {
        .snapshot = check->options.snapshot,
        .route = check->options.upstream->via,
        .loop = check->options.loop,
        .resolver = check->options.resolver,
        .pool = check->options.pool,
        .now = &check->now,
        .target = {server->host, server->ip, server->port},
        .wake = on_dial,
        .context = check,
    };

    check->dial = dial_new(&options);
    return check->dial;
}

static bool connect_server(struct health_check *check)
{
    const struct upstream_server *server = check->options.server;
    struct connector_options options = {
        .resolver = check->options.resolver,
        .bind_address = &check->options.upstream->bind_address,
    };
    struct ip_address ip = ip_unmapped(&server->ip);

    return pair_connect(&check->pair, &options, &ip, server->host, server->port);
}

struct health_check *health_check_start(const struct health_check_options *options)
{
    struct health_check *check = calloc(1, sizeof *check);

    if (!check)
        return NULL;
    check->options = *options;
    upstream_server_ref(options->server);
    check->now = monotonic_ms();
    check->due = check->now + (uint64_t)options->upstream->connect_timeout;
    ev_init(&check->timer, on_timer);
    check->timer.data = check;
    pair_init(&check->pair, options->loop, on_pair);
    check->script = check_script_new(options->upstream);
    if (check->script && (options->upstream->via ? dial_server(check) : connect_server(check))) {
        ev_timer_set(&check->timer, 0., 0.); /* it steps for the first time from the loop */
        ev_timer_start(options->loop, &check->timer);
        return check;
    }
    health_check_free(check);
    return NULL;
}

void health_check_free(struct health_check *check)
{
    if (!check)
        return;
    ev_timer_stop(check->options.loop, &check->timer);
    pair_close(&check->pair);
    dial_free(check->dial);
    check_script_free(check->script);
    upstream_server_unref(check->options.server);
    free(check);
}

struct upstream_server *health_check_server(const struct health_check *check)
{
    return check->options.server;
}
