/* metrics.c - a family for each number, in tables where they are alike. */
#include "daemon/metrics.h"

#include <config.h>
#include <stdlib.h>

#define LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {0}})

/* ---- the daemon ---- */

static void write_daemon(struct metrics *m, const struct survey *survey)
{
    metrics_family(m, "pairsocks_build", METRICS_INFO, "The version that runs.");
    metrics_sample(m, LABELS({"version", PACKAGE_VERSION}), 1);
    metrics_family(m, "pairsocks_start_time_seconds", METRICS_GAUGE,
                   "When the daemon began to serve, in seconds since 1970.");
    metrics_sample(m, NULL, (uint64_t)survey->serving->started);
    metrics_family(m, "pairsocks_config_loaded_time_seconds", METRICS_GAUGE,
                   "When the configuration took effect, in seconds since 1970.");
    metrics_sample(m, NULL, (uint64_t)survey->serving->loaded);
    metrics_family(m, "pairsocks_workers", METRICS_GAUGE, "Worker threads.");
    metrics_sample(m, NULL, survey->serving->workers.count);
    metrics_family(m, "pairsocks_draining", METRICS_GAUGE,
                   "1 while no new connections are taken, before the end.");
    metrics_sample(m, NULL, survey->is_draining);
    metrics_family(m, "pairsocks_log_lines_lost", METRICS_COUNTER,
                   "Lines of the log that found no place, or that its target did not take.");
    metrics_sample(m, NULL, survey->log_lost);
}

/* ---- listeners ---- */

static uint64_t sessions_max(const struct survey_listener *l)
{
    return (uint64_t)l->config->max_connections;
}

static uint64_t queued(const struct survey_listener *l)
{
    return l->queue.regular + l->queue.probation;
}

#define SUM_OF(field)                                                                              \
    static uint64_t field##_of(const struct survey_listener *l)                                    \
    {                                                                                              \
        return l->sum.field;                                                                       \
    }

SUM_OF(now)
SUM_OF(accepted)
SUM_OF(started)
SUM_OF(sent)
SUM_OF(received)

static void write_listeners(struct metrics *m, const struct survey *survey)
{
    static const struct {
        const char *name, *help;
        enum metrics_type type;
        uint64_t (*of)(const struct survey_listener *);
    } rows[] = {
        {"pairsocks_sessions", "Sessions now.", METRICS_GAUGE, now_of},
        {"pairsocks_sessions_limit", "The most sessions at a time (max_connections).",
         METRICS_GAUGE, sessions_max},
        {"pairsocks_queue", "Connections whose request is not complete yet.", METRICS_GAUGE,
         queued},
        {"pairsocks_connections_accepted", "Connections accepted, also those refused then.",
         METRICS_COUNTER, accepted_of},
        {"pairsocks_sessions_started", "Sessions begun.", METRICS_COUNTER, started_of},
        {"pairsocks_sent_bytes", "Bytes passed on from clients to targets.", METRICS_COUNTER,
         sent_of},
        {"pairsocks_received_bytes", "Bytes passed on from targets to clients.", METRICS_COUNTER,
         received_of},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metrics_family(m, rows[i].name, rows[i].type, rows[i].help);
        for (unsigned j = 0; j < survey->config->listener_count; j++)
            metrics_sample(m, LABELS({"listener", survey->config->listeners[j].name}),
                           rows[i].of(&survey->listeners[j]));
    }
}

static void write_refused(struct metrics *m, const struct survey *survey)
{
    metrics_family(m, "pairsocks_connections_refused", METRICS_COUNTER,
                   "Connections closed before or in their handshake, by what forbade them.");
    for (unsigned i = 0; i < survey->config->listener_count; i++)
        for (unsigned j = 0; j < GATE_REPORTED; j++)
            metrics_sample(m,
                           LABELS({"listener", survey->config->listeners[i].name},
                                  {"reason", gate_refusal_names[j]}),
                           survey->listeners[i].refused[j]);
}

