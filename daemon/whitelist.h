/* whitelist.h - which clients a [listener] serves: `allow` and `deny`, deny wins (config.md). */
#ifndef PAIRSOCKS_WHITELIST_H
#define PAIRSOCKS_WHITELIST_H

#include "config/config.h"

struct whitelist;

/* NULL without memory. The configuration must outlive it. */
struct whitelist *whitelist_new(const struct config_listener *config);
void whitelist_free(struct whitelist *whitelist);

/* Whether the client may come in. One without an address (IP_NONE: a unix socket) may: what lets it
 * in is the mode of the socket. Any thread. */
bool whitelist_allows(const struct whitelist *whitelist, const struct ip_address *client);

#endif
