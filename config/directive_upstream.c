/* directive_upstream.c - the types that only upstreams have: servers, an SRV name, credentials, the
 * steps of a check. */
#include "config/directive_type.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct directive_type type_servers = {
    .item = sizeof(struct config_target),
    .parse = directive_parse_target,
    .format = directive_format_target,
};

/* ---- service: _SERVICE._tcp.DOMAIN (RFC 2782) */

static bool parse_service(const struct directive *d, void *field, struct directive_input *input)
{
    static const char transport[] = "._tcp.";
    const char *dot = strchr(input->text, '.');
    struct ip_address unused;

    if (input->text[0] != '_' || !dot || strncasecmp(dot, transport, sizeof transport - 1) != 0 ||
        host_classify(dot + sizeof transport - 1, strlen(dot + sizeof transport - 1), &unused) !=
            HOST_NAME ||
        host_classify(input->text, strlen(input->text), &unused) != HOST_NAME) {
        input->wrong = "this is no name of a service";
        return false;
    }
    return directive_store_text(field, input);
}

const struct directive_type type_service = {
    .parse = parse_service,
    .format = directive_format_text,
};

/* ---- user, password */

static bool parse_credential(const struct directive *d, void *field, struct directive_input *input)
{
    if (strlen(input->text) > CONFIG_CREDENTIAL_MAX) {
        input->wrong = "this is too long";
        return false;
    }
    return directive_store_text(field, input);
}

const struct directive_type type_credential = {
    .parse = parse_credential,
    .format = directive_format_text,
};

/* ---- the steps of a check */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The byte behind a `\`; moves on behind it. -1: there is no such escape. */
static int read_escape(const char **at)
{
    static const char letters[] = "rnt\\", bytes[] = "\r\n\t\\";
    const char *letter = **at ? strchr(letters, **at) : NULL;
    int high, low;

    if (letter) {
        (*at)++;
        return (uint8_t)bytes[letter - letters];
    }
    if (**at != 'x' || (high = hex_digit((*at)[1])) < 0 || (low = hex_digit((*at)[2])) < 0)
        return -1;
    *at += 3;
    return high * 16 + low;
}

/* `out` has room for all of the text. */
static bool unescape(const char *text, uint8_t *out, unsigned *ret_length)
{
    unsigned n = 0;

    while (*text) {
        int byte = (uint8_t)*text++;

        if (byte == '\\' && (byte = read_escape(&text)) < 0)
            return false;
        out[n++] = (uint8_t)byte;
    }
    *ret_length = n;
    return true;
}

static bool store_text(struct config_check *step, const char *text, struct directive_input *input)
{
    if (!*text) {
        input->wrong = "the step needs a TEXT";
        return false;
    }
    step->text = malloc(strlen(text));
    if (!step->text)
        return directive_no_memory(input);
    if (unescape(text, step->text, &step->length))
        return true;
    free(step->text);
    step->text = NULL;
    input->wrong = "there is no such escape (\\r \\n \\t \\\\ \\xHH are)";
    return false;
}

static bool parse_check(const struct directive *d, void *field, struct directive_input *input)
{
    const size_t n = strcspn(input->text, " \t");
    const char *text = input->text + n + strspn(input->text + n, " \t");
    struct config_check *step = field;
    char name[16];
    const struct word *word;

    snprintf(name, sizeof name, "%.*s", (int)n, input->text);
    word = n < sizeof name ? words_find(d->words, name) : NULL;
    if (!word)
        return false;
    step->kind = word->value;
    if (step->kind == CHECK_SEND || step->kind == CHECK_EXPECT)
        return store_text(step, text, input);
    if (*text)
        input->wrong = "the step stands alone";
    return !*text;
}

/* What the reader would not give back as it is: blanks at the ends, and what is no ASCII text. */
static void put_byte(FILE *out, const struct config_check *step, unsigned i)
{
    const uint8_t byte = step->text[i];

    if (byte == '\r' || byte == '\n' || byte == '\t')
        fprintf(out, "\\%c", byte == '\r' ? 'r' : byte == '\n' ? 'n' : 't');
    else if (byte < ' ' || byte > '~' || byte == '\\' ||
             (byte == ' ' && (i == 0 || i + 1 == step->length)))
        fprintf(out, "\\x%02x", byte);
    else
        fputc(byte, out);
}

static void format_check(const struct directive *d, const void *field,
                         struct directive_output *output)
{
    const struct config_check *step = field;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return;
    fputs(words_text(d->words, step->kind), out);
    if (step->length)
        fputc(' ', out);
    for (unsigned i = 0; i < step->length; i++)
        put_byte(out, step, i);
    if (fclose(out) == 0)
        directive_put(output, "%s", text);
    free(text);
}

const struct directive_type type_check = {
    .item = sizeof(struct config_check),
    .parse = parse_check,
    .format = format_check,
};
