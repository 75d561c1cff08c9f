/* own_address.h - which addresses are this host's own. */
#ifndef PAIRSOCKS_OWN_ADDRESS_H
#define PAIRSOCKS_OWN_ADDRESS_H

#include "streams/address.h"

/* Asks the kernel; for rare questions. True also for loopback and unspecified addresses, and when
 * the kernel does not answer. */
bool is_own_address(const struct ip_address *ip);

#endif
