/* name_watch.c - each name waits for its timer, then for its turn, then for its two answers, and
 * so on for ever. The turns bound how many questions are open. */
#include "daemon/name_watch.h"

#include <stdlib.h>
#include <string.h>

enum { FAMILIES = 2, NAMES_AT_ONCE = NAME_WATCH_LOOKUPS_MAX / FAMILIES };

static const enum ip_family family_of[FAMILIES] = {IP_V4, IP_V6};

enum outcome { FAILED, FOUND, NONE };

/* What is known of a name in one family. */
struct family {
    struct name *name;              /* borrowed: whose it is */
    struct resolver_lookup *lookup; /* NULL: not being asked */
    enum outcome outcome;           /* of the last question */
    bool is_known;                  /* there has been an answer that counted */
    unsigned count;
    struct ip_address addresses[RESOLVER_ADDRESSES_MAX];
};

enum state { WAITING, IN_LINE, ASKING };

struct name {
    struct name_watch *watch; /* borrowed */
    char *text;               /* owned */
    ev_timer due;             /* runs while WAITING */
    enum state state;
    struct name *previous, *next; /* IN_LINE */
    bool has_answer;              /* a good one, ever */
    bool stays;                   /* scratch of name_watch_set() */
    struct family families[FAMILIES];
};

struct name_watch {
    struct ev_loop *loop;      /* borrowed */
    struct resolver *resolver; /* owned */
    ev_tstamp refresh, retry;
    name_watch_answered *answered;
    void *context;
    struct name **names; /* owned, sorted */
    unsigned count;
    struct name *first_in_line, *last_in_line;
    unsigned asking;
};

/* The only place that changes the state. */
static void set_state(struct name *name, enum state state)
{
    struct name_watch *watch = name->watch;

    if (name->state == IN_LINE) {
        *(name->previous ? &name->previous->next : &watch->first_in_line) = name->next;
        *(name->next ? &name->next->previous : &watch->last_in_line) = name->previous;
        name->previous = name->next = NULL;
    }
    watch->asking += (state == ASKING) - (name->state == ASKING);
    name->state = state;
    if (state == IN_LINE) {
        name->previous = watch->last_in_line;
        *(watch->last_in_line ? &watch->last_in_line->next : &watch->first_in_line) = name;
        watch->last_in_line = name;
    }
}

static void wait_in_line(struct name *name)
{
    ev_timer_stop(name->watch->loop, &name->due);
    set_state(name, IN_LINE);
}

static void tell(const struct name *name)
{
    struct ip_address all[NAME_WATCH_ADDRESSES_MAX];
    unsigned count = 0;
    bool is_whole = true;

    for (int i = 0; i < FAMILIES; i++) {
        const struct family *family = &name->families[i];

        memcpy(all + count, family->addresses, family->count * sizeof *all);
        count += family->count;
        is_whole = is_whole && family->is_known;
    }
    name->watch->answered(name->watch->context, name->text, all, count, is_whole);
}

/* Both families have answered. */
static void finish(struct name *name)
{
    struct family *families = name->families;
    bool is_good = families[0].outcome == FOUND || families[1].outcome == FOUND;
    bool all_learned = families[0].outcome != FAILED && families[1].outcome != FAILED;
    const struct name_watch *watch = name->watch;

    for (int i = 0; i < FAMILIES && is_good; i++) {
        if (families[i].outcome == NONE)
            families[i].count = 0;
        families[i].is_known = families[i].is_known || families[i].outcome != FAILED;
    }
    ev_timer_set(&name->due, is_good && all_learned ? watch->refresh : watch->retry, 0);
    ev_timer_start(watch->loop, &name->due);
    set_state(name, WAITING);
    if (is_good) {
        name->has_answer = true;
        tell(name);
    }
}

static bool is_being_asked(const struct name *name)
{
    return name->families[0].lookup || name->families[1].lookup;
}

static void on_answer(void *context, const struct ip_address *addresses, unsigned count,
                      const struct stream_error *error);

/* A lookup that cannot be made is one that failed. */
static void ask(struct name *name)
{
    set_state(name, ASKING);
    for (int i = 0; i < FAMILIES; i++) {
        struct family *family = &name->families[i];

        family->outcome = FAILED;
        family->lookup =
            resolver_start(name->watch->resolver, name->text, family_of[i], on_answer, family);
    }
    if (!is_being_asked(name))
        finish(name);
}

static void ask_next(struct name_watch *watch)
{
    while (watch->first_in_line && watch->asking < NAMES_AT_ONCE)
        ask(watch->first_in_line);
}

static void on_answer(void *context, const struct ip_address *addresses, unsigned count,
                      const struct stream_error *error)
{
    struct family *family = context;
    struct name *name = family->name;

    family->lookup = NULL;
    if (count) {
        family->outcome = FOUND;
        family->count = count;
        memcpy(family->addresses, addresses, count * sizeof *addresses);
    } else if (stream_error_is(error, ERROR_RESOLVER_NOT_FOUND) ||
               stream_error_is(error, ERROR_RESOLVER_NO_ADDRESS)) {
        family->outcome = NONE; /* what it has is kept until the other is known, too */
    }
    if (is_being_asked(name))
        return;
    finish(name);
    ask_next(name->watch);
}

