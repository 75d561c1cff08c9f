/* fast_clock.c - preloaded into a daemon: one second is $FAST_CLOCK seconds for its monotonic clock and
 * for its waiting in epoll, so that a test need not wait for what happens once in ten seconds, or once
 * a day. Built by the fixture of that name. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

enum { SECOND = 1000000000 };

static int hurry(void)
{
    static int times;
    const char *text = times ? NULL : getenv("FAST_CLOCK");

    if (!times)
        times = text && atoi(text) > 0 ? atoi(text) : 1;
    return times;
}

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    static int (*real)(clockid_t, struct timespec *);
    static int64_t start;
    int64_t now;
    int rc;

    if (!real)
        real = (int (*)(clockid_t, struct timespec *))next("clock_gettime");
    rc = real(clock, ret);
    if (rc != 0 || clock != CLOCK_MONOTONIC)
        return rc;
    now = ret->tv_sec * (int64_t)SECOND + ret->tv_nsec;
    if (!start)
        start = now;
    now = start + (now - start) * hurry();
    ret->tv_sec = now / SECOND;
    ret->tv_nsec = now % SECOND;
    return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);

    if (!real)
        real = (int (*)(int, struct epoll_event *, int, int))next("epoll_wait");
    return real(fd, events, n, timeout > 0 ? timeout / hurry() + 1 : timeout);
}
