/* sessions.c - `pairsocks sessions`: who is connected to what. */
#include "cli/control.h"
#include "cli/human.h"
#include "cli/session_row.h"

#include <stdio.h>
#include <stdlib.h>

static void print_sessions(const struct answer *a)
{
    struct table table = {.columns = session_columns, .column_count = SESSION_COLUMNS};
    unsigned long long total = answer_number(a, "total"), shown = answer_number(a, "shown");
    unsigned long long silent = answer_number(a, "silent_workers");

    for (const struct answer *s = answer_member(a, "sessions")->first; s; s = s->next)
        session_row_add(&table, s);
    table_print(&table, stdout, SIZE_MAX, 0);
    table_done(&table);
    if (shown < total)
        printf("%llu of %llu sessions: the newest\n", shown, total);
    if (silent)
        fprintf(
            stderr,
            "pairsocks sessions: %llu of the workers did not answer: what they have is missing\n",
            silent);
}

static int run_sessions(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON | CONTROL_MAY_TAKE, &control, &status))
        return status;
    if (control_call(&control, "sessions", control.operand, &status) && !control.json)
        print_sessions(control.answer);
    control_done(&control);
    return status;
}

const struct verb verb_sessions = {
    .name = "sessions",
    .arguments = "[--json] [--control PATH] [MAX]",
    .summary = "who is connected to what, the oldest first",
    .options =
        CONTROL_OPTIONS_JSON "      MAX             of more sessions the newest; else 10000\n",
    .run = run_sessions,
};
