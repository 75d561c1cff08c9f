/* test_notify.c - the address of the notify socket. What is sent there the end-to-end tests see. */
#include "daemon/notify.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(notify, .timeout = 10);

static socklen_t length_of(const char *text)
{
    struct sockaddr_un sa;
    socklen_t length = 0;

    return notify_address(text, &sa, &length) ? length : 0;
}

Test(notify, path_ends_with_its_nul_and_an_abstract_name_with_its_length)
{
    struct sockaddr_un sa;
    socklen_t length;

    cr_assert(notify_address("/run/n", &sa, &length));
    cr_assert_eq(length, offsetof(struct sockaddr_un, sun_path) + 7);
    cr_assert_str_eq(sa.sun_path, "/run/n");
    cr_assert(notify_address("@name", &sa, &length));
    cr_assert_eq(length, offsetof(struct sockaddr_un, sun_path) + 5);
    cr_assert_eq(memcmp(sa.sun_path, "\0name", 5), 0);
}

Test(notify, what_is_no_address_is_refused)
{
    char text[sizeof((struct sockaddr_un *)NULL)->sun_path + 1];

    cr_assert_eq(length_of(""), 0);
    cr_assert_eq(length_of("/"), 0);
    cr_assert_eq(length_of("@"), 0);
    cr_assert_eq(length_of("run/n"), 0);
    cr_assert_eq(length_of("vsock:2:1"), 0);
    memset(text, 'x', sizeof text);
    text[0] = '/';
    text[sizeof text - 1] = '\0'; /* 108 bytes and the NUL */
    cr_assert_eq(length_of(text), 0);
    text[sizeof text - 2] = '\0';
    cr_assert_neq(length_of(text), 0);
}
