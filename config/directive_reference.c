/* directive_reference.c - values that name a section, which may follow later in the file: noted
 * here, looked up by the check of the whole. */
#include "config/directive_type.h"

#include "config/list.h"

#include <string.h>
#include <strings.h>

/* The holder is the last record of the file so far. */
static bool refer(const struct directive *d, enum section section, const char *name,
                  struct directive_input *input)
{
    struct references *references = input->references;
    struct reference *item = list_grow(&references->items, references->count, sizeof *item);

    if (!item || !(item->name = strdup(name)))
        return directive_no_memory(input);
    item->section = section;
    item->holder = d->section;
    item->record = section_records(input->config, d->section) - 1;
    item->line = input->line;
    references->count++;
    return true;
}

/* ---- the listeners of a rule; the field is the rule itself */

static bool parse_listener(const struct directive *d, void *field, struct directive_input *input)
{
    return refer(d, SECTION_LISTENER, input->text, input);
}

static void format_listeners(const struct directive *d, const void *field,
                             struct directive_output *output)
{
    const struct config *config = directive_config(output);
    const struct config_rule *rule = field;

    for (unsigned i = 0; i < rule->listener_count; i++)
        directive_put(output, "%s", config->listeners[rule->listeners[i]].name);
}

const struct directive_type type_listeners = {
    .parse = parse_listener,
    .format = format_listeners,
};

/* ---- the certificates of a listener; the field is the listener itself */

static bool parse_certificate(const struct directive *d, void *field, struct directive_input *input)
{
    return refer(d, SECTION_CERTIFICATE, input->text, input);
}

static void format_certificates(const struct directive *d, const void *field,
                                struct directive_output *output)
{
    const struct config *config = directive_config(output);
    const struct config_listener *listener = field;

    for (unsigned i = 0; i < listener->certificate_count; i++)
        directive_put(output, "%s", config->certificates[listener->certificates[i]].name);
}

const struct directive_type type_certificates = {
    .parse = parse_certificate,
    .format = format_certificates,
};

/* ---- the route of a listener; the field points to the upstream */

static bool parse_route(const struct directive *d, void *field, struct directive_input *input)
{
    return refer(d, SECTION_UPSTREAM, input->text, input);
}

static void format_route(const struct directive *d, const void *field,
                         struct directive_output *output)
{
    const struct config_upstream *route = *(const struct config_upstream *const *)field;

    if (route)
        directive_put(output, "%s", route->name);
}

const struct directive_type type_route = {
    .parse = parse_route,
    .format = format_route,
};

const struct directive_type type_via = {
    .parse = parse_route,
    .format = format_route,
};

/* The upstream that needs no section. */
static const char direct[] = "direct";

/* ---- what a rule does; the field is the rule itself. `route` alone of the words has a second one */

static bool parse_action(const struct directive *d, void *field, struct directive_input *input)
{
    static const char route[] = "route";
    const size_t n = sizeof route - 1;
    const struct word *word = words_find(d->words, input->text);
    struct config_rule *rule = field;
    const char *name;

    if (word) {
        rule->action = (enum rule_action)word->value;
        return true;
    }
    if (strncasecmp(input->text, route, n) != 0 || !strchr(" \t", input->text[n]))
        return false;
    name = input->text + n + strspn(input->text + n, " \t");
    if (!*name) {
        input->wrong = "`route` needs the name of an [upstream]";
        return false;
    }
    rule->action = RULE_ROUTE;
    if (strcasecmp(name, direct) == 0)
        return true;
    return refer(d, SECTION_UPSTREAM, name, input);
}

static void format_action(const struct directive *d, const void *field,
                          struct directive_output *output)
{
    const struct config_rule *rule = field;

    if (rule->action == RULE_ROUTE)
        directive_put(output, "route %s", rule->route ? rule->route->name : direct);
    else
        directive_put(output, "%s", words_text(d->words, (int)rule->action));
}

const struct directive_type type_action = {
    .parse = parse_action,
    .format = format_action,
};
