/* dial_plan.h - the steps of an open plan as an [upstream] wants them: what secures and introduces a
 * connection to a server, and what a proxy is asked for. Used by dial.c for chains, by the sessions for
 * targets that are reached straight, and by health checks. */
#ifndef PAIRSOCKS_DIAL_PLAN_H
#define PAIRSOCKS_DIAL_PLAN_H

#include "daemon/snapshot.h"
#include "streams/open_plan.h"

/* Whoever is at the other end of a connection: a proxy's server, or the target. */
struct dial_peer {
    const char *host;     /* as it was asked for; NULL: `ip` */
    struct ip_address ip; /* with a host: unknown, or what that was resolved to */
    uint16_t port;
};

/* Who we say the client is, where a PROXY header is sent. IP_NONE: nobody. */
struct dial_client {
    struct ip_endpoint from, to;
};

/* The client's address, and the one of ours that it has reached, for `send_proxy`: in one family. */
struct dial_client dial_client_of(const struct ip_endpoint *peer,
                                  const struct ip_endpoint *reached);

/* The PROXY header and TLS of a connection to `peer`, if the upstream has them. `context` NULL: it is
 * plain. False: see open_plan_add(). */
bool dial_plan_add_connection(struct open_plan *plan, uint8_t hop,
                              const struct config_upstream *upstream, struct tls_context *context,
                              const struct dial_peer *peer, const struct dial_client *client,
                              struct stream_error *ret_error);

/* The request for `next` to a proxy: with its name, unless it has an address too, and the proxy
 * does not resolve. `binds`: a BIND, of SOCKS alone. */
bool dial_plan_add_request(struct open_plan *plan, uint8_t hop, const struct config_upstream *proxy,
                           const struct dial_peer *next, bool binds,
                           struct stream_error *ret_error);

#endif
