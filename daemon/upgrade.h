/* upgrade.h - the old process of an upgrade: starts the same program with the same arguments, hands over what listens,
 * and waits until the new process serves. One that fails, ends or says nothing in time changes nothing here. The
 * control plane's thread, which it never blocks. */
#ifndef PAIRSOCKS_UPGRADE_H
#define PAIRSOCKS_UPGRADE_H

#include "daemon/handoff.h"
#include "daemon/process.h"

#include <ev.h>

/* Bytes of what a new process says against itself. */
#define UPGRADE_ERRORS_MAX 4096

struct upgrade {
    struct ev_loop *loop;           /* borrowed */
    const char *binary;             /* borrowed; NULL: not found at the start */
    char **arguments;               /* borrowed */
    struct handoff_packet *packets; /* owned; their descriptors are borrowed */
    unsigned count, sent;
    pid_t pid; /* 0: nothing goes on */
    struct process process;
    bool is_service; /* a manager has to know the new process as a child of its own */
    int channel;     /* owned; -1: none */
    ev_io io, ended;
    ev_timer deadline;
    bool is_late;
    char errors[UPGRADE_ERRORS_MAX]; /* lines: what the new process has said, last or now */
    void (*ready)(void *context);    /* the new process serves */
    void (*failed)(void *context, const char *why); /* it does not, and is gone */
    void *context;
};

void upgrade_init(struct upgrade *upgrade, struct ev_loop *loop, const char *binary,
                  char **arguments);

/* What is handed over; before upgrade_start(). The descriptors stay valid until it has ended. False without memory. */
bool upgrade_add(struct upgrade *upgrade, const struct handoff_entry *entry, const int *fds,
                 unsigned count);

/* True: ready() or failed() is called later, once. False with the reason in *ret_why (static, or of strerror), and all
 * that was added is forgotten. */
bool upgrade_start(struct upgrade *upgrade, const char **ret_why);

/* From ready(): lets the new process go its way. */
void upgrade_let_go(struct upgrade *upgrade);

/* Ends the new process; nobody is told. Harmless when nothing goes on. */
void upgrade_abort(struct upgrade *upgrade);

#endif
