/* test_bind_ports.c - each port once, in an order that nobody can foresee. */
#include "daemon/bind_ports.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(bind_ports, .timeout = 30);

/* How often each port comes. */
static void walk_all(const struct port_range *ranges, unsigned count, uint64_t random,
                     unsigned ret_seen[65536])
{
    struct bind_walk walk;
    uint16_t port;

    memset(ret_seen, 0, 65536 * sizeof *ret_seen);
    bind_walk_init(&walk, ranges, count, random);
    while ((port = bind_walk_next(&walk)))
        ret_seen[port]++;
    cr_assert_eq(bind_walk_next(&walk), 0, "an end is an end");
}

Test(bind_ports, every_port_of_every_range_comes_as_often_as_it_is_listed)
{
    static const struct port_range ranges[] = {
        {40000, 40006}, {7, 7}, {65535, 65535}, {40005, 40010}, {1, 12}, {1024, 65535},
    };
    static unsigned seen[65536];
    uint64_t state = 1;

    for (unsigned count = 0; count <= sizeof ranges / sizeof ranges[0]; count++)
        for (int round = 0; round < 50; round++) {
            walk_all(ranges, count, random_next(&state), seen);
            for (unsigned port = 0; port < 65536; port++) {
                unsigned expected = 0;

                for (unsigned i = 0; i < count; i++)
                    expected += port >= ranges[i].first && port <= ranges[i].last;
                cr_assert_eq(seen[port], expected, "%u of %u ranges", port, count);
            }
        }
}

Test(bind_ports, the_first_and_the_second_are_anywhere)
{
    static const struct port_range range = {100, 131};
    bool first[32] = {false}, second[32] = {false};
    uint64_t state = 1;

    for (int i = 0; i < 2000; i++) {
        struct bind_walk walk;

        bind_walk_init(&walk, &range, 1, random_next(&state));
        first[bind_walk_next(&walk) - 100] = true;
        second[bind_walk_next(&walk) - 100] = true;
    }
    for (int i = 0; i < 32; i++)
        cr_assert(first[i] && second[i], "%d", i);
}
