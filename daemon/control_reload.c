/* control_reload.c - a configuration is read again and takes effect: everything that may fail first, then
 * all of it at once. */
#include "daemon/control_machine.h"
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What a running daemon cannot change. */
static void tell_of_restart(const struct config *before, const struct config *now)
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
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].differs)
            log_message(LOG_LEVEL_WARNING, "reload", "[daemon] %s has changed: it needs a restart",
                        keys[i].key);
}

/* One record for each line. */
static void log_lines(char *text)
{
    char *rest = text, *line;

    while (rest && (line = strsep(&rest, "\n")))
        if (*line)
            log_message(LOG_LEVEL_ERROR, "reload", "%s", line);
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
        return config_load(cp->file, errors);
    fd = openat(cp->folder, cp->name, O_RDONLY | O_CLOEXEC);
    in = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (in) {
        config = config_read(in, cp->file, errors);
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

/* Everything that may fail. False: nothing has changed, and `errors` or the log says why. */
static bool prepare(struct control_plane *cp, FILE *errors, struct log_change **ret_log,
                    struct serving_change *ret)
{
    struct config *config = load(cp, errors);

    if (!config)
        return false;
    tell_of_restart(cp->serving.snapshot->config, config);
    *ret_log = log_prepare(config, errors);
    if (!*ret_log) {
        config_unref(config);
        return false;
    }
    if (!serving_prepare(&cp->serving, config, ret)) {
        log_discard(*ret_log);
        return false;
    }
    return true;
}

void control_apply(struct control_plane *cp, struct serving_change *change)
{
    atomic_store(&cp->following, cp->serving.workers.count);
    cp->is_applying = true;
    serving_apply(&cp->serving, change);
}

static bool reload(struct control_plane *cp)
{
    struct serving_change change;
    struct log_change *log;
    char *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);
    bool prepared = errors && prepare(cp, errors, &log, &change);

    if (errors)
        fclose(errors);
    log_lines(text);
    free(text);
    if (!prepared)
        return false;
    log_apply(log);
    control_apply(cp, &change);
    return true;
}

void control_reload(struct control_plane *cp)
{
    if (cp->draining)
        return;
    if (cp->is_applying) {
        cp->reload_again = true;
        return;
    }
    if (!reload(cp)) {
        log_reopen(); /* asked for, and harmless */
        log_message(LOG_LEVEL_ERROR, "reload_failed", "the configuration before stays in force");
    }
}

static void say_ready(struct control_plane *cp)
{
    unsigned count = cp->serving.workers.count;

    cp->is_ready = true;
    log_message(LOG_LEVEL_NOTICE, "ready", "serving with %u worker%s", count,
                count == 1 ? "" : "s");
    log_started();
}

void control_follows(struct control_plane *cp)
{
    if (!cp->is_applying)
        return;
    cp->is_applying = false;
    if (cp->is_ready)
        log_message(LOG_LEVEL_NOTICE, "reloaded", "%s is in force",
                    cp->file ? cp->file : "the built-in default");
    else
        say_ready(cp);
    if (cp->reload_again) {
        cp->reload_again = false;
        control_reload(cp);
    }
}
