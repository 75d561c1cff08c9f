/* test_users.c - a users file is all its lines or all its errors: who is in it is found, who is not
 * is not, and nothing of the file is told. */
#include "config/users.h"

#include "tests/unit/folder.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(users, .timeout = 10, .init = folder_enter, .fini = folder_leave);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define BYTES(literal) literal, sizeof(literal) - 1

#define DES "abzlUXK5ed5rs"
#define MD5 "$1$salt$1234567890123456789012"
#define D43 "1234567890123456789012345678901234567890123"
#define Z43 "0000000000000000000000000000000000000000000"
#define YES "$y$j9T$salt$" D43
#define SHA "$6$salt$" D43 D43

static FILE *open_bytes(const void *bytes, size_t n)
{
    FILE *file = tmpfile();

    cr_assert(file && fwrite(bytes, 1, n, file) == n);
    rewind(file);
    return file;
}

/* The caller frees *ret_errors. */
static struct users *read_bytes(const void *bytes, size_t n, char **ret_errors)
{
    size_t length;
    FILE *in = open_bytes(bytes, n), *out = open_memstream(ret_errors, &length);
    struct users *users;

    cr_assert(out);
    users = users_read(in, "u", out);
    fclose(out);
    fclose(in);
    cr_assert_eq(!users, length > 0, "%s", *ret_errors);
    return users;
}

static struct users *read_good(const void *bytes, size_t n)
{
    char *errors;
    struct users *users = read_bytes(bytes, n, &errors);

    cr_assert(users, "%s", errors);
    free(errors);
    return users;
}

static struct users *read_text(const char *text)
{
    return read_good(text, strlen(text));
}

static const char *find(const struct users *users, const char *name)
{
    return users_find(users, name, strlen(name));
}

/* `name:hash`, separated by blanks, is who is in it. */
static const struct {
    const char *bytes;
    size_t n;
    const char *expected[4];
} files[] = {
    {BYTES(""), {NULL}},
    {BYTES("\n\r\n \t \n"), {NULL}},
    {BYTES("# alice:x\n\t# bob\n#\n#\0\n#\v\xFF"), {NULL}},
    {BYTES("\xEF\xBB\xBF"), {NULL}},
    {BYTES("alice:" DES), {"alice:" DES}},
    {BYTES("alice:" DES "\n"), {"alice:" DES}},
    {BYTES("alice:" DES "\r\n"), {"alice:" DES}},
    {BYTES("alice:" DES "\r"), {"alice:" DES}},
    {BYTES("\xEF\xBB\xBF"
           "alice:" DES "\n"),
     {"alice:" DES}},
    {BYTES(" \talice:" DES " \t\r\n"), {"alice:" DES}},
    {BYTES("a:" SHA "\nb:" YES "\n\n#c\nc:" MD5), {"a:" SHA, "b:" YES, "c:" MD5}},
    {BYTES("a:" DES "\nA:" MD5 "\naa:" DES), {"a:" DES, "A:" MD5, "aa:" DES}},
    {BYTES("a b:" DES "\na=\"\\#:" DES), {"a b:" DES, "a=\"\\#:" DES}},
    {BYTES("\xC3\xBC\xFF:" DES), {"\xC3\xBC\xFF:" DES}},
};

Test(users, good_lines_are_who_is_in_it)
{
    for (size_t i = 0; i < COUNT(files); i++) {
        struct users *users = read_good(files[i].bytes, files[i].n);
        unsigned count = 0;

        for (const char *const *line = files[i].expected; *line; line++, count++) {
            const char *hash = strchr(*line, ':');

            cr_assert_str_eq(users_find(users, *line, (size_t)(hash - *line)), hash + 1);
        }
        cr_assert_eq(users_count(users), count, "file %zu", i);
        users_unref(users);
    }
}

Test(users, who_is_not_in_it_is_not_found)
{
    static const char *const others[] = {"", "alic", "alicee", "Alice", "alice ", "alice:", "bob"};
    struct users *users = read_text("alice:" DES "\nb:" DES "\n"), *none = read_text("");

    for (size_t i = 0; i < COUNT(others); i++) {
        cr_assert_null(find(users, others[i]), "%s", others[i]);
        cr_assert_null(find(none, others[i]), "%s", others[i]);
    }
    cr_assert_null(users_find(users, "alice\0", 6));
    cr_assert_null(users_find(users, "\0alice", 6));
    cr_assert_null(users_find(users, "alice:" DES, 6 + strlen(DES)));
    cr_assert_str_eq(users_find(users, "alice:", 5), DES);
    users_unref(users);
    users_unref(none);
}

