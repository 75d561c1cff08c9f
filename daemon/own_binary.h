/* own_binary.h - where this program's file is, so that an upgrade finds the next version there. */
#ifndef PAIRSOCKS_OWN_BINARY_H
#define PAIRSOCKS_OWN_BINARY_H

/* The path by which we were started, made absolute but with its symbolic links as they are: what they lead to then is the
 * new version. To be called at the start, while the file is still ours. `name` is argv[0]. The caller frees it; NULL: it
 * cannot be found. */
char *own_binary(const char *name);

#endif
