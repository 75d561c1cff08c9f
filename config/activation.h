/* activation.h - the sockets that a service manager has bound for us, as far as a configuration is judged by
 * them: where `listen = systemd:NAME` is reached. Filled by the daemon, which has them; whoever only reads
 * a file knows none. Pure. */
#ifndef PAIRSOCKS_ACTIVATION_H
#define PAIRSOCKS_ACTIVATION_H

#include "streams/address.h"

/* systemd's own bound for FileDescriptorName=. */
#define ACTIVATION_NAME_MAX 255

struct activation_socket {
    const char *name;            /* borrowed; several sockets may share it */
    struct ip_endpoint endpoint; /* that it is bound to; IP_NONE: a unix socket */
};

struct activation {
    const struct activation_socket *sockets; /* borrowed */
    unsigned count;
};

#endif