static void on_due(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct name *name = w->data;

    wait_in_line(name);
    ask_next(name->watch);
}

static struct name *name_new(struct name_watch *watch, const char *text)
{
    struct name *name = calloc(1, sizeof *name);

    if (!name || !(name->text = strdup(text))) {
        free(name);
        return NULL;
    }
    name->watch = watch;
    ev_init(&name->due, on_due);
    name->due.data = name;
    for (int i = 0; i < FAMILIES; i++)
        name->families[i].name = name;
    return name;
}

static void cancel(struct name *name)
{
    for (int i = 0; i < FAMILIES; i++) {
        if (name->families[i].lookup)
            resolver_cancel(name->families[i].lookup);
        name->families[i].lookup = NULL;
    }
}

static void name_free(struct name *name)
{
    cancel(name);
    ev_timer_stop(name->watch->loop, &name->due);
    set_state(name, WAITING); /* out of line, and not counted */
    free(name->text);
    free(name);
}

struct name_watch *name_watch_new(struct ev_loop *loop, const struct name_watch_options *options,
                                  name_watch_answered *answered, void *context)
{
    struct name_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->refresh = options->refresh > 0 ? options->refresh : NAME_WATCH_REFRESH;
    watch->retry = options->retry > 0 ? options->retry : NAME_WATCH_RETRY;
    watch->answered = answered;
    watch->context = context;
    watch->resolver = resolver_new(loop, &options->resolver);
    if (!watch->resolver) {
        free(watch);
        return NULL;
    }
    return watch;
}

void name_watch_free(struct name_watch *watch)
{
    if (!watch)
        return;
    for (unsigned i = 0; i < watch->count; i++)
        name_free(watch->names[i]);
    free(watch->names);
    resolver_free(watch->resolver);
    free(watch);
}

static int compare_texts(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

static int compare_to_name(const void *text, const void *element)
{
    const struct name *const *name = element;

    return strcmp(text, (*name)->text);
}

static struct name *find(const struct name_watch *watch, const char *text)
{
    struct name **found = NULL;

    if (watch->count)
        found = bsearch(text, watch->names, watch->count, sizeof *watch->names, compare_to_name);
    return found ? *found : NULL;
}

/* The names of `texts`, which are sorted: those that are watched already `stay`, the others are
 * new. NULL without memory. */
static struct name **collect(struct name_watch *watch, const char *const *texts, unsigned count,
                             unsigned *ret_count)
{
    struct name **names = calloc((size_t)count + 1, sizeof(struct name *));
    unsigned n = 0;

    for (unsigned i = 0; names && i < count; i++) {
        struct name *name;

        if (i > 0 && strcmp(texts[i], texts[i - 1]) == 0)
            continue;
        name = find(watch, texts[i]);
        if (name)
            name->stays = true;
        else if (!(name = name_new(watch, texts[i])))
            goto fail;
        names[n++] = name;
    }
    *ret_count = n;
    return names;
fail:
    while (n--)
        if (names[n]->stays)
            names[n]->stays = false;
        else
            name_free(names[n]);
    free(names);
    return NULL;
}

/* Takes the names that collect() made in place of the old ones. */
static void replace_names(struct name_watch *watch, struct name **names, unsigned count)
{
    for (unsigned i = 0; i < watch->count; i++)
        if (!watch->names[i]->stays)
            name_free(watch->names[i]);
    free(watch->names);
    watch->names = names;
    watch->count = count;
    for (unsigned i = 0; i < count; i++) {
        if (!names[i]->stays)
            wait_in_line(names[i]);
        else if (names[i]->has_answer)
            tell(names[i]);
        names[i]->stays = false;
    }
    ask_next(watch);
}

bool name_watch_set(struct name_watch *watch, const char *const *names, unsigned count)
{
    const char **sorted = calloc((size_t)count + 1, sizeof *sorted);
    struct name **fresh;
    unsigned fresh_count = 0;

    if (!sorted)
        return false;
    for (unsigned i = 0; i < count; i++)
        sorted[i] = names[i];
    qsort(sorted, count, sizeof *sorted, compare_texts);
    fresh = collect(watch, sorted, count, &fresh_count);
    free(sorted);
    if (!fresh)
        return false;
    replace_names(watch, fresh, fresh_count);
    return true;
}

bool name_watch_set_resolver(struct name_watch *watch, const struct resolver_options *options)
{
    struct resolver *resolver = resolver_new(watch->loop, options);

    if (!resolver)
        return false;
    for (unsigned i = 0; i < watch->count; i++) {
        if (watch->names[i]->state == ASKING) {
            cancel(watch->names[i]);
            wait_in_line(watch->names[i]);
        }
    }
    resolver_free(watch->resolver);
    watch->resolver = resolver;
    ask_next(watch);
    return true;
}
