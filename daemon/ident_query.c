/* ident_query.c - one line out, one line in, on a pair of streams. */
#include "daemon/ident_query.h"

#include "streams/pair.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct ident_query {
    struct stream_pair pair;
    ev_timer timer;
    ident_answered *answered;
    void *context;
    struct ip_address local; /* that the client had used */
    uint16_t client_port, local_port;
    size_t query_length, sent, received;
    char query[IDENT_QUERY_MAX];
    char reply[IDENT_REPLY_MAX];
};

static void finish(struct ident_query *q, const struct ident_user *user)
{
    ev_timer_stop(q->pair.loop, &q->timer);
    pair_close(&q->pair);
    q->answered(q->context, user);
}

/* False: not all of it could be sent yet, or no longer. */
static bool send_query(struct ident_query *q)
{
    size_t n = 0;
    enum io result = IO_OK;

    if (q->sent < q->query_length)
        result = pair_write(&q->pair, q->query + q->sent, q->query_length - q->sent, &n);
    q->sent += n;
    if (result == IO_ERROR)
        finish(q, NULL);
    else if (q->sent < q->query_length)
        pair_want(&q->pair, INTEREST_WRITE);
    return result != IO_ERROR && q->sent == q->query_length;
}

static void read_reply(struct ident_query *q)
{
    struct ident_user user;
    struct stream_error error;
    struct cursor in;
    size_t n = 0;
    enum io result = pair_read(&q->pair, q->reply + q->received, sizeof q->reply - q->received, &n);

    q->received += n;
    in = cursor_over(q->reply, q->received);
    switch (ident_parse_reply(&in, q->client_port, q->local_port, &user, &error)) {
    case PARSE_DONE:
        finish(q, &user);
        return;
    case PARSE_BAD:
        finish(q, NULL);
        return;
    case PARSE_MORE:
        break;
    }
    if (result == IO_EOF || result == IO_ERROR || q->received == sizeof q->reply)
        finish(q, NULL);
    else
        pair_want(&q->pair, INTEREST_READ);
}

static void on_event(struct stream_pair *pair)
{
    struct ident_query *q =
        (struct ident_query *)((char *)pair - offsetof(struct ident_query, pair));

    if (pair_is_opening(pair))
        return;
    if (pair->state != PAIR_CONNECTED)
        finish(q, NULL);
    else if (send_query(q))
        read_reply(q);
}

/* Too late, or there was nothing to wait for. */
static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct ident_query *q = w->data;

    (void)loop;
    (void)revents;
    finish(q, NULL);
}

struct ident_query *ident_query_start(struct ev_loop *loop, const struct ip_endpoint *client,
                                      const struct ip_endpoint *local, uint64_t timeout,
                                      ident_answered *answered, void *context)
{
    struct ip_address host = ip_unmapped(&client->ip);
    struct connector_options options = {.bind_address = NULL};
    struct ident_query *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    q->local = ip_unmapped(&local->ip);
    options.bind_address = &q->local;
    q->answered = answered;
    q->context = context;
    q->client_port = client->port;
    q->local_port = local->port;
    q->query_length = ident_write_query(client->port, local->port, q->query);
    pair_init(&q->pair, loop, on_event);
    pair_connect(&q->pair, &options, &host, NULL, IDENT_PORT);
    /* What is decided already is told from the loop. */
    ev_timer_init(&q->timer, on_timer, q->pair.state == PAIR_ERROR ? 0. : (double)timeout / 1000.,
                  0.);
    q->timer.data = q;
    ev_timer_start(loop, &q->timer);
    if (q->pair.state == PAIR_CONNECTED)
        pair_want(&q->pair, INTEREST_WRITE);
    return q;
}

void ident_query_free(struct ident_query *q)
{
    if (!q)
        return;
    ev_timer_stop(q->pair.loop, &q->timer);
    pair_close(&q->pair);
    free(q);
}
