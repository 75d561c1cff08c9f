/* ident_query.h - asks a client's identd who holds the connection to us (RFC 1413). The answer is the
 * client's machine's word, no more. Belongs to one loop and thread. */
#ifndef PAIRSOCKS_IDENT_QUERY_H
#define PAIRSOCKS_IDENT_QUERY_H

#include "streams/address.h"
#include "streams/ident.h"

#include <ev.h>

#define IDENT_PORT 113

struct ident_query;

/* Once, never from inside ident_query_start(); `user` is NULL when nobody has answered in time and
 * in form. The query may be freed inside. */
typedef void ident_answered(void *context, const struct ident_user *user);

/* Asks the host of `client` about its connection from there to `local`; `timeout` in ms for all of it.
 * NULL without memory. */
struct ident_query *ident_query_start(struct ev_loop *loop, const struct ip_endpoint *client,
                                      const struct ip_endpoint *local, uint64_t timeout,
                                      ident_answered *answered, void *context);

/* At any time. Harmless with NULL. */
void ident_query_free(struct ident_query *query);

#endif
