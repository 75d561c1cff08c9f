/* directive.h - the table of directives: one row for each key of the ini file. Parsing, defaults,
 * what messages say is accepted, --dump-config and the list of keys come from the rows; a new
 * directive is one row and one paragraph of pairsocks.ini.5. Pure but for memory. */
#ifndef PAIRSOCKS_DIRECTIVE_H
#define PAIRSOCKS_DIRECTIVE_H

#include "config/section.h"
#include "config/words.h"

#include <stdio.h>

struct directive_type; /* directive_type.h */

struct directive {
    enum section section;
    const char *key;
    const struct directive_type *type; /* NULL: a known key that this version cannot serve yet */
    size_t offset;                     /* of the field in the section's record */
    size_t count;                      /* of the list's length there, if the type makes an array */
    int64_t min, max;                  /* of numbers and durations */
    const struct word *words;          /* of the types that take words */
    const char *unset;      /* the word for "nothing": the field stays zero, the list empty. NULL:
                               there is no such word */
    const char *by_default; /* parsed like a value; NULL: the field stays zero */
    const char *accepts;    /* what messages say is accepted; NULL: the type knows */
    bool is_list;           /* items are separated by commas, and the key may be repeated */
    bool is_whole;          /* an item of the list may hold commas: only the key separates them */
    bool is_secret;         /* no message quotes the value */
    bool is_required;
    bool is_access; /* has a say in who may use the listener: check.h */
};

#define DIRECTIVES_MAX 160

extern const struct directive directives[];
extern const unsigned directive_count;

/* The row's number, or -1. */
int directive_find(enum section section, const char *key);

/* Names in values that are looked up after the last line: their section may follow. */
struct reference {
    enum section section; /* of the name */
    enum section holder;  /* where it is held: a rule, a listener, an upstream */
    unsigned record;      /* of the holder */
    int line;
    char *name; /* owned */
    char
        *head; /* of the section that holds it, which is wrong: there is no record; owned; NULL: the
                   record is there */
};

struct references {
    struct reference *items; /* owned */
    unsigned count;
};

/* What a value's parser is given, and what it answers when it refuses. */
struct directive_input {
    const char *text;      /* the value; of a list one item; not empty, no blanks around it */
    struct config *config; /* as far as it was read: the record is its section's last one */
    struct references *references;
    int line;
    const char *wrong; /* out, static: what is wrong; NULL: no more than that */
};

/* Parses into the record; false with input->wrong. The row has a type. */
bool directive_parse(const struct directive *directive, void *record,
                     struct directive_input *input);

/* Writes the lines `key = value` that parse to what the record holds: of a list one for each item,
 * so that none gets too long for the reader. Writes nothing for what nothing is the value of, nor
 * for a key that is not available yet. */
void directive_format(const struct directive *directive, const struct config *config,
                      const void *record, FILE *out);

/* Writes what is accepted, for messages. */
void directive_accepts(const struct directive *directive, FILE *out);

#endif
