/* unreadable.c - the files that a reload reads: users, passwords, certificates, keys, CRLs. */
#include "daemon/unreadable.h"

#include "daemon/log.h"
#include "daemon/tls_setup.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void tell_if_unreadable(const char *file, const char *key, const char *word,
                               const char *name)
{
    if (file && access(file, R_OK) != 0)
        log_message(LOG_LEVEL_WARNING, "start", "[%s %s] %s = %s: cannot be read again: %s", word,
                    name, key, file, strerror(errno));
}

static void tell_unreadable_tls(const struct config_tls *tls, const char *word, const char *name)
{
    tell_if_unreadable(tls->certificate, "certificate", word, name);
    tell_if_unreadable(tls->private_key, "private_key", word, name);
    tell_if_unreadable(tls->authority, "authority", word, name);
    tell_if_unreadable(tls->revoke, "revoke", word, name);
}

void unreadable_tell(const struct config *config)
{
    if (config->status_token_file && access(config->status_token_file, R_OK) != 0)
        log_message(LOG_LEVEL_WARNING, "start",
                    "[daemon] status_token_file = %s: cannot be read again: %s",
                    config->status_token_file, strerror(errno));
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        tell_if_unreadable(listener->users_file, "users_file", "listener", listener->name);
        tell_unreadable_tls(&listener->tls, "listener", listener->name);
    }
    for (unsigned i = 0; i < config->upstream_count; i++) {
        const struct config_upstream *upstream = &config->upstreams[i];

        tell_if_unreadable(upstream->password_file, "password_file", "upstream", upstream->name);
        tell_unreadable_tls(&upstream->tls, "upstream", upstream->name);
        if (upstream->tls.security != SECURITY_NONE && tls_setup_uses_system(&upstream->tls))
            tell_if_unreadable(tls_trust_system_bundle(), "authority", "upstream", upstream->name);
    }
    for (unsigned i = 0; i < config->certificate_count; i++) {
        const struct config_certificate *certificate = &config->certificates[i];

        tell_if_unreadable(certificate->certificate, "certificate", "certificate",
                           certificate->name);
        tell_if_unreadable(certificate->private_key, "private_key", "certificate",
                           certificate->name);
        tell_if_unreadable(certificate->authority, "authority", "certificate", certificate->name);
    }
}
