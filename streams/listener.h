/* listener.h - a listening TCP or unix socket on an event loop: accepts in batches, and survives the end
 * of descriptors. When accept fails for want of descriptors or memory it gives up a descriptor
 * kept for that case, takes one connection and closes it (so that somebody learns), pauses, and
 * resumes by itself: it neither spins nor dies. */
#ifndef PAIRSOCKS_LISTENER_H
#define PAIRSOCKS_LISTENER_H

#include "streams/address.h"
#include "streams/error.h"

#include <ev.h>
#include <sys/types.h>

struct listener;

struct listener_callbacks {
    /* Before each accept: false pauses the listener until listener_resume(). May be NULL. */
    bool (*admit)(struct listener *listener);
    /* After an admission that found no connection to take. May be NULL. */
    void (*unadmit)(struct listener *listener);
    /* A connection was closed because descriptors had run out. May be NULL. */
    void (*refused)(struct listener *listener);
    /* A connection: non-blocking, close-on-exec, TCP_NODELAY inherited. The callback owns `fd`.
     * The peer of a unix socket is IP_NONE. */
    void (*accepted)(struct listener *listener, int fd, const struct ip_endpoint *peer);
};

struct listener {
    struct ev_loop *loop; /* borrowed */
    const struct listener_callbacks *callbacks;
    void *context;
    ev_io io; /* io.fd is owned; -1 when closed */
    ev_timer resume;
    int reserve; /* owned: the descriptor to give up */
    bool paused; /* by admit() */
};

/* Opens a listening socket. `backlog`: the kernel's queue. `share`: with SO_REUSEPORT, for one
 * socket a worker; the caller has made sure with listener_probe() that nobody else listens
 * there. `v6_only`: an IPv6 socket takes no IPv4. Port 0: the kernel chooses; *ret_bound tells.
 * -1 with *ret_error: system.listen.*. */
int listener_open_socket(const struct ip_endpoint *address, int backlog, bool share, bool v6_only,
                         struct ip_endpoint *ret_bound, struct stream_error *ret_error);

/* Opens a listening unix socket (a stream) with these permissions. The file of a socket that nobody
 * listens on any more is replaced; one that somebody listens on is EADDRINUSE, a file that is no
 * socket EEXIST. The caller removes the file in the end. -1 with *ret_error: system.listen.*. */
int listener_open_unix(const char *path, int backlog, mode_t mode, struct stream_error *ret_error);

/* Whether the address could be bound by us alone: with SO_REUSEPORT a second daemon would share
 * it silently. */
bool listener_probe(const struct ip_endpoint *address, bool v6_only,
                    struct stream_error *ret_error);

/* Starts to accept on `fd`, which it owns from now on. */
void listener_start(struct listener *listener, struct ev_loop *loop, int fd,
                    const struct listener_callbacks *callbacks, void *context);

/* After admit() said no: tries again. Harmless otherwise. */
void listener_resume(struct listener *listener);

/* Another length of the kernel's queue. Harmless when closed. */
void listener_set_backlog(struct listener *listener, int backlog);

/* Accepts what waits in the kernel's queue already (as far as admitted), then closes the socket:
 * nobody whose connection stands is cut by our leaving. Harmless when closed. */
void listener_drain(struct listener *listener);

/* Closes the socket at once. Harmless when closed. */
void listener_close(struct listener *listener);

#endif