/* What is told begins so on these lines; 0 ends a list. */
static const struct {
    const char *bytes;
    size_t n;
    struct {
        int line;
        const char *what;
    } errors[6];
} bad_files[] = {
    {BYTES("alice"), {{1, "there is no colon"}}},
    {BYTES("\n\nalice " DES), {{3, "there is no colon"}}},
    {BYTES(":" DES), {{1, "there is no name"}}},
    {BYTES(" :" DES), {{1, "there is no name"}}},
    {BYTES("alice:"), {{1, "behind the colon is no hash"}}},
    {BYTES("alice:secret"), {{1, "behind the colon is no hash"}}},
    {BYTES("alice:*"), {{1, "behind the colon is no hash"}}},
    {BYTES("alice: " DES), {{1, "behind the colon is no hash"}}},
    {BYTES("alice:" DES ":"), {{1, "behind the colon is no hash"}}},
    {BYTES("alice:" DES " # alice"), {{1, "behind the colon is no hash"}}},
    {BYTES("alice:" DES "\\"), {{1, "behind the colon is no hash"}}},
    {BYTES("alice :" DES), {{1, "the name begins or ends with a blank"}}},
    {BYTES("a\tb:" DES), {{1, "the line holds a control character"}}},
    {BYTES("a\x7F:" DES), {{1, "the line holds a control character"}}},
    {BYTES("a\rb:" DES), {{1, "the line holds a control character"}}},
    {BYTES("alice:" DES "\r\r\n"), {{1, "the line holds a control character"}}},
    {BYTES("a\0b:" DES), {{1, "the line holds a control character"}}},
    {BYTES("alice:" DES "\0"), {{1, "the line holds a control character"}}},
    {BYTES("a:" DES "\n\0\n"), {{2, "the line holds a control character"}}},
    {BYTES("a:" DES "\n\xEF\xBB\xBF:" DES "\na:" DES), {{3, "this name stands on line 1 already"}}},
    {BYTES("a:" DES "\nb:" DES "\na:" YES "\nb:" DES "\nA:" DES "\na:" DES),
     {{3, "this name stands on line 1 already"},
      {4, "this name stands on line 2 already"},
      {6, "this name stands on line 1 already"}}},
    {BYTES("x\n:y\nalice:" DES "\n\v\n#\n alice:z"),
     {{1, "there is no colon"},
      {2, "there is no name"},
      {2, "behind the colon is no hash"},
      {4, "the line holds a control character"},
      {6, "behind the colon is no hash"},
      {6, "this name stands on line 3 already"}}},
};

Test(users, every_error_is_told_at_once_with_its_line)
{
    for (size_t i = 0; i < COUNT(bad_files); i++) {
        char *errors, *at, begin[128];

        cr_assert_null(read_bytes(bad_files[i].bytes, bad_files[i].n, &errors));
        at = errors;
        for (size_t j = 0; j < COUNT(bad_files[i].errors) && bad_files[i].errors[j].line; j++) {
            snprintf(begin, sizeof begin, "u:%d: %s", bad_files[i].errors[j].line,
                     bad_files[i].errors[j].what);
            cr_assert_eq(strncmp(at, begin, strlen(begin)), 0, "file %zu, %s: %s", i, begin, at);
            at = strchr(at, '\n') + 1;
        }
        cr_assert_str_empty(at, "file %zu", i);
        free(errors);
    }
}

Test(users, no_error_quotes_the_file)
{
    static const char *const lines[] = {"SECRET",
                                        "SECRET:SECRET",
                                        ":SECRET",
                                        "x\v:SECRET",
                                        ("SECRET:" DES "\nSECRET:" DES),
                                        (" # \nSECRET :" DES)};

    for (size_t i = 0; i < COUNT(lines); i++) {
        char *errors;

        cr_assert_null(read_bytes(lines[i], strlen(lines[i]), &errors));
        cr_assert_null(strstr(errors, "SECRET"), "%s", errors);
        free(errors);
    }
}

/* ---- bounds */

Test(users, name_of_255_bytes_is_taken_and_256_is_not)
{
    char text[512], *errors;
    struct users *users;

    memset(text, 'a', sizeof text);
    strcpy(text + USERS_NAME_MAX, ":" DES);
    users = read_text(text);
    cr_assert_str_eq(users_find(users, text, USERS_NAME_MAX), DES);
    cr_assert_null(users_find(users, text, USERS_NAME_MAX - 1));
    users_unref(users);
    memset(text, 'a', sizeof text);
    strcpy(text + USERS_NAME_MAX + 1, ":" DES);
    cr_assert_null(read_bytes(text, strlen(text), &errors));
    cr_assert_str_eq(errors, "u:1: the name is too long (at most 255 bytes)\n");
    free(errors);
}

