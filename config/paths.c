/* paths.c - section by section, row by row. */
#include "config/paths.h"

#include "config/directive_type.h"

static void visit_record(const void *record, enum section section, config_path_visit *visit,
                         void *context)
{
    for (unsigned i = 0; i < directive_count; i++) {
        const struct directive *d = &directives[i];

        if (d->section == section && d->type && d->type->paths)
            d->type->paths((const char *)record + d->offset, visit, context);
    }
}

void config_visit_paths(const struct config *config, config_path_visit *visit, void *context)
{
    for (int section = 0; section < SECTION_COUNT; section++)
        for (unsigned i = 0; i < section_records(config, (enum section)section); i++)
            visit_record(section_record(config, (enum section)section, i), (enum section)section,
                         visit, context);
}
