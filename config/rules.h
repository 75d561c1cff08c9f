/* rules.h - the [rule] sections as one compiled, immutable table, and the question which of them
 * matches first. Pure. CONNECT, BIND and every datagram are judged here, see policy.h for what a
 * match (or none) then means.
 *
 * Compiled once per snapshot: each condition (destination, client, user, listener, command, port)
 * says which rules it lets through as a set of bits; their intersection's first bit is the answer.
 * So a decision costs about the same whatever the rules look like. */
#ifndef PAIRSOCKS_RULES_H
#define PAIRSOCKS_RULES_H

#include "config/config.h"

struct rules;

struct rules_request {
    unsigned listener;         /* index in config->listeners */
    struct ip_address client;  /* IP_NONE: has no address (unix socket) */
    const char *user;          /* a verified identity as rules write it (`alice`, `ident:alice`,
                                  `cert:CN`), compared byte by byte; NULL: none */
    const char *name;          /* the host as the client named it; NULL: it gave an address */
    size_t name_length;        /* a trailing dot and case do not matter */
    struct ip_address address; /* the literal or one candidate; IP_NONE: not known yet */
    uint16_t port;
    unsigned command;   /* one bit of enum command */
    bool stays_unknown; /* no address will ever be known: of the destinations only names match */
};

enum rules_result {
    RULES_NONE,          /* no rule matches */
    RULES_MATCH,         /* *ret_match is set */
    RULES_NEEDS_ADDRESS, /* the first rule that matches in everything but an address that is not
                            known yet: *ret_match.rule is set. Never with an address given, nor
                            where it stays unknown */
};

struct rules_match {
    unsigned rule;   /* index in config->rules_in_order */
    bool by_address; /* the rule lists the address itself, or a CIDR that holds it */
};

/* NULL without memory. The rules must outlive the table, for it points to their names. */
struct rules *rules_new(const struct config_rule *rules, unsigned count);
void rules_free(struct rules *rules);

/* One pass in file order. A rule's destination matches by name or by address. An IPv4-mapped address
 * or client is judged as IPv4; a client without an address is in no list of clients. Allocates
 * nothing. `ret_match` is untouched by RULES_NONE. */
enum rules_result rules_find(const struct rules *rules, const struct rules_request *request,
                             struct rules_match *ret_match);

/* Why a rule is not the one, in the order in which they are looked at. */
enum rules_mismatch {
    RULES_MATCHES, /* it would decide, or needs the address */
    RULES_OTHER_LISTENER,
    RULES_OTHER_CLIENT,
    RULES_OTHER_USER,
    RULES_OTHER_COMMAND,
    RULES_OTHER_PORT,
    RULES_OTHER_DESTINATION,
};

/* For `pairsocks explain`: rule by rule, by a plain reading that shares no code with rules_find().
 * With RULES_MATCHES *ret_needs_address says whether that depends on the address; it is untouched
 * otherwise. */
enum rules_mismatch rules_compare(const struct config_rule *rule,
                                  const struct rules_request *request, bool *ret_needs_address);

#endif
