/* test_reader.c - an ini file as lines: each line is a section, a key, nothing, or an error with
 * its number; none is split, joined to another one or dropped without a word. */
#include "config/reader.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(reader, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* What is called back, one line each: `1 [section]`, `2 key=value`, `3 error`. */

static void on_section(void *context, int line, const char *section)
{
    fprintf(context, "%d [%s]\n", line, section);
}

static void on_key(void *context, int line, const char *key, const char *value)
{
    fprintf(context, "%d %s=%s\n", line, key, value);
}

static void on_error(void *context, int line, const char *what)
{
    cr_assert_neq(*what, '\0');
    fprintf(context, "%d error\n", line);
}

static FILE *open_bytes(const void *bytes, size_t n)
{
    FILE *file = tmpfile();

    cr_assert(file && fwrite(bytes, 1, n, file) == n);
    rewind(file);
    return file;
}

/* The caller frees what was called back. */
static char *read_bytes(const void *bytes, size_t n)
{
    static const struct reader_callbacks callbacks = {on_section, on_key, on_error, on_error};
    FILE *file = open_bytes(bytes, n);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    cr_assert(out);
    cr_assert(reader_run(file, &callbacks, out));
    fclose(out);
    fclose(file);
    return text;
}

static void expect(const void *bytes, size_t n, const char *expected)
{
    char *text = read_bytes(bytes, n);

    cr_assert_str_eq(text, expected);
    free(text);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *bytes;
    size_t n;
    const char *calls;
} files[] = {
    {BYTES(""), ""},
    {BYTES("\n"), ""},
    {BYTES("\n\n \n\t\n"), ""},
    {BYTES("[a]\n"), "1 [a]\n"},
    {BYTES("[a]"), "1 [a]\n"},
    {BYTES("  [a]  \n"), "1 [a]\n"},
    {BYTES("[a b]\n[]\n[ a ]\n"), "1 [a b]\n2 []\n3 [ a ]\n"},
    {BYTES("[a[b]\n"), "1 [a[b]\n"},
    {BYTES("k=v\n"), "1 k=v\n"},
    {BYTES("k=v"), "1 k=v\n"},
    {BYTES("k = v\n"), "1 k=v\n"},
    {BYTES("\tk\t=\tv\t\n"), "1 k=v\n"},
    {BYTES("k=\nk =\nk = \n"), "1 k=\n2 k=\n3 k=\n"},
    {BYTES("a b = c d\n"), "1 a b=c d\n"},
    /* inih would join the second line to the first */
    {BYTES("a = 1\n  b = 2\n\t c = 3\n"), "1 a=1\n2 b=2\n3 c=3\n"},
    {BYTES("a = 1\n  2\n"), "1 a=1\n2 error\n"},
    /* comments at the start of a line only */
    {BYTES("; c\n# c\n  ; c\n\t# c\n;\n#\n;k=v\n#[a]\n"), ""},
    {BYTES("k = v ; c\nk = v # c\nk=;\nk=#x\n"), "1 k=v ; c\n2 k=v # c\n3 k=;\n4 k=#x\n"},
    /* a value may hold what separates elsewhere */
    {BYTES("k = a=b\nk = a:b\nk==\nk = [x]\nk = \"v\"\n"),
     "1 k=a=b\n2 k=a:b\n3 k==\n4 k=[x]\n5 k=\"v\"\n"},
    {BYTES("k: v\nk: v = w\nk : v=w\nk:=v\n"), "1 error\n2 error\n3 error\n4 error\n"},
    /* lines that are nothing */
    {BYTES("key\n"), "1 error\n"},
    {BYTES("=\n=v\n = v\n"), "1 error\n2 error\n3 error\n"},
    {BYTES("[a\n"), "1 error\n"},
    {BYTES("[\n"), "1 error\n"},
    {BYTES("[a] b\n[a]b\n[a];c\n[a] = b\n[a]]\n"), "1 error\n2 error\n3 error\n4 error\n5 error\n"},
    {BYTES("]\n"), "1 error\n"},
    /* an error is no end */
    {BYTES("x\n[a]\ny\nk=v\n"), "1 error\n2 [a]\n3 error\n4 k=v\n"},
    /* CRLF */
    {BYTES("[a]\r\nk = v\r\n\r\n;c\r\n  l = w \r\nx\r\n"), "1 [a]\n2 k=v\n5 l=w\n6 error\n"},
    {BYTES("k = v\r"), "1 k=v\n"},
    {BYTES("[a\r\n[a] \r\n"), "1 error\n2 [a]\n"},
    /* BOM */
    {BYTES("\xEF\xBB\xBF[a]\nk=v\n"), "1 [a]\n2 k=v\n"},
    {BYTES("\xEF\xBB\xBFk=v\n"), "1 k=v\n"},
    {BYTES("\xEF\xBB\xBF"), ""},
    {BYTES("\xEF\xBB\xBF;c\n"), ""},
    {BYTES("\n\xEF\xBB\xBF[a]\n"), "2 error\n"},
    {BYTES("\xEF\xBB[a]\n"), "1 error\n"},
    /* NUL */
    {BYTES("k=v\0w\n[a]\n"), "1 error\n2 [a]\n"},
    {BYTES("[a\0]\n;\0\n\0\n\0"), "1 error\n2 error\n3 error\n4 error\n"},
    /* other control characters: one CR ends a line, no other one does; comments are free */
    {BYTES("k = v\r\r\n"), "1 error\n"},
    {BYTES("k = v\rl = w\n"), "1 error\n"},
    {BYTES("k = v\v\nk = \x1B[0m\nk\x7F = v\n[a\x01]\n"), "1 error\n2 error\n3 error\n4 error\n"},
    {BYTES("; \f\r\x1B\n#\v\n"), ""},
    {BYTES("k\t=\tv\tw\n"), "1 k=v\tw\n"},
    /* bytes beyond ASCII are bytes of a value */
    {BYTES("k = \xC3\xBC\xFF\n"), "1 k=\xC3\xBC\xFF\n"},
};

