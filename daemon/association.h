/* association.h - a UDP association of a SOCKS5 client (RFC 1928, 7): the socket that it sends to, those
 * that its targets hear, what has been decided about them, and the datagrams that pass. Owned by the
 * session of the TCP connection that asked for it, and ends with that. Its sockets wake the loop on their
 * own; the session learns from association_active() that something has moved.
 *
 * Everything is bounded: the targets that are remembered, the names that are looked up at a time, and two
 * blocks, one for the fragments of a datagram and one for what waits for a name. */
#ifndef PAIRSOCKS_ASSOCIATION_H
#define PAIRSOCKS_ASSOCIATION_H

#include "daemon/worker.h"
#include "streams/datagram.h"

struct session;
struct association;
struct dial;
struct stream_pair;

/* Why a datagram was not passed on. Their names are association_drop_names[]. */
enum association_drop {
    DROP_NOT_CLIENT,  /* comes from somebody else */
    DROP_BAD_HEADER,  /* has no header that RFC 1928 knows, or port 0 */
    DROP_FRAGMENT,    /* of a sequence that did not become whole */
    DROP_DENIED,      /* by the rules or the guard */
    DROP_UNRESOLVED,  /* its target's name has no address */
    DROP_ROUTE,       /* a rule sends it where this association has no way */
    DROP_UNREACHABLE, /* this host has no way there */
    DROP_TOO_LARGE,
    DROP_RATE,      /* more than udp_rate, or than the rate of their rule */
    DROP_NO_BUFFER, /* the kernel's is full, or ours for what waits */
    DROP_NOT_ASKED, /* an answer from whom the client has not written to */
    DROP_COUNT,
};

extern const char *const association_drop_names[DROP_COUNT];

struct association_counts {
    uint64_t sent, received;             /* datagrams passed on: from the client, to it */
    uint64_t bytes_sent, bytes_received; /* in them, without headers */
    uint64_t icmp_errors;
    uint64_t dropped[DROP_COUNT];
};

/* Opens the client's side on the address of ours that it has reached. NULL: *ret_error says why. The
 * session and what it knows of its client, listener and route must outlive it. */
struct association *association_new(struct session *session, struct stream_error *ret_error);

/* Harmless with NULL. */
void association_free(struct association *association);

/* What the client is told to send to. */
struct ip_endpoint association_bound(const struct association *association);

/* The route has proxies, and the session's dial STANDS: goes on to the ways that the datagrams need
 * beside it. RUNNING: it will wake the session. FAILED: see association_error(). */
enum dial_result association_connect(struct association *association, struct stream_pair *pair,
                                     struct dial *dial);

/* The dial that is under way beyond the session's own, with its pair; NULL: none. */
struct dial *association_dial(const struct association *association, struct stream_pair **ret_pair);

/* Why association_connect() failed, or a connection beyond the session's own was lost; none: it stands. */
struct stream_error association_error(const struct association *association);

/* The reply is about to be sent: datagrams are taken from now on. */
void association_start(struct association *association);

/* A proxy's connection beyond the session's own may have ended: looks at them. */
void association_watch(struct association *association);

/* When a datagram last passed, ms; when it has to be looked at; the look. */
uint64_t association_active(const struct association *association);
uint64_t association_next_look(const struct association *association);
void association_look(struct association *association);

const struct association_counts *association_counts(const struct association *association);

/* At the end, before the counts are told: adds what ICMP has said and no turn of the loop has read. */
void association_count_last(struct association *association);

#endif
