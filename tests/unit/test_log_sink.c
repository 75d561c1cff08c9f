/* test_log_sink.c - each kind of sink against real files, pipes and sockets: what arrives, and what
 * becomes of lines when the reader is stuck, gone, or another one. No write may ever wait: a test
 * that hangs has found one that does. */
#include "daemon/log_encode.h"
#include "daemon/log_sink.h"
#include "tests/unit/folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void init(void)
{
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    folder_enter();
}

TestSuite(log_sink, .timeout = 10, .init = init, .fini = folder_leave);

static struct log_batch batch;

/* Fills the batch with `count` lines `n=NUMBER`, of `length` bytes. */
static void fill(unsigned first, size_t count, size_t length)
{
    static char letters[LOG_RECORD_MAX];

    memset(letters, 'v', sizeof letters);
    log_batch_clear(&batch);
    while (count--) {
        struct log_record r;

        log_record_begin(&r, LOG_TEXT);
        r.head.level = LOG_LEVEL_INFO;
        log_record_number(&r, "n", first++);
        if (length > r.length + 4)
            log_record_bytes(&r, "v", letters, length - r.length - 4);
        log_record_end(&r);
        cr_assert(log_batch_add(&batch, &r, 1));
    }
}

static size_t write_from(struct log_sink *sink, size_t done)
{
    return done + log_sink_write(sink, batch.lines + done, batch.count - done);
}

/* The numbers of these lines, each one behind the other: *next .. and so on. */
static void expect_numbers(const char *text, unsigned *next)
{
    for (; *text; text = strchr(text, '\n') + 1) {
        unsigned number;

        cr_assert(sscanf(text, "n=%u", &number) == 1 && number == *next, "%u at %.20s", *next,
                  text);
        ++*next;
        cr_assert(strchr(text, '\n'), "a line is cut: %.20s", text);
    }
}

/* ---- files, pipes, stderr ---- */

Test(log_sink, file_gets_the_lines_as_they_are)
{
    struct log_sink *sink = log_sink_open(LOG_TARGET_FILE, "log");
    char *text;

    cr_assert(sink);
    fill(8, 2, 0);
    cr_assert_eq(write_from(sink, 0), 2);
    cr_assert_eq(write_from(sink, 1), 2);
    text = folder_read("log");
    cr_assert_str_eq(text, "n=8\nn=9\nn=9\n");
    free(text);
    log_sink_free(sink);
}

Test(log_sink, file_is_appended_to_and_made_readable_by_the_group_only)
{
    struct log_sink *sink;
    struct stat st;
    char *text;

    umask(0);
    for (unsigned i = 0; i < 2; i++) {
        sink = log_sink_open(LOG_TARGET_FILE, "log");
        cr_assert(sink);
        fill(i, 1, 0);
        cr_assert_eq(write_from(sink, 0), 1);
        log_sink_free(sink);
    }
    text = folder_read("log");
    cr_assert_str_eq(text, "n=0\nn=1\n");
    cr_assert(stat("log", &st) == 0 && (st.st_mode & 0777) == 0640);
    free(text);
}

Test(log_sink, what_cannot_be_opened_says_why)
{
    char too_long[200];

    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    cr_assert(mkfifo("fifo", 0600) == 0 && mkdir("folder", 0700) == 0);
    cr_assert(!log_sink_open(LOG_TARGET_FILE, "none/log") && errno == ENOENT);
    cr_assert(!log_sink_open(LOG_TARGET_FILE, "folder") && errno == EISDIR);
    cr_assert(!log_sink_open(LOG_TARGET_FILE, "fifo") && errno == ENXIO);
    cr_assert(!log_sink_open(LOG_TARGET_SYSLOG, "none") && errno == ENOENT);
    cr_assert(!log_sink_open(LOG_TARGET_SYSLOG, "folder") && errno == ECONNREFUSED);
    cr_assert(!log_sink_open(LOG_TARGET_JOURNAL, too_long) && errno == ENAMETOOLONG);
    log_sink_free(NULL);
}

Test(log_sink, each_target_has_its_usual_path)
{
    cr_assert_str_eq(log_sink_path(LOG_TARGET_FILE, "/a"), "/a");
    cr_assert_str_eq(log_sink_path(LOG_TARGET_SYSLOG, NULL), "/dev/log");
    cr_assert_str_eq(log_sink_path(LOG_TARGET_JOURNAL, NULL), "/run/systemd/journal/socket");
    cr_assert_null(log_sink_path(LOG_TARGET_STDERR, NULL));
}

