/* check_status.c - the keys of the status page that need one another; reads its token. */
#include "config/check.h"
#include "config/secret_file.h"

#include <string.h>

static FILE *begin(const struct config *config, const char *key, struct faults *faults)
{
    return faults_begin(faults, lines_find(&config->lines, SECTION_DAEMON, 0, key), "daemon", key);
}

/* What a browser can send in a field of a request. */
static bool is_visible(const char *token)
{
    for (; *token; token++)
        if (*token <= ' ' || *token > '~')
            return false;
    return true;
}

static void read_token(struct config *config, struct faults *faults)
{
    const char *wrong, *hint;

    config->status_token = secret_file_read(config->status_token_file, &wrong, &hint);
    if (!config->status_token)
        fprintf(begin(config, "status_token_file", faults), "%s: %s%s", config->status_token_file,
                wrong, hint);
    else if (strlen(config->status_token) < CONFIG_TOKEN_MIN)
        fprintf(begin(config, "status_token_file", faults),
                "%s: a token of less than %d bytes can be guessed (make one: openssl rand -hex 16)",
                config->status_token_file, CONFIG_TOKEN_MIN);
    else if (!is_visible(config->status_token))
        fprintf(begin(config, "status_token_file", faults),
                "%s: a token is of letters, digits and signs, without blanks",
                config->status_token_file);
}

static bool same_place(const struct config_address *a, const struct config_address *b)
{
    if (a->unix_path || b->unix_path)
        return a->unix_path && b->unix_path && strcmp(a->unix_path, b->unix_path) == 0;
    return a->endpoint.port && endpoint_equal(&a->endpoint, &b->endpoint);
}

static const struct config_listener *listener_at(const struct config *config,
                                                 const struct config_address *address)
{
    for (unsigned i = 0; i < config->listener_count; i++)
        for (unsigned j = 0; j < config->listeners[i].address_count; j++)
            if (same_place(&config->listeners[i].addresses[j], address))
                return &config->listeners[i];
    return NULL;
}

void check_status(struct config *config, struct faults *faults)
{
    const struct config_listener *other = listener_at(config, &config->status);

    if (config->status_token_file)
        read_token(config, faults);
    if (other)
        fprintf(begin(config, "status", faults), "[listener %s] has this address", other->name);
    if (config_status_is_exposed(config) && !config->status_token_file)
        fputs("others could read it (add `status_token_file`, or listen on 127.0.0.1 or a unix "
              "socket)",
              begin(config, "status", faults));
}
