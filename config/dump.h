/* dump.h - the snapshot as an ini file (`pairsocksd --dump-config`). Pure. */
#ifndef PAIRSOCKS_DUMP_H
#define PAIRSOCKS_DUMP_H

#include "config/config.h"

/* Writes every key that this version has, defaults included: [daemon], then each listener, then
 * each rule in order. What is written loads to an equal snapshot, and is written of that again.
 *
 * It ends on terminals and in bug reports. No value is a secret yet: passwords and tokens stand
 * in files of their own, whose paths may be shown. A row whose value is a secret itself has to be
 * left out here, with a comment in its place. */
void config_dump(const struct config *config, FILE *out);

#endif
