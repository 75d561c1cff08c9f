/* loader.c - what the reader finds, judged by the tables of sections and directives. */
#include "config/loader.h"

#include "config/check.h"
#include "config/list.h"
#include "config/message.h"
#include "config/reader.h"
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A key in the current section. */
struct key_state {
    int line;       /* where it was given first; 0: nowhere yet */
    unsigned items; /* of a list */
    bool is_unset;  /* by the row's word for that */
};

struct loader {
    struct config *config;
    struct faults faults;
    struct references references;
    struct check_place *places[SECTION_COUNT]; /* of each kind's records; owned */
    int daemon_line;                           /* where [daemon] stood; 0: nowhere yet */
    bool any_listener;                         /* good or bad */

    /* the current section */
    enum section section;
    bool in_section;        /* false: before the first, or in a bad one */
    bool in_bad_section;    /* whose keys say nothing */
    struct config *scratch; /* what takes the keys below a wrong head; owned; NULL: it is right */
    unsigned references_above; /* how many there were before the section */
    struct check_place place;
    char label[READER_SECTION_MAX + 1]; /* for messages */
    struct key_state keys[DIRECTIVES_MAX];
};

static struct config *new_config(void)
{
    struct config *config = calloc(1, sizeof *config);

    if (config)
        atomic_init(&config->references, 1);
    return config;
}

/* The current section's head, for messages. */
static const char *label_of(const struct loader *l)
{
    return *l->label ? l->label : NULL;
}

static struct config *config_of(const struct loader *l)
{
    return l->scratch ? l->scratch : l->config;
}

static FILE *fault(struct loader *l, int line, const char *key)
{
    return faults_begin(&l->faults, line, label_of(l), key);
}

static void key_fault(struct loader *l, const struct directive *d, int line, const char *what)
{
    message_of_key(&l->faults, line, label_of(l), d, what);
}

/* ---- values ---- */

/* Notes the item, and whether it is the row's word for nothing. False when that word is not the
 * only one. */
static bool note_item(struct key_state *key, bool is_unset)
{
    if (key->is_unset || (is_unset && key->items > 0))
        return false;
    key->is_unset = is_unset;
    key->items++;
    return true;
}

/* A whole value, or one item of a list. */
static bool take_item(struct loader *l, unsigned row, int line, const char *text)
{
    const struct directive *d = &directives[row];
    const bool is_unset = d->unset && strcasecmp(text, d->unset) == 0;
    struct directive_input input = {
        .text = text, .config = config_of(l), .references = &l->references, .line = line};
    char wrong[64];

    if (!note_item(&l->keys[row], is_unset)) {
        snprintf(wrong, sizeof wrong, "`%s` stands alone", d->unset);
        key_fault(l, d, line, wrong);
        return false;
    }
    if (is_unset)
        return true;
    if (*text == '\0')
        input.wrong = "an item of the list is empty";
    else if (directive_parse(d, section_record_last(config_of(l), l->section), &input))
        return true;
    if (d->is_secret)
        key_fault(l, d, line, input.wrong ? input.wrong : "this is no valid value");
    else
        message_bad_value(&l->faults, line, label_of(l), d, text, input.wrong);
    return false;
}

static bool take_value(struct loader *l, unsigned row, int line, const char *value)
{
    char item[READER_LINE_MAX + 1];
    const char *at = value, *begin;
    bool good = true;
    size_t n;

    if (!directives[row].is_list || directives[row].is_whole)
        return take_item(l, row, line, value);
    while (value_list_next(&at, &begin, &n)) {
        snprintf(item, sizeof item, "%.*s", (int)n, begin);
        good &= take_item(l, row, line, item);
    }
    return good;
}

static bool take_key(struct loader *l, unsigned row, int line, const char *value)
{
    const struct directive *d = &directives[row];
    const int before = l->keys[row].line;

    if (!before)
        l->keys[row].line = line;
    if (!d->type) {
        fputs("this key is not available in this version yet", fault(l, line, d->key));
        return false;
    }
    if (before && !d->is_list) {
        fprintf(fault(l, line, d->key), "the key was given in line %d already", before);
        return false;
    }
    if (!*value) {
        key_fault(l, d, line, "the value is empty");
        return false;
    }
    return take_value(l, row, line, value);
}

/* ---- sections ---- */

