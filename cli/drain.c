/* drain.c - `pairsocks drain`: no new connections, and the end with the last session. */
#include "cli/control.h"
#include "cli/human.h"

#include <stdio.h>
#include <stdlib.h>

static int run_drain(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    unsigned long long sessions;
    char timeout[HUMAN_MAX];
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON, &control, &status))
        return status;
    if (control_call(&control, "drain", NULL, &status) && !control.json) {
        sessions = answer_number(control.answer, "sessions");
        printf("no new connections; %llu session%s may finish within %s\n", sessions,
               sessions == 1 ? "" : "s",
               human_duration(answer_number(control.answer, "drain_timeout_ms"), timeout));
    }
    control_done(&control);
    return status;
}

const struct verb verb_drain = {
    .name = "drain",
    .arguments = "[--json] [--control PATH]",
    .summary = "take no new connections, and end with the last session",
    .options = CONTROL_OPTIONS_JSON,
    .run = run_drain,
};
