/* table.c - the cells are kept, then measured, then written. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2 };

static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* In characters; the daemon sends UTF-8 alone. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += !continues(*text);
    return width;
}

static void take(struct table *table, char *cell)
{
    char **more;

    if (cell && table->count == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        more = realloc(table->cells, table->room * sizeof *more);
        if (more) {
            table->cells = more;
        } else {
            free(cell);
            cell = NULL;
            table->room = table->count;
        }
    }
    if (!cell || table->is_short) {
        free(cell);
        table->is_short = true;
        return;
    }
    table->cells[table->count++] = cell;
}

void table_add(struct table *table, const char *text)
{
    take(table, strdup(*text ? text : "-"));
}

void table_add_format(struct table *table, const char *format, ...)
{
    char *cell;
    va_list args;

    va_start(args, format);
    if (vasprintf(&cell, format, args) < 0)
        cell = NULL;
    va_end(args);
    take(table, cell);
}

void table_add_number(struct table *table, unsigned long long number)
{
    table_add_format(table, "%llu", number);
}

/* What of the text has a place in `room` characters. */
static int bytes_within(const char *text, size_t room)
{
    const char *at = text;

    for (; *at; at++)
        if (!continues(*at) && room-- == 0)
            break;
    return (int)(at - text);
}

/* A line of `width` characters at most; what is on the right of the last text is not filled. */
static void print_row(const struct table *table, const char *const *cells, const size_t *widths,
                      FILE *out, size_t width)
{
    size_t pad = 0, used = 0;

    for (unsigned i = 0; i < table->column_count; i++) {
        size_t own = width_of(cells[i]), fill = widths[i] - own;
        size_t before = pad + (table->columns[i].is_right ? fill : 0);

        if (used + before >= width)
            break;
        own = own < width - used - before ? own : width - used - before;
        fprintf(out, "%*s%.*s", (int)before, "", bytes_within(cells[i], own), cells[i]);
        used += before + own;
        pad = GAP + (table->columns[i].is_right ? 0 : fill);
    }
    fputc('\n', out);
}

void table_print(const struct table *table, FILE *out, size_t rows, unsigned width)
{
    const char *titles[TABLE_COLUMNS_MAX];
    size_t widths[TABLE_COLUMNS_MAX], have = table->count / table->column_count;

    rows = rows < have ? rows : have;
    for (unsigned i = 0; i < table->column_count; i++) {
        titles[i] = table->columns[i].title;
        widths[i] = width_of(titles[i]);
        for (size_t row = 0; row < rows; row++) {
            size_t own = width_of(table->cells[row * table->column_count + i]);

            widths[i] = own > widths[i] ? own : widths[i];
        }
    }
    print_row(table, titles, widths, out, width ? width : SIZE_MAX);
    for (size_t row = 0; row < rows; row++)
        print_row(table, (const char *const *)&table->cells[row * table->column_count], widths, out,
                  width ? width : SIZE_MAX);
}

void table_done(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->count = table->room = 0;
}
