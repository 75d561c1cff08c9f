/* watchdog.h - systemd's watchdog (WatchdogSec=), fed only while every worker turns: each is asked through its own
 * loop, and before the next feed all must have answered. One that hangs is named in the log, and nothing is fed until it
 * turns again: systemd ends the service then. Without $WATCHDOG_USEC there is no timer. The control plane's
 * thread; a loop of its own that hangs feeds nothing either. */
#ifndef PAIRSOCKS_WATCHDOG_H
#define PAIRSOCKS_WATCHDOG_H

#include "daemon/notify.h"
#include "daemon/worker.h"

struct watchdog {
    struct ev_loop *loop; /* borrowed, as the next two */
    struct workers *workers;
    struct notify *notify;
    ev_timer tick;
    double interval; /* s, between two feeds; 0: there is none */
    ev_tstamp asked; /* when */
    bool is_told;    /* that a worker hangs */
};

/* In microseconds; 0: there is none, or it is not for us. The texts are the variables' values, or NULL. Pure. */
uint64_t watchdog_usec(const char *usec, const char *pid, long self);

/* As the environment says. The workers run. */
void watchdog_start(struct watchdog *watchdog, struct ev_loop *loop, struct workers *workers,
                    struct notify *notify);

void watchdog_stop(struct watchdog *watchdog);

#endif
