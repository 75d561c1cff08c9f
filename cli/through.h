/* through.h - the command line that `connect` and `probe` share: through which proxies to which
 * target. */
#ifndef PAIRSOCKS_THROUGH_H
#define PAIRSOCKS_THROUGH_H

#include "cli/dial.h"
#include "cli/verb.h"

struct through {
    struct proxy_url proxies[DIAL_PROXIES_MAX]; /* wiped by through_done() */
    struct dial_options options;                /* its proxies are the above */
};

#define THROUGH_ARGUMENTS "[--proxy URL]... [--tls] [OPTIONS] HOST PORT"
#define THROUGH_OPTIONS                                                                            \
    "  --proxy URL       SCHEME://[USER:PASSWORD@]HOST[:PORT]; SCHEME is socks4,\n"                \
    "                    socks4a, socks5, socks5h (it resolves the names) or http,\n"              \
    "                    each also with +tls. Several: one through the other.\n"                   \
    "                    none: no proxy. Default: $PAIRSOCKS_PROXY, or\n"                          \
    "                    socks5h://127.0.0.1:1080\n"                                               \
    "  --tls             TLS to the target\n"                                                      \
    "  --peer-name NAME  the target's certificate is for NAME, not for HOST\n"                     \
    "  --authority FILE  believe the roots in FILE, not the system's\n"                            \
    "  --timeout SECONDS for all of it until the target stands; default: 30\n"                     \
    "  --help\n"

/* False: the verb ends with *ret_status; all was said. */
bool through_parse(const struct verb *verb, int argc, char **argv, struct through *ret_through,
                   int *ret_status);

void through_done(struct through *through);

#endif
