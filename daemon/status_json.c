/* status_json.c - the parts put together. */
#include "daemon/status_json.h"

#include "daemon/describe.h"
#include "daemon/describe_counters.h"

#include <config.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_daemon(struct json *json, const struct survey *survey)
{
    const struct serving *serving = survey->serving;

    json_string(json, "version", PACKAGE_VERSION);
    json_string(json, "state", survey->is_draining ? "draining" : "serving");
    json_number(json, "pid", (uint64_t)getpid());
    json_number(json, "workers", serving->workers.count);
    json_number(json, "now", (uint64_t)survey->now);
    json_number(json, "started_at", (uint64_t)serving->started);
    json_number(json, "loaded_at", (uint64_t)serving->loaded);
    json_string(json, "file", survey->config->file);
}

/* Of many sessions those that find no place are left out, and so said. */
static void put_sessions(struct json *json, const struct inspect_answer *answer)
{
    unsigned written = describe_sessions(json, "sessions", answer);

    json_number(json, "sessions_left_out", answer->total > written ? answer->total - written : 0);
    json_number(json, "silent_workers", answer->silent);
}

char *status_json_write(const struct survey *survey, const struct inspect_answer *answer,
                        bool with_sessions, size_t *ret_length)
{
    struct json json;
    const char *written;
    char *text = NULL;

    json_init(&json, STATUS_JSON_MAX);
    json_begin_object(&json, NULL);
    put_daemon(&json, survey);
    describe_listeners(&json, "listeners", survey->serving);
    describe_upstreams(&json, "upstreams", survey->serving->snapshot);
    describe_counters(&json, "counters", survey);
    json_bool(&json, "has_token", survey->config->status_token != NULL);
    if (with_sessions)
        put_sessions(&json, answer);
    else
        json_null(&json, "sessions");
    json_end_object(&json);
    written = json_text(&json, ret_length);
    if (written)
        text = strdup(written);
    json_done(&json);
    return text;
}
