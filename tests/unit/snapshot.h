/* snapshot.h - when two configurations are the same. For the tests of --dump-config, and the fuzz
 * target of files. */
#ifndef PAIRSOCKS_TESTS_SNAPSHOT_H
#define PAIRSOCKS_TESTS_SNAPSHOT_H

#include "config/config.h"

/* NULL: every field but the file's name is equal. Else the name of the first that is not. */
const char *snapshot_difference(const struct config *a, const struct config *b);

#endif
