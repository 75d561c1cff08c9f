/* describe_counters.h - what was counted, as JSON: for the status page and the control socket. */
#ifndef PAIRSOCKS_DESCRIBE_COUNTERS_H
#define PAIRSOCKS_DESCRIBE_COUNTERS_H

#include "daemon/json.h"
#include "daemon/survey.h"

/* An object under `key`:
 *   listeners: an array of name, sessions, started, ended, accepted, sent, received, and tls by result;
 *   total: the same of all together;
 *   errors: sessions ended, by the name of their error;
 *   target_tls: handshakes with targets by result;
 *   times: resolve, connect_direct, connect_upstream, setup: each an object of count, sum_ms, and buckets:
 *     how many took at most bounds_ms[i], and no less than the bucket before; the last one: longer;
 *   bounds_ms, log_lines_lost. */
void describe_counters(struct json *json, const char *key, const struct survey *survey);

/* Of that the errors: an object of how many sessions have ended with each. */
void describe_errors(struct json *json, const char *key, const struct counters_sum *counters);

#endif
