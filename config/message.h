/* message.h - what the loader says of sections, keys and values that are wrong: what is accepted
 * there, and what may have been meant, both from the tables. `label` is the section's head, or
 * NULL. */
#ifndef PAIRSOCKS_MESSAGE_H
#define PAIRSOCKS_MESSAGE_H

#include "config/directive.h"
#include "config/faults.h"

/* `what` alone, with what the row accepts. */
void message_of_key(struct faults *faults, int line, const char *label,
                    const struct directive *directive, const char *what);

/* A value, or one item of it. `wrong` NULL: it is no valid value, whatever was meant. */
void message_bad_value(struct faults *faults, int line, const char *label,
                       const struct directive *directive, const char *text, const char *wrong);

/* Returns the row that may have been meant, or -1. */
int message_unknown_key(struct faults *faults, int line, const char *label, enum section section,
                        const char *key);

/* Returns the kind that may have been meant, or -1. */
int message_unknown_section(struct faults *faults, int line, const char *label);

#endif
