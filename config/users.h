/* users.h - a users file: who may log in, as `name:hash` lines. Immutable once read; counted. The
 * hashes are those of crypt(3) (crypt(5): yescrypt, sha512crypt ...); what they mean is
 * libxcrypt's. */
#ifndef PAIRSOCKS_USERS_H
#define PAIRSOCKS_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define USERS_NAME_MAX 255       /* RFC 1929, 2; bytes */
#define USERS_SIZE_MAX (1 << 20) /* of a file; bytes */

struct users;

/* Reads a whole file. Empty lines and lines that begin with `#` mean nothing; nor do blanks at a
 * line's ends, a CR before its LF, and a byte order mark. NULL when anything is wrong: every error
 * then stands in `errors`, one a line, as `FILE:LINE: what is wrong` (`FILE: why` when it cannot be
 * read or is larger than USERS_SIZE_MAX): no colon, a bad name, a control character, a name that
 * stands twice, what has not the shape of a hash that crypt(3) takes (crypt_hash.h). No message
 * quotes the file: a hash may stand anywhere in it. */
struct users *users_load(const char *file, FILE *errors);

/* The same from an open file; `file` is its name in messages. */
struct users *users_read(FILE *in, const char *file, FILE *errors);

struct users *users_ref(struct users *users);
void users_unref(struct users *users);

/* The hash of this user, `n` bytes of anything; NULL: there is none. Borrowed. */
const char *users_find(const struct users *users, const char *name, size_t n);

/* A hash that no password is compared with: of the kind and cost that most of the file's have, so
 * that an unknown user costs the time that a known one does. Never NULL. */
const char *users_decoy(const struct users *users);

/* The file's content, `*ret_size` bytes: what a remembered login is bound to. */
const void *users_content(const struct users *users, size_t *ret_size);

unsigned users_count(const struct users *users);

/* Whether a name may stand in a users file: 1 to USERS_NAME_MAX bytes, no colon, no control
 * characters, not `#` first, no blank at an end. */
bool users_name_is_valid(const char *name, size_t n);

#endif
