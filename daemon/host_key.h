/* host_key.h - what counts as one client when clients are counted: an IPv4 address, or the /64
 * that one IPv6 subscriber has at least and can fill with as many addresses as it likes (RFC
 * 4291, 2.5.1). Pure. */
#ifndef PAIRSOCKS_HOST_KEY_H
#define PAIRSOCKS_HOST_KEY_H

#include "streams/address.h"

#include <string.h>

/* Equal bytes: the same host. No padding: the whole of it may be hashed and compared. */
struct host_key {
    uint8_t bytes[9]; /* enum ip_family; the address, of IPv6 the first half */
};

/* ::ffff:a.b.c.d is the host a.b.c.d. Everybody without an address (IP_NONE: unix sockets) is one
 * host. */
static inline struct host_key host_key(const struct ip_address *ip)
{
    struct ip_address client = ip_unmapped(ip);
    struct host_key key = {{client.family}};

    if (client.family != IP_NONE)
        memcpy(key.bytes + 1, client.bytes, sizeof key.bytes - 1);
    return key;
}

#endif
