/* connect.c - `pairsocks connect`: standard input and output on a connection through proxies, as
 * ssh's ProxyCommand wants it. */
#include "cli/advice.h"
#include "cli/dial.h"
#include "cli/pump.h"
#include "cli/through.h"
#include "cli/verb.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line, and the exit status that goes with it. */
static int complain(const struct stream_error *error, const char *where)
{
    const struct advice *advice = advice_find(error);
    const char *reason = stream_error_errno_name(error);
    char name[STREAM_ERROR_NAME_MAX];

    fprintf(stderr, "pairsocks connect: %s: %s%s%s%s: %s\n", where, stream_error_name(error, name),
            reason ? " (" : "", reason ? reason : "", reason ? ")" : "", advice->meaning);
    return (int)advice->status;
}

static int pump(struct dial *dial, const struct dial_options *options)
{
    struct stream_error error;

    if (pump_run(&dial->pair, &error))
        return EXIT_SUCCESS;
    if (stream_error_set(&error))
        return complain(&error, options->host);
    if (errno != EPIPE) /* who does not want any more knows it */
        fprintf(stderr, "pairsocks connect: standard input or output: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

static int run_connect(const struct verb *verb, int argc, char **argv)
{
    struct through through;
    struct dial dial;
    int status;

    if (!through_parse(verb, argc, argv, &through, &status))
        return status;
    signal(SIGPIPE, SIG_IGN);
    if (dial_open(&dial, &through.options, NULL, NULL))
        status = pump(&dial, &through.options);
    else
        status = complain(&dial.error, dial.where);
    dial_done(&dial);
    through_done(&through);
    return status;
}

const struct verb verb_connect = {
    .name = "connect",
    .arguments = THROUGH_ARGUMENTS,
    .summary = "standard input and output through a proxy (for ssh's ProxyCommand)",
    .options = THROUGH_OPTIONS,
    .run = run_connect,
};
