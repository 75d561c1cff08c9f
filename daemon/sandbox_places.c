/* sandbox_places.c - which files the daemon needs once it serves. Of most it is the folder: what is written anew
 * takes the place of the old file, and a rule for that would not hold for it. */
#include "config/paths.h"
#include "daemon/sandbox_parts.h"
#include "streams/tls_trust.h"

#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the C library, c-ares and wolfSSL read. */
static const struct {
    const char *path;
    unsigned rights;
} fixed[] = {
    {"/etc", SANDBOX_READ}, /* resolv.conf, hosts, nsswitch.conf, group, localtime, ssl ... */
    {"/usr/share/zoneinfo", SANDBOX_READ},
    {"/lib", SANDBOX_READ}, /* what looks names up (NSS) */
    {"/lib64", SANDBOX_READ},
    {"/usr/lib", SANDBOX_READ},
    {"/usr/lib64", SANDBOX_READ},
    {"/dev/null", SANDBOX_READ | SANDBOX_WRITE},
    {"/dev/urandom", SANDBOX_READ},
    {"/sys/devices/system/cpu", SANDBOX_READ},        /* how many there are */
    {"/proc/sys/vm/overcommit_memory", SANDBOX_READ}, /* malloc gives memory back */
};

/* Files that others put where we look for them: a symbolic link's target may be anywhere. */
static const char *const linked[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/localtime"};

static void allow_folder_of(struct sandbox_files *files, const char *path, unsigned rights)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(folder, sizeof folder, ".");
    else if ((size_t)(slash - path) < sizeof folder - 1)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path);
    else
        return;
    sandbox_allow_path(files, folder, rights);
}

/* The folder that it is in, and the one where a symbolic link leads. */
static void allow_file(struct sandbox_files *files, const char *path, unsigned rights)
{
    char real[PATH_MAX];

    allow_folder_of(files, path, rights);
    if (realpath(path, real))
        allow_folder_of(files, real, rights);
}

/* A log that is a device or a pipe has no folder of ours. */
static bool is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISSOCK(status.st_mode);
}

static void allow_named(void *context, enum path_use use, const char *path)
{
    static const unsigned rights[] = {
        [PATH_READ] = SANDBOX_READ,
        [PATH_WRITE] = SANDBOX_WRITE,
        [PATH_BIND] = SANDBOX_BIND,
    };

    if (is_special(path))
        sandbox_allow_path(context, path, rights[use]);
    else
        allow_file(context, path, rights[use]);
}

/* An upgrade runs the daemon's program again, which may be a new one in the same place by then; so may
 * its libraries and their loader. */
static int allow_library(struct dl_phdr_info *info, size_t size, void *context)
{
    if (*info->dlpi_name == '/')
        allow_file(context, info->dlpi_name, SANDBOX_EXECUTE);
    return 0;
}

static void allow_program(struct sandbox_files *files)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n > 0) {
        path[n] = '\0';
        allow_folder_of(files, path, SANDBOX_EXECUTE);
    }
    dl_iterate_phdr(allow_library, files);
}

void sandbox_allow_places(struct sandbox_files *files, const struct config *config,
                          const char *file, int folder)
{
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        sandbox_allow_path(files, fixed[i].path, fixed[i].rights);
    for (size_t i = 0; i < sizeof linked / sizeof linked[0]; i++)
        allow_file(files, linked[i], SANDBOX_READ);
    allow_file(files, tls_trust_system_bundle(), SANDBOX_READ);
    allow_program(files);
    if (folder >= 0)
        sandbox_allow_fd(files, folder, SANDBOX_READ);
    else if (file)
        allow_file(files, file, SANDBOX_READ);
    config_visit_paths(config, allow_named, files);
}
