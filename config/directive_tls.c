/* directive_tls.c - the types that only TLS has: levels, suites, protocol names, names of hosts. */
#include "config/directive_type.h"

#include <string.h>
#include <strings.h>

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

const struct directive_type type_security = {
    .parse = parse_security,
    .format = directive_format_word,
    .accepts = directive_accept_words,
};

/* ---- suites: the library judges the names */

static bool parse_ciphers(const struct directive *d, void *field, struct directive_input *input)
{
    return !strpbrk(input->text, " \t,") && directive_store_text(field, input);
}

static void accepts_ciphers(const struct directive *d, FILE *out)
{
    fputs("names of suites between `:`", out);
}

const struct directive_type type_ciphers = {
    .parse = parse_ciphers,
    .format = directive_format_text,
    .accepts = accepts_ciphers,
};

/* ---- ALPN: one text of them all, separated by commas */

enum { ALPN_NAME_MAX = 255 /* RFC 7301, 3.1 */ };

static bool parse_alpn(const struct directive *d, void *field, struct directive_input *input)
{
    return strlen(input->text) <= ALPN_NAME_MAX && !strpbrk(input->text, " \t") &&
           directive_join_text(field, input->text, input);
}

const struct directive_type type_alpn = {
    .parse = parse_alpn,
    .format = directive_format_joined,
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
    return directive_store_text(field, input);
}

const struct directive_type type_names = {
    .item = sizeof(char *),
    .parse = parse_names,
    .format = directive_format_text,
};

static bool parse_peer_name(const struct directive *d, void *field, struct directive_input *input)
{
    struct ip_address unused;

    return host_classify(input->text, strlen(input->text), &unused) != HOST_INVALID &&
           directive_store_text(field, input);
}

const struct directive_type type_peer_name = {
    .parse = parse_peer_name,
    .format = directive_format_text,
};