/* In the name, in the hash, in neither; the next line is a line. */
Test(users, long_line_is_one_error)
{
    static const char *const begins[] = {"", "a:", "a:$6$", "a:$y$j9T$", "a:_", "a:$6$salt$"};
    enum { LONG = 100000 };
    char *text = malloc(LONG + 64), *errors;

    for (size_t i = 0; i < COUNT(begins); i++) {
        memset(text, 'x', LONG);
        memcpy(text, begins[i], strlen(begins[i]));
        strcpy(text + LONG, "\n:" DES "\n");
        cr_assert_null(read_bytes(text, strlen(text), &errors));
        cr_assert_eq(strncmp(errors, "u:1: ", 5), 0);
        cr_assert_str_eq(strchr(errors, '\n') + 1, "u:2: there is no name before the colon\n");
        free(errors);
    }
    free(text);
}

Test(users, megabyte_is_taken_and_a_byte_more_is_not)
{
    static const char line[] = "alice:" DES "\n";
    char *bytes = malloc(USERS_SIZE_MAX + 1), *errors;
    struct users *users;

    memset(bytes, '\n', USERS_SIZE_MAX + 1);
    memcpy(bytes + USERS_SIZE_MAX - strlen(line), line, strlen(line));
    users = read_good(bytes, USERS_SIZE_MAX);
    cr_assert_str_eq(find(users, "alice"), DES);
    users_unref(users);
    cr_assert_null(read_bytes(bytes, USERS_SIZE_MAX + 1, &errors));
    cr_assert_str_eq(errors, "u: the file is too large (at most a megabyte)\n");
    free(errors);
    free(bytes);
}

Test(users, as_many_as_a_megabyte_holds_are_told_apart)
{
    char *text = malloc(USERS_SIZE_MAX + 64), *at = text, name[16];
    struct users *users;
    unsigned count = 0;

    for (; at - text <= USERS_SIZE_MAX - 32; count++)
        at += sprintf(at, "%x:%s\n", count, count % 2 ? DES : MD5);
    users = read_good(text, (size_t)(at - text));
    cr_assert_eq(users_count(users), count);
    for (unsigned i = 0; i < count; i++) {
        sprintf(name, "%x", i);
        cr_assert_str_eq(find(users, name), i % 2 ? DES : MD5);
    }
    users_unref(users);
    free(text);
}

Test(users, a_megabyte_of_errors_is_told)
{
    char *text = malloc(USERS_SIZE_MAX), *errors;
    size_t lines = 0;

    for (size_t i = 0; i < USERS_SIZE_MAX; i++)
        text[i] = i % 256 == 255 ? '\n' : 'x';
    cr_assert_null(read_bytes(text, USERS_SIZE_MAX, &errors));
    for (const char *at = errors; *at; at = strchr(at, '\n') + 1)
        lines++;
    cr_assert_eq(lines, USERS_SIZE_MAX / 256);
    free(errors);
    free(text);
}

/* ---- names */

Test(users, valid_names)
{
    static const struct {
        const char *bytes;
        size_t n;
    } good[] = {{BYTES("a")}, {BYTES("a b")}, {BYTES("a#")}, {BYTES("\xFF")}, {BYTES("a@b/c=\"")}},
      bad[] = {{BYTES("")},     {BYTES("a:")},   {BYTES(":")},   {BYTES("#a")},  {BYTES(" a")},
               {BYTES("a ")},   {BYTES("a\tb")}, {BYTES("\t")},  {BYTES("a\n")}, {BYTES("a\x7F")},
               {BYTES("a\0b")}, {BYTES("\0")},   {BYTES("\x1F")}};

    for (size_t i = 0; i < COUNT(good); i++)
        cr_assert(users_name_is_valid(good[i].bytes, good[i].n), "%s", good[i].bytes);
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_not(users_name_is_valid(bad[i].bytes, bad[i].n), "%zu", i);
}

/* ---- the decoy */

/* The decoy is `setting` and a digest of zeros. */
static void expect_decoy(const char *text, const char *setting)
{
    struct users *users = read_text(text);
    const char *decoy = users_decoy(users), *digest = decoy + strlen(setting);

    cr_assert_eq(strncmp(decoy, setting, strlen(setting)), 0, "%s: %s", decoy, setting);
    cr_assert(strlen(digest) > 0 && strspn(digest, "0") == strlen(digest), "%s", decoy);
    users_unref(users);
}

