/* survey.h - the numbers of the whole daemon at one moment, summed over its workers: what /metrics and
 * /status.json say. The control plane's thread. */
#ifndef PAIRSOCKS_SURVEY_H
#define PAIRSOCKS_SURVEY_H

#include "daemon/serving.h"

struct survey_listener {
    const struct config_listener *config; /* borrowed */
    struct listener_sum sum;
    struct queue_numbers queue;
    uint64_t refused[GATE_REPORTED];
};

struct survey_server {
    struct upstream_server *server; /* a reference */
    unsigned sessions, failures;    /* failures: one behind the other, until now */
    bool is_usable;
};

struct survey_upstream {
    const struct config_upstream *config; /* borrowed */
    struct survey_server *servers;        /* owned */
    unsigned server_count;
};

struct survey {
    const struct serving *serving; /* borrowed */
    const struct config *config;   /* borrowed: of the serving's snapshot */
    struct survey_listener *listeners;
    struct survey_upstream *upstreams; /* those of type `direct` have no servers */
    struct counters_sum counters;
    struct listener_sum total;
    uint64_t log_lost; /* lines */
    time_t now;
    bool is_draining;
};

/* False without memory. What is borrowed lasts until the next configuration takes effect. */
bool survey_take(struct survey *survey, const struct serving *serving);
void survey_done(struct survey *survey);

#endif
