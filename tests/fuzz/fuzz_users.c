/* fuzz_users.c - any bytes as a users file. The claims: it is read or refused, refused with errors
 * of one line each in the order of the file's lines, read without one; each line of a file that was
 * read is nothing or the user that it names, and there are no others; the decoy is a setting. */
#include "tests/fuzz/fuzz.h"

#include "config/crypt_hash.h"
#include "config/users.h"

#include <stdbool.h>
#include <string.h>

static void check_errors(const char *errors, size_t n)
{
    long last = 0;

    CLAIM(n > 0 && errors[n - 1] == '\n');
    CLAIM(strlen(errors) == n);
    for (; *errors; errors = strchr(errors, '\n') + 1) {
        char *end;
        long line = strtol(errors + 2, &end, 10);

        CLAIM(strncmp(errors, "u:", 2) == 0 && strncmp(end, ": ", 2) == 0);
        CLAIM(line >= last && line > 0);
        last = line;
    }
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One line without its end. True: it is a user's. */
static bool check_line(const struct users *users, const uint8_t *line, size_t n)
{
    const uint8_t *colon;
    const char *hash;

    for (; n && is_space(line[n - 1]);)
        n--;
    for (; n && is_space(*line); n--)
        line++;
    if (n == 0 || *line == '#')
        return false;
    colon = memchr(line, ':', n);
    CLAIM(colon);
    CLAIM(users_name_is_valid((const char *)line, (size_t)(colon - line)));
    hash = users_find(users, (const char *)line, (size_t)(colon - line));
    CLAIM(hash && strlen(hash) == n - (size_t)(colon + 1 - line));
    CLAIM(memcmp(hash, colon + 1, strlen(hash)) == 0);
    return true;
}

static void check_users(const struct users *users, const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size, *next;
    struct crypt_hash shape;
    unsigned count = 0;

    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
        at += 3;
    for (; at < end; at = next + 1) {
        next = memchr(at, '\n', (size_t)(end - at));
        if (!next)
            next = end;
        count += check_line(users, at, (size_t)(next - at));
    }
    CLAIM(users_count(users) == count);
    CLAIM(crypt_hash_parse(users_decoy(users), &shape));
    CLAIM(shape.parameters <= shape.digest && shape.digest < shape.length);
    CLAIM(strspn(users_decoy(users) + shape.digest, "0") == shape.length - shape.digest);
}

static void check_content(const struct users *users, const uint8_t *data, size_t size)
{
    size_t n = size + 1;
    const void *content = users_content(users, &n);

    CLAIM(n == size && (size == 0 || memcmp(content, data, size) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1), *errors = NULL;
    size_t n = 0;
    FILE *in, *out = open_memstream(&errors, &n);
    struct users *users;

    CLAIM(copy && out);
    memcpy(copy, data, size);
    in = fmemopen(copy, size, "r");
    CLAIM(in);
    users = users_read(in, "u", out);
    CLAIM(fclose(out) == 0);
    fclose(in);
    free(copy);
    if (!users) {
        check_errors(errors, n);
    } else {
        CLAIM(n == 0);
        check_users(users, data, size);
        check_content(users, data, size);
    }
    users_unref(users);
    free(errors);
    return 0;
}
