/* reader.c - feeds inih one checked line at a time. */
#include "config/reader.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

struct reader {
    FILE *file;
    const struct reader_callbacks *callbacks;
    void *context;
    int line;
    char text[READER_LINE_MAX + 2];
};

/* A comment keeps inih's place where a line was bad or is done with. */
static char *blank_line(char *out)
{
    return strcpy(out, ";\n");
}

static char *bad_line(struct reader *r, char *out, const char *what)
{
    r->callbacks->error(r->context, r->line, what);
    return blank_line(out);
}

static char *bad_section(struct reader *r, char *out, const char *what)
{
    r->callbacks->bad_section(r->context, r->line, what);
    return blank_line(out);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7F)
            return true;
    return false;
}

/* One line into r->text without its end (LF or CR LF). False at the end of the file. *ret_fault:
 * NULL, or why the line is unfit for anything. */
static bool read_line(struct reader *r, const char **ret_fault)
{
    size_t n = 0;
    bool nul = false, too_long = false;
    int c;

    while ((c = getc(r->file)) != EOF && c != '\n') {
        nul = nul || c == '\0';
        too_long = too_long || n > READER_LINE_MAX;
        if (!too_long)
            r->text[n++] = (char)c;
    }
    if (c == EOF && n == 0 && !nul)
        return false;
    r->line++;
    if (n && r->text[n - 1] == '\r')
        n--;
    too_long = too_long || n > READER_LINE_MAX;
    r->text[n] = '\0';
    *ret_fault = nul        ? "the line holds a NUL byte"
                 : too_long ? "the line is too long (at most 4096 bytes)"
                            : NULL;
    return true;
}

static char *section_line(struct reader *r, char *at, char *out)
{
    char *end = strchr(at, ']');

    if (!end)
        return bad_section(r, out, "the section's head has no closing bracket");
    if (end[1 + strspn(end + 1, " \t")] != '\0')
        return bad_section(r, out, "there is something behind the section's closing bracket");
    if (end - at - 1 > READER_SECTION_MAX)
        return bad_section(r, out, "the section's name is too long (at most 100 bytes)");
    *end = '\0';
    r->callbacks->section(r->context, r->line, at + 1);
    return blank_line(out); /* inih would cut the name; it need not know */
}

/* Behind what means nothing at a line's beginning. */
static char *begin_of_line(struct reader *r)
{
    static const char bom[] = "\xEF\xBB\xBF";
    char *at = r->text;

    if (r->line == 1 && strncmp(at, bom, strlen(bom)) == 0)
        at += strlen(bom);
    return at + strspn(at, " \t");
}

/* inih's reader: fgets() with checks. */
static char *next_line(char *out, int size, void *stream)
{
    struct reader *r = stream;
    const char *fault;
    char *at;

    if (!read_line(r, &fault))
        return NULL;
    at = begin_of_line(r);
    if (!fault && (*at == '\0' || *at == ';' || *at == '#'))
        return blank_line(out);
    if (!fault && has_control(at))
        fault = "the line holds a control character";
    if (fault) /* a head's keys must not fall into the section before it */
        return *at == '[' ? bad_section(r, out, fault) : bad_line(r, out, fault);
    if (*at == '[')
        return section_line(r, at, out);
    if (!strchr(at, '='))
        return bad_line(r, out, "this is no `key = value`, no [section] and no comment");
    if (memchr(at, ':', strcspn(at, "=")))
        return bad_line(r, out, "a key holds a colon (keys and values are separated by `=`)");
    snprintf(out, (size_t)size, "%s\n", at);
    return out;
}

static int on_pair(void *user, const char *section, const char *key, const char *value)
{
    struct reader *r = user;

    (void)section;
    if (*key == '\0')
        r->callbacks->error(r->context, r->line, "there is no key before the `=`");
    else
        r->callbacks->key(r->context, r->line, key, value);
    return 1;
}

bool reader_run(FILE *file, const struct reader_callbacks *callbacks, void *context)
{
    struct reader reader = {.file = file, .callbacks = callbacks, .context = context};

    /* Set before any worker exists, and the same each time. */
    ini_allow_multiline = 0;
    ini_allow_inline_comments = 0;
    ini_allow_bom = 0;
    ini_use_stack = 0;
    ini_allow_realloc = 0;
    ini_initial_alloc = READER_LINE_MAX + 3;
    ini_max_line = READER_LINE_MAX + 3;
    errno = 0;
    return ini_parse_stream(next_line, &reader, on_pair, &reader) >= 0 && !ferror(file);
}
