/* control_command.c - what can be asked for by the control socket: a row for each verb. */
#include "daemon/control_machine.h"
#include "daemon/describe.h"
#include "daemon/describe_counters.h"
#include "daemon/log.h"

#include "config/value.h"
#include "config/words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One request while it waits for its outcome. */
struct asked {
    struct control_plane *cp;
    struct control_client *client;
    struct reload_waiter waiter;
};

/* Who has told the daemon to do something, and what. */
static void log_command(const struct control_client *client, const char *verb, const char *argument)
{
    struct control_peer peer = control_client_peer(client);
    struct log_record record;

    if (!log_wants(LOG_LEVEL_NOTICE))
        return;
    log_begin(&record, LOG_LEVEL_NOTICE, "control");
    log_record_string(&record, "command", verb);
    log_record_string(&record, "argument", argument ? argument : "");
    log_record_number(&record, "uid", peer.uid);
    log_record_number(&record, "pid", (uint64_t)peer.pid);
    log_commit(&record);
}

/* ---- status, upstreams */

static uint64_t uptime_ms(const struct control_plane *cp)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)(now.tv_sec - cp->started_at.tv_sec) * 1000 +
           (uint64_t)(now.tv_nsec / 1000000) - (uint64_t)(cp->started_at.tv_nsec / 1000000);
}

static const char *state_name(const struct control_plane *cp)
{
    return cp->draining ? "draining" : cp->is_ready ? "serving" : "starting";
}

static uint64_t count_sessions(const struct snapshot *snapshot)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < snapshot->config->listener_count; i++)
        count += atomic_load(&snapshot->listeners[i].gate->sessions.used);
    return count;
}

/* Without memory some are missing. */
static void put_errors_ended(struct json *json, const struct workers *workers)
{
    struct counters_sum sum = {0};

    for (unsigned i = 0; i < workers->count; i++)
        counters_sum_add(&sum, workers->worker[i].counters);
    describe_errors(json, "errors", &sum);
    counters_sum_done(&sum);
}

void control_describe(const struct control_plane *cp, struct json *json)
{
    const struct serving *serving = &cp->serving;

    json_number(json, "pid", (uint64_t)getpid());
    json_string(json, "state", state_name(cp));
    json_number(json, "started", (uint64_t)cp->started);
    json_number(json, "uptime_ms", uptime_ms(cp));
    json_number(json, "workers", serving->workers.count);
    json_string(json, "file", cp->file);
    json_number(json, "loaded", (uint64_t)cp->loaded);
    json_string(json, "log_level", config_log_level_name(log_level()));
    json_number(json, "sessions", count_sessions(serving->snapshot));
    json_number(json, "max_sessions", atomic_load(&serving->workers.sessions.max));
    describe_listeners(json, "listeners", serving);
    put_errors_ended(json, &serving->workers);
}

static void run_status(struct control_plane *cp, struct control_client *client, char *argument)
{
    control_describe(cp, control_client_begin(client, true));
    control_client_end(client);
}

static void run_upstreams(struct control_plane *cp, struct control_client *client, char *argument)
{
    struct json *json = control_client_begin(client, true);

    describe_upstreams(json, "upstreams", cp->serving.snapshot);
    control_client_end(client);
}

/* ---- sessions, close */

static void cancel_inspection(void *what)
{
    inspect_cancel(what);
}

/* What an inspection is begun with, and what waits for it. */
static void wait_for(struct control_client *client, struct inspection *inspection)
{
    if (inspection)
        control_client_wait(client, cancel_inspection, inspection);
    else
        control_client_fail(client, "no-memory", "there is no memory");
}

static void on_sessions(void *context, const struct inspect_answer *answer)
{
    struct control_client *client = context;
    struct json *json = control_client_begin(client, true);

    json_number(json, "total", answer->total);
    json_number(json, "silent_workers", answer->silent);
    json_number(json, "shown", describe_sessions(json, "sessions", answer));
    control_client_end(client);
}

static void run_sessions(struct control_plane *cp, struct control_client *client, char *argument)
{
    int64_t max = INSPECT_SESSIONS_MAX;

    if (argument && (!value_number(argument, &max) || max < 1 || max > INSPECT_SESSIONS_MAX))
        control_client_fail(client, "bad-argument", "sessions takes a number from 1 to %d",
                            INSPECT_SESSIONS_MAX);
    else
        wait_for(client, inspect_sessions(cp->inspector, (unsigned)max, on_sessions, client));
}

static void on_closed(void *context, const struct inspect_answer *answer)
{
    struct control_client *client = context;

    if (answer->is_closed) {
        control_client_begin(client, true);
        control_client_end(client);
    } else if (answer->silent) {
        control_client_fail(client, "timeout",
                            "%u workers have not answered, the others have no such session",
                            answer->silent);
    } else {
        control_client_fail(client, "no-such-session", "there is no session with this id");
    }
}

static void run_close(struct control_plane *cp, struct control_client *client, char *argument)
{
    int64_t id;

    if (!value_number(argument, &id)) {
        control_client_fail(client, "bad-argument", "close takes a session's id, a number");
        return;
    }
    log_command(client, "close", argument);
    wait_for(client, inspect_close(cp->inspector, (uint64_t)id, on_closed, client));
}

