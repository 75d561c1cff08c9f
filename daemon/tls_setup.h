/* tls_setup.h - TLS contexts as the configuration wants them: files are read and judged here, before
 * anything takes effect. The control plane's thread. */
#ifndef PAIRSOCKS_TLS_SETUP_H
#define PAIRSOCKS_TLS_SETUP_H

#include "config/config.h"
#include "streams/tls_names.h"

/* A listener's, by the names of its certificates. NULL with a line in `errors` that names file, section, key
 * and reason. The listener has a level. */
struct tls_names *tls_setup_listener(const struct config *config,
                                     const struct config_listener *listener,
                                     struct tls_ticket_keys *ticket_keys, FILE *errors);

/* That of an upstream of the configuration; likewise. */
struct tls_context *tls_setup_upstream(const struct config *config, unsigned index, FILE *errors);

/* Does an upstream's context need the system's authorities? */
bool tls_setup_uses_system(const struct config_tls *tls);

/* Tries all of a configuration, for --check. */
bool tls_setup_check(const struct config *config, FILE *errors);

/* What is worth a warning in the log: a certificate that expires within fourteen days, and a chain
 * that is not checked. */
void tls_setup_warn(const struct tls_context *context, const char *section, const char *name);

#endif
