/* layer_proxy.h - tells the next hop who its client is, with one PROXY protocol header
 * (proxy_protocol.h), as a layer that only sets up: once that is sent the chain goes on without it.
 * It waits for no answer, for there is none. */
#ifndef PAIRSOCKS_LAYER_PROXY_H
#define PAIRSOCKS_LAYER_PROXY_H

#include "streams/address.h"
#include "streams/setup.h"

/* `version`, `source` and `destination` as proxy_write_header() has them. NULL: no memory. */
struct layer *layer_proxy_new(unsigned version, const struct ip_endpoint *source,
                              const struct ip_endpoint *destination);

#endif
