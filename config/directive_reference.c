/* directive_reference.c - values that name a section, which may follow later in the file: noted
 * here, looked up by the check of the whole. */
#include "config/directive_type.h"

#include "config/list.h"

#include <string.h>

/* The field is the rule itself, the last one of the file so far. */
static bool parse_listener(const struct directive *d, void *field, struct directive_input *input)
{
    struct references *references = input->references;
    struct reference *item = list_grow(&references->items, references->count, sizeof *item);

    if (!item || !(item->name = strdup(input->text)))
        return directive_no_memory(input);
    item->section = SECTION_LISTENER;
    item->record = input->config->rule_count - 1;
    item->line = input->line;
    references->count++;
    return true;
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
