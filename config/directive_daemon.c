/* directive_daemon.c - the types that only [daemon] has: where the log goes, name servers, and the control
 * socket. */
#include "config/directive_type.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What sockaddr_un takes, with a `.` and a process number while it is being bound. */
enum { CONTROL_PATH_MAX = 99 };

/* The field is the configuration itself: a target may have a path. */
static bool parse_log_target(const struct directive *d, void *field, struct directive_input *input)
{
    const struct word *word = words_find(d->words, input->text);
    struct config *config = field;

    if (word) {
        config->log_target = word->value;
        return true;
    }
    if (strncmp(input->text, "file:", 5) != 0)
        return false;
    if (input->text[5] != '/') {
        input->wrong = "the path must begin with `/`";
        return false;
    }
    if (!(config->log_file = strdup(input->text + 5)))
        return directive_no_memory(input);
    config->log_target = LOG_TARGET_FILE;
    return true;
}

static void format_log_target(const struct directive *d, const void *field,
                              struct directive_output *output)
{
    const struct config *config = field;

    if (config->log_target == LOG_TARGET_FILE)
        directive_put(output, "file:%s", config->log_file);
    else
        directive_put(output, "%s", words_text(d->words, config->log_target));
}

static void visit_log_file(const void *field, config_path_visit *visit, void *context)
{
    const struct config *config = field;

    if (config->log_file)
        visit(context, PATH_WRITE, config->log_file);
}

const struct directive_type type_log_target = {
    .parse = parse_log_target,
    .format = format_log_target,
    .paths = visit_log_file,
};

/* One server in the form that c-ares takes: with brackets only where a port follows. */
static bool server_format(const char *text, char out[ENDPOINT_TEXT_MAX])
{
    const size_t n = strlen(text);
    struct ip_endpoint endpoint;

    if (ip_parse(text, n, &endpoint.ip)) {
        ip_format(&endpoint.ip, out);
        return true;
    }
    if (!endpoint_parse(text, n, &endpoint) || endpoint.port == 0)
        return false;
    endpoint_format(&endpoint, out);
    return true;
}

/* The field is one text of them all. */
static bool parse_nameserver(const struct directive *d, void *field, struct directive_input *input)
{
    char server[ENDPOINT_TEXT_MAX];

    if (!server_format(input->text, server)) {
        input->wrong = "this is no address";
        return false;
    }
    return directive_join_text(field, server, input);
}

const struct directive_type type_nameservers = {
    .parse = parse_nameserver,
    .format = directive_format_joined,
};

/* `none` is a text as well, the empty one: nothing is the default's path. */
static bool parse_control(const struct directive *d, void *field, struct directive_input *input)
{
    if (strcasecmp(input->text, "none") == 0)
        input->text = "";
    else if (*input->text != '/')
        input->wrong = "the path must begin with `/`";
    else if (strlen(input->text) > CONTROL_PATH_MAX)
        input->wrong = "the path is too long for a unix socket (at most 99 bytes)";
    return !input->wrong && directive_store_text(field, input);
}

static void format_control(const struct directive *d, const void *field,
                           struct directive_output *output)
{
    const char *text = *(char *const *)field;

    if (text)
        directive_put(output, "%s", *text ? text : "none");
}

static void visit_control(const void *field, config_path_visit *visit, void *context)
{
    const char *text = *(char *const *)field;

    if (!text)
        visit(context, PATH_BIND, CONFIG_DEFAULT_CONTROL);
    else if (*text)
        visit(context, PATH_BIND, text);
}

const struct directive_type type_control = {
    .parse = parse_control,
    .format = format_control,
    .paths = visit_control,
};
