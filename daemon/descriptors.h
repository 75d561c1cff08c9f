/* descriptors.h - the budget of file descriptors: what the limit allows, what the daemon keeps for
 * itself, and how many sessions remain. */
#ifndef PAIRSOCKS_DESCRIPTORS_H
#define PAIRSOCKS_DESCRIPTORS_H

#include "daemon/worker.h"

/* Sets the limit as the configuration wants it and divides it: pipes and parallel attempts of the
 * workers, which are not running yet. */
void descriptors_divide(struct workers *workers, const struct config *config);

/* Bounds the sessions by what `addresses` listening addresses leave; warns when the configuration
 * asks for more, once for the same figures. At the start, and at every reload. */
void descriptors_bound_sessions(struct workers *workers, const struct config *config,
                                unsigned addresses);

#endif
