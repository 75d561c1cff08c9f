/* worker_machine.h - what worker.c and worker_serve.c share; nobody else includes it. */
#ifndef PAIRSOCKS_WORKER_MACHINE_H
#define PAIRSOCKS_WORKER_MACHINE_H

#include "daemon/worker.h"

/* Any thread. */
void worker_wake(struct worker *worker);

/* In the worker's thread: serves as the plan says that came last, if one did. */
void worker_take_up_plan(struct worker *worker);

/* Closes a listening socket, after what waits there has been accepted. */
void worker_leave(struct worker_listener *wl);

#endif
