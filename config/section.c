/* section.c - lists of records, whatever kind they are. */
#include "config/section.h"

#include "config/list.h"

#include <string.h>

#define LIST(list, number, record)                                                                 \
    .is_named = true, .records = offsetof(struct config, list),                                    \
    .count = offsetof(struct config, number), .size = sizeof(struct record)

const struct section_kind section_kinds[SECTION_COUNT] = {
    [SECTION_DAEMON] = {.word = "daemon"},
    [SECTION_LISTENER] = {.word = "listener", LIST(listeners, listener_count, config_listener)},
    [SECTION_UPSTREAM] = {.word = "upstream", LIST(upstreams, upstream_count, config_upstream)},
    [SECTION_CERTIFICATE] = {.word = "certificate",
                             LIST(certificates, certificate_count, config_certificate)},
    [SECTION_RULE] = {.word = "rule", LIST(rules_in_order, rule_count, config_rule)},
};

_Static_assert(offsetof(struct config_listener, name) == 0, "section_record_name() reads it there");
_Static_assert(offsetof(struct config_certificate, name) == 0,
               "section_record_name() reads it there");
_Static_assert(offsetof(struct config_upstream, name) == 0, "section_record_name() reads it there");
_Static_assert(offsetof(struct config_rule, name) == 0, "section_record_name() reads it there");

int section_find(const char *word, size_t n)
{
    for (int i = 0; i < SECTION_COUNT; i++)
        if (strlen(section_kinds[i].word) == n && memcmp(section_kinds[i].word, word, n) == 0)
            return i;
    return -1;
}

static unsigned *count_of(struct config *config, const struct section_kind *kind)
{
    return (unsigned *)((char *)config + kind->count);
}

unsigned section_records(const struct config *config, enum section section)
{
    const struct section_kind *kind = &section_kinds[section];

    if (!kind->is_named)
        return 1;
    return kind->size ? *(const unsigned *)((const char *)config + kind->count) : 0;
}

const void *section_record(const struct config *config, enum section section, unsigned index)
{
    const struct section_kind *kind = &section_kinds[section];

    if (!kind->is_named)
        return config;
    return list_item((const char *)config + kind->records, index, kind->size);
}

void *section_record_last(struct config *config, enum section section)
{
    const struct section_kind *kind = &section_kinds[section];

    if (!kind->is_named)
        return config;
    return list_item((char *)config + kind->records, *count_of(config, kind) - 1, kind->size);
}

const char *section_record_name(const struct config *config, enum section section, unsigned index)
{
    return *(char *const *)section_record(config, section, index);
}

int section_record_find(const struct config *config, enum section section, const char *name)
{
    for (unsigned i = 0; i < section_records(config, section); i++)
        if (strcmp(section_record_name(config, section, i), name) == 0)
            return (int)i;
    return -1;
}

bool section_record_add(struct config *config, enum section section, const char *name)
{
    const struct section_kind *kind = &section_kinds[section];
    unsigned *count = count_of(config, kind);
    char **record = list_grow((char *)config + kind->records, *count, kind->size);

    if (!record || !(*record = strdup(name)))
        return false;
    (*count)++;
    return true;
}
