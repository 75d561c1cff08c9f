/* directive.h - the table of directives: one row for each key of the ini file. Parsing, defaults
 * and the list of keys come from the rows; a new directive is one row and one paragraph of
 * pairsocks.ini.5. */
#ifndef PAIRSOCKS_DIRECTIVE_H
#define PAIRSOCKS_DIRECTIVE_H

#include "config/config.h"

enum section {
    SECTION_DAEMON,
    SECTION_LISTENER,
    SECTION_UPSTREAM,
    SECTION_CERTIFICATE,
    SECTION_RULE,
    SECTION_COUNT
};

struct directive {
    enum section section;
    const char *key;

    /* Text to field. NULL: a known key that this version cannot serve yet. On false, *ret_wrong
     * may be set to what is wrong (static text); otherwise it is "this is no valid value". */
    bool (*parse)(const struct directive *directive, void *field, const char *value,
                  const char **ret_wrong);
    size_t offset;          /* of the field in struct config or struct config_listener */
    int64_t min, max;       /* of numbers and durations */
    const char *by_default; /* parsed like a value; NULL: none, the field stays zero */
    bool is_list;           /* the key may be repeated */
    bool is_required;
    const char *accepts; /* what is accepted, for messages */
};

#define DIRECTIVES_MAX 64

extern const struct directive directives[];
extern const unsigned directive_count;

/* The row's number, or -1. */
int directive_find(enum section section, const char *key);

#endif
