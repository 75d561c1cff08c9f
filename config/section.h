/* section.h - the kinds of sections, and the records of the snapshot that they fill: [daemon] the
 * snapshot itself, each [listener NAME] and [rule NAME] one entry of its list. Pure but for
 * memory. */
#ifndef PAIRSOCKS_SECTION_H
#define PAIRSOCKS_SECTION_H

#include "config/config.h"

enum section {
    SECTION_DAEMON,
    SECTION_LISTENER,
    SECTION_UPSTREAM,
    SECTION_CERTIFICATE,
    SECTION_RULE,
    SECTION_COUNT
};

struct section_kind {
    const char *word;
    bool is_named;         /* [WORD NAME], any number of them; else [WORD], once */
    bool is_later;         /* not available in this version yet */
    size_t records, count; /* the list and its length in struct config */
    size_t size;           /* of a record, which begins with `char *name` */
};

extern const struct section_kind section_kinds[SECTION_COUNT];

/* By the word, `n` bytes; -1: there is none. */
int section_find(const char *word, size_t n);

/* Records are borrowed, and move when one is added. There is a last one when there is any. */
unsigned section_records(const struct config *config, enum section section);
const void *section_record(const struct config *config, enum section section, unsigned index);
void *section_record_last(struct config *config, enum section section);
const char *section_record_name(const struct config *config, enum section section, unsigned index);

/* The index of the record of this name, or -1. */
int section_record_find(const struct config *config, enum section section, const char *name);

/* Appends an empty record. False without memory. */
bool section_record_add(struct config *config, enum section section, const char *name);

#endif
