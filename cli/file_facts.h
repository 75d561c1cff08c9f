/* file_facts.h - what the configuration alone shows of things that the daemon finds out: whom `allow`
 * and `deny` keep out, and which addresses are its own. Used by `pairsocks explain`. Pure. */
#ifndef PAIRSOCKS_FILE_FACTS_H
#define PAIRSOCKS_FILE_FACTS_H

#include "config/config.h"

enum client_fact {
    CLIENT_LET_IN,
    CLIENT_KEPT_OUT,
    CLIENT_DEPENDS, /* on the addresses of a name in one of the lists */
};

/* As the daemon judges right after accept (daemon/whitelist.h). A client without an address is let
 * in: the unix socket's mode is its gate. */
enum client_fact file_facts_client(const struct config_listener *listener,
                                   const struct ip_address *client);

/* Any listener listens on this port, wherever. */
bool file_facts_has_port(const struct config *config, uint16_t port);

/* Any listener listens on this very address and port. False for the host's other addresses, which
 * the file does not show. */
bool file_facts_is_own(const struct config *config, const struct ip_address *ip, uint16_t port);

#endif
