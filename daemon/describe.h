/* describe.h - what is being served, as JSON: for the control socket and for the status page. Each call writes
 * one value under `key`. The control plane's thread. */
#ifndef PAIRSOCKS_DESCRIBE_H
#define PAIRSOCKS_DESCRIBE_H

#include "daemon/inspect.h"
#include "daemon/json.h"
#include "daemon/serving.h"

/* An array of objects: name, addresses, protocols, security, sessions, max_sessions, queue, max_queue, sent, received, and
 * `refused` by reason. */
void describe_listeners(struct json *json, const char *key, const struct serving *serving);

/* An array of objects: name, type, balance, service, via, used_by, error (of the service's name), and servers:
 * server, state (`good`, `set aside`, `unhealthy`), sessions, failures, retry_ms, last_error, last_error_at (Unix
 * time), check_error. What is not known or does not apply is null. */
void describe_upstreams(struct json *json, const char *key, const struct snapshot *snapshot);

/* An array of objects, the oldest first: id, listener, client, user, protocol, command, target, address, route,
 * rule, upstream, upstream_peer, sent, received, setup_ms, age_ms, state; what is not known is null. It ends
 * where `json` has no more place. Returns how many it has. */
unsigned describe_sessions(struct json *json, const char *key, const struct inspect_answer *answer);

#endif
