/* secret.h - reads a password: from a terminal without showing it, from anything else as it is.
 * Used by the verbs that take one. Nothing of it stays in memory but what the caller is given. */
#ifndef PAIRSOCKS_SECRET_H
#define PAIRSOCKS_SECRET_H

#include <stddef.h>

#define SECRET_MAX 255 /* RFC 1929, 2; bytes */

struct secret {
    char text[SECRET_MAX + 1]; /* without a NUL but the one at its end */
    size_t length;
};

enum secret_result {
    SECRET_READ,
    SECRET_FAILED, /* errno says why */
    SECRET_EMPTY,
    SECRET_TOO_LONG,
    SECRET_HAS_NUL,
};

/* Reads a line of `fd`, and no byte behind it; its end is no part of the secret. If `fd` is a
 * terminal, `prompt` goes to stderr first, and nothing that is typed is shown; whatever ends or
 * stops the process meanwhile (but SIGKILL and SIGSTOP) finds the terminal as it was before, and
 * who continues it is asked again. `*ret_secret` is the caller's to wipe if it was read. */
enum secret_result secret_read(int fd, const char *prompt, struct secret *ret_secret);

void secret_wipe(struct secret *secret);

#endif
