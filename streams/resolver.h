/* resolver.h - host names to addresses on an event loop, with c-ares. One resolver belongs to
 * one loop and its thread. A lookup asks for one family; who wants both asks twice (RFC 8305,
 * 3). A callback never runs inside the call that starts or cancels a lookup. */
#ifndef PAIRSOCKS_RESOLVER_H
#define PAIRSOCKS_RESOLVER_H

#include "address.h"
#include "error.h"
#include "srv.h"

#include <ev.h>

PAIRSOCKS_API_BEGIN

/* More addresses than this of one family are ignored. */
#define RESOLVER_ADDRESSES_MAX 16

struct resolver_options {
    /* "HOST:PORT,..." as c-ares takes it; NULL = the system's, re-read when they change */
    const char *nameservers;
    bool search_domains; /* whether the system's search list applies */
};

struct resolver;
struct resolver_lookup;

/* `addresses` holds `count` addresses and is only valid during the call; `error` is set when
 * count is 0. The lookup is gone when this returns. */
typedef void resolver_callback(void *context, const struct ip_address *addresses, unsigned count,
                               const struct stream_error *error);

/* `answer` is only valid during the call; NULL: `error` is set. The lookup is gone when this returns. */
typedef void resolver_service_callback(void *context, const struct srv_answer *answer,
                                       const struct stream_error *error);

/* NULL when c-ares or memory fails. `options` and its strings are copied. */
struct resolver *resolver_new(struct ev_loop *loop, const struct resolver_options *options);

/* Other options for the lookups that are started from now on. False without memory: nothing has
 * changed. */
bool resolver_configure(struct resolver *resolver, const struct resolver_options *options);

/* Every lookup must have ended or been cancelled. free(NULL) is harmless. */
void resolver_free(struct resolver *resolver);

/* Starts a lookup of a name that host_classify() called a HOST_NAME. `localhost` and names below
 * it are answered without asking anybody (RFC 6761, 6.3). Errors: resolver.name.not-found,
 * .no-address, .timeout, .invalid, resolver.server.failed. NULL only without memory. */
struct resolver_lookup *resolver_start(struct resolver *resolver, const char *name,
                                       enum ip_family family, resolver_callback *callback,
                                       void *context);

/* Asks for the SRV records of a name (srv.h); search lists do not apply. Errors as above. NULL only
 * without memory. */
struct resolver_lookup *resolver_start_service(struct resolver *resolver, const char *name,
                                               resolver_service_callback *callback, void *context);

/* The callback will not be called. */
void resolver_cancel(struct resolver_lookup *lookup);

PAIRSOCKS_API_END

#endif
