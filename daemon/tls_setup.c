/* tls_setup.c - from the rows of a section to options of a context. */
#include "daemon/tls_setup.h"

#include "config/out_of_reach.h"
#include "config/section.h"
#include "daemon/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WARN_DAYS = 14, DAY_SECONDS = 24 * 3600 };

static enum tls_level level_of(int security)
{
    static const enum tls_level levels[] = {
        [SECURITY_NONE] = TLS_LEVEL_NONE,
        [SECURITY_NEGOTIATED] = TLS_LEVEL_NEGOTIATED,
        [SECURITY_TLS_1_2] = TLS_LEVEL_1_2,
        [SECURITY_TLS_1_3] = TLS_LEVEL_1_3,
    };

    return levels[security];
}

static struct tls_context_options options_of(const struct config_tls *tls, enum tls_role role)
{
    return (struct tls_context_options){
        .role = role,
        .level = level_of(tls->security),
        .certificate = tls->certificate,
        .private_key = tls->private_key,
        .ciphers = tls->ciphers,
        .alpn = tls->alpn,
        .trust =
            {
                .authority = tls->authority,
                .revoke = tls->revoke,
                .skip_chain = tls->skip_chain,
                .allow_expired_certificates = tls->allow_expired_certificates,
                .allow_expired_roots = tls->allow_expired_roots,
                .allow_any_root = tls->allow_any_root,
            },
    };
}

/* What follows a reason that begins with the name of a file. */
static const char *hint(const char *file, const char *reason)
{
    return strstr(reason, strerror(EACCES)) ? out_of_reach(file, EACCES, false) : "";
}

/* The key that a reason is about: it begins with the key itself, or with a file, and tells by a word
 * what it was read for where two keys have the same one. NULL: the level, or none. *ret_hint follows the
 * reason. */
static const char *key_of(const struct tls_context_options *options, const char *reason,
                          const char **ret_hint)
{
    const struct {
        const char *key, *begins, *word;
    } keys[] = {
        {"ciphers", "ciphers", ""},
        {"private_key", options->private_key, "key"},
        {"revoke", options->trust.revoke, "revocation list"},
        {"certificate", options->certificate, ""},
        {"private_key", options->private_key, ""},
        {"authority", options->trust.authority, ""},
        {"revoke", options->trust.revoke, ""},
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const size_t n = keys[i].begins ? strlen(keys[i].begins) : 0;

        if (n && strncmp(reason, keys[i].begins, n) == 0 && reason[n] == ':' &&
            strstr(reason + n, keys[i].word)) {
            *ret_hint = hint(keys[i].begins, reason);
            return keys[i].key;
        }
    }
    *ret_hint = "";
    return NULL;
}

/* FILE:LINE: [section] key: reason */
static void tell(const struct config *config, enum section section, unsigned index,
                 const struct tls_context_options *options, const char *reason, FILE *errors)
{
    const char *follows, *key = key_of(options, reason, &follows);

    if (config->file)
        fprintf(errors, "%s:%d: ", config->file,
                lines_find(&config->lines, (int)section, index, key ? key : "security"));
    fprintf(errors, "[%s %s] ", section_kinds[section].word,
            section_record_name(config, section, index));
    if (key && strncmp(reason, key, strlen(key)) != 0)
        fprintf(errors, "%s: ", key);
    fprintf(errors, "%.*s%s\n", (int)strcspn(reason, "\n"), reason, follows);
}

/* tls_context_new(), for a section of the file. */
static struct tls_context *build(const struct config *config, enum section section, unsigned index,
                                 const struct tls_context_options *options, FILE *errors)
{
    char *reason = NULL;
    size_t size;
    FILE *out = open_memstream(&reason, &size);
    struct tls_context *context = out ? tls_context_new(options, out) : NULL;

    if (out)
        fclose(out);
    if (!context)
        tell(config, section, index, options, reason ? reason : "no memory", errors);
    free(reason);
    return context;
}

/* A [certificate] has its listener's keys, but for its own files and policy. `names` NULL: the listener
 * cannot be served, and all that is wrong is to be told. */
