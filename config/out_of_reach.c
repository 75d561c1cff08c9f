/* out_of_reach.c - access(2) asks the modes alone: what it grants and open(2) does not is denied by another
 * authority. */
#include "config/out_of_reach.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Who makes a file writes into its folder. */
static bool may_make(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || (size_t)(slash - path) >= sizeof folder - 1)
        return false;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
    return access(folder, W_OK | X_OK) == 0;
}

static bool modes_allow(const char *path, bool written)
{
    if (!written)
        return access(path, R_OK) == 0;
    return access(path, F_OK) == 0 ? access(path, W_OK) == 0 : may_make(path);
}

const char *out_of_reach(const char *path, int error, bool written)
{
    const int before = errno;
    const bool is_why = error == EACCES && modes_allow(path, written);

    errno = before;
    return is_why
               ? ": it lies outside the sandbox that the daemon entered when it started; restart "
                 "the daemon to let it in"
               : "";
}
