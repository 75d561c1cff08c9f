/* session_inspect.c - a worker answers the control plane's letters: it copies what it knows of its sessions,
 * or ends one. Copies have texts of their own: a session, and the configuration that it holds, may be gone
 * before they are read. */
#include "daemon/inspect_order.h"
#include "daemon/session.h"

#include <stdlib.h>
#include <string.h>

/* Texts of the facts that are made or owned by the session or its configuration; the others are constants. */
static void each_text(struct session_facts *facts, void (*visit)(const char **text, void *context),
                      void *context)
{
    const char **const texts[] = {
        &facts->listener, &facts->user,     &facts->route,
        &facts->rule,     &facts->upstream, &facts->upstream_peer,
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        visit(texts[i], context);
}

static void add_size(const char **text, void *context)
{
    *(size_t *)context += strlen(*text) + 1;
}

static void copy_text(const char **text, void *context)
{
    char **at = context;
    size_t n = strlen(*text) + 1;

    *text = memcpy(*at, *text, n);
    *at += n;
}

static size_t size_of_texts(const struct session *s)
{
    char target[SESSION_TARGET_MAX];
    struct session_facts facts;
    size_t size;

    session_facts(s, target, &facts);
    size = facts.target_length + 1;
    each_text(&facts, add_size, &size);
    return size;
}

/* Returns what stands behind its texts. */
static char *copy(const struct session *s, char *texts, struct session_facts *ret)
{
    char target[SESSION_TARGET_MAX];

    session_facts(s, target, ret);
    ret->target = memcpy(texts, target, ret->target_length);
    texts[ret->target_length] = '\0';
    texts += ret->target_length + 1;
    each_text(ret, copy_text, &texts);
    return texts;
}

/* The newest first; without memory none. */
static void list(struct worker *worker, struct inspect_letter *letter)
{
    const unsigned max = letter->order->max;
    size_t size = 0;
    unsigned count = 0;
    char *texts;

    for (const struct session *s = worker->sessions.last; s; s = s->previous, letter->total++)
        if (count < max) {
            size += size_of_texts(s);
            count++;
        }
    letter->sessions = calloc(count ? count : 1, sizeof *letter->sessions);
    letter->texts = texts = malloc(size ? size : 1);
    if (!letter->sessions || !texts)
        return;
    for (const struct session *s = worker->sessions.last; letter->count < count; s = s->previous)
        texts = copy(s, texts, &letter->sessions[letter->count++]);
}

static bool close_session(struct worker *worker, uint64_t id)
{
    for (struct session *s = worker->sessions.first; s; s = s->next)
        if (s->id == id) {
            session_abort(s, stream_error_of(ERROR_DAEMON_CLOSED_BY_ADMIN));
            return true;
        }
    return false;
}

void session_inspect(struct worker *worker, struct inspect_letter *letter)
{
    const struct inspect_order *order = letter->order;

    for (struct session *s = worker->sessions.first; s; s = s->next)
        session_count_bytes(s);
    if (!atomic_load(&order->is_dropped)) {
        if (order->closes)
            letter->is_closed = close_session(worker, order->id);
        else
            list(worker, letter);
    }
    inspect_answered(letter);
}