static bool add_certificate(struct tls_names *names, const struct config *config,
                            const struct config_listener *listener, unsigned index,
                            struct tls_ticket_keys *ticket_keys, FILE *errors)
{
    const struct config_certificate *certificate = &config->certificates[index];
    struct tls_context_options options = options_of(&listener->tls, TLS_SERVER);
    struct tls_context *context;
    bool added = true;

    options.certificate = certificate->certificate;
    options.private_key = certificate->private_key;
    options.trust.authority = certificate->authority;
    if (!certificate->authority)
        options.trust.revoke = NULL;
    options.ticket_keys = ticket_keys;
    options.name = certificate->name;
    context = build(config, SECTION_CERTIFICATE, index, &options, errors);
    for (unsigned i = 0; context && names && i < certificate->name_count; i++)
        added = added && tls_names_add(names, certificate->names[i], context);
    if (!added)
        fprintf(errors, "[certificate %s] no memory\n", certificate->name);
    tls_context_unref(context);
    return context && added;
}

/* Has one of its certificates an authority of its own? */
static bool judges_by_name(const struct config *config, const struct config_listener *listener)
{
    for (unsigned i = 0; i < listener->certificate_count; i++)
        if (config->certificates[listener->certificates[i]].authority)
            return true;
    return false;
}

struct tls_names *tls_setup_listener(const struct config *config,
                                     const struct config_listener *listener,
                                     struct tls_ticket_keys *ticket_keys, FILE *errors)
{
    struct tls_context_options options = options_of(&listener->tls, TLS_SERVER);
    struct tls_context *own;
    struct tls_names *names;
    bool good;

    options.ticket_keys = ticket_keys;
    options.name = "";
    if (!options.trust.authority && judges_by_name(config, listener))
        options.trust.revoke = NULL; /* it is for those */
    own =
        build(config, SECTION_LISTENER, (unsigned)(listener - config->listeners), &options, errors);
    names = own ? tls_names_new(own) : NULL;
    good = names != NULL;
    tls_context_unref(own);
    for (unsigned i = 0; i < listener->certificate_count; i++)
        good = add_certificate(names, config, listener, listener->certificates[i], ticket_keys,
                               errors) &&
               good;
    if (good)
        return names;
    tls_names_free(names);
    return NULL;
}

struct tls_context *tls_setup_upstream(const struct config *config, unsigned index, FILE *errors)
{
    const struct config_upstream *upstream = &config->upstreams[index];
    struct tls_context_options options = options_of(&upstream->tls, TLS_CLIENT);

    options.name = upstream->name;
    return build(config, SECTION_UPSTREAM, index, &options, errors);
}

bool tls_setup_uses_system(const struct config_tls *tls)
{
    const struct tls_context_options options = options_of(tls, TLS_CLIENT);

    return tls_trust_uses_system(&options.trust);
}

bool tls_setup_check(const struct config *config, FILE *errors)
{
    bool good = true;

    for (unsigned i = 0; i < config->listener_count; i++) {
        struct tls_names *names;

        if (config->listeners[i].tls.security == SECURITY_NONE)
            continue;
        names = tls_setup_listener(config, &config->listeners[i], NULL, errors);
        good = good && names;
        tls_names_free(names);
    }
    for (unsigned i = 0; i < config->upstream_count; i++) {
        struct tls_context *context;

        if (config->upstreams[i].tls.security == SECURITY_NONE)
            continue;
        context = tls_setup_upstream(config, i, errors);
        good = good && context;
        tls_context_unref(context);
    }
    return good;
}

void tls_setup_warn(const struct tls_context *context, const char *section, const char *name)
{
    int64_t expires = tls_context_expires(context), now = (int64_t)time(NULL);
    char date[32];
    time_t at = (time_t)expires;
    struct tm utc;

    if (expires == 0 || expires > now + WARN_DAYS * DAY_SECONDS)
        return;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &utc));
    log_message(LOG_LEVEL_WARNING, "certificate", "[%s %s] the certificate %s %s", section, name,
                expires > now ? "expires at" : "has expired at", date);
}
