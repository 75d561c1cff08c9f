/* upgrade.c - `pairsocks upgrade`: waits until a new process of the daemon serves, or says why the old one serves on. */
#include "cli/control.h"

#include <stdio.h>
#include <stdlib.h>

static int run_upgrade(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON, &control, &status))
        return status;
    if (control_call(&control, "upgrade", NULL, &status) && !control.json)
        printf("process %llu serves; the one before ends with its last session\n",
               (unsigned long long)answer_number(control.answer, "pid"));
    else if (control.answer && !control.json)
        control_print_lines(stderr, "", answer_member(control.answer, "errors"));
    control_done(&control);
    return status;
}

const struct verb verb_upgrade = {
    .name = "upgrade",
    .arguments = "[--json] [--control PATH]",
    .summary = "start the program anew, which takes over; wait for the result",
    .options = CONTROL_OPTIONS_JSON,
    .run = run_upgrade,
};
