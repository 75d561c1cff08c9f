/* main.c - Criterion's own main(), but for its end: what the runner itself has not freed is not our
 * leak. Each test is a process of its own, whose leaks are looked for as ever. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct criterion_test_set *tests = criterion_initialize();
    int failed = 0;

    if (criterion_handle_args(argc, argv, true))
        failed = !criterion_run_all_tests(tests);
    criterion_finalize(tests);
    fflush(NULL);
    _exit(failed);
}
