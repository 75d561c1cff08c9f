/* describe_counters.c - a function for each object. */
#include "daemon/describe_counters.h"

static void put_tls(struct json *json, const char *key, const uint64_t tls[COUNTERS_TLS])
{
    json_begin_object(json, key);
    for (unsigned i = 0; i < COUNTERS_TLS; i++)
        json_number(json, counters_tls_names[i], tls[i]);
    json_end_object(json);
}

static void put_sum(struct json *json, const struct listener_sum *sum)
{
    json_number(json, "sessions", sum->now);
    json_number(json, "started", sum->started);
    json_number(json, "ended", sum->ended);
    json_number(json, "accepted", sum->accepted);
    json_number(json, "sent", sum->sent);
    json_number(json, "received", sum->received);
    put_tls(json, "tls", sum->tls);
}

static void put_listeners(struct json *json, const struct survey *survey)
{
    json_begin_array(json, "listeners");
    for (unsigned i = 0; i < survey->config->listener_count; i++) {
        json_begin_object(json, NULL);
        json_string(json, "name", survey->config->listeners[i].name);
        put_sum(json, &survey->listeners[i].sum);
        json_end_object(json);
    }
    json_end_array(json);
    json_begin_object(json, "total");
    put_sum(json, &survey->total);
    json_end_object(json);
}

void describe_errors(struct json *json, const char *key, const struct counters_sum *counters)
{
    json_begin_object(json, key);
    for (unsigned i = 0; i < counters->error_count; i++)
        json_number(json, counters->errors[i].name, counters->errors[i].count);
    json_end_object(json);
}

static void put_times(struct json *json, const struct counters_sum *counters)
{
    static const char *const names[COUNTERS_TIMES] = {
        [COUNTERS_RESOLVE] = "resolve",
        [COUNTERS_CONNECT_DIRECT] = "connect_direct",
        [COUNTERS_CONNECT_UPSTREAM] = "connect_upstream",
        [COUNTERS_SETUP] = "setup",
    };

    json_begin_object(json, "times");
    for (unsigned i = 0; i < COUNTERS_TIMES; i++) {
        json_begin_object(json, names[i]);
        json_number(json, "count", counters->times[i].count);
        json_number(json, "sum_ms", counters->times[i].sum_ms);
        json_begin_array(json, "buckets");
        for (unsigned j = 0; j <= COUNTERS_BUCKETS; j++)
            json_number(json, NULL, counters->times[i].buckets[j]);
        json_end_array(json);
        json_end_object(json);
    }
    json_end_object(json);
    json_begin_array(json, "bounds_ms");
    for (unsigned i = 0; i < COUNTERS_BUCKETS; i++)
        json_number(json, NULL, counters_bounds[i]);
    json_end_array(json);
}

void describe_counters(struct json *json, const char *key, const struct survey *survey)
{
    json_begin_object(json, key);
    put_listeners(json, survey);
    describe_errors(json, "errors", &survey->counters);
    put_tls(json, "target_tls", survey->counters.tls);
    put_times(json, &survey->counters);
    json_number(json, "log_lines_lost", survey->log_lost);
    json_end_object(json);
}
