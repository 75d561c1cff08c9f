/* serving.c - prepare, apply, discard. */
#include "daemon/serving.h"

#include "daemon/descriptors.h"
#include "daemon/log.h"
#include "daemon/report.h"

#include <stdlib.h>

static void free_plans(struct worker_plan **plans, unsigned count)
{
    for (unsigned i = 0; plans && i < count; i++)
        worker_plan_free(plans[i]);
    free(plans);
}

static bool make_plans(struct serving *serving, struct serving_change *change)
{
    unsigned count = serving->workers.count;

    change->plans = calloc(count, sizeof(struct worker_plan *));
    for (unsigned i = 0; change->plans && i < count; i++) {
        change->plans[i] = sockets_plan(&change->sockets, change->snapshot, i);
        if (!change->plans[i])
            return false;
    }
    return change->plans != NULL;
}

bool serving_prepare(struct serving *serving, struct config *config, struct serving_change *ret)
{
    struct socket_owner owner = {serving->privileges.uid, serving->privileges.gid};
    struct serving_change change = {.snapshot = snapshot_new(config, serving->snapshot)};

    if (!change.snapshot) {
        log_message(LOG_LEVEL_ERROR, "listen", "out of memory");
        return false;
    }
    if (!sockets_open(&change.sockets, change.snapshot,
                      serving->snapshot ? &serving->sockets : NULL, serving->workers.count,
                      owner)) {
        snapshot_unref(change.snapshot);
        return false;
    }
    if (!make_plans(serving, &change)) {
        log_message(LOG_LEVEL_ERROR, "listen", "out of memory");
        serving_discard(serving, &change);
        return false;
    }
    *ret = change;
    return true;
}

/* Listeners that go say what they have turned away. */
static void report_gone(const struct snapshot *before, const struct snapshot *now)
{
    for (unsigned i = 0; i < before->config->listener_count; i++) {
        bool stays = false;

        for (unsigned j = 0; j < now->config->listener_count; j++)
            stays = stays || before->listeners[i].gate == now->listeners[j].gate;
        if (!stays)
            report_refused(before->listeners[i].gate);
    }
}

void serving_apply(struct serving *serving, struct serving_change *change)
{
    const struct config *config = change->snapshot->config;
    struct snapshot *before = serving->snapshot;
    bool waited_for = false;

    for (unsigned i = 0; i < config->listener_count; i++)
        waited_for |= gate_configure(change->snapshot->listeners[i].gate, &config->listeners[i]);
    descriptors_bound_sessions(&serving->workers, config, change->sockets.count);
    sockets_log(&change->sockets, change->snapshot);
    for (unsigned i = 0; i < serving->workers.count; i++)
        workers_serve(&serving->workers, i, change->plans[i]);
    if (waited_for)
        workers_resume_listeners(&serving->workers);
    if (before) {
        report_gone(before, change->snapshot);
        sockets_unlink(&serving->sockets, &change->sockets);
        sockets_done(&serving->sockets);
        snapshot_unref(before);
    }
    serving->snapshot = change->snapshot;
    serving->sockets = change->sockets;
    free(change->plans);
    *change = (struct serving_change){0};
}

void serving_discard(struct serving *serving, struct serving_change *change)
{
    free_plans(change->plans, serving->workers.count);
    sockets_unlink(&change->sockets, serving->snapshot ? &serving->sockets : NULL);
    sockets_done(&change->sockets);
    snapshot_unref(change->snapshot);
    *change = (struct serving_change){0};
}

void serving_done(struct serving *serving)
{
    if (!serving->snapshot)
        return;
    sockets_unlink(&serving->sockets, NULL);
    sockets_done(&serving->sockets);
    snapshot_unref(serving->snapshot);
    serving->snapshot = NULL;
}
