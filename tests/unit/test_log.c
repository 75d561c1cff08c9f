/* test_log.c - the log as its users see it: levels and formats, and the change of all of them while
 * lines come. log_close() waits until all is written, then the files tell. */
#include "daemon/log.h"
#include "tests/unit/folder.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void init(void)
{
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    folder_enter();
}

TestSuite(log, .timeout = 10, .init = init, .fini = folder_leave);

static struct config config_of(enum log_target target, const char *file, enum log_level level)
{
    static char path[32]; /* good until the next one: the log has a copy of its own */

    snprintf(path, sizeof path, "%s", file);
    return (struct config){.log_target = target, .log_file = path, .log_level = level};
}

static void open_log(const char *file)
{
    struct config config = config_of(LOG_TARGET_FILE, file, LOG_LEVEL_INFO);

    cr_assert(log_open(&config));
    cr_assert(log_start());
    log_started();
}

/* The caller frees *ret_errors. */
static struct log_change *prepare(const struct config *config, char **ret_errors)
{
    size_t n;
    FILE *errors = open_memstream(ret_errors, &n);
    struct log_change *change = log_prepare(config, errors);

    fclose(errors);
    return change;
}

static struct log_change *prepare_well(enum log_target target, const char *file,
                                       enum log_level level)
{
    struct config config = config_of(target, file, level);
    char *errors;
    struct log_change *change = prepare(&config, &errors);

    cr_assert(change, "%s", errors);
    cr_assert_str_eq(errors, "");
    free(errors);
    return change;
}

static void say(const char *text)
{
    log_message(LOG_LEVEL_NOTICE, "test", "%s", text);
}

/* How often the file has this. */
static unsigned count(const char *file, const char *what)
{
    char *text = folder_read(file);
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    free(text);
    return n;
}

static void expect(const char *file, const char *what, unsigned n)
{
    cr_assert_eq(count(file, what), n, "%s in %s", what, file);
}

Test(log, levels_filter)
{
    open_log("a");
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
        log_message((enum log_level)level, "test", "of %s", config_log_level_name(level));
    log_close();
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_INFO; level++)
        expect("a", config_log_level_name(level), 2);
    expect("a", "debug", 0);
}

Test(log, target_that_cannot_be_opened_does_not_start)
{
    struct config config = config_of(LOG_TARGET_FILE, "none/a", LOG_LEVEL_INFO);
    int before = dup(STDERR_FILENO), fd = open("errors", O_WRONLY | O_CREAT, 0600);
    bool opened;

    dup2(fd, STDERR_FILENO);
    opened = log_open(&config);
    dup2(before, STDERR_FILENO);
    cr_assert_not(opened);
    expect("errors", "pairsocksd: cannot open the log none/a: No such file or directory\n", 1);
}

Test(log, what_is_logged_after_the_change_goes_to_the_new_file)
{
    for (int i = 0; i < 20; i++) {
        open_log("a");
        say("before");
        log_apply(prepare_well(LOG_TARGET_FILE, "b", LOG_LEVEL_INFO));
        say("after");
        log_close();
        expect("b", "after", 1);
        expect("a", "after", 0);
        cr_assert_eq(count("a", "before") + count("b", "before"), 1);
        unlink("a");
        unlink("b");
    }
}

Test(log, change_that_is_discarded_changes_nothing)
{
    open_log("a");
    log_discard(prepare_well(LOG_TARGET_FILE, "b", LOG_LEVEL_DEBUG));
    log_discard(NULL);
    say("after");
    log_message(LOG_LEVEL_DEBUG, "test", "hidden");
    log_close();
    expect("a", "after", 1);
    expect("a", "hidden", 0);
    expect("b", "\n", 0);
}

Test(log, change_that_cannot_be_prepared_changes_nothing)
{
    struct config config;
    char *errors;

    open_log("a");
    config = config_of(LOG_TARGET_FILE, "none/b", LOG_LEVEL_DEBUG);
    cr_assert_null(prepare(&config, &errors));
    cr_assert_str_eq(errors, "cannot open the log none/b: No such file or directory\n");
    free(errors);
    say("after");
    log_message(LOG_LEVEL_DEBUG, "test", "hidden");
    log_close();
    expect("a", "after", 1);
    expect("a", "hidden", 0);
    expect("a", "error", 0);
}

