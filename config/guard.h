/* guard.h - targets that a client must not choose, in whatever spelling: loopback, private,
 * link-local, shared, metadata, multicast and reserved ranges (RFC 6890 and its registries), and
 * IPv6 addresses that carry such an IPv4 address inside (IPv4-mapped and -compatible, NAT64
 * 64:ff9b::/96, 6to4, Teredo, ISATAP). Pure. */
#ifndef PAIRSOCKS_GUARD_H
#define PAIRSOCKS_GUARD_H

#include "streams/address.h"

/* The name of the forbidden range that holds the address ("private", "link-local" ...; that of the
 * IPv4 address inside if it is the reason), static; NULL: a public address, or IP_NONE. */
const char *guard_range(const struct ip_address *ip);

#endif
