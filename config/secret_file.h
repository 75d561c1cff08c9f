/* secret_file.h - files that hold one secret in their first line: a password, a token. */
#ifndef PAIRSOCKS_SECRET_FILE_H
#define PAIRSOCKS_SECRET_FILE_H

#include <stddef.h>

#define SECRET_FILE_MAX 255 /* bytes of a secret */

/* The first line, without its end, of 1 to SECRET_FILE_MAX bytes; to be wiped before it is freed. Never
 * waits: what is no file is refused. NULL: *ret_wrong says why, and *ret_hint, which follows it, what may be
 * done ("" if nothing is known). */
char *secret_file_read(const char *path, const char **ret_wrong, const char **ret_hint);

/* Wipes and frees it; harmless with NULL. */
void secret_free(char *secret);

#endif
