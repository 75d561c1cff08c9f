/* out_of_reach.h - why a file could not be had, where its mode is not why. A daemon that has confined itself
 * (Landlock) is denied what lies outside; only the next start can let it in, so messages say so. */
#ifndef PAIRSOCKS_OUT_OF_REACH_H
#define PAIRSOCKS_OUT_OF_REACH_H

#include <stdbool.h>

/* What a message that ends with strerror(error) goes on with: where `error` is EACCES although the modes
 * of files and folders allow it, that a sandbox is why, and a restart the way out; else "". `path` is a
 * file to be read, or, with `written`, one to be written or made. Keeps errno. */
const char *out_of_reach(const char *path, int error, bool written);

#endif
