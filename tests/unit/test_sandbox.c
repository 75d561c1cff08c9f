/* test_sandbox.c - both parts, each in a process of its own, for they hold for good. */
#include "daemon/sandbox_parts.h"
#include "tests/unit/folder.h"

#include <config.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(sandbox, .timeout = 10, .init = folder_enter, .fini = folder_leave);

/* The line of the first expectation that does not hold; 0: all do. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static void in_a_process(int (*run)(void))
{
    int status, pipes[2], line = -1;
    pid_t child;

    cr_assert_eq(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        line = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? run() : __LINE__;
        _exit(write(pipes[1], &line, sizeof line) == sizeof line ? 0 : 1);
    }
    close(pipes[1]);
    cr_assert_eq(read(pipes[0], &line, sizeof line), sizeof line);
    cr_assert_eq(waitpid(child, &status, 0), child);
    close(pipes[0]);
    cr_assert_eq(line, 0, "line %d does not hold there", line);
}

/* A file that is opened so: 0, or errno. */
static int opened(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600), error = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    return error;
}

static int bound(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    error = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static int confine_files(void)
{
    struct sandbox_files files;

    EXPECT(!sandbox_files_init(&files, false));
    sandbox_allow_path(&files, "read", SANDBOX_READ);
    sandbox_allow_path(&files, "write", SANDBOX_WRITE);
    sandbox_allow_path(&files, "bind", SANDBOX_BIND);
    sandbox_allow_path(&files, "none", SANDBOX_READ); /* is not there */
    sandbox_allow_path(&files, "other/one", SANDBOX_READ | SANDBOX_WRITE | SANDBOX_BIND);
    EXPECT(!sandbox_files_enter(&files));
    sandbox_files_done(&files);

    EXPECT(opened("read/file", O_RDONLY) == 0);
    EXPECT(opened("read/file", O_WRONLY) == EACCES);
    EXPECT(opened("read/new", O_WRONLY | O_CREAT) == EACCES);
    EXPECT(opened("write/new", O_WRONLY | O_CREAT | O_APPEND) == 0);
    EXPECT(opened("write/new", O_RDONLY) == EACCES);
    EXPECT(opened("other/file", O_RDONLY) == EACCES);
    EXPECT(opened("other/one", O_RDONLY) == 0 && opened("other/one", O_WRONLY) == 0);
    EXPECT(opened(".", O_RDONLY | O_DIRECTORY) == EACCES);
    EXPECT(bound("bind/one") == 0 && rename("bind/one", "bind/two") == 0);
    EXPECT(unlink("bind/two") == 0);
    EXPECT(bound("read/one") == EACCES);
    EXPECT(mkdir("write/folder", 0700) != 0 && errno == EACCES);
    EXPECT(unlink("write/new") != 0 && errno == EACCES);
    EXPECT(access("other/file", R_OK) == 0); /* which is how out_of_reach() tells */
    return 0;
}

static void make(const char *folder, const char *file)
{
    char path[64];

    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    cr_assert_eq(opened(path, O_WRONLY | O_CREAT), 0);
}

Test(sandbox, files_are_what_was_allowed_and_nothing_else)
{
    struct sandbox_files files;
    sandbox_why why = sandbox_files_init(&files, false);

    sandbox_files_done(&files);
    if (why)
        cr_skip("%s", why);
    make("read", "file");
    make("write", "file");
    make("bind", "file");
    make("other", "file");
    make("other", "one");
    in_a_process(confine_files);
}

static int confine_calls(void)
{
    bool files = false;

    EXPECT(!sandbox_find(&files));
    EXPECT(!sandbox_calls_enter(true));
    EXPECT(sandbox_find(&files) && files);
    EXPECT(syscall(SYS_ptrace, 0, 0, 0, 0) == -1 && errno == ENOSYS);
    EXPECT(syscall(SYS_bpf, 0, NULL, 0) == -1 && errno == ENOSYS);
    EXPECT(syscall(SYS_mount, "", "", "", 0, NULL) == -1 && errno == ENOSYS);
    EXPECT(syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0) == -1 && errno == ENOSYS);
    EXPECT(unshare(CLONE_NEWUSER) == -1 && errno == ENOSYS);
    EXPECT(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0) == -1);
    EXPECT(syscall(SYS_mmap, NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0) == -1);
    EXPECT(opened("file", O_WRONLY | O_CREAT) == 0 && bound("socket") == 0);
    return 0;
}

static int mark_calls_alone(void)
{
    bool files = true;

    EXPECT(!sandbox_calls_enter(false));
    EXPECT(sandbox_find(&files) && !files);
    return 0;
}

static int forked_child_finds_it(void)
{
    bool files = false;
    int status;
    pid_t child;

    EXPECT(!sandbox_calls_enter(true));
    child = fork();
    EXPECT(child >= 0);
    if (child == 0)
        _exit(sandbox_find(&files) && files ? 0 : 1);
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}

#if defined(HAVE_SECCOMP) && !defined(WITH_SANITIZERS)

Test(sandbox, calls_that_the_daemon_does_not_make_are_not_there)
{
    in_a_process(confine_calls);
}

Test(sandbox, a_process_finds_what_it_was_started_in)
{
    in_a_process(mark_calls_alone);
    in_a_process(forked_child_finds_it);
}

#else

Test(sandbox, without_a_filter_none_is_found)
{
    bool files;

    cr_assert_not(sandbox_find(&files));
    (void)confine_calls;
    (void)mark_calls_alone;
    (void)forked_child_finds_it;
}

#endif
