/* dump.c - section by section, row by row. */
#include "config/dump.h"

#include "config/directive.h"

static void dump_section(const struct config *config, enum section section, unsigned index,
                         FILE *out)
{
    const struct section_kind *kind = &section_kinds[section];

    if (kind->is_named)
        fprintf(out, "\n[%s %s]\n", kind->word, section_record_name(config, section, index));
    else
        fprintf(out, "[%s]\n", kind->word);
    for (unsigned i = 0; i < directive_count; i++)
        if (directives[i].section == section)
            directive_format(&directives[i], config, section_record(config, section, index), out);
}

void config_dump(const struct config *config, FILE *out)
{
    for (int section = 0; section < SECTION_COUNT; section++)
        for (unsigned i = 0; i < section_records(config, (enum section)section); i++)
            dump_section(config, (enum section)section, i, out);
}
