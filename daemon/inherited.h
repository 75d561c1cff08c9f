/* inherited.h - listening sockets that were there before this process: bound by systemd (listen_fds.h), or by the
 * daemon that it takes over from (handoff.h). Collected at the very start, before anything else opens a
 * descriptor. Those of systemd are kept as long as the process lives, so that every reload finds them; those
 * of the other daemon go to who asks for them, once. The control plane's thread. */
#ifndef PAIRSOCKS_INHERITED_H
#define PAIRSOCKS_INHERITED_H

#include "config/activation.h"

#include <stdbool.h>
#include <stdio.h>

enum inherited_from {
    INHERITED_SYSTEMD,  /* `name`: its FileDescriptorName */
    INHERITED_LISTENER, /* of a [listener] of the other daemon; `name`: the listener's */
    INHERITED_OTHER /* of something else that listens there; `name`: what for, such as "control" */
};

struct inherited_socket {
    enum inherited_from from;
    int fd; /* owned; -1: it was given away */
    char *name;
    struct ip_endpoint
        asked; /* what it was bound for: the port may be 0; of systemd's as `bound` */
    struct ip_endpoint bound; /* IP_NONE: a unix socket */
    char *path;        /* of a unix socket, "@" and a name of an abstract one; owned; else NULL */
    const char *wrong; /* static: why no listener can accept on it; NULL: nothing */
    bool v6_only;
    bool is_used;
};

struct inherited {
    struct inherited_socket *sockets; /* owned */
    unsigned count;
    struct activation_socket
        *places; /* owned: those of systemd, for the configuration's judgement */
    struct activation activation;
};

/* Takes what systemd has passed to this process, makes it close-on-exec and non-blocking, and unsets the variables.
 * False with a line in `errors`. */
bool inherited_from_systemd(struct inherited *inherited, FILE *errors);

/* Adds a socket, which it looks at itself; owns `fd` and copies the texts, also when it fails. `asked`, `path`: what it
 * was bound for, where somebody knows better than the socket; else NULL. False without memory. */
bool inherited_add(struct inherited *inherited, enum inherited_from from, const char *name, int fd,
                   const struct ip_endpoint *asked, const char *path);

/* True when a TCP socket on this port, of whatever address, is among them. */
bool inherited_has_port(const struct inherited *inherited, uint16_t port);

/* What was bound for `name` (INHERITED_OTHER) at this address (or unix path: the other is NULL) by the daemon before:
 * its descriptor, owned by the caller from now on; -1: there is none. */
int inherited_take(struct inherited *inherited, const char *name, const struct ip_endpoint *address,
                   const char *path);

/* Once it is sure that this process serves: closes those that nothing uses, says so in the log, and removes the files of
 * unix sockets that nobody serves any more. */
void inherited_close_unused(struct inherited *inherited);

/* Closes all that was not given away. */
void inherited_done(struct inherited *inherited);

#endif