Test(log_sink, full_disk_loses_lines_and_counts_what_they_stand_for)
{
    struct log_sink *sink = log_sink_open(LOG_TARGET_FILE, "/dev/full");

    cr_assert(sink);
    fill(0, 3, 0);
    batch.lines[1].stands_for = 40;
    cr_assert_eq(write_from(sink, 0), 3);
    cr_assert_eq(sink->lost, 42);
    log_sink_free(sink);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    cr_assert(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

Test(log_sink, line_that_was_cut_does_not_spoil_the_next)
{
    struct log_sink *sink = log_sink_open(LOG_TARGET_FILE, "log");
    char *text;

    cr_assert(sink);
    fill(10, 3, 0); /* five bytes each */
    limit_files(7);
    cr_assert_eq(write_from(sink, 0), 3);
    cr_assert_eq(sink->lost, 2);
    limit_files(100);
    fill(20, 1, 0);
    cr_assert_eq(write_from(sink, 0), 1);
    text = folder_read("log");
    cr_assert_str_eq(text, "n=10\nn=\nn=20\n");
    free(text);
    log_sink_free(sink);
}

/* Reads what is there. */
static size_t take(int fd, char *to, size_t size)
{
    ssize_t n = read(fd, to, size);

    cr_assert(n > 0 || errno == EAGAIN);
    return n > 0 ? (size_t)n : 0;
}

/* Writes 600 lines into a sink that `reader` reads only when nothing more goes in. */
static void write_against(struct log_sink *sink, int reader)
{
    static char text[1 << 20];
    size_t have = 0, stops = 0;
    unsigned next = 0;

    for (unsigned first = 0; first < 600; first += 100) {
        size_t done = 0;

        fill(first, 100, 600);
        while ((done = write_from(sink, done)) < batch.count) {
            struct pollfd p = {.fd = sink->fd, .events = POLLOUT};

            stops++;
            cr_assert_eq(poll(&p, 1, 0), 0, "said to be full, but is not");
            have += take(reader, text + have, sizeof text - 1 - have);
            cr_assert_eq(poll(&p, 1, 0), 1);
        }
    }
    while (have < (size_t)600 * 600)
        have += take(reader, text + have, sizeof text - 1 - have);
    text[have] = '\0';
    cr_assert_gt(stops, 0);
    expect_numbers(text, &next);
    cr_assert_eq(next, 600);
    cr_assert_eq(sink->lost, 0);
}

Test(log_sink, pipe_of_stderr_that_is_full_is_left_for_later)
{
    int ends[2], before = dup(STDERR_FILENO);
    struct log_sink *sink;

    cr_assert(before >= 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    cr_assert(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    sink = log_sink_open(LOG_TARGET_STDERR, NULL);
    cr_assert(sink && sink->fd == STDERR_FILENO);
    write_against(sink, ends[0]);
    cr_assert_not(fcntl(ends[1], F_GETFL) & O_NONBLOCK, "others write there, too");
    log_sink_free(sink);
    cr_assert(fcntl(STDERR_FILENO, F_GETFD) >= 0);
    dup2(before, STDERR_FILENO);
}

Test(log_sink, fifo_that_is_full_is_left_for_later)
{
    struct log_sink *sink;
    int reader;

    cr_assert(mkfifo("fifo", 0600) == 0);
    reader = open("fifo", O_RDONLY | O_NONBLOCK);
    sink = log_sink_open(LOG_TARGET_FILE, "fifo");
    cr_assert(sink);
    write_against(sink, reader);
    close(reader);
    fill(0, 2, 0);
    cr_assert_eq(write_from(sink, 0), 2);
    cr_assert_eq(sink->lost, 2, "nobody reads it any more");
    log_sink_free(sink);
}

/* A stream socket, as services have it, may take a part of a line. */
Test(log_sink, socket_of_stderr_that_is_full_is_left_for_later)
{
    int ends[2], before = dup(STDERR_FILENO), small = 4096;
    struct log_sink *sink;

    cr_assert(before >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    cr_assert(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    cr_assert(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    sink = log_sink_open(LOG_TARGET_STDERR, NULL);
    cr_assert(sink);
    sink->is_regular = false;
    write_against(sink, ends[0]);
    log_sink_free(sink);
    dup2(before, STDERR_FILENO);
}

/* ---- datagrams ---- */

static int bind_reader(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    strcpy(address.sun_path, path);
    unlink(path);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* The next datagram as a string; "" if there is none. */
static const char *receive(int fd)
{
    static char datagram[LOG_DATAGRAM_MAX + 1];
    ssize_t n = recv(fd, datagram, sizeof datagram - 1, 0);

    cr_assert(n > 0 || errno == EAGAIN);
    datagram[n > 0 ? n : 0] = '\0';
    return datagram;
}

/* Takes all that waits; the lines have to be those from *next on. */
static void expect_datagrams(int fd, unsigned *next)
{
    const char *datagram, *text;

    while (*(datagram = receive(fd))) {
        char expected[32];

        text = strstr(datagram, "n=");
        snprintf(expected, sizeof expected, "n=%u", *next);
        cr_assert(text && strncmp(text, expected, strlen(expected)) == 0, "%s: %s", expected,
                  datagram);
        ++*next;
    }
}

Test(log_sink, syslog_gets_one_datagram_a_line)
{
    int reader = bind_reader("socket");
    struct log_sink *sink = log_sink_open(LOG_TARGET_SYSLOG, "socket");
    char expected[128];

    cr_assert(sink);
    setenv("TZ", "UTC", 1);
    tzset();
    fill(7, 2, 0);
    batch.lines[0].head.second = 951827696; /* 29 February 2000, 12:34:56 */
    batch.lines[0].head.level = LOG_LEVEL_ERROR;
    cr_assert_eq(write_from(sink, 0), 2);
    snprintf(expected, sizeof expected, "<27>Feb 29 12:34:56 pairsocksd[%d]: n=7", (int)getpid());
    cr_assert_str_eq(receive(reader), expected);
    snprintf(expected, sizeof expected, "<30>Jan  1 00:00:00 pairsocksd[%d]: n=8", (int)getpid());
    cr_assert_str_eq(receive(reader), expected);
    cr_assert_str_eq(receive(reader), "");
    close(reader);
    log_sink_free(sink);
}

Test(log_sink, journal_gets_one_entry_a_line)
{
    int reader = bind_reader("socket");
    struct log_sink *sink = log_sink_open(LOG_TARGET_JOURNAL, "socket");

    cr_assert(sink);
    fill(7, 1, 0);
    cr_assert_eq(write_from(sink, 0), 1);
    cr_assert_str_eq(receive(reader), "MESSAGE=n=7\nPRIORITY=6\nSYSLOG_FACILITY=3\n"
                                      "SYSLOG_IDENTIFIER=pairsocksd\nPAIRSOCKS_N=7\n");
    cr_assert_str_eq(receive(reader), "");
    close(reader);
    log_sink_free(sink);
}

static const enum log_target datagrams[] = {LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL};

Test(log_sink, reader_that_is_stuck_costs_no_line_and_no_wait)
{
    for (int i = 0; i < 2; i++) {
        int reader = bind_reader("socket");
        struct log_sink *sink = log_sink_open(datagrams[i], "socket");
        struct pollfd p = {.events = POLLOUT};
        unsigned next = 0;
        size_t done = 0, stops = 0;

        cr_assert(sink);
        fill(0, 250, 200);
        while ((done = write_from(sink, done)) < batch.count) {
            p.fd = sink->fd;
            cr_assert_eq(poll(&p, 1, 0), 0, "said to be full, but is not");
            cr_assert_gt(sink->retry_ms, 0);
            stops++;
            expect_datagrams(reader, &next);
            cr_assert_eq(poll(&p, 1, 0), 1);
        }
        expect_datagrams(reader, &next);
        cr_assert_eq(next, 250);
        cr_assert(sink->lost == 0 && stops > 0);
        close(reader);
        log_sink_free(sink);
    }
}

Test(log_sink, reader_that_is_restarted_gets_all_that_waited)
{
    for (int i = 0; i < 2; i++) {
        int reader = bind_reader("socket");
        struct log_sink *sink = log_sink_open(datagrams[i], "socket");
        unsigned next = 0;

        cr_assert(sink);
        fill(0, 5, 0);
        cr_assert_eq(log_sink_write(sink, batch.lines, 2), 2);
        expect_datagrams(reader, &next);
        close(reader);
        cr_assert_eq(write_from(sink, 2), 2);
        cr_assert(sink->fd == -1 && sink->retry_ms > 0);
        unlink("socket");
        cr_assert_eq(write_from(sink, 2), 2);
        reader = bind_reader("socket");
        cr_assert_eq(write_from(sink, 2), 5);
        expect_datagrams(reader, &next);
        cr_assert(next == 5 && sink->lost == 0);
        close(reader);
        log_sink_free(sink);
    }
}

/* Unlike glibc's syslog(), which loses the line that finds out. */
Test(log_sink, restart_between_two_lines_is_not_even_noticed)
{
    int reader = bind_reader("socket"), another;
    struct log_sink *sink = log_sink_open(LOG_TARGET_SYSLOG, "socket");
    unsigned next = 0;

    cr_assert(sink);
    close(reader);
    another = bind_reader("socket");
    fill(0, 3, 0);
    cr_assert_eq(write_from(sink, 0), 3);
    expect_datagrams(another, &next);
    cr_assert_eq(next, 3);
    close(another);
    log_sink_free(sink);
}

Test(log_sink, reader_that_took_the_place_of_a_stuck_one_is_found)
{
    int stuck = bind_reader("socket"), another;
    struct log_sink *sink = log_sink_open(LOG_TARGET_SYSLOG, "socket");
    unsigned next = 0, next_of_stuck = 0;
    size_t done;

    cr_assert(sink);
    fill(0, 250, 0);
    done = write_from(sink, 0);
    cr_assert_lt(done, batch.count);
    another = bind_reader("socket");
    next = (unsigned)done;
    while ((done = write_from(sink, done)) < batch.count)
        expect_datagrams(another, &next);
    expect_datagrams(another, &next);
    cr_assert_eq(next, 250);
    expect_datagrams(stuck, &next_of_stuck);
    cr_assert_gt(next_of_stuck, 0);
    close(stuck);
    close(another);
    log_sink_free(sink);
}

Test(log_sink, reader_that_shut_its_socket_is_as_one_that_is_gone)
{
    int reader = bind_reader("socket");
    struct log_sink *sink = log_sink_open(LOG_TARGET_SYSLOG, "socket");

    cr_assert(sink && shutdown(reader, SHUT_RD) == 0);
    fill(0, 3, 0);
    cr_assert_eq(write_from(sink, 0), 0);
    cr_assert(sink->lost == 0 && sink->retry_ms > 0);
    close(reader);
    log_sink_free(sink);
}

Test(log_sink, datagram_that_is_too_long_is_lost_alone)
{
    int reader = bind_reader("socket"), small = 0;
    struct log_sink *sink = log_sink_open(LOG_TARGET_JOURNAL, "socket");
    unsigned next = 2;

    cr_assert(sink);
    setsockopt(sink->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    fill(1, 1, LOG_RECORD_MAX - 20);
    cr_assert_eq(write_from(sink, 0), 1);
    cr_assert_eq(sink->lost, 1);
    fill(2, 1, 0);
    cr_assert_eq(write_from(sink, 0), 1);
    expect_datagrams(reader, &next);
    cr_assert_eq(next, 3);
    close(reader);
    log_sink_free(sink);
}

Test(log_sink, no_descriptor_is_lost_or_inherited)
{
    int reader = bind_reader("socket"), first = dup(reader);
    struct log_sink *sink = log_sink_open(LOG_TARGET_SYSLOG, "socket");
    int fd;

    cr_assert(sink && fcntl(sink->fd, F_GETFD) == FD_CLOEXEC);
    fill(0, 250, 0);
    for (int i = 0; i < 100; i++) /* full: connects again and again */
        write_from(sink, 0);
    close(reader);
    close(first);
    for (int i = 0; i < 100; i++) /* gone */
        cr_assert_eq(write_from(sink, 0), 0);
    log_sink_free(sink);
    sink = log_sink_open(LOG_TARGET_FILE, "log");
    cr_assert(sink && fcntl(sink->fd, F_GETFD) == FD_CLOEXEC);
    log_sink_free(sink);
    fd = dup(STDIN_FILENO);
    cr_assert_leq(fd, first);
    close(fd);
}
