/* folder.c - mkdtemp() and its undoing. */
#include "tests/unit/folder.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/pairsocks-test-XXXXXX";

void folder_enter(void)
{
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void folder_leave(void)
{
    cr_assert(chdir("/") == 0);
    cr_assert(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

char *folder_read(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size = 0, n;
    char *text = calloc(1, 1);

    cr_assert(text);
    while (file) {
        char *more = realloc(text, size + 4097);

        cr_assert(more);
        text = more;
        n = fread(text + size, 1, 4096, file);
        size += n;
        text[size] = '\0';
        if (n == 0)
            break;
    }
    if (file)
        fclose(file);
    return text;
}
