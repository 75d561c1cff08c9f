/* answer.h - JSON that a daemon has answered, as a tree. Reads what RFC 8259 allows, no deeper than ANSWER_DEPTH_MAX.
 * Pure but for memory. What is not there is as good as null: an older daemon may not know it.
 *
 * Texts may be shown: whatever a peer has put into one, it is one line, and nothing of it orders the terminal about.
 * Controls are `?` (--json shows the line as it came, where they are escaped). */
#ifndef PAIRSOCKS_CLI_ANSWER_H
#define PAIRSOCKS_CLI_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

enum { ANSWER_DEPTH_MAX = 16 };

enum answer_kind {
    ANSWER_NULL,
    ANSWER_BOOL,
    ANSWER_NUMBER,
    ANSWER_TEXT,
    ANSWER_ARRAY,
    ANSWER_OBJECT
};

struct answer {
    enum answer_kind kind;
    bool is_true;        /* of a bool */
    uint64_t number;     /* of a number; what it has behind the point is cut, one below 0 is 0 */
    const char *text;    /* of a text; UTF-8; borrowed from what was parsed */
    const char *key;     /* in an object */
    struct answer *next; /* in an array or an object */
    struct answer *first;
};

/* `text` is changed, and must live as long as the tree. NULL: it is no JSON, or there is no memory. */
struct answer *answer_parse(char *text);
void answer_free(struct answer *answer);

/* Of an object. Never NULL: what is not there is a null. */
const struct answer *answer_member(const struct answer *object, const char *key);

/* The same as what it should be: "", 0, false if it is something else. */
const char *answer_text(const struct answer *object, const char *key);
uint64_t answer_number(const struct answer *object, const char *key);
bool answer_is(const struct answer *object, const char *key);

#endif
