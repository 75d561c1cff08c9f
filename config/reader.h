/* reader.h - an ini file, line by line, through inih: what is a section, a key and a value, and
 * on which line. Lines are checked before inih sees them (length, control characters, separators),
 * because inih splits long lines, cuts long names, strips more than blanks and takes continuation
 * lines without a word. A byte order mark at the very beginning, blanks around a line, and its
 * end, LF or CR LF, mean nothing. Knows no directive. */
#ifndef PAIRSOCKS_READER_H
#define PAIRSOCKS_READER_H

#include <stdbool.h>
#include <stdio.h>

#define READER_LINE_MAX 4096
#define READER_SECTION_MAX 100

struct reader_callbacks {
    /* A section's head. `section` is its text between the brackets. */
    void (*section)(void *context, int line, const char *section);
    /* A key of the current section; blanks around the value are gone. */
    void (*key)(void *context, int line, const char *key, const char *value);
    /* A section's head that is none: the keys that follow belong to no section. `what` says why. */
    void (*bad_section)(void *context, int line, const char *what);
    /* Another line that is none of these. */
    void (*error)(void *context, int line, const char *what);
};

/* Reads to the end and calls back for every line. False when the file could not be read (errno). */
bool reader_run(FILE *file, const struct reader_callbacks *callbacks, void *context);

#endif
