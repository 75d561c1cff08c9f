/* log_level.c - `pairsocks log-level`: what the daemon logs, until the next reload. */
#include "cli/control.h"

#include <stdio.h>
#include <stdlib.h>

static int run_log_level(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON | CONTROL_MAY_TAKE, &control, &status))
        return status;
    if (control_call(&control, "log-level", control.operand, &status) && !control.json)
        puts(answer_text(control.answer, "log_level"));
    control_done(&control);
    return status;
}

const struct verb verb_log_level = {
    .name = "log-level",
    .arguments = "[--json] [--control PATH] [LEVEL]",
    .summary = "what the daemon logs; with LEVEL set it until the next reload",
    .options = CONTROL_OPTIONS_JSON "      LEVEL           error, warning, notice, info, debug\n",
    .run = run_log_level,
};
