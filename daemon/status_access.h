/* status_access.h - who may ask the status page for what: the Host that a request names, and the token that
 * it shows. Pure. */
#ifndef PAIRSOCKS_STATUS_ACCESS_H
#define PAIRSOCKS_STATUS_ACCESS_H

#include "streams/address.h"

/* Whether a request with this Host (RFC 9110, 7.2) is for us: one of the names and addresses of `hosts`
 * (separated by commas; NULL: none), or an address that is our own: `local`, at which the client has
 * reached us, or any of loopback if that is one. The port does not matter: it may be a tunnel's. A page
 * from elsewhere whose name was made to mean our address has a Host of its own, and is none of these. */
bool status_host_is_ours(const char *host, const char *hosts, const struct ip_address *local);

/* Whether the value of Authorization is `Bearer TOKEN` (RFC 6750, 2.1) with this token. Takes the same
 * time for all values of the same length. False where `token` or `authorization` is NULL. */
bool status_token_is_shown(const char *authorization, const char *token);

/* Whether the value of Accept (or NULL) names the OpenMetrics format, and does not refuse it. */
bool status_wants_open_metrics(const char *accept);

#endif
