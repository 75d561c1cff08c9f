/* config.c - a file to a snapshot: sections open records, keys fill them through the table,
 * every fault is reported. */
#include "config/config.h"

#include "config/directive.h"
#include "config/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const section_names[SECTION_COUNT] = {
    [SECTION_DAEMON] = "daemon",     [SECTION_LISTENER] = "listener",
    [SECTION_UPSTREAM] = "upstream", [SECTION_CERTIFICATE] = "certificate",
    [SECTION_RULE] = "rule",
};

struct loader {
    struct config *config;
    const char *file;
    FILE *errors;
    unsigned faults;
    bool in_section;     /* false: before the first, or in a bad one */
    bool any_listener;   /* good or bad */
    bool in_bad_section; /* whose keys say nothing */
    enum section section;
    char label[READER_SECTION_MAX + 1]; /* of the current section, for messages */
    int section_line;
    int daemon_line;          /* where [daemon] stood; 0 = nowhere yet */
    int seen[DIRECTIVES_MAX]; /* the line of each key in the current section */
};

/* FILE:LINE: [section] key: what is wrong (what is accepted) */
static void fault(struct loader *l, int line, const char *key, const char *accepts,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

static void fault(struct loader *l, int line, const char *key, const char *accepts,
                  const char *format, ...)
{
    va_list args;

    l->faults++;
    fprintf(l->errors, "%s:%d: ", l->file, line);
    if (*l->label)
        fprintf(l->errors, "[%s] ", l->label);
    if (key)
        fprintf(l->errors, "%s: ", key);
    va_start(args, format);
    vfprintf(l->errors, format, args);
    va_end(args);
    if (accepts)
        fprintf(l->errors, " (accepted: %s)", accepts);
    fputc('\n', l->errors);
}

static void *record_of(struct loader *l)
{
    if (l->section == SECTION_DAEMON)
        return l->config;
    return &l->config->listeners[l->config->listener_count - 1];
}

static bool parse_into(const struct directive *d, void *record, const char *value,
                       const char **ret_wrong)
{
    *ret_wrong = NULL;
    return d->parse(d, (char *)record + d->offset, value, ret_wrong);
}

static void set_default(const struct directive *d, void *record)
{
    const char *wrong;

    if (d->parse && d->by_default)
        parse_into(d, record, d->by_default, &wrong);
}

/* What was not given in the section that ends here. */
static void finish_section(struct loader *l)
{
    if (!l->in_section)
        return;
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *d = &directives[i];

        if (d->section != l->section || l->seen[i])
            continue;
        if (d->is_required)
            fault(l, l->section_line, d->key, d->accepts, "the section needs this key");
        set_default(d, record_of(l));
    }
    l->in_section = false;
}

static void begin_section(struct loader *l, int line, enum section section)
{
    l->in_section = true;
    l->section = section;
    l->section_line = line;
    memset(l->seen, 0, sizeof l->seen);
}

static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return *name && name[strspn(name, allowed)] == '\0';
}

static bool is_reserved(const char *name)
{
    return strcmp(name, "direct") == 0 || strcmp(name, "none") == 0 || strcmp(name, "any") == 0;
}

static bool add_listener(struct loader *l, int line, const char *name)
{
    struct config *config = l->config;
    struct config_listener *more;
    char *copy;

    for (unsigned i = 0; i < config->listener_count; i++) {
        if (strcmp(config->listeners[i].name, name) == 0) {
            fault(l, line, NULL, NULL, "there is a section of this name already");
            return false;
        }
    }
    more = realloc(config->listeners, (config->listener_count + 1) * sizeof *more);
    if (more)
        config->listeners = more;
    if (!more || !(copy = strdup(name))) {
        fault(l, line, NULL, NULL, "there is no memory for it");
        return false;
    }
    more[config->listener_count++] = (struct config_listener){.name = copy};
    return true;
}

static int section_of(const char *word, size_t n)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (strlen(section_names[i]) == n && memcmp(section_names[i], word, n) == 0)
            return i;
    return -1;
}

static void open_daemon(struct loader *l, int line, const char *name)
{
    if (*name) {
        fault(l, line, NULL, NULL, "this section has no name");
    } else if (l->daemon_line) {
        fault(l, line, NULL, NULL, "there is such a section already, in line %d", l->daemon_line);
    } else {
        l->daemon_line = line;
        begin_section(l, line, SECTION_DAEMON);
    }
}

