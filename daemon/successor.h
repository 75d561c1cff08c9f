/* successor.h - the new process of an upgrade: takes over the sockets of the daemon that started it, says when it
 * serves, and is the service from the moment that the other one lets go. Until then it must not speak for it, nor
 * remove its files. A process that nobody upgrades to has a channel of -1, and all of this does nothing. */
#ifndef PAIRSOCKS_SUCCESSOR_H
#define PAIRSOCKS_SUCCESSOR_H

#include "daemon/inherited.h"
#include "daemon/notify.h"

struct successor {
    int channel;          /* owned; -1: there is nobody before us */
    bool is_confined;     /* we are in its chroot already */
    struct ev_loop *loop; /* borrowed */
    ev_io io;
    ev_timer deadline;
    void (*takes_over)(void *context);
    void *context;
};

/* At the very start: receives all that the other daemon has, if there is one; for a few seconds at most. The socket to
 * systemd goes to `notify`, which stays silent. False with a line in `errors`. */
bool successor_open(struct successor *successor, struct inherited *inherited, struct notify *notify,
                    FILE *errors);

/* Why the start fails: lines for the log of the other daemon. */
void successor_failed(struct successor *successor, const char *lines);

/* The workers serve: says so. takes_over(context) is called once, when the other one has let go, or has gone. False:
 * there is nobody to tell. */
bool successor_ready(struct successor *successor, struct ev_loop *loop,
                     void (*takes_over)(void *context), void *context);

void successor_done(struct successor *successor);

#endif
