/* table.h - rows of texts, UTF-8 of one line each (answer.h), in columns that are as wide as what is in them. */
#ifndef PAIRSOCKS_CLI_TABLE_H
#define PAIRSOCKS_CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 16 };

struct table_column {
    const char *title;
    bool is_right; /* numbers */
};

/* Of all zeros but for the first two, which are borrowed. */
struct table {
    const struct table_column *columns;
    unsigned column_count;
    char **cells; /* owned */
    size_t count, room;
    bool is_short; /* there was no memory: what was added then is missing */
};

/* The next cell, from left to right and from the first row to the last. An empty text is shown as `-`. */
void table_add(struct table *table, const char *text);
void table_add_number(struct table *table, unsigned long long number);
void table_add_format(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The titles and at most `rows` rows, each cut at `width` columns (0: not cut). */
void table_print(const struct table *table, FILE *out, size_t rows, unsigned width);
void table_done(struct table *table);

#endif
