/* whitelist.c - literals in prefix tables that nobody changes; the addresses of names in tables
 * that count how many names have each, so that one name's new answer takes no address away that
 * another still has. */
#include "daemon/whitelist.h"

#include "config/prefix_table.h"
#include "daemon/host_table.h"

#include <assert.h>
#include <stdlib.h>

/* A list: `allow` or `deny`. */
struct list {
    struct prefix_table *literals; /* owned; NULL: none */
    struct host_table *named;      /* owned; addresses of its names; NULL: has no names */
};

struct name {
    char *text; /* owned */
    bool is_in[2];
    bool is_known;                /* it has had a whole answer */
    struct ip_address *addresses; /* owned: the answer */
    unsigned count;
};

enum { ALLOW, DENY, LISTS };

struct whitelist {
    struct list lists[LISTS];
    bool allows_any;            /* there is no `allow` */
    atomic_uint unknown_denied; /* names in `deny` that are not known */
    struct name *names;         /* owned, sorted */
    unsigned name_count;
};

static bool compile_literals(struct list *list, const struct host_pattern *patterns, unsigned count)
{
    struct ip_prefix *prefixes = calloc((size_t)count + 1, sizeof *prefixes);
    size_t n = 0;

    for (unsigned i = 0; prefixes && i < count; i++)
        if (patterns[i].kind == PATTERN_PREFIX)
            prefixes[n++] = patterns[i].prefix;
    if (n)
        list->literals = prefix_table_new(prefixes, n, NULL);
    free(prefixes);
    return prefixes && (!n || list->literals);
}

static bool add_names(struct whitelist *whitelist, int list, const struct host_pattern *patterns,
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct name name = {.text = NULL};

        assert(patterns[i].kind != PATTERN_SUFFIX); /* no client's address says its name */
        if (patterns[i].kind != PATTERN_NAME)
            continue;
        name.is_in[list] = true;
        name.text = strdup(patterns[i].name);
        if (!name.text)
            return false;
        whitelist->names[whitelist->name_count++] = name;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct name *left = a, *right = b;

    return strcmp(left->text, right->text);
}

/* Sorts them, and makes one of those that are the same. */
static void merge_names(struct whitelist *whitelist)
{
    unsigned n = 0;

    qsort(whitelist->names, whitelist->name_count, sizeof *whitelist->names, compare_names);
    for (unsigned i = 0; i < whitelist->name_count; i++) {
        struct name *name = &whitelist->names[i];
        struct name *last = n ? &whitelist->names[n - 1] : NULL;

        if (last && strcmp(last->text, name->text) == 0) {
            for (int list = 0; list < LISTS; list++)
                last->is_in[list] = last->is_in[list] || name->is_in[list];
            free(name->text);
        } else {
            whitelist->names[n++] = *name;
        }
    }
    whitelist->name_count = n;
}

static bool make_room_for_addresses(struct whitelist *whitelist)
{
    for (unsigned i = 0; i < whitelist->name_count; i++) {
        for (int at = 0; at < LISTS; at++) {
            struct list *list = &whitelist->lists[at];

            if (!whitelist->names[i].is_in[at] || list->named)
                continue;
            list->named = malloc(sizeof *list->named);
            if (!list->named)
                return false;
            host_table_init(list->named);
        }
    }
    return true;
}

struct whitelist *whitelist_new(const struct config_listener *config)
{
    size_t names = (size_t)config->allow_count + config->deny_count;
    struct whitelist *whitelist = calloc(1, sizeof *whitelist);

    if (!whitelist)
        return NULL;
    whitelist->allows_any = config->allow_count == 0;
    whitelist->names = calloc(names + 1, sizeof *whitelist->names);
    if (!whitelist->names ||
        !compile_literals(&whitelist->lists[ALLOW], config->allow, config->allow_count) ||
        !compile_literals(&whitelist->lists[DENY], config->deny, config->deny_count) ||
        !add_names(whitelist, ALLOW, config->allow, config->allow_count) ||
        !add_names(whitelist, DENY, config->deny, config->deny_count))
        goto fail;
    merge_names(whitelist);
    if (!make_room_for_addresses(whitelist))
        goto fail;
    for (unsigned i = 0; i < whitelist->name_count; i++)
        if (whitelist->names[i].is_in[DENY])
            atomic_fetch_add(&whitelist->unknown_denied, 1);
    return whitelist;
fail:
    whitelist_free(whitelist);
    return NULL;
}