Test(log, level_and_format_change)
{
    struct config config = config_of(LOG_TARGET_FILE, "a", LOG_LEVEL_DEBUG);
    char *errors;

    open_log("a");
    log_message(LOG_LEVEL_DEBUG, "test", "one");
    cr_assert_not(log_wants(LOG_LEVEL_DEBUG));
    config.log_format = LOG_JSON;
    log_apply(prepare(&config, &errors));
    free(errors);
    log_message(LOG_LEVEL_DEBUG, "test", "two");
    log_apply(prepare_well(LOG_TARGET_FILE, "a", LOG_LEVEL_ERROR));
    say("three");
    log_message(LOG_LEVEL_ERROR, "test", "four");
    log_close();
    expect("a", "one", 0);
    expect("a", ",\"level\":\"debug\",\"event\":\"test\",\"message\":\"two\"}\n", 1);
    expect("a", "three", 0);
    expect("a", " level=error event=test message=four\n", 1);
}

Test(log, file_that_was_rotated_is_opened_again)
{
    for (int by_reload = 0; by_reload < 2; by_reload++) {
        open_log("a");
        say("before");
        cr_assert(rename("a", "a.1") == 0);
        if (by_reload)
            log_apply(prepare_well(LOG_TARGET_FILE, "a", LOG_LEVEL_INFO));
        else
            log_reopen();
        say("after");
        log_close();
        expect("a", "after", 1);
        expect("a.1", "after", 0);
        cr_assert_eq(count("a", "before") + count("a.1", "before"), 1);
        unlink("a");
        unlink("a.1");
    }
}

Test(log, file_that_cannot_be_opened_again_goes_on_and_says_why)
{
    for (int by_reload = 0; by_reload < 2; by_reload++) {
        cr_assert(mkdir("old", 0700) == 0);
        open_log("old/a");
        cr_assert(rename("old", "new") == 0);
        if (by_reload)
            log_apply(prepare_well(LOG_TARGET_FILE, "old/a", LOG_LEVEL_DEBUG));
        else
            log_reopen();
        say("after");
        log_message(LOG_LEVEL_DEBUG, "test", "detail");
        log_close();
        expect("new/a", "level=error event=log_reopen path=old/a message=\"No such file", 1);
        expect("new/a", "after", 1);
        expect("new/a", "detail", by_reload ? 1 : 0);
        cr_assert(unlink("new/a") == 0 && rmdir("new") == 0);
    }
}

Test(log, many_changes_at_once_leave_the_last_one)
{
    open_log("a");
    for (int i = 0; i < 100; i++)
        log_apply(prepare_well(LOG_TARGET_FILE, i % 2 ? "a" : "b", LOG_LEVEL_INFO));
    log_apply(prepare_well(LOG_TARGET_FILE, "c", LOG_LEVEL_INFO));
    say("after");
    log_close();
    expect("c", "after", 1);
}

Test(log, it_can_be_opened_again)
{
    open_log("a");
    say("one");
    log_close();
    open_log("b");
    say("two");
    log_close();
    expect("a", "one", 1);
    expect("b", "two", 1);
    expect("a", "two", 0);
}

/* ---- a reader that is stuck ---- */

enum { MANY = 3000 };

/* A log that nobody reads, with more lines than have room anywhere. Returns the reader's end. */
static int open_stuck_log(void)
{
    struct pollfd p = {.events = POLLIN};
    int reader;

    cr_assert(mkfifo("fifo", 0600) == 0);
    p.fd = reader = open("fifo", O_RDONLY | O_NONBLOCK);
    cr_assert(reader >= 0);
    open_log("fifo");
    for (int i = 0; i < MANY; i++)
        log_message(LOG_LEVEL_INFO, "flood", "%0200d", i);
    cr_assert_eq(poll(&p, 1, -1), 1); /* the writing thread is at it */
    return reader;
}

