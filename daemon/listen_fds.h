/* listen_fds.h - what systemd says of the sockets that it passes (sd_listen_fds(3)): LISTEN_PID, LISTEN_FDS and
 * LISTEN_FDNAMES. Pure: texts in, numbers and names out. */
#ifndef PAIRSOCKS_LISTEN_FDS_H
#define PAIRSOCKS_LISTEN_FDS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    LISTEN_FDS_FIRST = 3, /* SD_LISTEN_FDS_START */
    LISTEN_FDS_MAX = 1024 /* far more than a unit has */
};

enum listen_fds {
    LISTEN_FDS_NONE, /* nothing was passed, or to somebody else */
    LISTEN_FDS_SOME,
    LISTEN_FDS_BAD /* what is said makes no sense */
};

/* `pid` and `count` are the variables' values, or NULL; `self` is who we are. SOME: *ret_count is at least 1. */
enum listen_fds listen_fds_count(const char *pid, const char *count, long self,
                                 unsigned *ret_count);

/* The name of socket `index` in LISTEN_FDNAMES (or NULL), as an allocated text; "unknown" where none is given, as
 * systemd itself has it. NULL without memory. */
char *listen_fds_name(const char *names, unsigned index);

#endif
