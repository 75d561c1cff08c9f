/* unreadable.h - what the user, or the root directory, takes out of a reload's reach is said while somebody
 * looks. */
#ifndef PAIRSOCKS_UNREADABLE_H
#define PAIRSOCKS_UNREADABLE_H

#include "config/config.h"

/* Logs a warning for each file of `config` that cannot be read any more. After the change of identity. */
void unreadable_tell(const struct config *config);

#endif
