/* lines.c - one list; it is searched only when something is wrong. */
#include "config/lines.h"

#include "config/list.h"

#include <stdlib.h>
#include <string.h>

struct line {
    int section;
    unsigned record;
    const char *key; /* NULL: the section's head */
    int line;
};

bool lines_add(struct lines *lines, int section, unsigned record, const char *key, int line)
{
    struct line *item = list_grow(&lines->items, lines->count, sizeof *item);

    if (!item)
        return false;
    *item = (struct line){section, record, key, line};
    lines->count++;
    return true;
}

int lines_find(const struct lines *lines, int section, unsigned record, const char *key)
{
    int head = 0;

    for (unsigned i = 0; i < lines->count; i++) {
        const struct line *item = &lines->items[i];

        if (item->section != section || item->record != record)
            continue;
        if (!item->key)
            head = item->line;
        else if (strcmp(item->key, key) == 0)
            return item->line;
    }
    return head;
}

void lines_done(struct lines *lines)
{
    free(lines->items);
    *lines = (struct lines){0};
}
