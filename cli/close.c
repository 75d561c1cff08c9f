/* close.c - `pairsocks close`: ends one session. */
#include "cli/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_close(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON | CONTROL_TAKES, &control, &status))
        return status;
    if (control.operand[strspn(control.operand, "0123456789")] || !*control.operand) {
        fprintf(stderr, "pairsocks close: %s: an id is a number, see `pairsocks sessions`\n",
                control.operand);
        return EXIT_USAGE;
    }
    if (control_call(&control, "close", control.operand, &status) && !control.json)
        printf("session %s is closed\n", control.operand);
    control_done(&control);
    return status;
}

const struct verb verb_close = {
    .name = "close",
    .arguments = "[--json] [--control PATH] ID",
    .summary = "end one session, with resets to both sides",
    .options = CONTROL_OPTIONS_JSON "      ID              as `pairsocks sessions` shows it\n",
    .run = run_close,
};
