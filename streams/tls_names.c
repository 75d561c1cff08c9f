/* tls_names.c - a handful of names: looked at one by one. */
#include "streams/tls_names.h"

#include "streams/address.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    char *pattern; /* owned; without the `*` */
    size_t length;
    bool is_suffix;
    struct tls_context *context; /* counted */
};

struct tls_names {
    struct tls_context *other; /* counted */
    struct entry *entries;     /* owned */
    size_t count;
};

struct tls_names *tls_names_new(struct tls_context *other)
{
    struct tls_names *names = calloc(1, sizeof *names);

    if (names)
        names->other = tls_context_ref(other);
    return names;
}

void tls_names_free(struct tls_names *names)
{
    if (!names)
        return;
    for (size_t i = 0; i < names->count; i++) {
        free(names->entries[i].pattern);
        tls_context_unref(names->entries[i].context);
    }
    free(names->entries);
    tls_context_unref(names->other);
    free(names);
}

bool tls_names_add(struct tls_names *names, const char *pattern, struct tls_context *context)
{
    struct entry *more = reallocarray(names->entries, names->count + 1, sizeof *more);
    bool is_suffix = pattern[0] == '*' && pattern[1] == '.';
    char *copy = strdup(pattern + is_suffix);

    if (more)
        names->entries = more;
    if (!more || !copy) {
        free(copy);
        return false;
    }
    names->entries[names->count++] = (struct entry){
        .pattern = copy,
        .length = strlen(copy),
        .is_suffix = is_suffix,
        .context = tls_context_ref(context),
    };
    return true;
}

static bool matches(const struct entry *entry, const char *name, size_t n)
{
    if (!entry->is_suffix)
        return host_name_equal(entry->pattern, entry->length, name, n);
    return n > entry->length &&
           host_name_equal(entry->pattern + 1, entry->length - 1, name + n - entry->length + 1,
                           entry->length - 1) &&
           name[n - entry->length] == '.';
}

struct tls_context *tls_names_find(const struct tls_names *names, const char *name)
{
    const struct entry *best = NULL;
    size_t n = strlen(name);

    if (n && name[n - 1] == '.')
        n--;
    for (size_t i = 0; n && i < names->count; i++) {
        const struct entry *entry = &names->entries[i];

        if (!matches(entry, name, n))
            continue;
        if (!entry->is_suffix)
            return entry->context;
        if (!best || entry->length > best->length)
            best = entry;
    }
    return best ? best->context : names->other;
}