static void set_default(struct loader *l, unsigned row)
{
    const struct directive *d = &directives[row];

    if (d->is_required) {
        key_fault(l, d, l->place.line, "the section needs this key");
        l->place.is_doubtful |= d->is_access;
    } else if (d->type && d->by_default) {
        take_value(l, row, l->place.line, d->by_default);
    }
}

/* Rules may be many, and nothing is found wrong with one later. */
static void note_lines(struct loader *l)
{
    const unsigned record = section_records(l->config, l->section) - 1;
    struct lines *lines = &l->config->lines;
    bool good = l->section == SECTION_RULE ||
                lines_add(lines, (int)l->section, record, NULL, l->place.line);

    for (unsigned i = 0; i < directive_count && l->section != SECTION_RULE; i++)
        if (directives[i].section == l->section && l->keys[i].line)
            good = good &&
                   lines_add(lines, (int)l->section, record, directives[i].key, l->keys[i].line);
    l->faults.is_broken |= !good;
}

/* The only fault of a rule that is in no single line of it. */
static void check_rule(struct loader *l)
{
    const struct config_rule *rule = section_record_last(l->config, SECTION_RULE);

    if (rule->action == RULE_DENY && rule->rate)
        fputs("a rule that denies lets nothing through (accepted: 0 with `action = deny`)",
              fault(l, l->keys[directive_find(SECTION_RULE, "rate")].line, "rate"));
}

/* What was not given in the section that ends here. */
static void set_defaults(struct loader *l)
{
    for (unsigned i = 0; i < directive_count; i++)
        if (directives[i].section == l->section && !l->keys[i].line)
            set_default(l, i);
    if (l->section == SECTION_RULE)
        check_rule(l);
    note_lines(l);
    if (section_kinds[l->section].is_named)
        l->places[l->section][section_records(l->config, l->section) - 1] = l->place;
}

/* The names that it holds are still looked up, and told with its head. */
static void forget_section(struct loader *l)
{
    struct references *references = &l->references;

    for (unsigned i = l->references_above; i < references->count; i++) {
        references->items[i].head = strdup(l->label);
        if (references->items[i].head)
            continue;
        while (references->count > i)
            free(references->items[--references->count].name);
        l->faults.is_broken = true;
    }
    config_unref(l->scratch);
    l->scratch = NULL;
}

static void finish_section(struct loader *l)
{
    if (!l->in_section)
        return;
    if (l->scratch)
        forget_section(l);
    else
        set_defaults(l);
    l->in_section = false;
}

static void begin_section(struct loader *l, int line, enum section section)
{
    l->in_section = true;
    l->section = section;
    l->place = (struct check_place){.line = line};
    l->references_above = l->references.count;
    memset(l->keys, 0, sizeof l->keys);
}

/* The head is wrong and was told, but says which kind was meant: the keys are judged as that kind's,
 * and kept for nothing else. */
static void begin_scratch(struct loader *l, int line, enum section section)
{
    l->scratch = new_config();
    if (l->scratch &&
        (!section_kinds[section].is_named || section_record_add(l->scratch, section, l->label))) {
        begin_section(l, line, section);
        return;
    }
    config_unref(l->scratch);
    l->scratch = NULL;
    l->faults.is_broken = true;
}

static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return *name && name[strspn(name, allowed)] == '\0';
}

/* However it is spelt: a rule's `listener = Any` is the word. */
static bool is_reserved(const char *name)
{
    return strcasecmp(name, "direct") == 0 || strcasecmp(name, "none") == 0 ||
           strcasecmp(name, "any") == 0;
}

static void already(struct loader *l, int line, int before)
{
    fprintf(fault(l, line, NULL), "there is such a section already, in line %d", before);
}

static bool add_record(struct loader *l, enum section section, const char *name)
{
    const unsigned count = section_records(l->config, section);

    return list_grow(&l->places[section], count, sizeof(struct check_place)) &&
           section_record_add(l->config, section, name);
}

static void open_named(struct loader *l, int line, enum section section, const char *name)
{
    int before;

    if (!is_name(name))
        fprintf(fault(l, line, NULL), "%s (accepted: letters, digits, `-`, `_`, `.`)",
                *name ? "this is no name" : "the section needs a name");
    else if (is_reserved(name))
        fputs("the name is reserved", fault(l, line, NULL));
    else if ((before = section_record_find(l->config, section, name)) >= 0)
        already(l, line, l->places[section][before].line);
    else if (!add_record(l, section, name))
        fputs("there is no memory for it", fault(l, line, NULL));
    else
        begin_section(l, line, section);
}

