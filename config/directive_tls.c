/* directive_tls.c - the types that only TLS has: levels, suites, protocol names, names of hosts. */
#include "config/directive_type.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void format_text(const struct directive *d, const void *field,
                        struct directive_output *output)
{
    const char *text = *(char *const *)field;

    if (text)
        directive_put(output, "%s", text);
}

static bool store(void *field, struct directive_input *input)
{
    char *copy = strdup(input->text);

    if (!copy)
        return directive_no_memory(input);
    *(char **)field = copy;
    return true;
}

/* ---- security */

/* Levels that everybody knows, and nobody may use any more. */
static const struct {
    const char *level, *wrong;
} forbidden[] = {
    {"sslv2", "RFC 6176 forbids this level"},   {"sslv3", "RFC 7568 forbids this level"},
    {"tlsv1", "RFC 8996 forbids this level"},   {"tlsv1.0", "RFC 8996 forbids this level"},
    {"tlsv1.1", "RFC 8996 forbids this level"},
};

static bool parse_security(const struct directive *d, void *field, struct directive_input *input)
{
    const struct word *word = words_find(d->words, input->text);

    if (word) {
        *(int *)field = word->value;
        return true;
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        if (strcasecmp(forbidden[i].level, input->text) == 0)
            input->wrong = forbidden[i].wrong;
    return false;
}

static void format_security(const struct directive *d, const void *field,
                            struct directive_output *output)
{
    directive_put(output, "%s", words_text(d->words, *(const int *)field));
}

static void accepts_security(const struct directive *d, FILE *out)
{
    const char *comma = "";

    for (const struct word *word = d->words; word->text; word++) {
        fprintf(out, "%s%s", comma, word->text);
        comma = ", ";
    }
}

const struct directive_type type_security = {
    .parse = parse_security,
    .format = format_security,
    .accepts = accepts_security,
};

/* ---- suites: the library judges the names */

static bool parse_ciphers(const struct directive *d, void *field, struct directive_input *input)
{
    return !strpbrk(input->text, " \t,") && store(field, input);
}

static void accepts_ciphers(const struct directive *d, FILE *out)
{
    fputs("names of suites between `:`", out);
}

const struct directive_type type_ciphers = {
    .parse = parse_ciphers,
    .format = format_text,
    .accepts = accepts_ciphers,
};

/* ---- ALPN: one text of them all, separated by commas */

enum { ALPN_NAME_MAX = 255 /* RFC 7301, 3.1 */ };

static bool parse_alpn(const struct directive *d, void *field, struct directive_input *input)
{
    char **names = field, *joined;

    if (strlen(input->text) > ALPN_NAME_MAX || strpbrk(input->text, " \t"))
        return false;
    if (asprintf(&joined, "%s%s%s", *names ? *names : "", *names ? "," : "", input->text) < 0)
        return directive_no_memory(input);
    free(*names);
    *names = joined;
    return true;
}

static void format_alpn(const struct directive *d, const void *field,
                        struct directive_output *output)
{
    const char *at = *(char *const *)field;

    while (at && *at) {
        size_t n = strcspn(at, ",");

        directive_put(output, "%.*s", (int)n, at);
        at += n + (at[n] == ',');
    }
}

const struct directive_type type_alpn = {
    .parse = parse_alpn,
    .format = format_alpn,
};

/* ---- names of hosts */

static bool is_name(const char *text)
{
    struct ip_address unused;

    return host_classify(text, strlen(text), &unused) == HOST_NAME;
}

static bool parse_names(const struct directive *d, void *field, struct directive_input *input)
{
    const char *name = strncmp(input->text, "*.", 2) == 0 ? input->text + 2 : input->text;

    if (!is_name(name)) {
        input->wrong = "this is no name that a client can ask for";
        return false;
    }
    return store(field, input);
}

const struct directive_type type_names = {
    .item = sizeof(char *),
    .parse = parse_names,
    .format = format_text,
};

static bool parse_peer_name(const struct directive *d, void *field, struct directive_input *input)
{
    struct ip_address unused;

    return host_classify(input->text, strlen(input->text), &unused) != HOST_INVALID &&
           store(field, input);
}

const struct directive_type type_peer_name = {
    .parse = parse_peer_name,
    .format = format_text,
};
