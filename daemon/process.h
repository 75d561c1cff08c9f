/* process.h - starts a program in a process of its own, without fork(2): memory is shared until it runs, and other
 * threads do not matter. For upgrade.c, whose new process has to become a child of systemd's while this one still lives,
 * which posix_spawn(3) cannot do: systemd would not wait for a main process that is somebody else's child. */
#ifndef PAIRSOCKS_PROCESS_H
#define PAIRSOCKS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* All borrowed. The process has the descriptors 0 to 2, `channel` as PROCESS_CHANNEL, and no other; no signal is blocked
 * or ignored. */
struct process_order {
    const char *program; /* its path */
    char **arguments, **environment;
    int channel;
    bool is_sibling; /* its parent is this process' parent, who is told of its end */
};

enum { PROCESS_CHANNEL = 3 };

struct process {
    pid_t pid;
    int fd; /* owned: a pidfd, which is readable when the process has ended */
};

/* 0; else why it was not started (errno). */
int process_start(const struct process_order *order, struct process *ret);

/* To a process that has ended it does nothing. */
void process_signal(const struct process *process, int number);

enum process_end { PROCESS_RUNS, PROCESS_EXITED, PROCESS_KILLED, PROCESS_GONE };

/* EXITED: *ret is the status; KILLED: the signal's number; GONE: only its parent knows how. After one of these the number
 * `pid` may be another's. */
enum process_end process_end(const struct process *process, int *ret);

/* Forgets it; it goes on. */
void process_done(struct process *process);

#endif
