/* notify.h - what the daemon says to systemd (sd_notify(3), the protocol written by us): datagrams of lines
 * to the socket that $NOTIFY_SOCKET names. The socket is connected at the very start, so that it is reached after
 * chroot(2), too. Without the variable nothing is said, and nothing fails. It never blocks: what the service manager
 * does not take at once waits in a short queue. The control plane's thread. */
#ifndef PAIRSOCKS_NOTIFY_H
#define PAIRSOCKS_NOTIFY_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum {
    NOTIFY_TEXT_MAX = 512, /* bytes of a message */
    NOTIFY_QUEUE = 8       /* messages that wait */
};

struct notify {
    int fd;               /* owned; -1: there is nobody to tell */
    bool is_silent;       /* somebody else still speaks for the service: nothing is said */
    struct ev_loop *loop; /* borrowed; NULL: what cannot be sent at once is lost */
    ev_io writable;
    char waiting[NOTIFY_QUEUE][NOTIFY_TEXT_MAX];
    unsigned count;
};

/* The address of $NOTIFY_SOCKET: an absolute path, or @ and an abstract name. False: it is neither. Pure. */
bool notify_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_length);

/* With nobody to tell. */
void notify_init(struct notify *notify);

/* Opens it as the environment says; -1 and false with a message in the log where it says what cannot be. */
bool notify_open(struct notify *notify);

/* From now on what cannot be sent waits on this loop. */
void notify_watch(struct notify *notify, struct ev_loop *loop);

/* Sends, for a second at most, what still waits, and closes. Nothing is said any more. */
void notify_done(struct notify *notify);

/* The start or a reload is over, also one that failed. `status` is for people. */
void notify_ready(struct notify *notify, const char *status);

/* A reload begins; with the clock's time, which tells systemd which one it is. */
void notify_reloading(struct notify *notify);

/* The end has begun and takes up to `ms`. */
void notify_stopping(struct notify *notify, const char *status, int64_t ms);

void notify_status(struct notify *notify, const char *status);

/* The start has failed. */
void notify_failed(struct notify *notify, const char *status, int error_number);

/* Another process is the service from now on. */
void notify_main_pid(struct notify *notify, pid_t pid);

/* Feeds the watchdog. */
void notify_alive(struct notify *notify);

#endif
