/* users.c - a users file is read whole, cut into lines in a copy, and judged line by line; then
 * names that stand twice are looked for. */
#include "config/users.h"

#include "config/crypt_hash.h"
#include "config/faults.h"
#include "config/out_of_reach.h"
#include "config/text_table.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct users {
    atomic_uint references;
    char *content; /* as it was read */
    size_t size;
    char *text; /* the same, cut into names and hashes */
    struct text_table *names;
    const char **hashes; /* by the names' numbers; in `text` */
    char decoy[CRYPT_OUTPUT_SIZE];
};

/* A line with a good name. */
struct entry {
    const char *name, *hash; /* in `text`; without a hash if that is bad */
    struct crypt_hash shape;
    int line;
};

struct reading {
    struct users *users;
    struct faults faults;
    struct entry *entries; /* room for as many as there are lines */
    unsigned count;
    int line; /* of what is read now */
    bool has_no_memory;
};

/* ---- names */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool has_control(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7F)
            return true;
    return false;
}

/* What is wrong with a name; NULL: nothing is. */
static const char *name_fault(const char *name, size_t n)
{
    if (n == 0)
        return "there is no name before the colon";
    if (n > USERS_NAME_MAX)
        return "the name is too long (at most 255 bytes)";
    if (has_control(name, n))
        return "the name holds a control character";
    if (memchr(name, ':', n))
        return "the name holds a colon";
    if (*name == '#')
        return "the name begins with `#`";
    if (is_blank(*name) || is_blank(name[n - 1]))
        return "the name begins or ends with a blank";
    return NULL;
}

bool users_name_is_valid(const char *name, size_t n)
{
    return !name_fault(name, n);
}

/* ---- lines; no message may hold a part of one: a hash may stand where a name is expected */

static void fault(struct reading *r, const char *what)
{
    fputs(what, faults_begin(&r->faults, r->line, NULL, NULL));
}

/* `NAME:HASH`, a string, without blanks around it. */
static void read_entry(struct reading *r, char *text)
{
    struct entry entry = {.name = text, .line = r->line};
    char *colon = strchr(text, ':');
    const char *wrong;

    if (!colon)
        return fault(r, "there is no colon (accepted: NAME:HASH)");
    *colon = '\0';
    wrong = name_fault(text, (size_t)(colon - text));
    if (wrong)
        fault(r, wrong);
    if (crypt_hash_parse(colon + 1, &entry.shape))
        entry.hash = colon + 1;
    else
        fault(r, "behind the colon is no hash of crypt(3) (accepted: yescrypt, sha512crypt ...; "
                 "`pairsocks passwd NAME` makes one)");
    if (!wrong)
        r->entries[r->count++] = entry;
}

/* One line of `n` bytes without its LF; there is room for a byte behind it. */
static void read_line(struct reading *r, char *text, size_t n)
{
    if (n && text[n - 1] == '\r')
        n--;
    while (n && is_blank(text[n - 1]))
        n--;
    for (; n && is_blank(*text); n--)
        text++;
    if (n == 0 || *text == '#')
        return;
    if (has_control(text, n))
        return fault(r, "the line holds a control character");
    text[n] = '\0';
    read_entry(r, text);
}

static size_t count_lines(const struct users *users)
{
    size_t count = 1;

    for (size_t i = 0; i < users->size; i++)
        count += users->content[i] == '\n';
    return count;
}

/* Cuts users->text, which has room for a byte behind its end. */
static void read_lines(struct reading *r)
{
    static const char bom[] = {'\xEF', '\xBB', '\xBF'};
    char *at = r->users->text, *end = at + r->users->size, *next;

    r->entries = calloc(count_lines(r->users), sizeof *r->entries);
    if (!r->entries) {
        r->has_no_memory = true;
        return;
    }
    if (r->users->size >= sizeof bom && memcmp(at, bom, sizeof bom) == 0)
        at += sizeof bom;
    for (; at < end; at = next + 1) {
        next = memchr(at, '\n', (size_t)(end - at));
        if (!next)
            next = end;
        r->line++;
        read_line(r, at, (size_t)(next - at));
    }
}

/* ---- all entries */

/* Each name that stands again is told with the line on which it stood first. */
static void find_twins(struct reading *r, const uint32_t *numbers)
{
    uint32_t known = 0;
    int *first_line = calloc(r->count + 1, sizeof *first_line);

    if (!first_line) {
        r->has_no_memory = true;
        return;
    }
    for (unsigned i = 0; i < r->count; i++) {
        const struct entry *entry = &r->entries[i];

        if (numbers[i] == known)
            first_line[known++] = entry->line;
        else
            fprintf(faults_begin(&r->faults, entry->line, NULL, NULL),
                    "this name stands on line %d already", first_line[numbers[i]]);
    }
    free(first_line);
}

static void make_table(struct reading *r)
{
    const char **names = calloc(r->count + 1, sizeof *names);
    const char **hashes = calloc(r->count + 1, sizeof *hashes);
    uint32_t *numbers = calloc(r->count + 1, sizeof *numbers);

    for (unsigned i = 0; names && hashes && i < r->count; i++) {
        names[i] = r->entries[i].name;
        hashes[i] = r->entries[i].hash;
    }
    if (names && numbers)
        r->users->names = text_table_new(names, r->count, numbers);
    if (r->users->names)
        find_twins(r, numbers);
    r->users->hashes = hashes; /* without twins the numbers are those of the entries */
    r->has_no_memory |= !r->users->names || !hashes;
    free(names);
    free(numbers);
}

