/* tls_file.h - a small file in memory, for certificates, keys and revocation lists. */
#ifndef PAIRSOCKS_TLS_FILE_H
#define PAIRSOCKS_TLS_FILE_H

#include <stddef.h>
#include <stdio.h>

/* The content with a NUL behind it, *ret_n without it; NULL, with path and reason in `errors` (if it
 * is not NULL). The caller gives it back. */
char *tls_file_read(const char *path, FILE *errors, size_t *ret_n);

/* Wipes and frees. Harmless with NULL. */
void tls_file_free(char *text, size_t n);

#endif