Test(reader, every_line_is_called_back_once_with_its_number)
{
    for (size_t i = 0; i < COUNT(files); i++)
        expect(files[i].bytes, files[i].n, files[i].calls);
}

/* inih takes more for blanks than the reader does: what stands behind them must be told. */
Test(reader, line_that_begins_with_an_odd_blank_is_not_dropped)
{
    static const char *const blanks[] = {"\v", "\f", "\r", " \v", "\t\f "};
    static const char *const lines[] = {"[a]=b\n", "[a=b\n", ";a=b\n", "#a=b\n"};

    for (size_t i = 0; i < COUNT(blanks); i++) {
        for (size_t j = 0; j < COUNT(lines); j++) {
            char text[32], *calls;

            strcpy(text, blanks[i]);
            strcat(text, lines[j]);
            calls = read_bytes(text, strlen(text));
            cr_assert_str_neq(calls, "", "blank %zu before %s", i, lines[j]);
            free(calls);
        }
    }
}

/* A file of `k=aaa...` with a line of `length` bytes and another one behind it. */
static void expect_long_line(size_t length, const char *end, const char *before, bool good)
{
    char *text = malloc(length + 32), *at = text, *calls;

    cr_assert(text);
    at = stpcpy(at, before);
    at = stpcpy(at, "k=");
    memset(at, 'a', length - 2);
    at = stpcpy(at + length - 2, end);
    at = stpcpy(at, "[b]\n");
    calls = read_bytes(text, (size_t)(at - text));
    if (good) {
        cr_assert_eq(strspn(calls + strlen("1 k="), "a"), length - 2, "%zu bytes", length);
        cr_assert_str_eq(strchr(calls, '\n'), "\n2 [b]\n", "%zu bytes", length);
    } else {
        cr_assert_str_eq(calls, "1 error\n2 [b]\n", "%zu bytes", length);
    }
    free(calls);
    free(text);
}

Test(reader, line_of_4096_bytes_is_read_and_one_of_4097_is_refused)
{
    static const size_t good[] = {100, 190, 196, 197, 198, 199, 200, 201, 400, 4000, 4095, 4096};
    static const size_t bad[] = {4097, 4098, 4099, 4100, 8191, 8192, 8193, 100000};

    for (size_t i = 0; i < COUNT(good); i++)
        expect_long_line(good[i], "\n", "", true);
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_long_line(bad[i], "\n", "", false);
}

/* The line's end is no part of it, whichever it is. */
Test(reader, line_of_4096_bytes_is_read_from_a_crlf_file_too)
{
    expect_long_line(READER_LINE_MAX - 1, "\r\n", "", true);
    expect_long_line(READER_LINE_MAX + 1, "\r\n", "", false);
    expect_long_line(READER_LINE_MAX, "\r\n", "", true);
}

Test(reader, comment_and_blank_lines_are_too_long_like_others)
{
    char text[READER_LINE_MAX + 2];

    memset(text, ' ', sizeof text);
    text[sizeof text - 1] = '\n';
    expect(text, sizeof text, "1 error\n");
    text[0] = ';';
    expect(text, sizeof text, "1 error\n");
    expect(text + 1, sizeof text - 1, "");
}

static void expect_section(size_t length, bool good)
{
    char text[READER_SECTION_MAX * 2], *calls;

    text[0] = '[';
    memset(text + 1, 'a', length);
    strcpy(text + 1 + length, "]\n");
    calls = read_bytes(text, strlen(text));
    if (good) {
        cr_assert_eq(strspn(calls + strlen("1 ["), "a"), length, "%zu bytes", length);
        cr_assert_eq(strlen(calls), length + strlen("1 []\n"));
    } else {
        cr_assert_str_eq(calls, "1 error\n", "%zu bytes", length);
    }
    free(calls);
}

/* inih would cut it at 49. */
Test(reader, section_of_100_bytes_is_read_and_one_of_101_is_refused)
{
    static const size_t good[] = {1, 48, 49, 50, 51, READER_SECTION_MAX - 1, READER_SECTION_MAX};

    expect_section(READER_SECTION_MAX + 1, false);
    for (size_t i = 0; i < COUNT(good); i++)
        expect_section(good[i], true);
}

/* inih would cut it at 49 too. */
Test(reader, key_of_any_length_is_read_whole)
{
    char text[300], *calls;

    memset(text, 'k', 200);
    strcpy(text + 200, "=v\n");
    calls = read_bytes(text, strlen(text));
    cr_assert_eq(strspn(calls + 2, "k"), 200);
    free(calls);
}

Test(reader, many_lines_are_counted)
{
    enum { LINES = 10000 };
    char *text = malloc(LINES + 5), *calls;

    cr_assert(text);
    memset(text, '\n', LINES);
    strcpy(text + LINES, "k=v\n");
    calls = read_bytes(text, LINES + 4);
    cr_assert_str_eq(calls, "10001 k=v\n");
    free(calls);
    free(text);
}

Test(reader, file_that_cannot_be_read_is_no_empty_file)
{
    static const struct reader_callbacks callbacks = {on_section, on_key, on_error, on_error};
    FILE *folder = fopen("/", "r");

    cr_assert(folder);
    cr_assert_not(reader_run(folder, &callbacks, stderr));
    fclose(folder);
}
