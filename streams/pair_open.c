/* pair_open.c - how a connection comes into being: adopted, or connected, then layer by layer. */
#include "streams/pair_private.h"

#include <errno.h>
#include <string.h>

static bool have_poller(struct stream_pair *pair)
{
    if (!pair->poller) {
        pair->poller = poller_of(pair->loop);
        pair->holds_poller = pair->poller != NULL;
    }
    return pair->poller != NULL;
}

void pair_inherited_no_delay(struct stream_pair *pair)
{
    layer_tcp_init(&pair->tcp, pair->tcp.fd, true, &pair->error);
}

static bool may_open(const struct stream_pair *pair)
{
    return pair->state != PAIR_CONNECTED && !pair_is_opening(pair);
}

static void adopt(struct stream_pair *pair, int fd, bool no_delay, bool should_close)
{
    layer_tcp_init(&pair->tcp, fd, no_delay, &pair->error);
    pair->top = &pair->tcp.layer;
    pair->should_close = should_close;
    pair->ready = INTEREST_WRITE;
    pair->has_ended = pair->is_urgent = false;
    pair_set_state(pair, PAIR_CONNECTED);
}

bool pair_adopt(struct stream_pair *pair, int fd, const struct ip_endpoint *peer, bool should_close)
{
    if (!may_open(pair) || !have_poller(pair))
        return false;
    pair->error = (struct stream_error){0};
    pair->peer = *peer;
    adopt(pair, fd, false, should_close);
    return true;
}

static void adopt_connected(struct stream_pair *pair, struct connector *connector)
{
    adopt(pair, connector_take_fd(connector, &pair->watch), false, pair->should_close);
    pair_note_events(pair, connector_events(connector));
}

/* Takes over what the connector found, if it has finished. */
static void take_result(struct stream_pair *pair)
{
    struct connector *connector = pair->connector;

    pair->peer = *connector_address(connector);
    if (connector_state(connector) == CONNECTOR_RUNNING)
        return;
    pair->connector = NULL;
    if (connector_state(connector) == CONNECTOR_CONNECTED)
        adopt_connected(pair, connector);
    else
        pair_set_failed(pair, *connector_error(connector));
    connector_free(connector);
}

static void on_connector(void *context, struct connector *connector)
{
    struct stream_pair *pair = context;

    (void)connector;
    take_result(pair);
    pair->on_event(pair);
}

bool pair_connect(struct stream_pair *pair, const struct connector_options *options,
                  const struct ip_address *ip, const char *name, uint16_t port)
{
    struct connector_options ours = *options;

    if (!may_open(pair) || !have_poller(pair))
        return false;
    ours.loop = pair->loop;
    ours.poller = pair->poller;
    ours.finished = on_connector;
    ours.context = pair;
    pair->error = (struct stream_error){0};
    pair_set_state(pair, PAIR_INITIALIZED);
    pair->read_status = pair->write_status = STREAM_OPENING;
    pair->connector = connector_start(&ours, ip, name, port);
    if (!pair->connector) {
        pair_set_failed(pair, stream_error_connect(ENOMEM));
        return false;
    }
    take_result(pair);
    return true;
}

static void stop_opening(struct stream_pair *pair)
{
    pair->opens_layer = false;
    pair_watch(pair);
}

void pair_take_off_top(struct stream_pair *pair)
{
    struct layer *layer = pair->top;

    pair->top = layer->below;
    layer->ops->done(layer);
}

/* One more step of opening the top layer. */
void pair_step_open(struct stream_pair *pair)
{
    switch (pair->top->ops->open(pair->top)) {
    case IO_OK:
        if (pair->top->ops->sets_up)
            pair_take_off_top(pair);
        pair_set_state(pair, PAIR_CONNECTED);
        pair->ready = INTEREST_READ | INTEREST_WRITE;
        stop_opening(pair);
        break;
    case IO_AGAIN:
        pair_not_ready(pair, pair->top->open_waits | pair_flush_waits(pair));
        pair_watch(pair);
        break;
    case IO_EOF:
        pair_set_failed(pair, stream_error_read(ECONNRESET));
        stop_opening(pair);
        break;
    case IO_ERROR:
        pair_set_state(pair, PAIR_ERROR);
        stop_opening(pair);
        break;
    }
}

void pair_expire(struct stream_pair *pair)
{
    if (pair->opens_layer) {
        const struct layer *layer = pair->top;

        while (layer->ops->expired == ERROR_NONE && layer->below)
            layer = layer->below;
        pair_set_failed(pair, stream_error_of(layer->ops->expired));
        stop_opening(pair);
        return;
    }
    if (!pair->connector)
        return;
    connector_expire(pair->connector);
    take_result(pair);
}

bool pair_announce(struct stream_pair *pair)
{
    if (!may_open(pair))
        return false;
    pair->error = (struct stream_error){0};
    pair_set_state(pair, PAIR_INITIALIZED);
    pair->read_status = pair->write_status = STREAM_OPENING;
    return true;
}

void pair_fail(struct stream_pair *pair, struct stream_error error)
{
    pair_set_failed(pair, error);
    stop_opening(pair);
}

void pair_push_layer(struct stream_pair *pair, struct layer *layer)
{
    layer->below = pair->top;
    layer->error = &pair->error;
    pair->top = layer;
}

bool pair_open_layer(struct stream_pair *pair, struct layer *layer)
{
    if (pair->state != PAIR_CONNECTED || pair->read_status != STREAM_OPEN ||
        pair->write_status != STREAM_OPEN)
        return false;
    pair_push_layer(pair, layer);
    pair_set_state(pair, PAIR_INITIALIZED);
    pair->read_status = pair->write_status = STREAM_OPENING;
    pair->opens_layer = true;
    pair->interest = INTEREST_NONE;
    pair_step_open(pair);
    return true;
}

struct layer *pair_find_layer(const struct stream_pair *pair, const char *name)
{
    struct layer *layer = pair->top;

    while (layer && strcmp(layer->ops->name, name) != 0)
        layer = layer->below;
    return layer;
}
