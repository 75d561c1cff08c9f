/* upstreams.c - `pairsocks upstreams`: the servers behind the daemon, and how each is. */
#include "cli/control.h"
#include "cli/human.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>

static const struct table_column columns[] = {
    {"UPSTREAM", false}, {"TYPE", false},       {"VIA", false},     {"SERVER", false},
    {"STATE", false},    {"SESSIONS", true},    {"FAILURES", true}, {"RETRY", true},
    {"USED BY", false},  {"LAST ERROR", false},
};

static void add_used_by(struct table *table, const struct answer *upstream)
{
    char text[512] = "";
    size_t n = 0;

    for (const struct answer *u = answer_member(upstream, "used_by")->first; u && n < sizeof text;
         u = u->next)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? "," : "",
                              u->kind == ANSWER_TEXT ? u->text : "");
    table_add(table, text);
}

/* What its last check says comes first: it is the newer one as long as it is there. */
static void add_last_error(struct table *table, const struct answer *server)
{
    const char *check = answer_text(server, "check_error"),
               *last = answer_text(server, "last_error");
    char at[HUMAN_MAX];

    if (*check)
        table_add_format(table, "check: %s", check);
    else if (*last)
        table_add_format(table, "%s at %s", last,
                         human_time(answer_number(server, "last_error_at"), at));
    else
        table_add(table, "none");
}

static void add_server(struct table *table, const struct answer *upstream,
                       const struct answer *server)
{
    uint64_t retry = answer_number(server, "retry_ms");
    char text[HUMAN_MAX];

    table_add(table, answer_text(upstream, "name"));
    table_add(table, answer_text(upstream, "type"));
    table_add(table, answer_text(upstream, "via"));
    table_add(table, answer_text(server, "server"));
    table_add(table, answer_text(server, "state"));
    table_add_number(table, answer_number(server, "sessions"));
    table_add_number(table, answer_number(server, "failures"));
    table_add(table, retry ? human_duration(retry, text) : "");
    add_used_by(table, upstream);
    add_last_error(table, server);
}

/* A direct one, or a service whose answer has not come or was none. */
static void add_serverless(struct table *table, const struct answer *upstream)
{
    const char *service = answer_text(upstream, "service"), *error = answer_text(upstream, "error");

    table_add(table, answer_text(upstream, "name"));
    table_add(table, answer_text(upstream, "type"));
    table_add(table, answer_text(upstream, "via"));
    table_add(table, service);
    table_add(table, *service ? "no servers" : "");
    for (unsigned i = 0; i < 3; i++)
        table_add(table, "");
    add_used_by(table, upstream);
    table_add(table, *error ? error : "none");
}

static void print_upstreams(const struct answer *a)
{
    struct table table = {.columns = columns, .column_count = sizeof columns / sizeof *columns};

    for (const struct answer *u = answer_member(a, "upstreams")->first; u; u = u->next) {
        const struct answer *server = answer_member(u, "servers")->first;

        if (!server)
            add_serverless(&table, u);
        for (; server; server = server->next)
            add_server(&table, u, server);
    }
    table_print(&table, stdout, SIZE_MAX, 0);
    table_done(&table);
}

static int run_upstreams(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON, &control, &status))
        return status;
    if (control_call(&control, "upstreams", NULL, &status) && !control.json)
        print_upstreams(control.answer);
    control_done(&control);
    return status;
}

const struct verb verb_upstreams = {
    .name = "upstreams",
    .arguments = "[--json] [--control PATH]",
    .summary = "the servers behind the daemon: health, sessions, last errors",
    .options = CONTROL_OPTIONS_JSON,
    .run = run_upstreams,
};
