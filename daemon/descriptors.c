/* descriptors.c - counting descriptors before anybody needs them. */
#include "daemon/descriptors.h"

#include "daemon/control_client.h"
#include "daemon/health.h"
#include "daemon/log.h"
#include "daemon/status_server.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* What the daemon needs for itself besides sessions: the standard ones, the log, signals,
 * reload, the control socket and its clients; for each worker its loop, questions to DNS, and a peer that comes to an open port; for each worker and address a socket
 * and a reserve, and as much again while a reload has opened the next ones. */
enum {
    FILES_FIXED = 32 + 2 + CONTROL_CLIENTS_MAX,
    FILES_A_WORKER = 9,
    FILES_A_LISTENER = 4,
    FILES_A_PIPE = 2,
    FILES_AN_ATTEMPT = 1
};

/* Who is slower than what it gets keeps a pipe: so there are as many as an unprivileged user may have of their
 * size (pipe-user-pages-soft of pipe(7)), where there are descriptors for them. */
enum { PIPES_MAX = 256, ATTEMPTS_MAX = 64, FILES_FOR_ONE = 64 };

static uint64_t raise_file_limit(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    if (config->max_files && (rlim_t)config->max_files < limit.rlim_max)
        limit.rlim_cur = (rlim_t)config->max_files;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_message(LOG_LEVEL_WARNING, "limits", "cannot set the descriptor limit: %s",
                    strerror(errno));
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/* A small part of the descriptors goes into pipes, and into attempts beside the first of a connection: a worker
 * without them copies, and tries one address at a time. How many of `max` in all a worker gets. */
static unsigned a_workers_part(uint64_t files, unsigned max, unsigned workers)
{
    uint64_t allowed = files / FILES_FOR_ONE;

    return (unsigned)((allowed < max ? allowed : max) / workers);
}

static uint64_t files_allowed(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

void descriptors_divide(struct workers *workers, const struct config *config)
{
    uint64_t files = raise_file_limit(config);

    for (unsigned i = 0; i < workers->count; i++) {
        workers->worker[i].pipes.max = a_workers_part(files, PIPES_MAX, workers->count);
        workers->worker[i].attempts.max = a_workers_part(files, ATTEMPTS_MAX, workers->count);
    }
    limit_init(&workers->sessions, 0);
}

static unsigned files_for_checks(const struct config *config)
{
    for (unsigned i = 0; i < config->upstream_count; i++)
        if (config->upstreams[i].check_interval)
            return HEALTH_CHECKS_MAX;
    return 0;
}

/* Its connections, its socket, and what the library waits with. */
static unsigned files_for_status(const struct config *config)
{
    bool is_served = config->status.unix_path || config->status.endpoint.ip.family != IP_NONE;

    return is_served ? STATUS_CONNECTIONS_MAX + 4 : 0;
}

void descriptors_bound_sessions(struct workers *workers, const struct config *config,
                                unsigned addresses)
{
    uint64_t files = files_allowed(), wanted = 0, before = atomic_load(&workers->sessions.max);
    uint64_t a_worker = FILES_A_WORKER + FILES_A_PIPE * (uint64_t)workers->worker[0].pipes.max +
                        FILES_AN_ATTEMPT * (uint64_t)workers->worker[0].attempts.max +
                        FILES_A_LISTENER * (uint64_t)addresses;
    uint64_t allowed =
        limit_sessions_for_files(files, FILES_FIXED + files_for_checks(config) +
                                            files_for_status(config) + workers->count * a_worker);

    if (limit_set_max(&workers->sessions, allowed))
        workers_resume_listeners(workers);
    for (unsigned i = 0; i < config->listener_count; i++)
        wanted += (uint64_t)config->listeners[i].max_connections;
    if (wanted > allowed && (wanted != workers->sessions_wanted || allowed != before))
        log_message(LOG_LEVEL_WARNING, "limits",
                    "the descriptor limit of %llu (max_files) allows %llu sessions at a time, "
                    "max_connections asks for %llu",
                    (unsigned long long)files, (unsigned long long)allowed,
                    (unsigned long long)wanted);
    workers->sessions_wanted = wanted;
}