static void copy_rest(int from, const char *to)
{
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char bytes[4096];
    ssize_t n;

    while ((n = read(from, bytes, sizeof bytes)) > 0)
        cr_assert_eq(write(out, bytes, (size_t)n), n);
    close(out);
    close(from);
}

static unsigned lost_lines(const char *file)
{
    static const char *const reports[] = {"event=log_lost lines=",
                                          "\"event\":\"log_lost\",\"lines\":"};
    char *text = folder_read(file);
    unsigned sum = 0;

    for (int i = 0; i < 2; i++)
        for (const char *at = text; (at = strstr(at, reports[i]));)
            sum += (unsigned)strtoul(at += strlen(reports[i]), NULL, 10);
    free(text);
    return sum;
}

/* Lines are in what the pipe held, in the new file, or counted as lost; those from the first on are
 * there. */
Test(log, change_gets_away_from_a_stuck_reader_without_losing_what_waits)
{
    int reader = open_stuck_log();

    log_apply(prepare_well(LOG_TARGET_FILE, "a", LOG_LEVEL_INFO));
    say("after");
    log_close();
    copy_rest(reader, "read");
    expect("a", "after", 1);
    cr_assert(count("read", "event=flood") > 0 && count("a", "event=flood") > 0);
    cr_assert_gt(lost_lines("a"), 0);
    cr_assert_eq(count("read", "event=flood") + count("a", "event=flood") + lost_lines("a"), MANY);
}

Test(log, end_does_not_wait_for_a_stuck_reader)
{
    int reader = open_stuck_log(); /* the suite's timeout would tell */

    log_close();
    copy_rest(reader, "read");
    cr_assert_gt(count("read", "event=flood"), 0);
}

Test(log, reader_that_reads_again_is_told_how_many_lines_are_missing)
{
    int reader = open_stuck_log(), out = open("read", O_WRONLY | O_CREAT, 0600);
    struct pollfd p = {.fd = reader, .events = POLLIN};
    char bytes[4096];

    while (count("read", "event=flood") + lost_lines("read") < MANY) {
        ssize_t n;

        poll(&p, 1, -1);
        n = read(reader, bytes, sizeof bytes);
        cr_assert(n > 0 && write(out, bytes, (size_t)n) == n);
    }
    log_close();
    cr_assert_gt(lost_lines("read"), 0);
    cr_assert_eq(count("read", "event=flood") + lost_lines("read"), MANY);
    close(out);
    close(reader);
}

/* ---- many threads ---- */

enum { THREADS = 4, LINES = 4000, CHANGES = 60 };

static atomic_uint finished;

static void *log_much(void *index)
{
    cr_assert(log_attach_thread());
    for (unsigned i = 0; i < LINES; i++) {
        struct log_record record;

        log_begin_session(&record);
        log_record_number(&record, "thread", (uintptr_t)index);
        log_record_number(&record, "line", i);
        log_commit(&record);
        if (i % 64 == 0)
            sched_yield();
    }
    atomic_fetch_add(&finished, 1);
    return NULL;
}

Test(log, changes_while_threads_log_lose_nothing)
{
    static const char *const files[] = {"a", "b", "c"};
    pthread_t threads[THREADS];
    unsigned lines = 0;

    open_log("a");
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, log_much, (void *)i), 0);
    for (unsigned i = 0; i < CHANGES || atomic_load(&finished) < THREADS; i++) {
        struct config config = config_of(LOG_TARGET_FILE, files[i % 3], LOG_LEVEL_INFO);
        char *errors;

        config.log_format = i % 2 ? LOG_JSON : LOG_TEXT;
        log_apply(prepare(&config, &errors));
        free(errors);
        sched_yield();
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_close();
    for (unsigned i = 0; i < 3; i++)
        lines += count(files[i], "event=session ") + count(files[i], "\"event\":\"session\",") +
                 lost_lines(files[i]);
    cr_assert_eq(lines, THREADS * LINES, "%u", lines);
}
