/* sandbox.c - the two parts in their order, and what is said of them. */
#include "daemon/sandbox.h"

#include "daemon/log.h"
#include "daemon/sandbox_parts.h"

#include <config.h>
#include <stdlib.h>

/* Sanitizers make calls and write files of their own. */
static sandbox_why why_not_in_this_build(void)
{
#ifdef WITH_SANITIZERS
    return "this is a build with sanitizers";
#else
    return NULL;
#endif
}

/* Where systemd wants to be notified may be such a socket. */
static bool needs_abstract_sockets(void)
{
    const char *notify = getenv("NOTIFY_SOCKET");

    return notify && *notify == '@';
}

static sandbox_why confine_files(const struct config *config, const char *file, int folder,
                                 unsigned *ret_version)
{
    struct sandbox_files files;
    sandbox_why why = sandbox_files_init(&files, needs_abstract_sockets());

    if (why)
        return why;
    sandbox_allow_places(&files, config, file, folder);
    why = sandbox_files_enter(&files);
    *ret_version = files.version;
    sandbox_files_done(&files);
    return why;
}

static bool tell_found(const struct config *config, bool has_files)
{
    if (config->sandbox == SANDBOX_YES && !has_files) {
        log_message(LOG_LEVEL_ERROR, "start",
                    "[daemon] sandbox = yes: the one that this process was started in does not "
                    "confine files");
        return false;
    }
    log_message(LOG_LEVEL_NOTICE, "sandbox",
                "that of the daemon that started this one: system calls%s",
                has_files ? ", files" : "");
    return true;
}

static bool tell(const struct config *config, sandbox_why no_files, sandbox_why no_calls,
                 unsigned version)
{
    if (config->sandbox == SANDBOX_YES && (no_files || no_calls)) {
        log_message(LOG_LEVEL_ERROR, "start", "[daemon] sandbox = yes: %s: %s",
                    no_files ? "files (Landlock)" : "system calls (seccomp)",
                    no_files ? no_files : no_calls);
        return false;
    }
    if (no_files)
        log_message(LOG_LEVEL_NOTICE, "sandbox", "files are not confined (Landlock): %s", no_files);
    else
        log_message(LOG_LEVEL_NOTICE, "sandbox", "files are confined (Landlock, version %u)",
                    version);
    if (no_calls)
        log_message(LOG_LEVEL_NOTICE, "sandbox", "system calls are not confined (seccomp): %s",
                    no_calls);
    else
        log_message(LOG_LEVEL_NOTICE, "sandbox", "system calls are confined (seccomp)");
    return true;
}

bool sandbox_enter(const struct config *config, const char *file, int folder)
{
    sandbox_why no_files = why_not_in_this_build(), no_calls = no_files;
    unsigned version = 0;
    bool has_files;

    if (sandbox_find(&has_files))
        return tell_found(config, has_files);
    if (config->sandbox == SANDBOX_NO)
        return true;
    if (!no_files) {
        no_files = confine_files(config, file, folder, &version);
        no_calls = sandbox_calls_enter(!no_files);
    }
    return tell(config, no_files, no_calls, version);
}