static void open_daemon(struct loader *l, int line, const char *name)
{
    if (*name) {
        fputs("this section has no name", fault(l, line, NULL));
    } else if (l->daemon_line) {
        already(l, line, l->daemon_line);
    } else {
        l->daemon_line = line;
        begin_section(l, line, SECTION_DAEMON);
    }
}

/* ---- the reader's calls ---- */

static void on_section(void *context, int line, const char *section)
{
    struct loader *l = context;
    size_t n = strcspn(section, " \t");
    const char *name = section + n + strspn(section + n, " \t");
    int kind = section_find(section, n);

    finish_section(l);
    l->in_bad_section = false;
    snprintf(l->label, sizeof l->label, "%s", section);
    if (kind < 0)
        kind = message_unknown_section(&l->faults, line, label_of(l));
    else if (section_kinds[kind].is_later)
        fputs("such sections are not available in this version yet", fault(l, line, NULL));
    else if (section_kinds[kind].is_named)
        open_named(l, line, (enum section)kind, name);
    else
        open_daemon(l, line, name);
    l->any_listener |= kind == SECTION_LISTENER;
    if (!l->in_section && kind >= 0 && !section_kinds[kind].is_later)
        begin_scratch(l, line, (enum section)kind);
}

static void on_key(void *context, int line, const char *key, const char *value)
{
    struct loader *l = context;
    int row;

    if (!l->in_section) {
        if (!*l->label && !l->in_bad_section)
            fputs("a key must follow a [section]", fault(l, line, key));
        return; /* the section was told already */
    }
    row = directive_find(l->section, key);
    if (row < 0)
        row = message_unknown_key(&l->faults, line, label_of(l), l->section, key);
    else if (take_key(l, (unsigned)row, line, value))
        return;
    if (row >= 0 && directives[row].is_access)
        l->place.is_doubtful = true;
}

static void on_bad_section(void *context, int line, const char *what)
{
    struct loader *l = context;

    finish_section(l);
    l->label[0] = '\0';
    fputs(what, fault(l, line, NULL));
    l->in_bad_section = true;
    l->any_listener = true; /* it may have been meant as one */
}

static void on_error(void *context, int line, const char *what)
{
    struct loader *l = context;

    fputs(what, fault(l, line, NULL));
    l->place.is_doubtful = true;
}

/* ---- the whole ---- */

static bool loader_init(struct loader *l, const char *name)
{
    *l = (struct loader){.config = new_config()};
    return l->config && faults_init(&l->faults, name);
}

static void loader_done(struct loader *l)
{
    for (unsigned i = 0; i < l->references.count; i++) {
        free(l->references.items[i].name);
        free(l->references.items[i].head);
    }
    free(l->references.items);
    for (unsigned i = 0; i < SECTION_COUNT; i++)
        free(l->places[i]);
    faults_done(&l->faults);
    config_unref(l->scratch);
    config_unref(l->config);
}

static void finish_file(struct loader *l)
{
    finish_section(l);
    l->label[0] = '\0';
    if (!l->daemon_line) {
        begin_section(l, 1, SECTION_DAEMON);
        finish_section(l);
    }
    if (!l->any_listener)
        fputs("there is no [listener NAME] section", fault(l, 1, NULL));
    check_config(l->config, &l->references, l->places[SECTION_LISTENER],
                 l->places[SECTION_UPSTREAM], &l->faults);
}

struct config *loader_run(FILE *in, const char *name, const struct activation *activation,
                          FILE *errors)
{
    static const struct reader_callbacks callbacks = {on_section, on_key, on_bad_section, on_error};
    struct config *config = NULL;
    struct loader l;
    bool was_read;
    int reason;

    if (!loader_init(&l, name)) {
        fprintf(errors, "%s: %s\n", name, strerror(ENOMEM));
        goto out;
    }
    l.config->activation = activation;
    was_read = reader_run(in, &callbacks, &l);
    reason = errno;
    if (was_read)
        finish_file(&l);
    faults_print(&l.faults, errors);
    if (!was_read)
        fprintf(errors, "%s: cannot be read: %s\n", name, strerror(reason));
    if (was_read && !faults_any(&l.faults)) {
        config = l.config;
        l.config = NULL;
    }
out:
    loader_done(&l);
    return config;
}
