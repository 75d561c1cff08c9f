/* crypt_hash.h - the shape of what crypt(3) returns: which kind, what it costs, where its digest
 * begins (crypt(5)). Used for the lines of a users file, where a password in plain text must not
 * pass for a hash: crypt(3) takes the first two letters of one for the salt of DES. Pure: nothing
 * is hashed. */
#ifndef PAIRSOCKS_CRYPT_HASH_H
#define PAIRSOCKS_CRYPT_HASH_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes from the beginning. */
struct crypt_hash {
    size_t parameters; /* what two hashes of one kind and cost have in common: `$y$j9T$`, `$6$` */
    size_t digest;     /* all before the digest: a setting */
    size_t length;
};

/* False: not of a known shape, or of a kind that this libcrypt does not have. A hash of the right
 * shape may still be one that no password has. */
bool crypt_hash_parse(const char *text, struct crypt_hash *ret_hash);

#endif
