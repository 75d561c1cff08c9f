/* message.c - texts made of the tables. */
#include "config/message.h"

#include "config/suggest.h"

#include <string.h>

static void put_accepted(const struct directive *d, FILE *out)
{
    fputs(" (accepted: ", out);
    directive_accepts(d, out);
    fputc(')', out);
}

static void put_suggestion(const struct suggestion *suggestion, FILE *out)
{
    if (suggestion->best)
        fprintf(out, "; did you mean `%s`?", suggestion->best);
}

static void offer_words(struct suggestion *suggestion, const struct directive *d)
{
    for (const struct word *word = d->words; word && word->text; word++)
        if (!word->is_later)
            suggestion_offer(suggestion, word->text);
    if (d->unset)
        suggestion_offer(suggestion, d->unset);
}

void message_of_key(struct faults *faults, int line, const char *label, const struct directive *d,
                    const char *what)
{
    FILE *out = faults_begin(faults, line, label, d->key);

    fputs(what, out);
    put_accepted(d, out);
}

void message_bad_value(struct faults *faults, int line, const char *label,
                       const struct directive *d, const char *text, const char *wrong)
{
    struct suggestion suggestion = {.word = text};
    FILE *out = faults_begin(faults, line, label, d->key);

    fprintf(out, "%s: `%s`", wrong ? wrong : "this is no valid value", text);
    if (!wrong)
        offer_words(&suggestion, d);
    put_suggestion(&suggestion, out);
    put_accepted(d, out);
}

/* The kinds of sections that have the key. False: none has. */
static bool put_home(const char *key, FILE *out)
{
    const char *between = "; this key belongs into ";
    bool any = false;

    for (int section = 0; section < SECTION_COUNT; section++) {
        if (directive_find((enum section)section, key) < 0)
            continue;
        fprintf(out, "%s[%s]", between, section_kinds[section].word);
        between = " or ";
        any = true;
    }
    return any;
}

int message_unknown_key(struct faults *faults, int line, const char *label, enum section section,
                        const char *key)
{
    struct suggestion suggestion = {.word = key};
    FILE *out = faults_begin(faults, line, label, key);

    fputs("there is no such key in this section", out);
    if (put_home(key, out))
        return -1;
    for (unsigned i = 0; i < directive_count; i++)
        if (directives[i].section == section)
            suggestion_offer(&suggestion, directives[i].key);
    put_suggestion(&suggestion, out);
    return suggestion.best ? directive_find(section, suggestion.best) : -1;
}

static void put_sections(FILE *out)
{
    const char *comma = "";

    for (int i = 0; i < SECTION_COUNT; i++) {
        const struct section_kind *kind = &section_kinds[i];

        if (kind->is_later)
            continue;
        fprintf(out, "%s%s%s", comma, kind->word, kind->is_named ? " NAME" : "");
        comma = ", ";
    }
}

int message_unknown_section(struct faults *faults, int line, const char *label)
{
    char word[128];
    struct suggestion suggestion = {.word = word};
    FILE *out = faults_begin(faults, line, label, NULL);

    snprintf(word, sizeof word, "%.*s", label ? (int)strcspn(label, " \t") : 0, label ? label : "");
    fputs("there is no such section", out);
    for (int i = 0; i < SECTION_COUNT; i++)
        suggestion_offer(&suggestion, section_kinds[i].word);
    put_suggestion(&suggestion, out);
    fputs(" (accepted: ", out);
    put_sections(out);
    fputc(')', out);
    return suggestion.best ? section_find(suggestion.best, strlen(suggestion.best)) : -1;
}
