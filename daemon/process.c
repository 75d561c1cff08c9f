/* process.c - clone(2) as posix_spawn(3) does it, with CLONE_PARENT and CLONE_PIDFD. */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 * 1024 };

struct start {
    const struct process_order *order;
    int error_number;
};

static bool pass_channel(int channel)
{
    if (channel == PROCESS_CHANNEL)
        return fcntl(channel, F_SETFD, 0) == 0;
    return dup2(channel, PROCESS_CHANNEL) >= 0;
}

/* The new process, on a stack of its own in our memory: our handlers must not run here. A sanitizer does not know the
 * stack. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static int run(void *context)
{
    struct start *start = context;
    const struct process_order *order = start->order;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL);
    sigemptyset(&none);
    if (pass_channel(order->channel) && close_range(PROCESS_CHANNEL + 1, ~0U, 0) == 0 &&
        sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execve(order->program, order->arguments, order->environment);
    start->error_number = errno;
    _exit(127);
}

int process_start(const struct process_order *order, struct process *ret)
{
    const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    struct start start = {.order = order};
    struct process process = {.fd = -1};
    char *stack = malloc(STACK);
    sigset_t all, before;

    if (!stack)
        return ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    process.pid = clone(run, stack + STACK, flags | (order->is_sibling ? CLONE_PARENT : 0), &start,
                        &process.fd);
    if (process.pid < 0)
        start.error_number = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(stack);
    if (start.error_number == 0) {
        *ret = process;
        return 0;
    }
    if (process.fd >= 0) {
        waitid(P_PIDFD, (id_t)process.fd, &(siginfo_t){0}, WEXITED | WNOHANG);
        close(process.fd);
    }
    return start.error_number;
}

void process_signal(const struct process *process, int number)
{
    pidfd_send_signal(process->fd, number, NULL, 0);
}

enum process_end process_end(const struct process *process, int *ret)
{
    struct pollfd ended = {.fd = process->fd, .events = POLLIN};
    siginfo_t info = {0};

    if (poll(&ended, 1, 0) != 1)
        return PROCESS_RUNS;
    if (waitid(P_PIDFD, (id_t)process->fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return PROCESS_GONE;
    *ret = info.si_status;
    return info.si_code == CLD_EXITED ? PROCESS_EXITED : PROCESS_KILLED;
}

void process_done(struct process *process)
{
    if (process->fd >= 0)
        close(process->fd);
    *process = (struct process){.fd = -1};
}
