/* control_reload.c - a configuration is read again and takes effect: everything that may fail first, then
 * all of it at once. */
#include "daemon/control_machine.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What a running daemon cannot change. */
static void tell_of_restart(const struct config *before, const struct config *now, FILE *notes)
{
    const struct {
        const char *key;
        bool differs;
    } keys[] = {
        {"workers", before->workers != now->workers},
        {"max_files", before->max_files != now->max_files},
        {"user", !same_text(before->user, now->user)},
        {"group", !same_text(before->group, now->group)},
        {"chroot", !same_text(before->chroot, now->chroot)},
        {"sandbox", before->sandbox != now->sandbox},
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (!keys[i].differs)
            continue;
        log_message(LOG_LEVEL_WARNING, "reload", "[daemon] %s has changed: it needs a restart",
                    keys[i].key);
        fprintf(notes, "[daemon] %s has changed: it needs a restart\n", keys[i].key);
    }
}

/* One record for each line. */
static void log_lines(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        log_message(LOG_LEVEL_ERROR, "reload", "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* From inside a chroot the file is opened by way of its folder, which was opened before. */
static struct config *load(const struct control_plane *cp, FILE *errors)
{
    struct config *config = NULL;
    FILE *in;
    int fd;

    if (!cp->file)
        return config_default();
    if (cp->folder < 0)
        return config_load(cp->file, &cp->serving.inherited->activation, errors);
    fd = openat(cp->folder, cp->name, O_RDONLY | O_CLOEXEC);
    in = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (in) {
        config = config_read(in, cp->file, &cp->serving.inherited->activation, errors);
        fclose(in);
    } else {
        fprintf(errors, "%s: %s\n", cp->file, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    return config;
}

/* Before the chroot, where a symbolic link would lead elsewhere: the folder of the file that it means.
 * What has no path of its own (a pipe) is taken as it was given. */
bool control_open_folder(struct control_plane *cp, const struct config *config)
{
    char *path, *slash;

    if (!config->chroot || !cp->file)
        return true;
    path = realpath(cp->file, NULL);
    if (!path)
        path = strdup(cp->file);
    slash = path ? strrchr(path, '/') : NULL;
    cp->name = path ? strdup(slash ? slash + 1 : path) : NULL;
    if (slash)
        slash[1] = '\0';
    if (cp->name)
        cp->folder = open(slash ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(path);
    if (cp->folder < 0)
        log_message(LOG_LEVEL_ERROR, "start", "cannot open the folder of %s: %s", cp->file,
                    strerror(errno));
    return cp->folder >= 0;
}

/* All that takes effect at once. */
struct change {
    struct log_change *log;
    struct control_socket_change control;
    struct serving_change serving;
};

/* What is said of a reload, line by line. */
struct account {
    FILE *errors; /* to be logged */
    FILE *told;   /* errors that were logged already */
    FILE *notes;
};

/* Everything that may fail. False: nothing has changed, and the account says why. */
static bool prepare(struct control_plane *cp, const struct account *account, struct change *ret)
{
    struct serving *serving = &cp->serving;
    struct config *config = load(cp, account->errors);

    if (!config)
        return false;
    ret->log = log_prepare(config, account->errors);
    if (!ret->log)
        goto out;
    if (!control_socket_prepare(cp->control, config, &serving->privileges, account->errors,
                                &ret->control))
        goto out_log;
    tell_of_restart(serving->snapshot->config, config, account->notes);
    if (serving_prepare(serving, config, account->told, &ret->serving))
        return true;
    config = NULL; /* it was taken over */
    control_socket_discard(&ret->control);
out_log:
    log_discard(ret->log);
out:
    config_unref(config);
    return false;
}

void control_apply(struct control_plane *cp, struct serving_change *change)
{
    atomic_store(&cp->following, cp->serving.workers.count);
    cp->is_applying = true;
    cp->loaded = (int64_t)time(NULL);
    serving_apply(&cp->serving, change);
}

static void answer(struct reload_waiter *waiters, const struct reload_outcome *outcome)
{
    while (waiters) {
        struct reload_waiter *next = waiters->next;

        waiters->done(waiters->context, outcome);
        waiters = next;
    }
}

/* The lists may change while they are answered. */
static struct reload_waiter *take(struct reload_waiter **list)
{
    struct reload_waiter *waiters = *list;

    *list = NULL;
    return waiters;
}

static void apply(struct control_plane *cp, struct change *change)
{
    cp->has_failed = false;
    log_apply(change->log);
    control_socket_apply(cp->control, &change->control);
    control_apply(cp, &change->serving);
}

static void refuse(struct control_plane *cp, const char *errors, const char *told)
{
    struct reload_outcome outcome = {.errors = *errors ? errors : told, .notes = ""};

    log_lines(errors);
    log_reopen(); /* asked for, and harmless */
    log_message(LOG_LEVEL_ERROR, "reload_failed", "the configuration before stays in force");
    cp->has_failed = true;
    control_tell_ready(cp);
    answer(take(&cp->waiters), &outcome);
}

static void reload(struct control_plane *cp)
{
    char *errors = NULL, *told = NULL, *notes = NULL;
    size_t sizes[3];
    struct account account = {
        .errors = open_memstream(&errors, &sizes[0]),
        .told = open_memstream(&told, &sizes[1]),
        .notes = open_memstream(&notes, &sizes[2]),
    };
    FILE *const files[] = {account.errors, account.told, account.notes};
    bool has_memory = account.errors && account.told && account.notes;
    struct change change;
    bool prepared;

    notify_reloading(cp->notify);
    prepared = has_memory && prepare(cp, &account, &change);

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i])
            fclose(files[i]);
    if (prepared)
        apply(cp, &change);
    else if (has_memory)
        refuse(cp, errors, told);
    else
        refuse(cp, "no memory\n", "");
    free(errors);
    free(told);
    free(cp->notes);
    cp->notes = notes;
}

static void add(struct reload_waiter **list, struct reload_waiter *waiter)
{
    if (!waiter)
        return;
    waiter->next = *list;
    *list = waiter;
}

void control_end_reloads(struct control_plane *cp)
{
    const struct reload_outcome outcome = {.errors = "the daemon drains\n", .notes = ""};

    cp->reload_again = false;
    answer(take(&cp->waiters), &outcome);
    answer(take(&cp->waiters_again), &outcome);
}

void control_reload_for(struct control_plane *cp, struct reload_waiter *waiter)
{
    bool later = (cp->is_applying || cp->upgrade.pid) && !cp->draining;

    add(later ? &cp->waiters_again : &cp->waiters, waiter);
    if (cp->draining)
        control_end_reloads(cp);
    else if (later)
        cp->reload_again = true;
    else
        reload(cp);
}

void control_reload(struct control_plane *cp)
{
    control_reload_for(cp, NULL);
}

static void forget(struct reload_waiter **list, const struct reload_waiter *waiter)
{
    while (*list && *list != waiter)
        list = &(*list)->next;
    if (*list)
        *list = waiter->next;
}

void control_forget_waiter(struct control_plane *cp, struct reload_waiter *waiter)
{
    forget(&cp->waiters, waiter);
    forget(&cp->waiters_again, waiter);
}

void control_reload_again(struct control_plane *cp)
{
    if (!cp->reload_again || cp->is_applying || cp->upgrade.pid)
        return;
    cp->reload_again = false;
    cp->waiters = take(&cp->waiters_again);
    reload(cp);
}

static void say_ready(struct control_plane *cp)
{
    unsigned count = cp->serving.workers.count;

    cp->is_ready = true;
    log_message(LOG_LEVEL_NOTICE, "ready", "serving with %u worker%s", count,
                count == 1 ? "" : "s");
    log_started();
}

/* It is in force: who waits for it knows, and who came too late for it begins the next one. */
void control_follows(struct control_plane *cp)
{
    struct reload_outcome outcome = {.is_in_force = true, .errors = ""};
    bool was_ready = cp->is_ready;

    if (!cp->is_applying)
        return;
    cp->is_applying = false;
    if (cp->is_ready)
        log_message(LOG_LEVEL_NOTICE, "reloaded", "%s is in force",
                    cp->file ? cp->file : "the built-in default");
    else
        say_ready(cp);
    if (was_ready && !cp->draining)
        control_tell_ready(cp);
    else if (!was_ready)
        control_serves(cp);
    outcome.notes = cp->notes ? cp->notes : "";
    answer(take(&cp->waiters), &outcome);
    control_upgrade_again(cp);
    control_reload_again(cp);
}
