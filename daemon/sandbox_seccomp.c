/* sandbox_seccomp.c - the calls that the daemon, its libraries and an upgrade make; all others the kernel seems
 * not to have (ENOSYS). An answer and not an end by a signal: libraries try what is new and fall back to what
 * is old, and one that surprises us must not take every session with it. ENOSYS and not EPERM: it is what
 * they fall back from. Threads begin by clone for that reason: what clone3 is asked for lies in memory, where
 * no filter looks. */
#include "daemon/sandbox_parts.h"

#include <config.h>
#include <errno.h>

#ifdef HAVE_SECCOMP

#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* The answer of a call that no kernel has, in here: that is how a process finds that it is confined. */
enum { MARK_CALLS = 4000, MARK_FILES = 4001 };

#define CALL(name) SCMP_SYS(name)

static const int calls[] = {
    /* files */
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(preadv),
    CALL(write),
    CALL(writev),
    CALL(pwrite64),
    CALL(open),
    CALL(openat),
    CALL(close),
    CALL(lseek),
    CALL(fcntl),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(flock),
    CALL(fstat),
    CALL(stat),
    CALL(lstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(statfs),
    CALL(fstatfs),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(readlink),
    CALL(readlinkat),
    CALL(getdents64),
    CALL(getcwd),
    CALL(chdir),
    CALL(umask),
    /* unix sockets and their modes */
    CALL(unlink),
    CALL(unlinkat),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(chmod),
    CALL(fchmod),
    CALL(fchmodat),
    CALL(chown),
    CALL(lchown),
    CALL(fchown),
    CALL(fchownat),
    /* sockets, pipes */
    CALL(bind),
    CALL(listen),
    CALL(connect),
    CALL(accept),
    CALL(accept4),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(sendto),
    CALL(sendmsg),
    CALL(sendmmsg),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(recvmmsg),
    CALL(shutdown),
    CALL(pipe),
    CALL(pipe2),
    CALL(splice),
    CALL(socketpair),
    /* events */
    CALL(epoll_create),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(eventfd2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(signalfd4),
    /* memory */
    CALL(brk),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(mlock),
    CALL(munlock),
    /* threads */
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(set_tid_address),
    CALL(rseq),
    CALL(membarrier),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(getcpu),
    CALL(getpriority),
    CALL(setpriority),
    CALL(gettid),
    CALL(exit),
    CALL(exit_group),
    /* signals */
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigsuspend),
    CALL(rt_sigtimedwait),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(tgkill),
    CALL(kill),
    /* time */
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(time),
    /* who we are, and where */
    CALL(getpid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getresuid),
    CALL(getresgid),
    CALL(getgroups),
    CALL(getrlimit),
    CALL(setrlimit),
    CALL(prlimit64),
    CALL(getrusage),
    CALL(times),
    CALL(uname),
    CALL(sysinfo),
    CALL(getrandom),
    CALL(prctl),
    CALL(arch_prctl),
    CALL(capget),
    /* an upgrade */
    CALL(execve),
    CALL(fork),
    CALL(vfork),
    CALL(wait4),
    CALL(waitid),
    CALL(pidfd_send_signal),
    CALL(setsid),
    CALL(close_range),
};

/* Of these only with an argument that is such a one. */
static const struct {
    int call;
    unsigned argument;
    uint64_t mask, value; /* of the argument */
} conditions[] = {
    {CALL(socket), 0, UINT32_MAX, AF_UNIX},
    {CALL(socket), 0, UINT32_MAX, AF_INET},
    {CALL(socket), 0, UINT32_MAX, AF_INET6},
    {CALL(socket), 0, UINT32_MAX, AF_NETLINK}, /* getifaddrs(3) */
    /* Memory that is written is never run. */
    {CALL(mmap), 2, PROT_EXEC, 0},
    {CALL(mmap), 2, PROT_WRITE, 0},
    {CALL(mprotect), 2, PROT_EXEC, 0},
    {CALL(ioctl), 1, UINT32_MAX, FIONREAD},
    {CALL(ioctl), 1, UINT32_MAX, FIONBIO},
    {CALL(ioctl), 1, UINT32_MAX, TCGETS}, /* isatty(3) */
    {CALL(ioctl), 1, UINT32_MAX, SIOCOUTQ},
    {CALL(clone), 0,
     CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
         CLONE_NEWCGROUP,
     0},
};

static int add_rules(scmp_filter_ctx filter, bool files)
{
    int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(files ? MARK_FILES : MARK_CALLS),
                              SCMP_SYS(nfsservctl), 0);

    for (size_t i = 0; i < sizeof calls / sizeof calls[0] && rc == 0; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0] && rc == 0; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, conditions[i].call, 1,
                              SCMP_CMP64(conditions[i].argument, SCMP_CMP_MASKED_EQ,
                                         conditions[i].mask, conditions[i].value));
    return rc;
}

/* libseccomp does not say what the kernel did. */
static sandbox_why explain(int error)
{
    return error == ECANCELED ? "the kernel takes no filter" : strerrordesc_np(error);
}

sandbox_why sandbox_calls_enter(bool files)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int rc;

    if (!filter)
        return "out of memory";
    /* A tree to search in: the kernel runs it at each call that it cannot decide by number alone. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    rc = add_rules(filter, files);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc == 0 ? NULL : explain(-rc);
}

bool sandbox_find(bool *ret_files)
{
    const int mark = syscall(SYS_nfsservctl) < 0 ? errno : 0;

    if (mark != MARK_CALLS && mark != MARK_FILES)
        return false;
    *ret_files = mark == MARK_FILES;
    return true;
}

#else

sandbox_why sandbox_calls_enter(bool files)
{
    return "this build is without libseccomp";
}

bool sandbox_find(bool *ret_files)
{
    return false;
}

#endif
