/* test_udp_table.c - what an association remembers, and whom it forgets. */
#include "daemon/udp_table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(udp_table, .timeout = 10);

static unsigned gone;
static uint16_t last_gone;

static void on_evicted(void *context, struct udp_entry *entry)
{
    (void)context;
    gone++;
    last_gone = entry->key.port;
}

static struct udp_key key(enum udp_kind kind, uint8_t last, uint16_t port)
{
    return (struct udp_key){.kind = (uint8_t)kind, .ip = {IP_V4, {192, 0, 2, last}}, .port = port};
}

static struct udp_key name_key(const char *name, uint16_t port)
{
    return (struct udp_key){
        .kind = UDP_TARGET, .name = name, .name_length = (uint8_t)strlen(name), .port = port};
}

Test(udp_table, entries_are_found_by_all_of_their_key)
{
    char name[] = "a.test";
    struct udp_key keys[] = {key(UDP_TARGET, 1, 53), key(UDP_PEER, 1, 53),  key(UDP_TARGET, 2, 53),
                             key(UDP_TARGET, 1, 54), name_key(name, 53),    name_key(name, 54),
                             name_key("a.tes", 53),  name_key("b.test", 53)};
    struct udp_entry *entries[8];
    struct udp_table t;

    udp_table_init(&t, 100, on_evicted, NULL);
    for (size_t i = 0; i < 8; i++) {
        cr_assert_null(udp_table_find(&t, &keys[i]), "%zu", i);
        entries[i] = udp_table_add(&t, &keys[i]);
        cr_assert(entries[i]);
    }
    for (size_t i = 0; i < 8; i++)
        cr_assert_eq(udp_table_find(&t, &keys[i]), entries[i], "%zu", i);
    name[0] = 'x'; /* the entry's name is its own */
    cr_assert_null(udp_table_find(&t, &keys[4]));
    cr_assert_eq(
        udp_table_find(
            &t,
            &(struct udp_key){.kind = UDP_TARGET, .name = "a.test", .name_length = 6, .port = 53}),
        entries[4]);
    gone = 0;
    udp_table_done(&t);
    cr_assert_eq(gone, 8);
}

Test(udp_table, the_one_that_was_quiet_longest_makes_room)
{
    struct udp_table t;

    udp_table_init(&t, 3, on_evicted, NULL);
    gone = 0;
    for (uint16_t port = 1; port <= 3; port++)
        cr_assert(udp_table_add(&t, &(struct udp_key){.kind = UDP_TARGET, .port = port}));
    cr_assert(udp_table_find(&t, &(struct udp_key){.kind = UDP_TARGET, .port = 1}));
    cr_assert(udp_table_add(&t, &(struct udp_key){.kind = UDP_TARGET, .port = 4}));
    cr_assert(gone == 1 && last_gone == 2);
    cr_assert(udp_table_add(&t, &(struct udp_key){.kind = UDP_TARGET, .port = 5}));
    cr_assert(gone == 2 && last_gone == 3);
    cr_assert_null(udp_table_find(&t, &(struct udp_key){.kind = UDP_TARGET, .port = 3}));
    cr_assert(udp_table_find(&t, &(struct udp_key){.kind = UDP_TARGET, .port = 1}));
    cr_assert_eq(t.count, 3);
    udp_table_done(&t);
}

Test(udp_table, many_come_and_go_and_it_never_holds_more_than_its_bound)
{
    struct udp_table t;

    udp_table_init(&t, 500, on_evicted, NULL);
    gone = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct udp_key k = key(UDP_TARGET, (uint8_t)(i % 7), (uint16_t)(i * 31 % 1500));

        if (!udp_table_find(&t, &k))
            cr_assert(udp_table_add(&t, &k));
        cr_assert(t.count <= 500);
        cr_assert_eq(udp_table_find(&t, &k), t.newest);
    }
    cr_assert_eq(t.count, 500);
    udp_table_done(&t);
    cr_assert_null(t.oldest);
}
