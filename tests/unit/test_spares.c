/* test_spares.c - what is given back comes again, zeroed; what is too much is not kept. */
#include "daemon/spares.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

TestSuite(spares, .timeout = 5);

Test(spares, what_was_given_back_comes_again_and_is_zero)
{
    struct spares spares = {.size = 100};
    uint8_t *a = spares_take(&spares), *b;

    memset(a, 0xff, 100);
    spares_give(&spares, a);
    b = spares_take(&spares);
    cr_assert_eq(a, b);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(b[i], 0);
    spares_give(&spares, b);
    spares_give(&spares, NULL);
    spares_done(&spares);
    cr_assert_null(spares.first);
}

Test(spares, no_more_than_a_bounded_number_is_kept)
{
    enum { MANY = 1000 };
    struct spares spares = {.size = 64};
    void *all[MANY];

    for (int i = 0; i < MANY; i++)
        all[i] = spares_take(&spares);
    for (int i = 0; i < MANY; i++)
        spares_give(&spares, all[i]);
    cr_assert_leq(spares.count, 64);
    spares_done(&spares);
}
