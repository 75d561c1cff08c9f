/* inspect.c - questions that are on their way, and what came back. */
#include "daemon/inspect.h"

#include "daemon/inspect_order.h"

#include <stdlib.h>
#include <string.h>

struct inspector {
    struct ev_loop *loop;       /* borrowed */
    struct workers *workers;    /* borrowed */
    ev_async answered;          /* by all who were asked */
    struct inspection *running; /* owned */
};

struct inspection {
    struct inspector *inspector;
    struct inspection *next, *previous;
    struct inspect_order *order; /* a reference */
    ev_timer deadline;
    inspect_callback *callback;
    void *context;
};

static void inspection_free(struct inspection *inspection)
{
    struct inspector *inspector = inspection->inspector;

    if (inspection->previous)
        inspection->previous->next = inspection->next;
    else
        inspector->running = inspection->next;
    if (inspection->next)
        inspection->next->previous = inspection->previous;
    ev_timer_stop(inspector->loop, &inspection->deadline);
    atomic_store(&inspection->order->is_dropped, true);
    inspect_order_unref(inspection->order);
    free(inspection);
}

static int by_age(const void *a, const void *b)
{
    const struct session_facts *one = a, *other = b;

    if (one->age != other->age)
        return one->age > other->age ? -1 : 1;
    return one->id < other->id ? -1 : one->id > other->id;
}

/* The letters that are answered now: from here on the others count as silent. */
static unsigned take_answered(const struct inspect_order *order,
                              const struct inspect_letter *ret[CONFIG_WORKERS_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < order->count; i++)
        if (atomic_load(&order->letters[i].is_answered))
            ret[count++] = &order->letters[i];
    return count;
}

/* All parts that are there as one; the caller frees what is returned. */
static struct session_facts *join(const struct inspect_order *order, struct inspect_answer *answer)
{
    const struct inspect_letter *parts[CONFIG_WORKERS_MAX];
    unsigned part_count = take_answered(order, parts);
    struct session_facts *sessions;
    size_t count = 0;

    answer->silent = order->count - part_count;
    for (unsigned i = 0; i < part_count; i++) {
        count += parts[i]->count;
        answer->total += parts[i]->total;
        answer->is_closed = answer->is_closed || parts[i]->is_closed;
    }
    sessions = count ? malloc(count * sizeof *sessions) : NULL;
    if (!sessions)
        return NULL;
    count = 0;
    for (unsigned i = 0; i < part_count; i++) {
        if (parts[i]->count)
            memcpy(sessions + count, parts[i]->sessions, parts[i]->count * sizeof *sessions);
        count += parts[i]->count;
    }
    qsort(sessions, count, sizeof *sessions, by_age);
    answer->count = count > order->max ? order->max : (unsigned)count;
    answer->sessions = sessions + (count - answer->count);
    return sessions;
}

static void finish(struct inspection *inspection)
{
    struct inspect_answer answer = {0};
    struct session_facts *sessions = join(inspection->order, &answer);

    inspection->callback(inspection->context, &answer);
    free(sessions);
    inspection_free(inspection);
}

static void on_answered(struct ev_loop *loop, ev_async *w, int revents)
{
    struct inspector *inspector = w->data;
    struct inspection *at = inspector->running;

    while (at) {
        if (atomic_load(&at->order->open) > 0) {
            at = at->next;
            continue;
        }
        finish(at);
        at = inspector->running; /* a callback may have cancelled others */
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    finish(w->data);
}

/* Any thread. */
static void on_all_answered(void *context)
{
    struct inspector *inspector = context;

    ev_async_send(inspector->loop, &inspector->answered);
}

struct inspector *inspector_new(struct ev_loop *loop, struct workers *workers)
{
    struct inspector *inspector = calloc(1, sizeof *inspector);

    if (!inspector)
        return NULL;
    inspector->loop = loop;
    inspector->workers = workers;
    ev_async_init(&inspector->answered, on_answered);
    inspector->answered.data = inspector;
    ev_async_start(loop, &inspector->answered);
    return inspector;
}

void inspector_free(struct inspector *inspector)
{
    if (!inspector)
        return;
    while (inspector->running)
        inspection_free(inspector->running);
    ev_async_stop(inspector->loop, &inspector->answered);
    free(inspector);
}

static struct inspection *inspection_new(struct inspector *inspector, inspect_callback *callback,
                                         void *context)
{
    struct inspection *inspection = calloc(1, sizeof *inspection);

    if (inspection)
        inspection->order = inspect_order_new(inspector->workers->count);
    if (!inspection || !inspection->order) {
        free(inspection);
        return NULL;
    }
    inspection->inspector = inspector;
    inspection->callback = callback;
    inspection->context = context;
    inspection->order->all_answered = on_all_answered;
    inspection->order->context = inspector;
    inspection->next = inspector->running;
    if (inspection->next)
        inspection->next->previous = inspection;
    inspector->running = inspection;
    return inspection;
}

static struct inspection *ask(struct inspection *inspection)
{
    struct inspector *inspector = inspection->inspector;
    struct inspect_order *order = inspection->order;

    ev_timer_init(&inspection->deadline, on_deadline, INSPECT_DEADLINE_MS / 1000., 0.);
    inspection->deadline.data = inspection;
    ev_timer_start(inspector->loop, &inspection->deadline);
    for (unsigned i = 0; i < order->count; i++)
        inspect_send(&order->letters[i], &inspector->workers->worker[i].letters);
    return inspection;
}

struct inspection *inspect_sessions(struct inspector *inspector, unsigned max,
                                    inspect_callback *callback, void *context)
{
    struct inspection *inspection = inspection_new(inspector, callback, context);

    if (!inspection)
        return NULL;
    inspection->order->max = max > INSPECT_SESSIONS_MAX ? INSPECT_SESSIONS_MAX : max;
    return ask(inspection);
}

struct inspection *inspect_close(struct inspector *inspector, uint64_t id,
                                 inspect_callback *callback, void *context)
{
    struct inspection *inspection = inspection_new(inspector, callback, context);

    if (!inspection)
        return NULL;
    inspection->order->closes = true;
    inspection->order->id = id;
    return ask(inspection);
}

void inspect_cancel(struct inspection *inspection)
{
    if (inspection)
        inspection_free(inspection);
}
