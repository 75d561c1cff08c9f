/* listener.h - a listening TCP socket on an event loop: accepts in batches, and survives the end
 * of descriptors. When accept fails for want of descriptors or memory it gives up a descriptor
 * kept for that case, takes one connection and closes it (so that somebody learns), pauses, and
 * resumes by itself: it neither spins nor dies. */
#ifndef PAIRSOCKS_LISTENER_H
#define PAIRSOCKS_LISTENER_H

#include "streams/address.h"
#include "streams/error.h"

#include <ev.h>
#include <stdatomic.h>

struct listener;

struct listener_callbacks {
    /* Before each accept: false pauses the listener until listener_resume(). May be NULL. */
    bool (*admit)(struct listener *listener);
    /* After an admission that found no connection to take. May be NULL. */
    void (*unadmit)(struct listener *listener);
    /* A connection: non-blocking, close-on-exec, TCP_NODELAY inherited. The callback owns `fd`. */
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
    _Atomic uint64_t
        refused; /* connections closed because descriptors had run out; any thread reads */
};

/* Opens a listening socket. `backlog`: the kernel's queue. `share`: with SO_REUSEPORT, for one
 * socket a worker; the caller has made sure with listener_probe() that nobody else listens
 * there. `v6_only`: an IPv6 socket takes no IPv4. Port 0: the kernel chooses; *ret_bound tells.
 * -1 with *ret_error: system.listen.*. */
int listener_open_socket(const struct ip_endpoint *address, int backlog, bool share, bool v6_only,
                         struct ip_endpoint *ret_bound, struct stream_error *ret_error);

/* Whether the address could be bound by us alone: with SO_REUSEPORT a second daemon would share
 * it silently. */
bool listener_probe(const struct ip_endpoint *address, bool v6_only,
                    struct stream_error *ret_error);

/* Starts to accept on `fd`, which it owns from now on. */
void listener_start(struct listener *listener, struct ev_loop *loop, int fd,
                    const struct listener_callbacks *callbacks, void *context);

/* After admit() said no: tries again. Harmless otherwise. */
void listener_resume(struct listener *listener);

/* Accepts what waits in the kernel's queue already (as far as admitted), then closes the socket:
 * nobody whose connection stands is cut by our leaving. Harmless when closed. */
void listener_drain(struct listener *listener);

/* Closes the socket at once. Harmless when closed. */
void listener_close(struct listener *listener);

#endif
