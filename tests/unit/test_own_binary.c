/* test_own_binary.c - by whatever name this test program was started, its file is found. */
#include "daemon/own_binary.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(own_binary, .timeout = 10);

static char exe[PATH_MAX], link_folder[] = "/tmp/pairsocks-test-binary-XXXXXX", by_link[PATH_MAX];

static void set_up(void)
{
    cr_assert(realpath("/proc/self/exe", exe) && mkdtemp(link_folder));
    snprintf(by_link, sizeof by_link, "%s/daemon", link_folder);
    cr_assert_eq(symlink(exe, by_link), 0);
}

static void tear_down(void)
{
    unlink(by_link);
    rmdir(link_folder);
}

static void expect(const char *name, const char *path)
{
    char *found = own_binary(name);

    cr_assert_str_eq(found, path, "of %s", name);
    free(found);
}

Test(own_binary, symbolic_link_stays_as_it_was_said, .init = set_up, .fini = tear_down)
{
    expect(by_link, by_link);
}

Test(own_binary, relative_path_is_made_absolute, .init = set_up, .fini = tear_down)
{
    char wanted[PATH_MAX];

    cr_assert_eq(chdir(link_folder), 0);
    snprintf(wanted, sizeof wanted, "%s/./daemon", link_folder);
    expect("./daemon", wanted);
    cr_assert_eq(chdir("/"), 0);
}

Test(own_binary, name_without_a_slash_is_looked_for_in_the_path, .init = set_up, .fini = tear_down)
{
    char path[PATH_MAX + 64];

    snprintf(path, sizeof path, "relative::/bin:%s:/usr/bin", link_folder);
    setenv("PATH", path, 1);
    expect("daemon", by_link);
    expect("no-such-name", exe);
}

Test(own_binary, name_of_something_else_is_not_believed, .init = set_up, .fini = tear_down)
{
    expect("/bin/sh", exe);
    expect(NULL, exe);
}
