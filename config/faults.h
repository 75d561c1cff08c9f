/* faults.h - the errors of a file: collected while it is read, told together in the order of its
 * lines. Used by the loader and by the checks that follow it. */
#ifndef PAIRSOCKS_FAULTS_H
#define PAIRSOCKS_FAULTS_H

#include <stdbool.h>
#include <stdio.h>

struct fault;

struct faults {
    const char *file; /* borrowed; what every error begins with */
    FILE *text;       /* of all errors, one behind the other */
    char *bytes;      /* what `text` has written; owned */
    size_t size;
    struct fault *items; /* owned */
    unsigned count;
    bool is_broken; /* no memory: some are lost, but not that there were some */
};

bool faults_init(struct faults *faults, const char *file);
void faults_done(struct faults *faults);

/* Begins `FILE:LINE: [section] key: `; `section` and `key` may be NULL. What is wrong is then
 * written to the result, without a line's end; the next begin or faults_print() ends it. */
FILE *faults_begin(struct faults *faults, int line, const char *section, const char *key);

bool faults_any(const struct faults *faults);

/* All of them, each one line, in the order of the lines; those of one line as they came. */
void faults_print(struct faults *faults, FILE *out);

#endif
