/* control_plane.h - the main thread: binds the sockets, starts the workers, waits for signals,
 * ends it all. It never carries a session. */
#ifndef PAIRSOCKS_CONTROL_PLANE_H
#define PAIRSOCKS_CONTROL_PLANE_H

#include "config/config.h"
#include "daemon/inherited.h"

/* Serves until told to stop. Takes over the reference to `config`; `file` is where a reload reads
 * the next one (NULL: the built-in default was taken). Returns the exit status: 0 after a drain or
 * a stop, 1 when it could not start (the reason is logged). The log is open. `inherited` are the sockets that
 * were there before us; borrowed. */
int control_plane_run(struct config *config, const char *file, struct inherited *inherited);

#endif
