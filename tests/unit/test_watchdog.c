/* test_watchdog.c - what systemd's variables ask for. */
#include "daemon/watchdog.h"

#include <criterion/criterion.h>

TestSuite(watchdog, .timeout = 10);

static const struct {
    const char *usec, *pid;
    uint64_t result;
} rows[] = {
    {NULL, NULL, 0},
    {NULL, "42", 0},
    {"30000000", NULL, 30000000},
    {"1", "42", 1},
    {"1", "43", 0},
    {"0", NULL, 0},
    {"-1", NULL, 0},
    {"1s", NULL, 0},
    {"1", "x", 0},
    {"", NULL, 0},
    {"18446744073709551615", NULL, 0},
};

Test(watchdog, time_is_taken_when_it_is_for_us_and_makes_sense)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(watchdog_usec(rows[i].usec, rows[i].pid, 42), rows[i].result, "row %zu", i);
}