static int compare_parameters(const struct entry *x, const struct entry *y)
{
    if (x->shape.parameters != y->shape.parameters)
        return x->shape.parameters < y->shape.parameters ? -1 : 1;
    return memcmp(x->hash, y->hash, x->shape.parameters);
}

/* By what they cost; those of the same cost in the order of the file. */
static int by_parameters(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = compare_parameters(x, y);

    return order ? order : x->line - y->line;
}

/* The first entry of the most common kind and cost; of several that are as common the one that the
 * file has first. Sorts the entries. NULL: there are none. */
static const struct entry *most_common(struct reading *r)
{
    const struct entry *best = NULL, *end;
    ptrdiff_t best_count = 0;

    if (r->count == 0)
        return NULL;
    end = r->entries + r->count;
    qsort(r->entries, r->count, sizeof *r->entries, by_parameters);
    for (const struct entry *first = r->entries, *next; first < end; first = next) {
        for (next = first + 1; next < end && compare_parameters(first, next) == 0;)
            next++;
        if (next - first > best_count || (next - first == best_count && first->line < best->line)) {
            best = first;
            best_count = next - first;
        }
    }
    return best;
}

/* What an empty file's unknown users cost: what `pairsocks passwd` writes. */
#define DECOY_SETTING "$y$j9T$......................$"
#define DECOY_DIGEST "0000000000000000000000000000000000000000000"

/* A salt of the same length costs the same; a digest of zeros is nobody's. */
static void make_decoy(struct reading *r)
{
    const struct entry *entry = most_common(r);
    char *decoy = r->users->decoy;

    if (!entry) {
        strcpy(decoy, DECOY_SETTING DECOY_DIGEST);
        return;
    }
    assert(entry->shape.length < sizeof r->users->decoy);
    strcpy(decoy, entry->hash);
    memset(decoy + entry->shape.digest, '0', entry->shape.length - entry->shape.digest);
}

/* ---- the file */

/* All of it, `*ret_size` bytes with one more behind them; NULL: errno says why. */
static char *read_all(FILE *in, size_t *ret_size)
{
    char *bytes = malloc(USERS_SIZE_MAX + 1), *exact = NULL;
    size_t n;

    if (!bytes)
        return NULL;
    errno = 0;
    n = fread(bytes, 1, USERS_SIZE_MAX + 1, in);
    if (!ferror(in) && n > USERS_SIZE_MAX)
        errno = EFBIG;
    else if (!ferror(in) && (exact = malloc(n + 1)))
        memcpy(exact, bytes, n);
    explicit_bzero(bytes, n);
    free(bytes);
    if (exact)
        *ret_size = n;
    return exact;
}

static bool read_content(struct users *users, FILE *in)
{
    users->content = read_all(in, &users->size);
    users->text = users->content ? malloc(users->size + 1) : NULL;
    if (!users->text)
        return false;
    memcpy(users->text, users->content, users->size);
    return true;
}

/* False: nothing is told yet. */
static bool compile(struct reading *r)
{
    read_lines(r);
    make_table(r);
    if (r->has_no_memory)
        return false;
    if (!faults_any(&r->faults))
        make_decoy(r);
    return true;
}

static struct users *fail(struct users *users, const char *file, int reason, FILE *errors)
{
    fprintf(errors, "%s: %s%s\n", file,
            reason == EFBIG ? "the file is too large (at most a megabyte)" : strerror(reason),
            out_of_reach(file, reason, false));
    users_unref(users);
    return NULL;
}

struct users *users_read(FILE *in, const char *file, FILE *errors)
{
    struct users *users = calloc(1, sizeof *users);
    struct reading reading = {.users = users};
    bool ok;

    if (!users)
        return fail(NULL, file, ENOMEM, errors);
    users->references = 1;
    if (!read_content(users, in))
        return fail(users, file, errno, errors);
    if (!faults_init(&reading.faults, file))
        return fail(users, file, ENOMEM, errors);
    ok = compile(&reading);
    if (ok && faults_any(&reading.faults)) {
        faults_print(&reading.faults, errors);
        users_unref(users);
        users = NULL;
    }
    faults_done(&reading.faults);
    free(reading.entries);
    return ok ? users : fail(users, file, ENOMEM, errors);
}

struct users *users_load(const char *file, FILE *errors)
{
    FILE *in = fopen(file, "re");
    struct users *users;

    if (!in)
        return fail(NULL, file, errno, errors);
    setvbuf(in, NULL, _IONBF, 0); /* one read; no copy of the hashes stays behind */
    users = users_read(in, file, errors);
    fclose(in);
    return users;
}

/* ---- what was read */

struct users *users_ref(struct users *users)
{
    atomic_fetch_add_explicit(&users->references, 1, memory_order_relaxed);
    return users;
}

static void free_secret(char *bytes, size_t n)
{
    if (bytes)
        explicit_bzero(bytes, n);
    free(bytes);
}

void users_unref(struct users *users)
{
    if (!users || atomic_fetch_sub_explicit(&users->references, 1, memory_order_acq_rel) != 1)
        return;
    free_secret(users->content, users->size);
    free_secret(users->text, users->size);
    text_table_free(users->names);
    free(users->hashes);
    free(users);
}

const char *users_find(const struct users *users, const char *name, size_t n)
{
    uint32_t number = text_table_find(users->names, name, n);

    return number == TEXT_NONE ? NULL : users->hashes[number];
}

const char *users_decoy(const struct users *users)
{
    return users->decoy;
}

const void *users_content(const struct users *users, size_t *ret_size)
{
    *ret_size = users->size;
    return users->content;
}

unsigned users_count(const struct users *users)
{
    return text_table_count(users->names);
}
