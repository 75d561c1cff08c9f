/* secret.c - a terminal that does not echo is set back before any signal gets to do what it does:
 * the signals are blocked meanwhile, and a signalfd says when one waits. */
#include "cli/secret.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* What people and other programs end or stop a program with. SIGTTIN and SIGTTOU are left alone:
 * with them the system keeps a program in the background off the terminal. */
static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGTSTP,
                              SIGALRM, SIGPIPE, SIGUSR1, SIGUSR2};

struct terminal {
    int fd;
    int signal_fd; /* readable when a blocked signal waits; never read */
    struct termios attributes;
    sigset_t mask;
};

static bool block_signals(struct terminal *terminal)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    terminal->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (terminal->signal_fd < 0)
        return false;
    sigprocmask(SIG_BLOCK, &set, &terminal->mask);
    return true;
}

/* What waits is delivered here. */
static void unblock_signals(struct terminal *terminal)
{
    int reason = errno;

    close(terminal->signal_fd);
    sigprocmask(SIG_SETMASK, &terminal->mask, NULL);
    errno = reason;
}

/* What was typed before the prompt is dropped: it may have been meant for another program. */
static bool hide(struct terminal *terminal)
{
    struct termios hidden;

    if (tcgetattr(terminal->fd, &terminal->attributes) != 0 || !block_signals(terminal))
        return false;
    hidden = terminal->attributes;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ECHONL;
    if (tcsetattr(terminal->fd, TCSAFLUSH, &hidden) == 0)
        return true;
    unblock_signals(terminal);
    return false;
}

/* The rest of a line that was too long is no command for the shell. */
static void show(struct terminal *terminal)
{
    int reason = errno;

    tcsetattr(terminal->fd, TCSAFLUSH, &terminal->attributes);
    errno = reason;
    unblock_signals(terminal);
}

enum byte { BYTE_READ, BYTE_END, BYTE_FAILED, BYTE_SIGNAL };

/* `signal_fd` < 0: there is none. */
static enum byte read_byte(int fd, int signal_fd, char *ret)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    ssize_t n;

    do {
        while (poll(fds, 2, -1) < 0)
            if (errno != EINTR)
                return BYTE_FAILED;
        if (fds[1].revents)
            return BYTE_SIGNAL;
        n = read(fd, ret, 1);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n < 0 ? BYTE_FAILED : n ? BYTE_READ : BYTE_END;
}

static enum secret_result judge(const struct secret *secret)
{
    if (secret->length == 0)
        return SECRET_EMPTY;
    if (memchr(secret->text, '\0', secret->length))
        return SECRET_HAS_NUL;
    return SECRET_READ;
}

/* False: a signal waits. */
static bool read_line(int fd, int signal_fd, struct secret *secret, enum secret_result *ret)
{
    secret->length = 0;
    for (;;) {
        char c = '\n';

        switch (read_byte(fd, signal_fd, &c)) {
        case BYTE_SIGNAL:
            return false;
        case BYTE_FAILED:
            *ret = SECRET_FAILED;
            return true;
        case BYTE_READ:
        case BYTE_END:
            break;
        }
        if (c == '\n') {
            secret->text[secret->length] = '\0';
            *ret = judge(secret);
            return true;
        }
        if (secret->length == SECRET_MAX) {
            *ret = SECRET_TOO_LONG;
            return true;
        }
        secret->text[secret->length++] = c;
    }
}

/* False: a signal came, and the process goes on after it. */
static bool ask(int fd, const char *prompt, struct secret *secret, enum secret_result *ret)
{
    struct terminal terminal = {.fd = fd};
    bool is_answered;

    if (!hide(&terminal)) {
        *ret = SECRET_FAILED;
        return true;
    }
    fputs(prompt, stderr);
    is_answered = read_line(fd, terminal.signal_fd, secret, ret);
    if (!is_answered)
        secret_wipe(secret); /* before a signal that leaves a core */
    show(&terminal);
    return is_answered;
}

enum secret_result secret_read(int fd, const char *prompt, struct secret *ret_secret)
{
    enum secret_result result;

    if (!isatty(fd))
        read_line(fd, -1, ret_secret, &result);
    else
        while (!ask(fd, prompt, ret_secret, &result))
            ;
    if (result != SECRET_READ)
        secret_wipe(ret_secret);
    return result;
}

void secret_wipe(struct secret *secret)
{
    explicit_bzero(secret, sizeof *secret);
}
