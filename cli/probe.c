/* probe.c - `pairsocks probe`: goes to a target step by step, tells the time of each, and of what fails
 * which host it was, what it means and what to try. */
#include "cli/advice.h"
#include "cli/dial.h"
#include "cli/through.h"
#include "cli/verb.h"
#include "streams/layer_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_text(const struct x509_span *text)
{
    for (size_t i = 0; i < text->n; i++)
        putchar(text->at[i] >= ' ' && text->at[i] < 127 ? text->at[i] : '?');
}

static void print_date(int64_t seconds)
{
    time_t at = (time_t)seconds;
    struct tm tm;
    char text[32];

    if (gmtime_r(&at, &tm) && strftime(text, sizeof text, "%Y-%m-%d", &tm))
        fputs(text, stdout);
}

/* The peer's certificates, its own first. */
static void print_chain(struct layer *layer)
{
    const struct x509_span *chain;
    size_t n = layer_tls_peer_chain(layer, &chain);

    for (size_t i = 0; i < n; i++) {
        struct x509 cert;

        printf("             certificate %zu: ", i + 1);
        if (x509_parse(chain[i].at, chain[i].n, &cert)) {
            print_text(&cert.common_name);
            printf("%svalid ", cert.common_name.n ? ", " : "");
            print_date(cert.not_before);
            fputs(" to ", stdout);
            print_date(cert.not_after);
            putchar('\n');
        } else {
            puts("cannot be read");
        }
    }
}

static void print_step(void *context, const struct dial_step *step)
{
    (void)context;
    printf("%-8s %8.1f ms  %s%s%s%s\n", step->what, step->seconds * 1e3, step->where,
           *step->detail ? ": " : "", step->detail, step->failed ? ": FAILED" : "");
    if (step->layer && strcmp(step->what, "tls") == 0)
        print_chain(step->layer);
    fflush(stdout); /* who waits for a slow step sees the ones before */
}

static void print_failure(const struct dial *dial)
{
    const struct advice *advice = advice_find(&dial->error);
    const char *reason = stream_error_errno_name(&dial->error);
    char name[STREAM_ERROR_NAME_MAX];

    printf("error:   %s%s%s%s\n", stream_error_name(&dial->error, name), reason ? " (" : "",
           reason ? reason : "", reason ? ")" : "");
    printf("where:   %s, %s\n", dial->where, dial->what);
    printf("meaning: %s\ntry:     %s\n", advice->meaning, advice->trial);
}

static int run_probe(const struct verb *verb, int argc, char **argv)
{
    struct through through;
    struct dial dial;
    double began;
    bool stands;
    int status;

    if (!through_parse(verb, argc, argv, &through, &status))
        return status;
    began = dial_now();
    stands = dial_open(&dial, &through.options, print_step, NULL);
    if (stands)
        printf("ok: %s port %u is reached in %.1f ms\n", through.options.host,
               (unsigned)through.options.port, (dial_now() - began) * 1e3);
    else
        print_failure(&dial);
    dial_done(&dial);
    through_done(&through);
    return stands ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct verb verb_probe = {
    .name = "probe",
    .arguments = THROUGH_ARGUMENTS,
    .summary = "go to a target step by step, and say what fails where, and why",
    .options = THROUGH_OPTIONS,
    .run = run_probe,
};
