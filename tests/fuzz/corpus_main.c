/* corpus_main.c - runs a fuzz target over every file of the folder that it is given, and says how
 * many. Linked in place of libFuzzer's main in a normal build, so that the corpus is part of
 * `make check`. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* Exactly as large as the file, so that a sanitizer sees the first byte read behind its end. */
static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    uint8_t *data = NULL;
    bool ok = false;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (data = malloc(size > 0 ? (size_t)size : 1)) != NULL)
        ok = fread(data, 1, (size_t)size, file) == (size_t)size;
    if (ok)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    if (file != NULL)
        fclose(file);
    return ok;
}

int main(int argc, char **argv)
{
    struct dirent *entry;
    unsigned count = 0;
    DIR *dir;

    if (argc != 2 || (dir = opendir(argv[1])) == NULL) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (!run_file(path)) {
            fprintf(stderr, "%s: %s\n", path, strerror(errno));
            return 1;
        }
        count++;
    }
    closedir(dir);
    printf("%s: %u inputs\n", argv[1], count);
    return count > 0 ? 0 : 1;
}
