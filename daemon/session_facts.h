/* session_facts.h - what is told of a session, to whom ever: the log at its end, an administrator while it
 * lives. The same names and the same values for all of them. */
#ifndef PAIRSOCKS_SESSION_FACTS_H
#define PAIRSOCKS_SESSION_FACTS_H

#include "streams/address.h"

#include <stdint.h>

/* A name of 255 bytes, a colon and a port. */
#define SESSION_TARGET_MAX (HOST_PORT_TEXT_MAX + 8)

/* Texts are never NULL: "" is what is not known or does not apply. All are borrowed. */
struct session_facts {
    uint64_t id;             /* one of its own for as long as the daemon runs, over all workers */
    const char *listener;    /* the section's name */
    struct ip_endpoint peer; /* the client; IP_NONE: by a unix socket */
    const char *user;        /* a verified identity, as rules write it */
    const char *protocol;    /* socks4, socks4a, socks5, http, forward */
    const char *command;     /* connect, bind, udp, unknown */
    const char *target; /* HOST:PORT as asked for: bytes of any kind, `target_length` of them */
    uint32_t target_length;
    struct ip_endpoint address; /* of the target, connected or last tried; IP_NONE: none yet */
    const char *route;          /* the upstream's name, or direct */
    const char *rule;           /* that decided */
    const char *upstream;       /* of the server whose answer it was, the name and HOST:PORT */
    const char *upstream_peer;
    uint64_t sent,
        received;   /* bytes from client to target, and back; of datagrams without headers */
    uint64_t age;   /* ms since it was accepted */
    uint64_t setup; /* ms from then to the reply; 0: not replied yet */
    const char
        *state; /* tls, handshake, auth, connecting, bind, relay, half-closed, udp, refusing */
};

/* Of a session of the calling worker, as of now; `target` is where the text of the target is made. The
 * facts last as long as the session stays as it is. */
struct session;
void session_facts(const struct session *session, char target[SESSION_TARGET_MAX],
                   struct session_facts *ret);

/* What is told of who the client is: ADDRESS:PORT, or `unix`. */
void session_facts_client(const struct ip_endpoint *peer, char out[ENDPOINT_TEXT_MAX]);

#endif
