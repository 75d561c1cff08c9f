/* layer_proxy.c - one PROXY header, sent in one write where the layer below takes it. */
#include "streams/layer_proxy.h"

#include "streams/proxy_protocol.h"

#include <stdlib.h>

struct layer_proxy {
    struct layer layer;
    size_t sent, n;
    uint8_t header[PROXY_V1_MAX];
};

static enum io proxy_open(struct layer *layer)
{
    struct layer_proxy *proxy = (struct layer_proxy *)layer;

    return setup_send(layer, proxy->header, proxy->n, &proxy->sent);
}

static void proxy_done(struct layer *layer)
{
    free(layer);
}

static const struct layer_ops proxy_ops = {
    .name = "proxy",
    .open = proxy_open,
    .done = proxy_done,
    .expired = ERROR_SYSTEM_CONNECT_TIMEOUT,
    .sets_up = true,
};

struct layer *layer_proxy_new(unsigned version, const struct ip_endpoint *source,
                              const struct ip_endpoint *destination)
{
    struct layer_proxy *proxy = calloc(1, sizeof *proxy);

    if (!proxy)
        return NULL;
    proxy->layer.ops = &proxy_ops;
    proxy->layer.open_waits = INTEREST_WRITE;
    proxy->n = proxy_write_header(version, source, destination, proxy->header);
    return &proxy->layer;
}
