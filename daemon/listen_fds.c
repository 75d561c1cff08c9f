/* listen_fds.c - numbers without signs or blanks, names between colons. */
#include "daemon/listen_fds.h"

#include "config/value.h"

#include <stdint.h>
#include <string.h>

enum listen_fds listen_fds_count(const char *pid, const char *count, long self, unsigned *ret_count)
{
    int64_t owner, n;

    if (!pid || !count)
        return LISTEN_FDS_NONE;
    if (!value_number(pid, &owner) || !value_number(count, &n))
        return LISTEN_FDS_BAD;
    if (owner != self || n == 0)
        return LISTEN_FDS_NONE;
    if (n < 0 || n > LISTEN_FDS_MAX)
        return LISTEN_FDS_BAD;
    *ret_count = (unsigned)n;
    return LISTEN_FDS_SOME;
}

char *listen_fds_name(const char *names, unsigned index)
{
    const char *at = names ? names : "";
    size_t n;

    for (unsigned i = 0; i < index && at; i++) {
        at = strchr(at, ':');
        at = at ? at + 1 : NULL;
    }
    n = at ? strcspn(at, ":") : 0;
    return n > 0 ? strndup(at, n) : strdup("unknown");
}