static void write_tls(struct metrics *m, const struct survey *survey)
{
    metrics_family(m, "pairsocks_tls_handshakes", METRICS_COUNTER, "TLS handshakes with clients.");
    for (unsigned i = 0; i < survey->config->listener_count; i++)
        for (unsigned j = 0; j < COUNTERS_TLS; j++)
            metrics_sample(m,
                           LABELS({"listener", survey->config->listeners[i].name},
                                  {"result", counters_tls_names[j]}),
                           survey->listeners[i].sum.tls[j]);
    metrics_family(m, "pairsocks_target_tls_handshakes", METRICS_COUNTER,
                   "TLS handshakes with targets and upstreams; of a chain the last one.");
    for (unsigned j = 0; j < COUNTERS_TLS; j++)
        metrics_sample(m, LABELS({"result", counters_tls_names[j]}), survey->counters.tls[j]);
}

/* ---- sessions ---- */

static void write_errors(struct metrics *m, const struct survey *survey)
{
    metrics_family(m, "pairsocks_sessions_ended", METRICS_COUNTER,
                   "Sessions ended, by the name of their error; none: they ended well.");
    for (unsigned i = 0; i < survey->counters.error_count; i++)
        metrics_sample(m, LABELS({"error", survey->counters.errors[i].name}),
                       survey->counters.errors[i].count);
}

static void write_time(struct metrics *m, const struct survey *survey, enum counters_time time,
                       const struct metrics_label *labels)
{
    const struct histogram_sum *sum = &survey->counters.times[time];

    metrics_buckets(
        m, labels,
        &(struct metrics_histogram){counters_bounds, COUNTERS_BUCKETS, sum->buckets, sum->sum_ms});
}

static void write_times(struct metrics *m, const struct survey *survey)
{
    metrics_family(m, "pairsocks_resolve_seconds", METRICS_HISTOGRAM,
                   "Until the first address of a target's name was known, or that there is none.");
    write_time(m, survey, COUNTERS_RESOLVE, NULL);
    metrics_family(m, "pairsocks_connect_seconds", METRICS_HISTOGRAM,
                   "From there until the target stood, straight or by way of upstreams.");
    write_time(m, survey, COUNTERS_CONNECT_DIRECT, LABELS({"via", "direct"}));
    write_time(m, survey, COUNTERS_CONNECT_UPSTREAM, LABELS({"via", "upstream"}));
    metrics_family(m, "pairsocks_setup_seconds", METRICS_HISTOGRAM,
                   "From accept until the client was told that its target stands.");
    write_time(m, survey, COUNTERS_SETUP, NULL);
}

/* ---- upstreams ---- */

static uint64_t is_usable(const struct survey_server *server)
{
    return server->is_usable;
}

static uint64_t server_sessions(const struct survey_server *server)
{
    return server->sessions;
}

static uint64_t server_failures(const struct survey_server *server)
{
    return server->failures;
}

static void write_upstreams(struct metrics *m, const struct survey *survey)
{
    static const struct {
        const char *name, *help;
        uint64_t (*of)(const struct survey_server *);
    } rows[] = {
        {"pairsocks_upstream_usable", "1: neither set aside after a failure, nor found unhealthy.",
         is_usable},
        {"pairsocks_upstream_sessions", "Sessions that use the server now.", server_sessions},
        {"pairsocks_upstream_failures", "Its failures since it last worked.", server_failures},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metrics_family(m, rows[i].name, METRICS_GAUGE, rows[i].help);
        for (unsigned j = 0; j < survey->config->upstream_count; j++) {
            const struct survey_upstream *upstream = &survey->upstreams[j];

            for (unsigned k = 0; k < upstream->server_count; k++)
                metrics_sample(m,
                               LABELS({"upstream", upstream->config->name},
                                      {"server", upstream->servers[k].server->text}),
                               rows[i].of(&upstream->servers[k]));
        }
    }
}

char *metrics_write(const struct survey *survey, enum metrics_format format, size_t *ret_length)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    struct metrics m = {.out = out, .format = format};
    bool good;

    if (!out)
        return NULL;
    write_daemon(&m, survey);
    write_listeners(&m, survey);
    write_refused(&m, survey);
    write_tls(&m, survey);
    write_errors(&m, survey);
    write_times(&m, survey);
    write_upstreams(&m, survey);
    metrics_end(&m);
    good = !ferror(out);
    if (fclose(out) != 0 || !good) {
        free(text);
        return NULL;
    }
    *ret_length = length;
    return text;
}
