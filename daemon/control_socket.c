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
    char *path; /* owned; NULL: it listens nowhere */
    dev_t device;
    ino_t inode;   /* of the file that was bound: another daemon may have put its own there */
    bool confines; /* there is a chroot: it may be out of reach */
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
control_socket_new(struct ev_loop *loop, bool confines,
                   void (*request)(void *context, struct control_client *client, char *line),
                   void *context)
{
    struct control_socket *control = calloc(1, sizeof *control);

    if (!control)
        return NULL;
    control->confines = confines;
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
    return error_number == EADDRINUSE ? "another daemon serves it" : strerror(error_number);
}

/* -1: it cannot be had; false then with a line in `errors` if that is one. */
static bool open_socket(const struct config *config, const struct control_socket_change *change,
                        FILE *errors, int *ret_fd)
{
    struct stream_error error;

    *ret_fd = -1;
    if (!has_folder(change->path)) {
        log_message(LOG_LEVEL_NOTICE, "control", "%s: there is no such folder: no control socket",
                    change->path);
        return true;
    }
    *ret_fd = listener_open_unix(change->path, BACKLOG, MODE, &error);
    if (*ret_fd < 0 && config->control) {
        fprintf(errors, "[daemon] control = %s: %s%s\n", change->path, explain(error.code),
                out_of_reach(change->path, error.code, true));
        return false;
    }
    if (*ret_fd < 0)
        log_message(LOG_LEVEL_WARNING, "control", "%s: %s: no control socket", change->path,
                    explain(error.code));
    return true;
}

static bool give_away(const struct config *config, const struct control_socket_change *change,
                      FILE *errors)
{
    if ((change->uid < 0 && change->gid < 0) ||
        chown(change->path, (uid_t)change->uid, (gid_t)change->gid) == 0)
        return true;
    fprintf(errors, "[daemon] %s = %s: cannot give it to its owner: %s\n",
            config->control_group ? "control_group" : "control",
            config->control_group ? config->control_group : change->path, strerror(errno));
    return false;
}

/* Opens, gives away, and remembers which file it is. Otherwise as open_socket(). */
static bool bind_socket(const struct config *config, struct control_socket_change *change,
                        FILE *errors)
{
    struct stat file = {0};

    if (!open_socket(config, change, errors, &change->fd))
        return false;
    if (change->fd < 0)
        return true;
    lstat(change->path, &file);
    change->device = file.st_dev;
    change->inode = file.st_ino;
    return give_away(config, change, errors);
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
    if (change.path && !change.stays && !bind_socket(config, &change, errors)) {
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
        control_socket_discard(change);
        return;
    }
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
    if (change->fd >= 0) {
        unlink(change->path);
        close(change->fd);
    }
    free(change->path);
    *change = (struct control_socket_change){.fd = -1};
}

void control_socket_free(struct control_socket *control)
{
    if (!control)
        return;
    control_clients_stop(&control->clients);
    close_socket(control);
    free(control);
}
