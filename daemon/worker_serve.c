/* worker_serve.c - which sockets a worker listens at, for which snapshot, and whom it accepts there. */
#include "daemon/worker_machine.h"

#include "daemon/log.h"
#include "daemon/session.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- accepting ---- */

static void resume_if(struct workers *workers, bool waited_for)
{
    if (waited_for)
        workers_resume_listeners(workers);
}

static bool on_admit(struct listener *listener)
{
    struct worker_listener *wl = listener->context;
    struct workers *all = wl->worker->all;

    if (!limit_take(&all->sessions))
        return false;
    if (limit_take(&wl->serves->gate->sessions))
        return true;
    resume_if(all, limit_give(&all->sessions));
    return false;
}

void worker_give_place(struct worker *worker, struct gate *gate)
{
    struct workers *all = worker->all;
    bool waited_for = limit_give(&gate->sessions);

    waited_for |= limit_give(&all->sessions);
    resume_if(all, waited_for);
}

bool worker_take_more(struct worker *worker)
{
    return limit_take(&worker->all->sessions);
}

void worker_give_more(struct worker *worker)
{
    resume_if(worker->all, limit_give(&worker->all->sessions));
}

static void on_unadmit(struct listener *listener)
{
    struct worker_listener *wl = listener->context;

    worker_give_place(wl->worker, wl->serves->gate);
}

static void on_refused(struct listener *listener)
{
    struct worker_listener *wl = listener->context;

    gate_count(wl->serves->gate, GATE_DESCRIPTORS);
}

static void on_accepted(struct listener *listener, int fd, const struct ip_endpoint *peer)
{
    struct worker_listener *wl = listener->context;

    session_start(wl->worker, wl->serves, fd, peer);
}

static const struct listener_callbacks listener_callbacks = {
    .admit = on_admit,
    .unadmit = on_unadmit,
    .refused = on_refused,
    .accepted = on_accepted,
};

/* ---- what it serves ---- */

/* Nobody whose connection stands is cut by our leaving; who waits at a shared socket is not ours to take. */
void worker_leave(struct worker_listener *wl)
{
    if (wl->is_shared)
        listener_close(&wl->listener);
    else
        listener_drain(&wl->listener);
}

static struct worker_plan_entry *entry_of(struct worker_plan *plan, unsigned id)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->entries[i].id == id)
            return &plan->entries[i];
    return NULL;
}

/* Sockets that go accept what waits already, still for the snapshot that they served. */
static void drop_listeners(struct worker *worker, struct worker_plan *plan)
{
    struct worker_listener **at = &worker->listeners;

    while (*at) {
        struct worker_listener *wl = *at;

        if (entry_of(plan, wl->id)) {
            at = &wl->next;
            continue;
        }
        worker_leave(wl);
        *at = wl->next;
        free(wl);
    }
}

static void start_listener(struct worker *worker, struct worker_plan_entry *entry)
{
    struct worker_listener *wl = calloc(1, sizeof *wl);

    if (!wl) {
        log_message(LOG_LEVEL_ERROR, "listen", "no memory: listener %s lacks a socket",
                    entry->listener->config->name);
        return;
    }
    wl->worker = worker;
    wl->id = entry->id;
    wl->is_shared = entry->is_shared;
    wl->serves = entry->listener;
    wl->next = worker->listeners;
    worker->listeners = wl;
    listener_start(&wl->listener, worker->loop, entry->fd, &listener_callbacks, wl);
    entry->fd = -1;
}

static void apply_settings(struct worker *worker, const struct config *config)
{
    struct resolver_options options = {
        .nameservers = config->nameservers,
        .search_domains = config->search_domains,
    };

    if (!resolver_configure(worker->resolver, &options))
        log_message(LOG_LEVEL_ERROR, "reload", "worker %u keeps its nameservers: no memory",
                    worker->index);
}

/* Who is not among the users any more, goes. */
static void follow_users(struct worker *worker)
{
    struct session *next;

    for (struct session *s = worker->sessions.first; s; s = next) {
        next = s->next;
        session_follow_users(s);
    }
}

void worker_take_up_plan(struct worker *worker)
{
    struct worker_plan *plan = atomic_exchange(&worker->plan, NULL);
    struct snapshot *before = worker->snapshot;

    if (!plan)
        return;
    if (worker->closing) {
        worker_plan_free(plan);
        return;
    }
    drop_listeners(worker, plan);
    for (struct worker_listener *wl = worker->listeners; wl; wl = wl->next) {
        wl->serves = entry_of(plan, wl->id)->listener;
        listener_set_backlog(&wl->listener, (int)wl->serves->config->queue);
    }
    worker->snapshot = snapshot_ref(plan->snapshot);
    if (before)
        apply_settings(worker, worker->snapshot->config);
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->entries[i].fd >= 0)
            start_listener(worker, &plan->entries[i]);
    if (before)
        follow_users(worker);
    snapshot_unref(before);
    worker_plan_free(plan);
    worker->all->serves(worker->all->context);
}

struct worker_plan *worker_plan_new(struct snapshot *snapshot, unsigned count)
{
    struct worker_plan *plan = calloc(1, sizeof *plan + count * sizeof plan->entries[0]);

    if (!plan)
        return NULL;
    plan->snapshot = snapshot_ref(snapshot);
    plan->count = count;
    for (unsigned i = 0; i < count; i++)
        plan->entries[i].fd = -1;
    return plan;
}

void worker_plan_free(struct worker_plan *plan)
{
    if (!plan)
        return;
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->entries[i].fd >= 0)
            close(plan->entries[i].fd);
    snapshot_unref(plan->snapshot);
    free(plan);
}

void workers_serve(struct workers *workers, unsigned index, struct worker_plan *plan)
{
    worker_plan_free(atomic_exchange(&workers->worker[index].plan, plan));
    worker_wake(&workers->worker[index]);
}
