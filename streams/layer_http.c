/* layer_http.c - one request, one head. Where the layer below can be peeked into, the head is read
 * in a few pieces, and else byte by byte: the tunnel begins right behind it. */
#include "streams/layer_http.h"

#include "streams/http_client.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 255, PEEK = 512 };

const char layer_http_name[] = "http";

struct layer_http {
    struct layer layer;
    setup_observer *observer; /* borrowed, with its context */
    void *context;
    struct stream_error fault; /* found when it was made */
    struct http_response response;
    size_t sent, request_n;
    bool has_asked, is_open;
    uint8_t request[HTTP_CONNECT_MAX];
};

bool layer_http_check(const struct layer_http_options *options, struct stream_error *ret_error)
{
    const struct socks_host *host = &options->host;
    enum stream_error_id fault = ERROR_NONE;

    if (host->ip.family == IP_NONE && !http_is_name(host->name, host->name_length))
        fault = ERROR_RESOLVER_INVALID;
    else if (options->user && (strlen(options->user) > TEXT_MAX || strchr(options->user, ':') ||
                               (options->password && strlen(options->password) > TEXT_MAX)))
        fault = ERROR_STREAM_BAD_STATE;
    if (fault == ERROR_NONE)
        return true;
    *ret_error = stream_error_of(fault);
    return false;
}

static void reached(const struct layer_http *http, enum setup_phase phase)
{
    if (http->observer)
        http->observer(http->context, phase);
}

static enum io ask(struct layer_http *http)
{
    enum io result = setup_send(&http->layer, http->request, http->request_n, &http->sent);

    if (result != IO_OK)
        return result;
    http->has_asked = true;
    reached(http, SETUP_ASKED);
    return IO_OK;
}

/* How many bytes of those that are there the head has: what a parser on a copy consumes. */
static size_t look_ahead(const struct layer_http *http)
{
    struct layer *below = http->layer.below;
    struct http_response copy = http->response;
    struct stream_error ignored;
    uint8_t bytes[PEEK];
    struct cursor in;
    size_t n = 0;

    if (!below->ops->peek || below->ops->peek(below, bytes, sizeof bytes, &n) != IO_OK)
        return 1; /* whatever is wrong, the read says it too */
    in = cursor_over(bytes, n);
    http_parse_response(&in, &copy, &ignored);
    return (size_t)(in.at - bytes);
}

/* One read, of nothing behind the head. */
static enum io hear(struct layer_http *http)
{
    uint8_t bytes[PEEK];
    size_t have = 0;
    enum io result = setup_receive(&http->layer, bytes, look_ahead(http), &have);
    struct stream_error error;
    struct cursor in;

    if (result != IO_OK)
        return result;
    in = cursor_over(bytes, have);
    switch (http_parse_response(&in, &http->response, &error)) {
    case PARSE_MORE:
        break;
    case PARSE_BAD:
        return setup_fail(&http->layer, error);
    case PARSE_DONE:
        http->is_open = true;
        reached(http, SETUP_DONE);
        break;
    }
    return IO_OK;
}

static enum io http_open(struct layer *layer)
{
    struct layer_http *http = (struct layer_http *)layer;
    enum io result = IO_OK;

    if (stream_error_set(&http->fault))
        return setup_fail(layer, http->fault);
    while (result == IO_OK && !http->is_open)
        result = http->has_asked ? hear(http) : ask(http);
    return result;
}

static void http_done(struct layer *layer)
{
    explicit_bzero(layer, sizeof(struct layer_http));
    free(layer);
}

static const struct layer_ops http_ops = {
    .name = layer_http_name,
    .open = http_open,
    .done = http_done,
    .expired = ERROR_SYSTEM_CONNECT_TIMEOUT,
    .sets_up = true,
};

struct layer *layer_http_new(const struct layer_http_options *options)
{
    struct layer_http *http = calloc(1, sizeof *http);

    if (!http)
        return NULL;
    http->layer.ops = &http_ops;
    http->layer.open_waits = INTEREST_WRITE;
    http->observer = options->observer;
    http->context = options->context;
    if (layer_http_check(options, &http->fault))
        http->request_n = http_write_connect(&options->host, options->port, options->user,
                                             options->password, http->request);
    return &http->layer;
}
