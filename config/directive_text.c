/* directive_text.c - names and paths: texts that the daemon looks up, not the configuration. */
#include "config/directive_type.h"

#include <stdlib.h>
#include <string.h>

bool directive_store_text(void *field, struct directive_input *input)
{
    char *copy = strdup(input->text);

    if (!copy)
        return directive_no_memory(input);
    *(char **)field = copy;
    return true;
}

void directive_format_text(const struct directive *d, const void *field,
                           struct directive_output *output)
{
    const char *text = *(char *const *)field;

    if (text)
        directive_put(output, "%s", text);
}

bool directive_join_text(void *field, const char *item, struct directive_input *input)
{
    char **texts = field, *joined;

    if (asprintf(&joined, "%s%s%s", *texts ? *texts : "", *texts ? "," : "", item) < 0)
        return directive_no_memory(input);
    free(*texts);
    *texts = joined;
    return true;
}

void directive_format_joined(const struct directive *d, const void *field,
                             struct directive_output *output)
{
    const char *at = *(char *const *)field;

    while (at && *at) {
        size_t n = strcspn(at, ",");

        directive_put(output, "%.*s", (int)n, at);
        at += n + (at[n] == ',');
    }
}

/* A user or group by name or number. What passwd(5) cannot hold is none, nor is a list of them. */
static bool parse_account(const struct directive *d, void *field, struct directive_input *input)
{
    return !strpbrk(input->text, " \t:,/") && directive_store_text(field, input);
}

static void accepts_account(const struct directive *d, FILE *out)
{
    fprintf(out, "a %s's name or number", d->key);
}

const struct directive_type type_account = {
    .parse = parse_account,
    .format = directive_format_text,
    .accepts = accepts_account,
};

static bool parse_path(const struct directive *d, void *field, struct directive_input *input)
{
    if (*input->text != '/') {
        input->wrong = "the path must begin with `/`";
        return false;
    }
    return directive_store_text(field, input);
}

static void accepts_path(const struct directive *d, FILE *out)
{
    fputs("an absolute path", out);
}

static void visit_path(const void *field, config_path_visit *visit, void *context)
{
    const char *path = *(char *const *)field;

    if (path)
        visit(context, PATH_READ, path);
}

const struct directive_type type_path = {
    .parse = parse_path,
    .format = directive_format_text,
    .accepts = accepts_path,
    .paths = visit_path,
};

/* Nothing in it is read or written for its being named. */
const struct directive_type type_folder = {
    .parse = parse_path,
    .format = directive_format_text,
    .accepts = accepts_path,
};

/* An identity as it was verified: `alice` by a password, or with a prefix that says how. A name in
 * a users file holds no colon. */
static bool parse_user(const struct directive *d, void *field, struct directive_input *input)
{
    static const char *const prefixes[] = {"ident:", "cert:"};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);

        if (strncmp(input->text, prefixes[i], n) == 0)
            return input->text[n] && directive_store_text(field, input);
    }
    return !strchr(input->text, ':') && directive_store_text(field, input);
}

const struct directive_type type_user = {
    .item = sizeof(char *),
    .parse = parse_user,
    .format = directive_format_text,
};
