/* whitelist.h - which clients a [listener] takes: its `allow` and `deny`, compiled. Workers ask
 * right after accept, or once a PROXY header has told who the client is; the control plane's
 * thread makes it and tells it the addresses of its names while they do. */
#ifndef PAIRSOCKS_WHITELIST_H
#define PAIRSOCKS_WHITELIST_H

#include "config/config.h"

struct whitelist;

/* Keeps nothing of `config`, of which it reads `allow` and `deny`. No name has an answer yet. NULL
 * without memory. */
struct whitelist *whitelist_new(const struct config_listener *config);

/* Nobody uses it any more. free(NULL) is harmless. */
void whitelist_free(struct whitelist *whitelist);

/* Whether the client may come in. IPv4-mapped addresses are IPv4. In this order:
 *   a client without an address (unix sockets, IP_NONE) is allowed: the socket's mode is its gate;
 *   who is in `deny`, itself or as an address of a name there, is denied;
 *   whom an address or a CIDR in `allow` holds is allowed;
 *   while a name in `deny` has never had a whole answer, everybody else is denied: it could be he;
 *   with no `allow` at all everybody is allowed;
 *   who is an address of a name in `allow` is allowed, everybody else is denied.
 * Any thread. Without names no lock is taken, with names a short one for each list that has any. */
bool whitelist_allows(const struct whitelist *whitelist, const struct ip_address *client);

/* The different names in `allow` and `deny`, in order: the one at `index`, borrowed; NULL behind
 * the last. */
const char *whitelist_name(const struct whitelist *whitelist, unsigned index);

/* The addresses of a name from now on, at least one; names that are not in the lists are ignored.
 * `is_whole`: these are all (name_watch.h); a name in `deny` that has never been told so keeps
 * denying strangers. One thread at a time. False without memory: the old answer stays. */
bool whitelist_set_answer(struct whitelist *whitelist, const char *name,
                          const struct ip_address *addresses, unsigned count, bool is_whole);

#endif
