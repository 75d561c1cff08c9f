/* test_paths.c - the files that a configuration names. */
#include "config/config.h"
#include "config/paths.h"
#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(paths, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

static void put(void *context, enum path_use use, const char *path)
{
    static const char *const words[] = {
        [PATH_READ] = "read", [PATH_WRITE] = "write", [PATH_BIND] = "bind"};

    fprintf(context, "%s %s\n", words[use], path);
}

static void expect(const char *ini, const char *wanted)
{
    struct config *config = ini_load(ini);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    config_visit_paths(config, put, out);
    fclose(out);
    cr_assert_str_eq(text, wanted);
    free(text);
    config_unref(config);
}

Test(paths, each_section_names_its_files_and_what_is_done_with_them)
{
    expect("[daemon]\nlog_target = file:/log/l\nchroot = /root\n"
           "control = /run/c\n"
           "[listener a]\nlisten = 127.0.0.1:1, unix:/run/a, unix:/run/b\n"
           "security = negotiated\ncertificate = /tls/c\nprivate_key = /tls/k\ncertificates = x\n"
           "[certificate x]\nnames = x.test\ncertificate = /x/c\nprivate_key = /x/k\n"
           "authority = /x/a\n"
           "[upstream u]\ntype = direct\nsecurity = negotiated\nauthority = /u/a\nrevoke = /u/r\n",
           "write /log/l\nbind /run/c\n"
           "bind /run/a\nbind /run/b\nread /tls/c\nread /tls/k\n"
           "read /u/a\nread /u/r\n"
           "read /x/c\nread /x/k\nread /x/a\n");
}

Test(paths, a_configuration_without_files_names_none)
{
    expect("[daemon]\nlog_target = journal\ncontrol = none\n[listener a]\nlisten = 127.0.0.1:1\n",
           "");
}

Test(paths, the_control_socket_is_where_it_is_by_default)
{
    expect("[listener a]\nlisten = 127.0.0.1:1\n", "bind " CONFIG_DEFAULT_CONTROL "\n");
}
