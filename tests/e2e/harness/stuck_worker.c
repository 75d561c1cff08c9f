/* stuck_worker.c - preloaded into a daemon: while the file $STUCK_WORKER exists, the first thread beside the main one that
 * comes to wait for events does not come back. Built by the fixture of that name. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static atomic_int stuck; /* its thread */

static int is_wanted(void)
{
    const char *file = getenv("STUCK_WORKER");

    return file && access(file, F_OK) == 0;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    static int (*_Atomic real)(int, struct epoll_event *, int, int);
    int nobody = 0;

    if (!real)
        real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    if (gettid() != getpid() && is_wanted() &&
        atomic_compare_exchange_strong(&stuck, &nobody, gettid())) {
        while (is_wanted())
            usleep(10000);
        atomic_store(&stuck, 0);
    }
    return real(fd, events, n, timeout);
}
