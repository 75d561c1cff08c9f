/* lines.h - where sections and keys stand in the file, for what is found wrong after it was read: by
 * the checks of the whole, and by who opens the files that it names. Filled by the loader. Pure but for
 * memory. */
#ifndef PAIRSOCKS_LINES_H
#define PAIRSOCKS_LINES_H

#include <stdbool.h>

struct line;

struct lines {
    struct line *items; /* owned */
    unsigned count;
};

/* Notes the first line of a key (borrowed, static) of a section's record; `key` NULL: of the section
 * itself. `section` is an enum section. False without memory. */
bool lines_add(struct lines *lines, int section, unsigned record, const char *key, int line);

/* That line; of a key that was not given, the section's. 0: neither is known. */
int lines_find(const struct lines *lines, int section, unsigned record, const char *key);

void lines_done(struct lines *lines);

#endif
