/* control.h - a verb that talks to a running daemon: its options, its one question, and what is said when that comes
 * to nothing. What is asked and answered: pairsocksd(8), "The control socket". */
#ifndef PAIRSOCKS_CLI_CONTROL_H
#define PAIRSOCKS_CLI_CONTROL_H

#include "cli/answer.h"
#include "cli/verb.h"

#include <stdio.h>

#define CONTROL_OPTIONS                                                                            \
    "      --control PATH  the daemon's control socket; else $PAIRSOCKS_CONTROL, else\n"           \
    "                      /run/pairsocks/control\n"

#define CONTROL_OPTIONS_JSON                                                                       \
    CONTROL_OPTIONS "      --json          the answer as the daemon gave it\n"

struct control {
    const struct verb *verb;
    const char *path; /* of the socket */
    bool json;
    double interval;     /* --interval, seconds; 0: not given */
    const char *operand; /* NULL: none */
    FILE *errors;        /* borrowed: stderr; where control_call() says what is wrong */

    /* What control_call() brings; NULL where there was none. */
    char *text;            /* owned: the line, changed by reading it */
    struct answer *answer; /* owned */
};

/* What a verb takes beside --control and --help. */
enum {
    CONTROL_JSON = 1,
    CONTROL_INTERVAL = 2,
    CONTROL_MAY_TAKE = 4, /* one operand */
    CONTROL_TAKES = 8,
};

/* False: it was said, or help was asked for, and *ret_status is the exit status. */
bool control_parse(const struct verb *verb, int argc, char **argv, unsigned takes,
                   struct control *ret, int *ret_status);
void control_done(struct control *control);

/* The lines of an array of the answer (NULL: none), each behind `before`. */
void control_print_lines(FILE *out, const char *before, const struct answer *lines);

/* Asks `verb [operand]`, prints the answer's line if --json is given, and says what is wrong otherwise. True:
 * the answer is `ok`. *ret_status is the exit status. May be called again. */
bool control_call(struct control *control, const char *verb, const char *operand, int *ret_status);

#endif
