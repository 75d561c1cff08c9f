/* own_binary.c - argv[0] where it means us, else what the kernel says. */
#include "daemon/own_binary.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char own_link[] = "/proc/self/exe";

static bool is_us(const char *path)
{
    struct stat ours, file;

    return stat(own_link, &ours) == 0 && stat(path, &file) == 0 && ours.st_dev == file.st_dev &&
           ours.st_ino == file.st_ino;
}

/* "FOLDER/NAME"; NULL without memory. */
static char *join(const char *folder, size_t length, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%.*s/%s", (int)length, folder, name) < 0 ? NULL : path;
}

static char *in_folder(const char *folder, size_t length, const char *name)
{
    char *path = join(folder, length, name);

    if (path && is_us(path))
        return path;
    free(path);
    return NULL;
}

static char *in_path(const char *name)
{
    const char *at = getenv("PATH");
    char *found = NULL;

    while (at && !found) {
        size_t n = strcspn(at, ":");

        if (n > 0 && *at == '/')
            found = in_folder(at, n, name);
        at = at[n] ? at + n + 1 : NULL;
    }
    return found;
}

static char *as_started(const char *name)
{
    char folder[PATH_MAX];

    if (!strchr(name, '/'))
        return in_path(name);
    if (*name == '/')
        return is_us(name) ? strdup(name) : NULL;
    return getcwd(folder, sizeof folder) ? in_folder(folder, strlen(folder), name) : NULL;
}

char *own_binary(const char *name)
{
    char *path = name ? as_started(name) : NULL;

    return path ? path : realpath(own_link, NULL);
}
