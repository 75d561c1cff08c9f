/* tls_names.h - a listener's TLS contexts by the name that a client asks for (SNI). Built by the
 * control plane, then immutable; any thread. It owns a count on each context. */
#ifndef PAIRSOCKS_TLS_NAMES_H
#define PAIRSOCKS_TLS_NAMES_H

#include "streams/tls_context.h"

struct tls_names;

/* `other` serves every name that is not added, and clients that name nobody. NULL: no memory. */
struct tls_names *tls_names_new(struct tls_context *other);
void tls_names_free(struct tls_names *names); /* harmless with NULL */

/* `pattern`: a host name, or `*.suffix` for all names below, of any depth, but not the suffix itself.
 * The first one added wins where two are the same. False: no memory. */
bool tls_names_add(struct tls_names *names, const char *pattern, struct tls_context *context);

/* A name itself before a pattern, the longest pattern before shorter ones. Borrowed. */
struct tls_context *tls_names_find(const struct tls_names *names, const char *name);

#endif
