/* control_socket.c - where it is bound, and who it belongs to. */
#include "daemon/control_socket.h"

#include "config/out_of_reach.h"
#include "config/value.h"
#include "daemon/log.h"
#include "streams/listener.h"

#include <errno.h>
#include <grp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 16, MODE = 0660 };

struct control_socket {
    struct listener listener;
    struct control_clients clients;
    char *path;  /* owned; NULL: it listens nowhere */
    char *unmet; /* owned: of which it was said that it cannot be had; NULL: of none */
    dev_t device;
    ino_t inode;   /* of the file that was bound: another daemon may have put its own there */
    bool confines; /* there is a chroot: it may be out of reach */
    struct inherited *inherited; /* borrowed */
};

/* ---- clients ---- */

static bool on_admit(struct listener *listener)
{
    const struct control_socket *control = listener->context;

    return control->clients.count < CONTROL_CLIENTS_MAX;
}

static void on_accepted(struct listener *listener, int fd, const struct ip_endpoint *peer)
{
    struct control_socket *control = listener->context;

    control_client_start(&control->clients, fd);
}

static const struct listener_callbacks listener_callbacks = {
    .admit = on_admit,
    .accepted = on_accepted,
};

static void on_gone(struct control_clients *clients)
{
    struct control_socket *control =
        (struct control_socket *)((char *)clients - offsetof(struct control_socket, clients));

    if (control->path)
        listener_resume(&control->listener);
}

struct control_socket *
control_socket_new(struct ev_loop *loop, bool confines, struct inherited *inherited,
                   void (*request)(void *context, struct control_client *client, char *line),
                   void *context)
{
    struct control_socket *control = calloc(1, sizeof *control);

    if (!control)
        return NULL;
    control->confines = confines;
    control->inherited = inherited;
    control->clients = (struct control_clients){
        .loop = loop, .request = request, .gone = on_gone, .context = context};
    return control;
}

/* ---- the file ---- */

/* Only the file that was bound: what else is at the path by now is another's. */
static void remove_file(const struct control_socket *control)
{
    struct stat file;
    bool found = lstat(control->path, &file) == 0;

    if (found && (file.st_dev != control->device || file.st_ino != control->inode))
        return;
    if (unlink(control->path) != 0 && (errno != ENOENT || control->confines))
        log_message(LOG_LEVEL_WARNING, "control", "%s stays behind: %s", control->path,
                    strerror(errno));
}

static bool has_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    struct stat file;
    bool found = !folder || stat(folder, &file) == 0 || (errno != ENOENT && errno != ENOTDIR);

    free(folder);
    return found;
}

static bool find_group(const char *name, int64_t *ret, FILE *errors)
{
    const struct group *entry;

    if (!name[strspn(name, "0123456789")] && value_number(name, ret) && *ret < UINT32_MAX)
        return true;
    errno = 0;
    entry = getgrnam(name); // cppcheck-suppress getgrnamCalled
    if (entry)
        *ret = entry->gr_gid;
    else
        fprintf(errors, "[daemon] control_group = %s: %s\n", name,
                errno ? strerror(errno) : "there is no such group");
    return entry != NULL;
}

static const char *explain(int error_number)
{
    return error_number == EADDRINUSE ? "another daemon serves it"
           : error_number == ENOENT   ? "there is no such folder"
                                      : strerror(error_number);
}

/* False with a line in `errors`; -1 with change->reason: there will be none, and that is no error. */
static bool open_socket(const struct config *config, struct control_socket_change *change,
                        FILE *errors)
{
    struct stream_error error = {.code = ENOENT};

    if (has_folder(change->path))
        change->fd = listener_open_unix(change->path, BACKLOG, MODE, &error);
    if (change->fd >= 0)
        return true;
    change->reason = error.code;
    if (!config->control || error.code == ENOENT)
        return true;
    fprintf(errors, "[daemon] control = %s: %s%s\n", change->path, explain(error.code),
            out_of_reach(change->path, error.code, true));
    return false;
}

static void put_no_member(const char *group, FILE *errors)
{
    fprintf(errors,
            "[daemon] control_group = %s: the daemon may not give its socket to this group: it is "
            "not in it, or no longer (start it anew as root; or with SupplementaryGroups=%s and "
            "PrivateUsers=no in its unit)\n",
            group, group);
}

static bool give_away(const struct config *config, const struct control_socket_change *change,
                      FILE *errors)
{
    if ((change->uid < 0 && change->gid < 0) ||
        chown(change->path, (uid_t)change->uid, (gid_t)change->gid) == 0)
        return true;
    /* EINVAL: this user namespace does not have it. */
    if (config->control_group && (errno == EPERM || errno == EINVAL)) {
        put_no_member(config->control_group, errors);
        return false;
    }
    fprintf(errors, "[daemon] %s = %s: cannot give it to its owner: %s\n",
            config->control_group ? "control_group" : "control",
            config->control_group ? config->control_group : change->path, strerror(errno));
    return false;
}

