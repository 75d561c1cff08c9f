/* connector.h - a TCP connection to a host, by whichever of its addresses answers first (Happy
 * Eyeballs, RFC 8305). A literal address is tried at once. A name is asked for AAAA and A at the
 * same time; when A comes first, AAAA has 50 ms more; the families are interleaved, IPv6 first;
 * an address that does not answer within 250 ms gets company from the next one, an address that
 * fails is followed by the next one at once; the first that connects cancels the rest. Of one name
 * at most CONNECTOR_ADDRESSES_MAX addresses are tried. There is no time limit inside: the owner
 * has one clock and calls connector_expire(). */
#ifndef PAIRSOCKS_CONNECTOR_H
#define PAIRSOCKS_CONNECTOR_H

#include "streams/poller.h"
#include "streams/resolver.h"

#define CONNECTOR_ADDRESSES_MAX 16

/* Attempts that run at the same time for one connection, at most: the oldest makes room. */
#define CONNECTOR_AT_ONCE 4

struct connector;

/* How many attempts beside the first of each connection may run in one thread: descriptors that
 * nobody else can count on. Without one left, addresses are tried one after the other. */
struct connector_budget {
    unsigned used, max;
};

struct connector_options {
    struct ev_loop *loop;                  /* borrowed, as all pointers here */
    struct poller *poller;                 /* of the loop; NULL: it is looked for */
    struct resolver *resolver;             /* NULL: only literal addresses can be connected */
    struct connector_budget *budget;       /* NULL: no bound but CONNECTOR_AT_ONCE */
    bool ipv4_only;                        /* ask for A only: what SOCKS4a can reply */
    const struct ip_address *bind_address; /* source address; NULL or IP_NONE: the kernel's choice.
                                              Targets of the other family are network-unreachable.
                                              Read for each address, after it was judged */

    /* Judges each address before it is tried; false drops it, with the reason in *ret_error.
     * NULL allows all. */
    bool (*judge)(void *context, const struct ip_endpoint *address, struct stream_error *ret_error);

    /* Called once, when the connector is connected or has failed, but never from inside
     * connector_start(), connector_expire() or connector_free(). The callback may free the
     * connector. */
    void (*finished)(void *context, struct connector *connector);
    void *context;
};

enum connector_state { CONNECTOR_RUNNING, CONNECTOR_CONNECTED, CONNECTOR_FAILED };

/* Starts towards `ip`, or (ip is IP_NONE) towards the name, which is copied as far as it is
 * needed. NULL only without memory. It may be connected or failed on return: look at its state. */
struct connector *connector_start(const struct connector_options *options,
                                  const struct ip_address *ip, const char *name, uint16_t port);

/* Cancels what runs, closes an untaken descriptor. Harmless with NULL. */
void connector_free(struct connector *connector);

/* Time is up: a running connector fails with the most telling error so far;
 * resolver.name.timeout while the name is not resolved, system.connect.timeout otherwise. */
void connector_expire(struct connector *connector);

enum connector_state connector_state(const struct connector *connector);

/* CONNECTED: hands over the non-blocking descriptor; the caller closes it. If it is watched by the poller
 * already, `watch` is told from now on; NULL: it is not watched any more. */
int connector_take_fd(struct connector *connector, struct poll_watch *watch);

/* CONNECTED: what the poller has told of the descriptor so far, and will not tell again. */
int connector_events(const struct connector *connector);

/* The address that is connected, or else the last one that was tried; IP_NONE when none was. */
const struct ip_endpoint *connector_address(const struct connector *connector);

/* FAILED: why. Of several addresses the most telling error (errors.md). */
const struct stream_error *connector_error(const struct connector *connector);

#endif