void whitelist_free(struct whitelist *whitelist)
{
    if (!whitelist)
        return;
    for (int i = 0; i < LISTS; i++) {
        prefix_table_free(whitelist->lists[i].literals);
        if (whitelist->lists[i].named)
            host_table_done(whitelist->lists[i].named);
        free(whitelist->lists[i].named);
    }
    for (unsigned i = 0; i < whitelist->name_count; i++) {
        free(whitelist->names[i].text);
        free(whitelist->names[i].addresses);
    }
    free(whitelist->names);
    free(whitelist);
}

static bool is_literal(const struct list *list, const struct ip_address *client)
{
    return list->literals && prefix_table_holds(list->literals, client);
}

static bool is_named(const struct list *list, const struct ip_address *client)
{
    return list->named && host_table_count(list->named, client, sizeof *client) > 0;
}

bool whitelist_allows(const struct whitelist *whitelist, const struct ip_address *client)
{
    const struct list *allow = &whitelist->lists[ALLOW], *deny = &whitelist->lists[DENY];
    struct ip_address ip = ip_unmapped(client);
    bool all_denied_are_known;

    if (ip.family == IP_NONE)
        return true;
    /* Before the look at the addresses: when the last name becomes known in between, its addresses
     * are seen or strangers are still denied. */
    all_denied_are_known = atomic_load(&whitelist->unknown_denied) == 0;
    if (is_literal(deny, &ip) || is_named(deny, &ip))
        return false;
    if (is_literal(allow, &ip))
        return true;
    return all_denied_are_known && (whitelist->allows_any || is_named(allow, &ip));
}

const char *whitelist_name(const struct whitelist *whitelist, unsigned index)
{
    return index < whitelist->name_count ? whitelist->names[index].text : NULL;
}

static void give(struct whitelist *whitelist, const struct name *name,
                 const struct ip_address *addresses, unsigned count, int list)
{
    for (unsigned i = 0; i < count && name->is_in[list]; i++)
        host_table_give(whitelist->lists[list].named, &addresses[i], sizeof *addresses);
}

/* All or none of them. */
static bool take(struct whitelist *whitelist, const struct name *name,
                 const struct ip_address *addresses, unsigned count, int list)
{
    for (unsigned i = 0; i < count && name->is_in[list]; i++) {
        if (!host_table_take(whitelist->lists[list].named, &addresses[i], sizeof *addresses, 0)) {
            give(whitelist, name, addresses, i, list);
            return false;
        }
    }
    return true;
}

static struct name *find(const struct whitelist *whitelist, const char *text)
{
    struct name wanted = {.text = (char *)(uintptr_t)text}; /* only read */

    return bsearch(&wanted, whitelist->names, whitelist->name_count, sizeof wanted, compare_names);
}

/* The new addresses come before the old ones go: one that is in both is never missing. */
static bool replace(struct whitelist *whitelist, struct name *name,
                    const struct ip_address *addresses, unsigned count)
{
    struct ip_address *copy = malloc(count * sizeof *copy);

    for (unsigned i = 0; copy && i < count; i++)
        copy[i] = ip_unmapped(&addresses[i]);
    if (!copy || !take(whitelist, name, copy, count, ALLOW))
        goto fail;
    if (!take(whitelist, name, copy, count, DENY)) {
        give(whitelist, name, copy, count, ALLOW);
        goto fail;
    }
    for (int list = 0; list < LISTS; list++)
        give(whitelist, name, name->addresses, name->count, list);
    free(name->addresses);
    name->addresses = copy;
    name->count = count;
    return true;
fail:
    free(copy);
    return false;
}

bool whitelist_set_answer(struct whitelist *whitelist, const char *text,
                          const struct ip_address *addresses, unsigned count, bool is_whole)
{
    struct name *name = find(whitelist, text);

    if (!name || !count)
        return true;
    if (!replace(whitelist, name, addresses, count))
        return false;
    if (is_whole && !name->is_known) {
        name->is_known = true;
        if (name->is_in[DENY])
            atomic_fetch_sub(&whitelist->unknown_denied, 1);
    }
    return true;
}
