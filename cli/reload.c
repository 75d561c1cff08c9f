/* reload.c - `pairsocks reload`: waits until the new configuration is in force, or says why it is not. */
#include "cli/control.h"

#include <stdio.h>
#include <stdlib.h>

static int run_reload(const struct verb *verb, int argc, char **argv)
{
    struct control control;
    const char *file;
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_JSON, &control, &status))
        return status;
    if (control_call(&control, "reload", NULL, &status) && !control.json) {
        file = answer_text(control.answer, "file");
        printf("%s: is in force\n", *file ? file : "built-in default");
        control_print_lines(stdout, "note: ", answer_member(control.answer, "notes"));
    } else if (control.answer && !control.json) {
        control_print_lines(stderr, "", answer_member(control.answer, "errors"));
    }
    control_done(&control);
    return status;
}

const struct verb verb_reload = {
    .name = "reload",
    .arguments = "[--json] [--control PATH]",
    .summary = "have the configuration read again, and wait for the result",
    .options = CONTROL_OPTIONS_JSON,
    .run = run_reload,
};
