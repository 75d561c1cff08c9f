/* pac.h - /proxy.pac: the proxy auto-configuration of browsers. It names the listeners that the asker can
 * reach and that would let it in, by the address at which it has reached us. */
#ifndef PAIRSOCKS_PAC_H
#define PAIRSOCKS_PAC_H

#include "daemon/serving.h"

/* Who asks, and where it has reached us; both IP_NONE: by a unix socket, so from this host. */
struct pac_asker {
    struct ip_address peer, local;
};

/* The whole script, owned by the caller. NULL without memory. */
char *pac_write(const struct serving *serving, const struct pac_asker *asker, size_t *ret_length);

/* How a browser would be told of one listener at this address: "SOCKS5 HOST:PORT; PROXY HOST:PORT"; empty
 * where it could not use it. Pure; for pac_write() and the tests. */
#define PAC_WAYS_MAX 256
void pac_ways(const struct config_listener *listener, const struct ip_endpoint *address,
              char out[PAC_WAYS_MAX]);

/* The address by which the asker can reach a socket that is bound to `bound`; false: it cannot. Pure. */
bool pac_address(const struct ip_endpoint *bound, const struct pac_asker *asker,
                 struct ip_endpoint *ret_address);

#endif
