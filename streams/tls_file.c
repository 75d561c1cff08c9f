/* tls_file.c - see tls_file.h. */
#include "streams/tls_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

static char *fail(const char *path, const char *reason, FILE *errors)
{
    if (errors)
        fprintf(errors, "%s: %s", path, reason);
    return NULL;
}

/* The buffer is read straight into, so that no copy of a key stays behind in stdio's own. */
char *tls_file_read(const char *path, FILE *errors, size_t *ret_n)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 16 * 1024, n = 0;

    if (!file)
        return fail(path, strerror(errno), errors);
    setvbuf(file, NULL, _IONBF, 0);
    for (;;) {
        char *bigger = malloc(size);
        size_t got;

        if (bigger && n)
            memcpy(bigger, text, n);
        tls_file_free(text, n);
        text = bigger;
        if (!text)
            break;
        errno = 0;
        got = fread(text + n, 1, size - n - 1, file);
        n += got;
        if (n < size - 1)
            break;
        size *= 2;
        if (size > FILE_MAX) {
            errno = EFBIG;
            break;
        }
    }
    if (!text || ferror(file) || size > FILE_MAX) {
        fail(path, strerror(text ? errno : ENOMEM), errors);
        tls_file_free(text, n);
        fclose(file);
        return NULL;
    }
    fclose(file);
    text[n] = '\0';
    *ret_n = n;
    return text;
}

void tls_file_free(char *text, size_t n)
{
    if (text)
        explicit_bzero(text, n);
    free(text);
}