/* Opens, gives away, and remembers which file it is. Otherwise as open_socket(). */
static bool bind_socket(const struct control_socket *control, const struct config *config,
                        struct control_socket_change *change, FILE *errors)
{
    struct stat file = {0};

    change->fd = inherited_take(control->inherited, CONTROL_SOCKET_NAME, NULL, change->path);
    change->is_anothers = change->fd >= 0;
    if (change->fd < 0 && !open_socket(config, change, errors))
        return false;
    if (change->fd < 0)
        return true;
    lstat(change->path, &file);
    change->device = file.st_dev;
    change->inode = file.st_ino;
    return change->is_anothers || give_away(config, change, errors);
}

static bool is_member(gid_t group)
{
    int count = getgroups(0, NULL);
    gid_t *groups = count > 0 ? calloc((size_t)count, sizeof *groups) : NULL;
    bool found = group == getegid();

    count = groups ? getgroups(count, groups) : 0;
    for (int i = 0; i < count && !found; i++)
        found = groups[i] == group;
    free(groups);
    return found;
}

/* Of the socket that is there: whether it will be able to follow. At the next start it would have to. */
static bool may_follow(const struct control_socket *control, const struct config *config,
                       const struct control_socket_change *change, FILE *errors)
{
    struct stat file;

    if (!config->control_group || geteuid() == 0 || is_member((gid_t)change->gid) ||
        stat(control->path, &file) != 0 || file.st_gid == (gid_t)change->gid)
        return true;
    put_no_member(config->control_group, errors);
    return false;
}

bool control_socket_prepare(const struct control_socket *control, const struct config *config,
                            const struct privileges *privileges, FILE *errors,
                            struct control_socket_change *ret)
{
    const char *path = config->control ? config->control : CONFIG_DEFAULT_CONTROL;
    struct control_socket_change change = {
        .fd = -1, .uid = privileges->uid, .gid = privileges->gid};

    if (config->control_group && !find_group(config->control_group, &change.gid, errors))
        return false;
    if (*path && !(change.path = strdup(path))) {
        fprintf(errors, "[daemon] control: %s\n", strerror(ENOMEM));
        return false;
    }
    change.stays = *path && control->path && strcmp(control->path, path) == 0;
    if (change.stays ? !may_follow(control, config, &change, errors)
                     : change.path && !bind_socket(control, config, &change, errors)) {
        control_socket_discard(&change);
        return false;
    }
    *ret = change;
    return true;
}

static void close_socket(struct control_socket *control)
{
    if (!control->path)
        return;
    listener_close(&control->listener);
    remove_file(control);
    free(control->path);
    control->path = NULL;
}

/* The same file, perhaps of another group: what its user may not do any more is said. */
static void follow_group(const struct control_socket *control,
                         const struct control_socket_change *change)
{
    struct stat file;

    if (change->gid < 0 || stat(control->path, &file) != 0 || file.st_gid == (gid_t)change->gid)
        return;
    if (chown(control->path, (uid_t)-1, (gid_t)change->gid) != 0)
        log_message(LOG_LEVEL_WARNING, "control", "%s keeps its group: %s", control->path,
                    strerror(errno));
}

/* At the start, and when it is another path than before. */
static void tell_unmet(struct control_socket *control, struct control_socket_change *change)
{
    if (!change->path || !control->unmet || strcmp(control->unmet, change->path) != 0) {
        free(control->unmet);
        control->unmet = change->path;
        change->path = NULL;
        if (control->unmet)
            log_message(change->reason == ENOENT ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "control",
                        "%s: %s: no control socket", control->unmet, explain(change->reason));
    }
}

void control_socket_apply(struct control_socket *control, struct control_socket_change *change)
{
    if (change->stays) {
        follow_group(control, change);
        free(change->path);
        *change = (struct control_socket_change){.fd = -1};
        return;
    }
    close_socket(control);
    if (change->fd < 0) {
        tell_unmet(control, change);
        control_socket_discard(change);
        return;
    }
    free(control->unmet);
    control->unmet = NULL;
    control->device = change->device;
    control->inode = change->inode;
    control->path = change->path;
    listener_start(&control->listener, control->clients.loop, change->fd, &listener_callbacks,
                   control);
    log_message(LOG_LEVEL_INFO, "control", "commands are taken at %s", control->path);
    *change = (struct control_socket_change){.fd = -1};
}

void control_socket_discard(struct control_socket_change *change)
{
    if (change->fd >= 0 && !change->is_anothers)
        unlink(change->path);
    if (change->fd >= 0)
        close(change->fd);
    free(change->path);
    *change = (struct control_socket_change){.fd = -1};
}

int control_socket_descriptor(const struct control_socket *control, const char **ret_path)
{
    if (!control->path)
        return -1;
    *ret_path = control->path;
    return control->listener.io.fd;
}

void control_socket_release(struct control_socket *control)
{
    if (!control->path)
        return;
    listener_close(&control->listener);
    free(control->path);
    control->path = NULL;
}

void control_socket_free(struct control_socket *control)
{
    if (!control)
        return;
    control_clients_stop(&control->clients);
    close_socket(control);
    free(control->unmet);
    free(control);
}
