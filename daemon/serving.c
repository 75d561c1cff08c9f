/* serving.c - prepare, apply, discard. */
#include "daemon/serving.h"

#include "daemon/descriptors.h"
#include "daemon/log.h"
#include "daemon/report.h"

#include <stdlib.h>
#include <string.h>

/* ---- names in whitelists ---- */

static void tell(struct snapshot *snapshot, const char *name, const struct ip_address *addresses,
                 unsigned count, bool is_whole)
{
    for (unsigned i = 0; snapshot && i < snapshot->config->listener_count; i++)
        if (!whitelist_set_answer(snapshot->listeners[i].whitelist, name, addresses, count,
                                  is_whole))
            log_message(LOG_LEVEL_ERROR, "whitelist", "%s keeps its old addresses: no memory",
                        name);
}

static void on_answered(void *context, const char *name, const struct ip_address *addresses,
                        unsigned count, bool is_whole)
{
    struct serving *serving = context;

    tell(serving->snapshot, name, addresses, count, is_whole);
    tell(serving->next, name, addresses, count, is_whole);
}

static struct resolver_options resolver_options_of(const struct config *config)
{
    return (struct resolver_options){
        .nameservers = config->nameservers,
        .search_domains = config->search_domains,
    };
}

bool serving_init(struct serving *serving, struct ev_loop *loop, const struct config *config)
{
    struct name_watch_options options = {.resolver = resolver_options_of(config)};

    serving->names = name_watch_new(loop, &options, on_answered, serving);
    serving->services = service_watch_new(loop, &options.resolver);
    serving->health = health_new(loop, &options.resolver);
    serving->status = status_server_new(loop, serving, &serving->workers);
    if (serving->names && serving->services && serving->health && serving->status)
        return true;
    log_message(LOG_LEVEL_ERROR, "start", "out of descriptors or memory");
    return false;
}

/* The names of all whitelists of `snapshot`, which is told what is known of them already. */
static bool watch_names(struct serving *serving, struct snapshot *snapshot)
{
    const char **names = NULL, *name;
    unsigned count = 0;
    bool watched;

    for (unsigned i = 0; i < snapshot->config->listener_count; i++) {
        for (unsigned j = 0; (name = whitelist_name(snapshot->listeners[i].whitelist, j)); j++) {
            const char **more = realloc(names, (count + 1) * sizeof *more);

            if (!more) {
                free(names);
                return false;
            }
            names = more;
            names[count++] = name;
        }
    }
    serving->next = snapshot;
    watched = name_watch_set(serving->names, names, count);
    serving->next = NULL;
    free(names);
    return watched;
}

/* ---- prepare, apply, discard ---- */

static void free_plans(struct worker_plan **plans, unsigned count)
{
    for (unsigned i = 0; plans && i < count; i++)
        worker_plan_free(plans[i]);
    free(plans);
}

/* The page's port is one that clients are not to reach through us. False without memory. */
static bool guard_status(struct serving_change *change)
{
    uint16_t port = status_change_port(&change->status);

    return port == 0 || snapshot_add_port(change->snapshot, port);
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

/* One record for each line of `text`. */
static void log_lines(const char *text, FILE *told)
{
    fputs(text ? text : "", told);
    while (text && *text) {
        size_t n = strcspn(text, "\n");

        log_message(LOG_LEVEL_ERROR, "configuration", "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* NULL with the reasons logged. */
static struct snapshot *make_snapshot(struct serving *serving, struct config *config, FILE *told)
{
    char *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);
    struct snapshot *snapshot;

    if (!errors) {
        log_lines("no memory\n", told);
        config_unref(config);
        return NULL;
    }
    snapshot = snapshot_new(config, serving->snapshot, errors);
    fclose(errors);
    if (!snapshot)
        log_lines(text, told);
    free(text);
    return snapshot;
}

bool serving_prepare(struct serving *serving, struct config *config, FILE *told,
                     struct serving_change *ret)
{
    struct socket_owner owner = {serving->privileges.uid, serving->privileges.gid};
    struct serving_change change = {.snapshot = make_snapshot(serving, config, told)};

    serving->error_number = 0;
    if (!change.snapshot)
        return false;
    if (!sockets_open(&change.sockets, change.snapshot,
                      serving->snapshot ? &serving->sockets : NULL, serving->inherited,
                      serving->workers.count, owner, told, &serving->error_number)) {
        snapshot_unref(change.snapshot);
        return false;
    }
    if (!status_server_prepare(serving->status, config, owner, serving->inherited, told,
                               &change.status, &serving->error_number)) {
        serving_discard(serving, &change);
        return false;
    }
    if (!guard_status(&change) || !make_plans(serving, &change) ||
        !watch_names(serving, change.snapshot)) {
        log_message(LOG_LEVEL_ERROR, "listen", "out of memory");
        fputs("out of memory\n", told);
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
    struct resolver_options options = resolver_options_of(config);
    struct snapshot *before = serving->snapshot;
    bool waited_for = false;

    if (!name_watch_set_resolver(serving->names, &options))
        log_message(LOG_LEVEL_ERROR, "reload", "whitelists keep their nameservers");

    for (unsigned i = 0; i < config->listener_count; i++)
        waited_for |= gate_configure(change->snapshot->listeners[i].gate, &config->listeners[i]);
    descriptors_bound_sessions(&serving->workers, config, change->sockets.count);
    sockets_set_modes(&change->sockets, change->snapshot);
    sockets_log(&change->sockets, change->snapshot);
    snapshot_warn(change->snapshot);
    for (unsigned i = 0; i < serving->workers.count; i++)
        workers_serve(&serving->workers, i, change->plans[i]);
    if (waited_for)
        workers_resume_listeners(&serving->workers);
    if (before) {
        report_gone(before, change->snapshot);
        sockets_unlink(&serving->sockets, &change->sockets, serving->privileges.confines);
        sockets_done(&serving->sockets);
        snapshot_unref(before);
    }
    service_watch_follow(serving->services, change->snapshot);
    health_follow(serving->health, change->snapshot);
    serving->loaded = time(NULL);
    if (!serving->started)
        serving->started = serving->loaded;
    serving->snapshot = change->snapshot;
    serving->sockets = change->sockets;
    status_server_apply(serving->status, &change->status, serving->privileges.confines);
    free(change->plans);
    *change = (struct serving_change){0};
}

void serving_discard(struct serving *serving, struct serving_change *change)
{
    free_plans(change->plans, serving->workers.count);
    status_server_discard(&change->status);
    sockets_unlink(&change->sockets, serving->snapshot ? &serving->sockets : NULL,
                   serving->privileges.confines);
    sockets_done(&change->sockets);
    snapshot_unref(change->snapshot);
    *change = (struct serving_change){0};
}

void serving_done(struct serving *serving)
{
    name_watch_free(serving->names);
    serving->names = NULL;
    service_watch_free(serving->services);
    serving->services = NULL;
    health_free(serving->health);
    serving->health = NULL;
    status_server_free(serving->status, serving->privileges.confines);
    serving->status = NULL;
    if (!serving->snapshot)
        return;
    sockets_unlink(&serving->sockets, NULL, serving->privileges.confines);
    sockets_done(&serving->sockets);
    snapshot_unref(serving->snapshot);
    serving->snapshot = NULL;
}
