/* top.c - `pairsocks top`: sessions and what they move, again and again. Without a terminal once, after one interval. */
#include "cli/control.h"
#include "cli/terminal.h"
#include "cli/top_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const double default_interval = 1;

struct top {
    struct control status, sessions;
    struct top_view view;
    unsigned ms; /* between two looks */
};

static double monotonic_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* False: it was said on stderr. */
static bool look(struct top *top, int *ret_status)
{
    return control_call(&top->status, "status", NULL, ret_status) &&
           control_call(&top->sessions, "sessions", NULL, ret_status);
}

static void show(struct top *top, unsigned rows, unsigned columns, FILE *out)
{
    top_view_print(&top->view, top->status.answer, top->sessions.answer, monotonic_seconds(), rows,
                   columns, out);
}

/* Two looks, so that there are rates. */
static int run_once(struct top *top)
{
    const struct timespec pause = {.tv_sec = top->ms / 1000, .tv_nsec = top->ms % 1000 * 1000000L};
    int status;

    if (!look(top, &status))
        return status;
    top_view_remember(&top->view, top->sessions.answer, monotonic_seconds());
    nanosleep(&pause, NULL);
    if (look(top, &status))
        show(top, 0, 0, stdout);
    return status;
}

static bool draw(struct top *top)
{
    unsigned rows, columns;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return false;
    terminal_size(&rows, &columns);
    show(top, rows, columns, out);
    fclose(out);
    terminal_show(text, length);
    free(text);
    return true;
}

static int refresh(struct top *top)
{
    enum terminal_event event = TERMINAL_TIME;
    int status = EXIT_SUCCESS;

    while (event != TERMINAL_END) {
        if (event == TERMINAL_TIME && !look(top, &status))
            return status;
        if (!draw(top))
            return EXIT_FAILURE;
        event = terminal_wait(top->ms);
    }
    return status;
}

/* What is wrong is said once the terminal is as it was: it would go with the screen. */
static int run_on_terminal(struct top *top)
{
    char *said = NULL;
    size_t length;
    FILE *errors = open_memstream(&said, &length);
    int status;

    if (!errors)
        return EXIT_FAILURE;
    top->status.errors = top->sessions.errors = errors;
    status = refresh(top);
    terminal_end();
    fclose(errors);
    fputs(said, stderr);
    free(said);
    return status;
}

static int run_top(const struct verb *verb, int argc, char **argv)
{
    struct top top = {0};
    int status;

    if (!control_parse(verb, argc, argv, CONTROL_INTERVAL, &top.status, &status))
        return status;
    top.sessions = top.status;
    top.ms = (unsigned)((top.status.interval > 0 ? top.status.interval : default_interval) * 1000);
    status = terminal_begin() ? run_on_terminal(&top) : run_once(&top);
    top_view_done(&top.view);
    control_done(&top.status);
    control_done(&top.sessions);
    return status;
}

const struct verb verb_top = {
    .name = "top",
    .arguments = "[--interval SECONDS] [--control PATH]",
    .summary = "sessions by what they move, refreshed until q is pressed",
    .options = CONTROL_OPTIONS "      --interval SECONDS  between two looks; else 1\n",
    .run = run_top,
};