static void open_listener(struct loader *l, int line, const char *name)
{
    l->any_listener = true;
    if (!is_name(name))
        fault(l, line, NULL, "letters, digits, `-`, `_`, `.`",
              *name ? "this is no name" : "the section needs a name");
    else if (is_reserved(name))
        fault(l, line, NULL, NULL, "the name is reserved");
    else if (add_listener(l, line, name))
        begin_section(l, line, SECTION_LISTENER);
}

static void on_section(void *context, int line, const char *section)
{
    struct loader *l = context;
    size_t n = strcspn(section, " \t");
    const char *name = section + n + strspn(section + n, " \t");

    finish_section(l);
    l->in_bad_section = false;
    snprintf(l->label, sizeof l->label, "%s", section);
    switch (section_of(section, n)) {
    case SECTION_DAEMON:
        open_daemon(l, line, name);
        break;
    case SECTION_LISTENER:
        open_listener(l, line, name);
        break;
    case -1:
        fault(l, line, NULL, "daemon, listener NAME", "there is no such section");
        break;
    default:
        fault(l, line, NULL, NULL, "such sections are not available in this version yet");
    }
}

static void on_key(void *context, int line, const char *key, const char *value)
{
    struct loader *l = context;
    const struct directive *d;
    const char *wrong;
    int i;

    if (!l->in_section) {
        if (!*l->label && !l->in_bad_section)
            fault(l, line, key, NULL, "a key must follow a [section]");
        return; /* the section was reported already */
    }
    i = directive_find(l->section, key);
    if (i < 0) {
        fault(l, line, key, NULL, "there is no such key in this section");
        return;
    }
    d = &directives[i];
    if (!d->parse) {
        fault(l, line, key, NULL, "this key is not available in this version yet");
        return;
    }
    if (l->seen[i] && !d->is_list)
        fault(l, line, key, NULL, "the key was given in line %d already", l->seen[i]);
    else if (!*value)
        fault(l, line, key, d->accepts, "the value is empty");
    else if (!parse_into(d, record_of(l), value, &wrong))
        fault(l, line, key, d->accepts, "%s: `%s`", wrong ? wrong : "this is no valid value",
              value);
    l->seen[i] = line;
}

static void on_bad_section(void *context, int line, const char *what)
{
    struct loader *l = context;

    finish_section(l);
    l->label[0] = '\0';
    fault(l, line, NULL, NULL, "%s", what);
    l->in_bad_section = true;
    l->any_listener = true; /* it may have been meant as one */
}

static void on_error(void *context, int line, const char *what)
{
    fault(context, line, NULL, NULL, "%s", what);
}

static struct config *config_new(void)
{
    struct config *config = calloc(1, sizeof *config);

    if (config)
        atomic_init(&config->references, 1);
    return config;
}

struct config *config_load(const char *file, FILE *errors)
{
    static const struct reader_callbacks callbacks = {on_section, on_key, on_bad_section, on_error};
    struct loader loader = {.file = file, .errors = errors, .config = config_new()};
    FILE *in = fopen(file, "re");

    if (!in || !loader.config || !(loader.config->file = strdup(file))) {
        fprintf(errors, "%s: %s\n", file, strerror(errno));
        goto fail;
    }
    if (!reader_run(in, &callbacks, &loader)) {
        fprintf(errors, "%s: cannot be read: %s\n", file, strerror(errno));
        goto fail;
    }
    finish_section(&loader);
    if (!loader.daemon_line) {
        begin_section(&loader, 0, SECTION_DAEMON);
        finish_section(&loader);
    }
    if (!loader.any_listener) {
        loader.label[0] = '\0';
        fault(&loader, 1, NULL, NULL, "there is no [listener NAME] section");
    }
    if (loader.faults)
        goto fail;
    fclose(in);
    return loader.config;
fail:
    if (in)
        fclose(in);
    config_unref(loader.config);
    return NULL;
}

struct config *config_default(void)
{
    struct loader loader = {.file = "built-in", .errors = stderr, .config = config_new()};

    if (!loader.config)
        return NULL;
    begin_section(&loader, 0, SECTION_DAEMON);
    finish_section(&loader);
    if (!add_listener(&loader, 0, "default"))
        goto fail;
    begin_section(&loader, 0, SECTION_LISTENER);
    on_key(&loader, 1, "listen", "localhost:1080");
    finish_section(&loader);
    if (loader.faults)
        goto fail;
    return loader.config;
fail:
    config_unref(loader.config);
    return NULL;
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < config->listener_count; i++) {
        free(config->listeners[i].name);
        free(config->listeners[i].addresses);
    }
    free(config->listeners);
    free(config->nameservers);
    free(config->log_file);
    free(config->file);
    free(config);
}
