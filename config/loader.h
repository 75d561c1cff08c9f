/* loader.h - a file to a snapshot: sections open records, keys fill them through the table, every
 * fault is told. Called by config.c alone. */
#ifndef PAIRSOCKS_LOADER_H
#define PAIRSOCKS_LOADER_H

#include "config/config.h"

/* Reads to the end. NULL when anything is wrong: the errors are in `errors` then, and begin with
 * `name`. Of the result `file` and `rules` are still to be set. */
struct config *loader_run(FILE *in, const char *name, const struct activation *activation,
                          FILE *errors);

#endif
