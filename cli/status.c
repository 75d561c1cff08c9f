/* status.c - `pairsocks status`: how the daemon is, its listeners, and how sessions have ended. */
#include "cli/control.h"
#include "cli/human.h"
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_MAX = 1024 };

/* The texts of an array with `between` between them. */
static const char *join(const struct answer *list, const char *between, char out[LIST_MAX])
{
    size_t n = 0;

    *out = '\0';
    for (const struct answer *item = list->first; item && n < LIST_MAX; item = item->next)
        n += (size_t)snprintf(out + n, LIST_MAX - n, "%s%s", n ? between : "",
                              item->kind == ANSWER_TEXT ? item->text : "");
    return out;
}

/* `3 whitelist, 1 queue`: of an object of numbers those that are not 0. */
static const char *join_counts(const struct answer *counts, char out[LIST_MAX])
{
    size_t n = 0;

    *out = '\0';
    for (const struct answer *item = counts->first; item && n < LIST_MAX; item = item->next)
        if (item->number)
            n += (size_t)snprintf(out + n, LIST_MAX - n, "%s%llu %s", n ? ", " : "",
                                  (unsigned long long)item->number, item->key);
    return out;
}

static void print_listeners(const struct answer *listeners)
{
    static const struct table_column columns[] = {
        {"LISTENER", false}, {"ADDRESSES", false}, {"PROTOCOLS", false}, {"TLS", false},
        {"SESSIONS", true},  {"MAX", true},        {"QUEUE", true},      {"SENT", true},
        {"RECEIVED", true},  {"REFUSED", false},
    };
    struct table table = {.columns = columns, .column_count = sizeof columns / sizeof *columns};
    char text[LIST_MAX];

    for (const struct answer *l = listeners->first; l; l = l->next) {
        table_add(&table, answer_text(l, "name"));
        table_add(&table, join(answer_member(l, "addresses"), ", ", text));
        table_add(&table, join(answer_member(l, "protocols"), ",", text));
        table_add(&table, answer_text(l, "security"));
        table_add_number(&table, answer_number(l, "sessions"));
        table_add_number(&table, answer_number(l, "max_sessions"));
        table_add_format(&table, "%llu/%llu", (unsigned long long)answer_number(l, "queue"),
                         (unsigned long long)answer_number(l, "max_queue"));
        table_add(&table, human_bytes(answer_number(l, "sent"), text));
        table_add(&table, human_bytes(answer_number(l, "received"), text));
        table_add(&table, join_counts(answer_member(l, "refused"), text));
    }
    table_print(&table, stdout, SIZE_MAX, 0);
    table_done(&table);
}

/* Sessions that have ended, by the name of their error. */
static void print_errors(const struct answer *errors)
{
    static const struct table_column columns[] = {{"ENDED WITH", false}, {"SESSIONS", true}};
    struct table table = {.columns = columns, .column_count = 2};

    if (!errors->first)
        return;
    for (const struct answer *e = errors->first; e; e = e->next) {
        table_add(&table, e->key);
        table_add_number(&table, e->number);
    }
    putchar('\n');
    table_print(&table, stdout, SIZE_MAX, 0);
    table_done(&table);
}

static void print_status(const struct answer *a)
{
    char uptime[HUMAN_MAX], loaded[HUMAN_MAX];
    const char *file = answer_text(a, "file");

    printf("pairsocksd %s, pid %llu, %s, up %s\n", answer_text(a, "version"),
           (unsigned long long)answer_number(a, "pid"), answer_text(a, "state"),
           human_duration(answer_number(a, "uptime_ms"), uptime));
    printf("configuration: %s, loaded %s\n", *file ? file : "the built-in default",
           human_time(answer_number(a, "loaded"), loaded));
    printf("workers: %llu   log level: %s   sessions: %llu of %llu\n\n",
           (unsigned long long)answer_number(a, "workers"), answer_text(a, "log_level"),
           (unsigned long long)answer_number(a, "sessions"),
           (unsigned long long)answer_number(a, "max_sessions"));
    print_listeners(answer_member(a, "listeners"));
    print_errors(answer_member(a, "errors"));
}

static int run_status(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON, &control, &status))
        return status;
    if (control_call(&control, "status", NULL, &status) && !control.json)
        print_status(control.answer);
    control_done(&control);
    return status;
}

const struct verb verb_status = {
    .name = "status",
    .arguments = "[--json] [--control PATH]",
    .summary = "how the daemon is: listeners, sessions, what it has turned away",
    .options = CONTROL_OPTIONS_JSON,
    .run = run_status,
};
