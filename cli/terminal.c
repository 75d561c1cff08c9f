/* terminal.c - termios, and the few sequences that every terminal knows (ECMA-48, and xterm's other screen). */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, ROWS = 24, COLUMNS = 80 };

static struct termios before;
static bool began;
static volatile sig_atomic_t ended, resized;

static void on_end(int number)
{
    ended = 1;
}

static void on_resize(int number)
{
    resized = 1;
}

/* Whoever does not read any more does not get it. */
static void put(const char *bytes, size_t n)
{
    while (n) {
        ssize_t written = write(STDOUT_FILENO, bytes, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        bytes += written;
        n -= (size_t)written;
    }
}

static void put_text(const char *text)
{
    put(text, strlen(text));
}

bool terminal_begin(void)
{
    struct sigaction end = {.sa_handler = on_end}, resize = {.sa_handler = on_resize};
    struct termios raw;

    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
    sigaction(SIGWINCH, &resize, NULL);
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
        return false;
    began = true;
    put_text("\x1b[?1049h\x1b[?25l"); /* the other screen, without a cursor */
    return true;
}

void terminal_end(void)
{
    if (!began)
        return;
    began = false;
    put_text("\x1b[?25h\x1b[?1049l");
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

void terminal_size(unsigned *ret_rows, unsigned *ret_columns)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;

    *ret_rows = known ? size.ws_row : ROWS;
    *ret_columns = known ? size.ws_col : COLUMNS;
}

/* Line by line over what is there: nothing flickers. */
void terminal_show(const char *text, size_t length)
{
    const char *end = text + length, *line_end;

    put_text("\x1b[H");
    for (; text < end; text = line_end + 1) {
        line_end = memchr(text, '\n', (size_t)(end - text));
        if (!line_end)
            line_end = end;
        put(text, (size_t)(line_end - text));
        put_text(line_end < end - 1 ? "\x1b[K\n" : "\x1b[K");
    }
    put_text("\x1b[J");
}

enum terminal_event terminal_wait(unsigned ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = ended ? 0 : poll(&input, 1, (int)ms);
    char key = 0;

    if (ready > 0 && read(STDIN_FILENO, &key, 1) != 1)
        return TERMINAL_END; /* nobody is there any more */
    if (ended || key == 'q' || key == 'Q' || key == CTRL_C || key == CTRL_D)
        return TERMINAL_END;
    if (resized) {
        resized = 0;
        return TERMINAL_RESIZED;
    }
    return TERMINAL_TIME;
}
