/* notify.c - lines of VARIABLE=value. */
#include "daemon/notify.h"

#include "daemon/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LAST_WORDS_MS = 1000 };

/* Beyond the drain itself: to reset what is left and to end. */
enum { STOP_MARGIN_MS = 10000 };

bool notify_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_length)
{
    size_t n = strlen(text);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if ((*text != '/' && *text != '@') || n < 2 || n >= sizeof sa.sun_path)
        return false;
    memcpy(sa.sun_path, text, n);
    if (*text == '@')
        sa.sun_path[0] = '\0';
    *ret = sa;
    /* An abstract name ends with its length, a path with its NUL. */
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*text == '/'));
    return true;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents);

void notify_init(struct notify *notify)
{
    *notify = (struct notify){.fd = -1};
    ev_init(&notify->writable, on_writable);
}

bool notify_open(struct notify *notify)
{
    const char *text = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa;
    socklen_t length;

    if (!text || !*text)
        return true;
    errno = EINVAL;
    if (notify_address(text, &sa, &length))
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (notify->fd >= 0 && connect(notify->fd, (const struct sockaddr *)&sa, length) == 0)
        return true;
    log_message(LOG_LEVEL_WARNING, "notify", "cannot reach NOTIFY_SOCKET %s: %s", text,
                strerror(errno));
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
    return false;
}

/* ---- sending ---- */

/* False: try again later. What fails otherwise is lost: a service manager that has gone is told nothing. */
static bool send_now(const struct notify *notify, const char *text)
{
    ssize_t n = send(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);

    return n >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOBUFS);
}

static void flush(struct notify *notify)
{
    unsigned sent = 0;

    while (sent < notify->count && send_now(notify, notify->waiting[sent]))
        sent++;
    notify->count -= sent;
    memmove(notify->waiting, notify->waiting[sent], notify->count * sizeof notify->waiting[0]);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct notify *notify = w->data;

    (void)revents;
    flush(notify);
    if (notify->count == 0)
        ev_io_stop(loop, w);
}

/* In order: nothing overtakes what waits. */
static void say(struct notify *notify, const char *text)
{
    if (notify->fd < 0 || notify->is_silent)
        return;
    if (notify->count == 0 && send_now(notify, text))
        return;
    if (!notify->loop || notify->count == NOTIFY_QUEUE) {
        log_message(LOG_LEVEL_WARNING, "notify", "lost, for systemd does not listen: %s", text);
        return;
    }
    snprintf(notify->waiting[notify->count++], NOTIFY_TEXT_MAX, "%s", text);
    ev_io_start(notify->loop, &notify->writable);
}

void notify_watch(struct notify *notify, struct ev_loop *loop)
{
    notify->loop = loop;
    notify->writable.data = notify;
    if (notify->fd >= 0)
        ev_io_set(&notify->writable, notify->fd, EV_WRITE);
}

void notify_done(struct notify *notify)
{
    struct pollfd waiting = {.fd = notify->fd, .events = POLLOUT};

    if (notify->loop)
        ev_io_stop(notify->loop, &notify->writable);
    if (notify->count > 0 && poll(&waiting, 1, LAST_WORDS_MS) == 1)
        flush(notify);
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
    notify->count = 0;
    notify->loop = NULL;
}

/* ---- the messages ---- */

static void sayf(struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void sayf(struct notify *notify, const char *format, ...)
{
    char text[NOTIFY_TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say(notify, text);
}

void notify_ready(struct notify *notify, const char *status)
{
    sayf(notify, "READY=1\nSTATUS=%s\n", status);
}

void notify_reloading(struct notify *notify)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sayf(notify, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading the configuration again\n",
         (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(struct notify *notify, const char *status, int64_t ms)
{
    sayf(notify, "STOPPING=1\nSTATUS=%s\nEXTEND_TIMEOUT_USEC=%lld\n", status,
         (long long)(ms + STOP_MARGIN_MS) * 1000);
}

void notify_status(struct notify *notify, const char *status)
{
    sayf(notify, "STATUS=%s\n", status);
}

void notify_failed(struct notify *notify, const char *status, int error_number)
{
    sayf(notify, "STATUS=%s\nERRNO=%d\n", status, error_number);
}

void notify_main_pid(struct notify *notify, pid_t pid)
{
    sayf(notify, "MAINPID=%ld\nSTATUS=Another process takes over\n", (long)pid);
}

void notify_alive(struct notify *notify)
{
    say(notify, "WATCHDOG=1\n");
}
