/* directive_word.c - values that are words of the row's table: one of them, or a list of them as
 * bits. */
#include "config/directive_type.h"

#include <string.h>
#include <strings.h>

static const struct word *find(const struct directive *d, struct directive_input *input)
{
    const struct word *word = words_find(d->words, input->text);

    if (!word || !word->is_later)
        return word;
    input->wrong = "this is not available in this version yet";
    return NULL;
}

void directive_accept_words(const struct directive *d, FILE *out)
{
    const char *comma = "";

    for (const struct word *word = d->words; word->text; word++) {
        if (word->is_later)
            continue;
        fprintf(out, "%s%s", comma, word->text);
        comma = ", ";
    }
}

static bool parse_bool(const struct directive *d, void *field, struct directive_input *input)
{
    const struct word *word = find(d, input);

    if (!word)
        return false;
    *(bool *)field = word->value;
    return true;
}

static void format_bool(const struct directive *d, const void *field,
                        struct directive_output *output)
{
    directive_put(output, "%s", words_text(d->words, *(const bool *)field));
}

const struct directive_type type_bool = {
    .parse = parse_bool,
    .format = format_bool,
    .accepts = directive_accept_words,
};

static bool parse_word(const struct directive *d, void *field, struct directive_input *input)
{
    const struct word *word = find(d, input);

    if (!word)
        return false;
    *(int *)field = word->value;
    return true;
}

void directive_format_word(const struct directive *d, const void *field,
                           struct directive_output *output)
{
    directive_put(output, "%s", words_text(d->words, *(const int *)field));
}

const struct directive_type type_word = {
    .parse = parse_word,
    .format = directive_format_word,
    .accepts = directive_accept_words,
};

static bool parse_bits(const struct directive *d, void *field, struct directive_input *input)
{
    const struct word *word = find(d, input);

    if (!word)
        return false;
    *(unsigned *)field |= (unsigned)word->value;
    return true;
}

static void format_bits(const struct directive *d, const void *field,
                        struct directive_output *output)
{
    unsigned bits = *(const unsigned *)field;

    for (const struct word *word = d->words; word->text; word++)
        if (bits & (unsigned)word->value)
            directive_put(output, "%s", word->text);
}

const struct directive_type type_bits = {
    .parse = parse_bits,
    .format = format_bits,
    .accepts = directive_accept_words,
};