/* ---- reload, drain, log-level */

static void put_lines(struct json *json, const char *key, const char *text)
{
    json_begin_array(json, key);
    while (*text) {
        size_t n = strcspn(text, "\n");

        json_bytes(json, NULL, text, n);
        text += n + (text[n] == '\n');
    }
    json_end_array(json);
}

static void on_reloaded(void *context, const struct reload_outcome *outcome)
{
    struct asked *asked = context;
    struct json *json = control_client_begin(asked->client, outcome->is_in_force);

    if (!outcome->is_in_force) {
        json_string(json, "error", "not-reloaded");
        json_string(json, "message", "the configuration before stays in force");
    }
    json_string(json, "file", asked->cp->file);
    put_lines(json, "errors", outcome->errors);
    put_lines(json, "notes", outcome->notes);
    control_client_end(asked->client);
    free(asked);
}

static void cancel_reload(void *what)
{
    struct asked *asked = what;

    control_forget_waiter(asked->cp, &asked->waiter);
    free(asked);
}

static void run_reload(struct control_plane *cp, struct control_client *client, char *argument)
{
    struct asked *asked = calloc(1, sizeof *asked);

    if (!asked) {
        control_client_fail(client, "no-memory", "there is no memory");
        return;
    }
    log_command(client, "reload", NULL);
    *asked = (struct asked){.cp = cp, .client = client};
    asked->waiter = (struct reload_waiter){.done = on_reloaded, .context = asked};
    control_client_wait(client, cancel_reload, asked);
    control_reload_for(cp, &asked->waiter);
}

static void run_drain(struct control_plane *cp, struct control_client *client, char *argument)
{
    uint64_t sessions = count_sessions(cp->serving.snapshot);
    struct json *json;

    log_command(client, "drain", NULL);
    control_drain(cp);
    json = control_client_begin(client, true);
    json_number(json, "sessions", sessions);
    json_number(json, "drain_timeout_ms", (uint64_t)cp->serving.snapshot->config->drain_timeout);
    control_client_end(client);
}

static void run_log_level(struct control_plane *cp, struct control_client *client, char *argument)
{
    const struct word *word = argument ? words_find(words_log_level, argument) : NULL;
    struct json *json;

    if (argument && !word) {
        control_client_fail(client, "bad-argument",
                            "log-level takes error, warning, notice, info or debug");
        return;
    }
    if (word) {
        log_command(client, "log-level", word->text);
        log_set_level((enum log_level)word->value);
    }
    json = control_client_begin(client, true);
    json_string(json, "log_level", config_log_level_name(log_level()));
    control_client_end(client);
}

/* ---- upgrade */

static void on_upgraded(void *context, pid_t pid, const char *failure, const char *errors)
{
    struct asked *asked = context;
    struct json *json = control_client_begin(asked->client, !failure);

    if (failure) {
        json_string(json, "error", "not-upgraded");
        json_string(json, "message", failure);
        put_lines(json, "errors", errors);
    } else {
        json_number(json, "pid", (uint64_t)pid);
    }
    control_client_end(asked->client);
    free(asked);
}

static void cancel_upgrade(void *what)
{
    struct asked *asked = what;

    control_forget_upgrade(asked->cp, asked);
    free(asked);
}

static void run_upgrade(struct control_plane *cp, struct control_client *client, char *argument)
{
    struct asked *asked = calloc(1, sizeof *asked);

    if (!asked) {
        control_client_fail(client, "no-memory", "there is no memory");
        return;
    }
    log_command(client, "upgrade", NULL);
    *asked = (struct asked){.cp = cp, .client = client};
    control_client_wait(client, cancel_upgrade, asked);
    control_upgrade(cp, on_upgraded, asked);
}

/* ---- the table */

enum takes { TAKES_NOTHING, MAY_TAKE, TAKES_ONE };

static const struct request {
    const char *verb;
    enum takes takes;
    void (*run)(struct control_plane *cp, struct control_client *client, char *argument);
} requests[] = {
    {"status", TAKES_NOTHING, run_status},       {"sessions", MAY_TAKE, run_sessions},
    {"upstreams", TAKES_NOTHING, run_upstreams}, {"close", TAKES_ONE, run_close},
    {"reload", TAKES_NOTHING, run_reload},       {"drain", TAKES_NOTHING, run_drain},
    {"log-level", MAY_TAKE, run_log_level},      {"upgrade", TAKES_NOTHING, run_upgrade},
};

void control_request(void *context, struct control_client *client, char *line)
{
    char *argument = line, *verb = strsep(&argument, " ");

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const struct request *request = &requests[i];

        if (strcmp(verb, request->verb) != 0)
            continue;
        if (argument ? request->takes == TAKES_NOTHING : request->takes == TAKES_ONE)
            control_client_fail(client, "bad-argument", "%s takes %s argument", verb,
                                argument ? "no" : "an");
        else
            request->run(context, client, argument);
        return;
    }
    control_client_fail(client, "unknown-request", "this daemon knows no `%s`", verb);
}