Test(users, decoy_is_of_the_most_common_kind_and_cost)
{
    expect_decoy("a:$6$aaaa$" D43 D43, "$6$aaaa$");
    expect_decoy("a:" DES "\nb:$6$aaaa$" D43 D43 "\nc:$6$cccc$" D43 D43, "$6$aaaa$");
    expect_decoy("a:" YES "\nb:$y$jFT$bbbb$" D43 "\nc:$y$jFT$cccc$" D43, "$y$jFT$bbbb$");
    expect_decoy("a:" SHA "\nb:$6$rounds=10000$bb$" D43 D43 "\nc:$6$rounds=10000$cc$" D43 D43
                 "\nd:$6$rounds=20000$dd$" D43 D43,
                 "$6$rounds=10000$bb$");
    expect_decoy("a:" DES "\nb:" DES "\nc:" MD5 "\nd:" MD5 "\ne:" MD5, "$1$salt$");
    expect_decoy("a:$2b$05$abcdefghijklmnopqrstuu1234567890123456789012345678901",
                 "$2b$05$abcdefghijklmnopqrstuu");
    /* as many of each: the first */
    expect_decoy("a:" MD5 "\nb:" DES "\nc:" DES "\nd:" MD5, "$1$salt$");
    expect_decoy("b:" DES "\na:" MD5 "\nd:" MD5 "\nc:" DES, "ab");
}

Test(users, decoy_of_an_empty_file_costs_what_a_new_password_does)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct users *users = read_text("# nobody yet\n");

    cr_assert(crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting));
    cr_assert_eq(strncmp(users_decoy(users), setting, strlen("$y$j9T$")), 0, "%s", setting);
    cr_assert_eq(strlen(users_decoy(users)), strlen(setting) + strlen("$" Z43));
    users_unref(users);
}

/* crypt(3) does all its work for it, and nothing that comes out is it. */
Test(users, decoy_is_hashed_with_and_never_reached)
{
    static const char *const texts[] = {
        "",
        "a:" DES,
        "a:" MD5,
        "a:" SHA,
        "a:$2b$04$abcdefghijklmnopqrstuuyvPXIbu7xe6/CED2DzX8z6Si09MlzlW",
        "a:$y$j75$YGmYaSNPysX//80o0wNSD.$" D43,
        "a:$3$$8cc19b6a8cfeac299c2871c86b38de28",
    };
    static struct crypt_data data;

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct users *users = read_text(texts[i]);
        const char *decoy = users_decoy(users), *hash;

        memset(&data, 0, sizeof data);
        hash = crypt_rn("secret", decoy, &data, sizeof data);
        cr_assert(hash, "%s", decoy);
        cr_assert_eq(strlen(hash), strlen(decoy));
        cr_assert_str_neq(hash, decoy);
        cr_assert_eq(strncmp(hash, decoy, strspn(decoy, "$") ? 4 : 2), 0, "%s", hash);
        users_unref(users);
    }
}

Test(users, decoy_is_the_hash_of_nobody)
{
    struct users *users = read_text("a:" SHA "\nb:" YES "\nc:" YES "\n");

    cr_assert_str_eq(users_decoy(users), "$y$j9T$salt$" Z43);
    cr_assert_str_neq(users_decoy(users), find(users, "b"));
    cr_assert_str_neq(users_decoy(users), find(users, "c"));
    users_unref(users);
}

/* ---- files */

Test(users, content_is_the_file_byte_by_byte)
{
    static const char text[] = " alice:" DES " \r\n#\0\n";
    struct users *users = read_good(BYTES(text));
    size_t n = 0;
    const void *content = users_content(users, &n);

    cr_assert_eq(n, sizeof text - 1);
    cr_assert_eq(memcmp(content, text, n), 0);
    users_unref(users);
}

Test(users, last_reference_ends_it)
{
    struct users *users = read_text("alice:" DES "\n");

    cr_assert_eq(users_ref(users), users);
    users_unref(users);
    cr_assert_str_eq(find(users, "alice"), DES);
    users_unref(users);
    users_unref(NULL);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert(file && fputs(text, file) >= 0);
    fclose(file);
}

static char *load_errors(const char *path)
{
    char *errors;
    size_t n;
    FILE *out = open_memstream(&errors, &n);

    cr_assert_null(users_load(path, out));
    fclose(out);
    return errors;
}

Test(users, file_is_loaded_by_its_name)
{
    struct users *users;
    char *errors;

    write_file("good", "alice:" DES "\n");
    write_file("bad", "alice:" DES "\nbob\n");
    users = users_load("good", stderr);
    cr_assert(users);
    cr_assert_str_eq(find(users, "alice"), DES);
    users_unref(users);
    errors = load_errors("bad");
    cr_assert_str_eq(errors, "bad:2: there is no colon (accepted: NAME:HASH)\n");
    free(errors);
}

Test(users, file_that_cannot_be_read_says_why)
{
    static const struct {
        const char *path, *errors;
    } paths[] = {
        {"none", "none: No such file or directory\n"},
        {"/", "/: Is a directory\n"},
        {"/dev/zero", "/dev/zero: the file is too large (at most a megabyte)\n"},
    };

    for (size_t i = 0; i < COUNT(paths); i++) {
        char *errors = load_errors(paths[i].path);

        cr_assert_str_eq(errors, paths[i].errors);
        free(errors);
    }
}
