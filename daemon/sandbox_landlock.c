/* sandbox_landlock.c - the file half of the sandbox, by the kernel's own interface: three calls, for which the C
 * library has no functions. Its versions (ABI) are asked for at run time; what newer ones than that of
 * the headers deny is spelt out here. Of the network nothing is denied: to connect anywhere is what a proxy
 * is for. */
#include "daemon/sandbox_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct landlock_ruleset_attr of version 6. */
struct ruleset {
    uint64_t handled_files;
    uint64_t handled_net; /* version 4 */
    uint64_t scoped;      /* version 6 */
};

enum { /* of `scoped` */
       SCOPE_ABSTRACT_SOCKETS = 1 << 0,
       SCOPE_SIGNALS = 1 << 1,
};

enum { /* what the headers of version 1 do not have, as bits */
       ACCESS_REFER = 1 << 13,
       ACCESS_TRUNCATE = 1 << 14,
       ACCESS_IOCTL_DEVICE = 1 << 15,
};

/* What each version denies, beside what those before do. */
static const struct {
    unsigned version;
    uint64_t handled;
} versions[] = {
    {1, LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
            LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
            LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
            LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
            LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM},
    {2, ACCESS_REFER},
    {3, ACCESS_TRUNCATE},
    {5, ACCESS_IOCTL_DEVICE},
};

/* What each right of ours is there. */
static const struct {
    unsigned right;
    uint64_t files, folders; /* a rule for a file takes no more than the first */
} rights_of[] = {
    {SANDBOX_READ, LANDLOCK_ACCESS_FS_READ_FILE, 0},
    {SANDBOX_WRITE, LANDLOCK_ACCESS_FS_WRITE_FILE, LANDLOCK_ACCESS_FS_MAKE_REG},
    {SANDBOX_BIND, 0, LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE},
    {SANDBOX_EXECUTE, LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE, 0},
};

static sandbox_why explain(int error)
{
    switch (error) {
    case ENOSYS:
        return "the kernel has no Landlock";
    case EOPNOTSUPP:
        return "Landlock is switched off in the kernel (lsm=)";
    case E2BIG:
        return "there is a sandbox around the next already, as many as the kernel allows";
    default:
        return strerrordesc_np(error);
    }
}

sandbox_why sandbox_files_init(struct sandbox_files *files, bool keeps_abstract)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset ruleset = {0};
    size_t size = sizeof ruleset.handled_files;

    *files = (struct sandbox_files){.ruleset = -1};
    if (version < 1)
        return explain(version < 0 ? errno : ENOSYS);
    files->version = (unsigned)version;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        if (versions[i].version <= files->version)
            files->handled |= versions[i].handled;
    ruleset.handled_files = files->handled;
    if (files->version >= 6) {
        ruleset.scoped = SCOPE_SIGNALS | (keeps_abstract ? 0 : SCOPE_ABSTRACT_SOCKETS);
        size = sizeof ruleset;
    }
    files->ruleset = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    return files->ruleset < 0 ? explain(errno) : NULL;
}

void sandbox_files_done(struct sandbox_files *files)
{
    if (files->ruleset >= 0)
        close(files->ruleset);
    files->ruleset = -1;
}

void sandbox_allow_fd(struct sandbox_files *files, int fd, unsigned rights)
{
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    struct stat status;

    if (fstat(fd, &status) != 0)
        return;
    for (size_t i = 0; i < sizeof rights_of / sizeof rights_of[0]; i++)
        if (rights & rights_of[i].right)
            rule.allowed_access |=
                rights_of[i].files | (S_ISDIR(status.st_mode) ? rights_of[i].folders : 0);
    if (rule.allowed_access) /* it fails for a pipe, which is never denied */
        syscall(SYS_landlock_add_rule, files->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

void sandbox_allow_path(struct sandbox_files *files, const char *path, unsigned rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return;
    sandbox_allow_fd(files, fd, rights);
    close(fd);
}

sandbox_why sandbox_files_enter(const struct sandbox_files *files)
{
    return syscall(SYS_landlock_restrict_self, files->ruleset, 0) == 0 ? NULL : explain(errno);
}
