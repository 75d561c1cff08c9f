/* gate.h - who may come in through one [listener], and how many: what all workers and all its
 * sockets share. A gate is known by the listener's name and lives on over reloads, with what it
 * has counted; its bounds follow the configuration. Any thread. */
#ifndef PAIRSOCKS_GATE_H
#define PAIRSOCKS_GATE_H

#include "config/config.h"
#include "daemon/counters.h"
#include "daemon/host_table.h"
#include "daemon/limits.h"
#include "daemon/queue.h"
#include "streams/tls_tickets.h"

/* Why a client was closed without a session, or out of the queue: counted, said once a minute. */
enum gate_refusal {
    GATE_WHITELIST,
    GATE_HOST,
    GATE_USER,
    GATE_PROXY, /* not one of proxy_protocol_from */
    GATE_DESCRIPTORS,
    GATE_REFUSALS,
    GATE_REPORTED /* and those that the queue counts itself */
};

struct gate {
    atomic_uint references;
    char *name;                          /* owned */
    struct tls_ticket_keys *ticket_keys; /* a reference; NULL: none yet. The control plane's */
    struct limit sessions;
    struct queue queue;
    struct host_table hosts, users;
    _Atomic uint64_t max_per_host, max_per_user; /* 0: no bound */
    _Atomic uint64_t refused[GATE_REFUSALS];
    uint64_t reported[GATE_REPORTED]; /* report.c's */
    struct listener_blocks counters;
};

/* NULL without memory. */
struct gate *gate_new(const struct config_listener *config);
struct gate *gate_ref(struct gate *gate);
void gate_unref(struct gate *gate);

/* Another configuration of the same listener takes effect. True: workers that wait for a place are
 * to be told. */
bool gate_configure(struct gate *gate, const struct config_listener *config);

/* A place for one more session of this client's host. False: it has as many as it may; otherwise
 * the place is given back with gate_leave_host(), if *ret_counted. */
bool gate_enter_host(struct gate *gate, const struct ip_address *client, bool *ret_counted);
void gate_leave_host(struct gate *gate, const struct ip_address *client);

/* The same for a verified identity. */
bool gate_enter_user(struct gate *gate, const char *user, bool *ret_counted);
void gate_leave_user(struct gate *gate, const char *user);

void gate_count(struct gate *gate, enum gate_refusal why);

/* What it has turned away so far, by reason, and what each is called: "whitelist", "queue" ... */
extern const char *const gate_refusal_names[GATE_REPORTED];
void gate_refused(const struct gate *gate, uint64_t ret[GATE_REPORTED]);

#endif
