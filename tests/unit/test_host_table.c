/* test_host_table.c - each key has its own number, never above its bound, whoever counts; and
 * what is one host. */
#include "daemon/host_table.h"

#include "tests/unit/random.h"

#include <criterion/criterion.h>

TestSuite(host_table, .timeout = 10);
TestSuite(host_key, .timeout = 10);

static struct host_key key_of(const char *text)
{
    struct ip_address ip;

    cr_assert(ip_parse(text, strlen(text), &ip), "%s", text);
    return host_key(&ip);
}

static bool same_host(const char *a, const char *b)
{
    struct host_key left = key_of(a), right = key_of(b);

    return memcmp(&left, &right, sizeof left) == 0;
}

Test(host_key, is_the_address_of_ipv4)
{
    cr_assert(same_host("192.0.2.1", "192.0.2.1"));
    cr_assert_not(same_host("192.0.2.1", "192.0.2.2"));
    cr_assert_not(same_host("192.0.2.1", "193.0.2.1"));
}

Test(host_key, is_the_first_64_bits_of_ipv6)
{
    cr_assert(same_host("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    cr_assert_not(same_host("2001:db8:1:2::1", "2001:db8:1:3::1"));
    cr_assert_not(same_host("::", "0.0.0.0"));
}

Test(host_key, of_a_mapped_address_is_that_of_ipv4)
{
    cr_assert(same_host("::ffff:192.0.2.1", "192.0.2.1"));
    cr_assert_not(same_host("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
}

Test(host_key, clients_without_an_address_are_one_host)
{
    struct ip_address a = {0}, b = {IP_NONE, {1, 2, 3}};
    struct host_key left = host_key(&a), right = host_key(&b), any = key_of("0.0.0.0");

    cr_assert_arr_eq(&left, &right, sizeof left);
    cr_assert_arr_neq(&left, &any, sizeof left);
}

Test(host_table, a_key_has_at_most_max)
{
    struct host_table table;

    host_table_init(&table);
    for (uint64_t max = 1; max < 4; max++) {
        for (uint64_t i = 0; i < max; i++)
            cr_assert(host_table_take(&table, "alice", 5, max));
        cr_assert_not(host_table_take(&table, "alice", 5, max));
        cr_assert(host_table_take(&table, "bob", 3, max), "has none yet");
        cr_assert_eq(host_table_count(&table, "alice", 5), max);
        host_table_give(&table, "alice", 5);
        cr_assert(host_table_take(&table, "alice", 5, max));
        for (uint64_t i = 0; i < max; i++)
            host_table_give(&table, "alice", 5);
        host_table_give(&table, "bob", 3);
        cr_assert_eq(host_table_keys(&table), 0);
    }
    host_table_done(&table);
}

Test(host_table, zero_is_no_bound)
{
    struct host_table table;

    host_table_init(&table);
    for (int i = 0; i < 1000; i++)
        cr_assert(host_table_take(&table, "alice", 5, 0));
    cr_assert_not(host_table_take(&table, "alice", 5, 1000));
    cr_assert(host_table_take(&table, "alice", 5, 1001), "the bound may change");
    host_table_done(&table);
}

Test(host_table, keys_are_bytes_and_as_long_as_they_are)
{
    struct host_table table;

    host_table_init(&table);
    cr_assert(host_table_take(&table, "a\0b", 3, 1));
    cr_assert(host_table_take(&table, "a\0c", 3, 1));
    cr_assert(host_table_take(&table, "a\0", 2, 1));
    cr_assert(host_table_take(&table, "a", 1, 1));
    cr_assert(host_table_take(&table, "", 0, 1));
    cr_assert_eq(host_table_keys(&table), 5);
    cr_assert_eq(host_table_count(&table, "b", 1), 0);
    host_table_done(&table);
}

/* As many as fill and double every part several times. */
Test(host_table, random_operations_agree_with_an_array)
{
    enum { KEYS = 3000, OPERATIONS = 200000, MAX = 5 };
    static uint64_t counts[KEYS];
    struct host_table table;
    uint64_t seed = 42;
    size_t keys = 0;

    host_table_init(&table);
    for (int i = 0; i < OPERATIONS; i++) {
        uint32_t key = (uint32_t)random_below(&seed, KEYS);

        if (random_below(&seed, 2)) {
            cr_assert_eq(host_table_take(&table, &key, sizeof key, MAX), counts[key] < MAX);
            counts[key] += counts[key] < MAX;
        } else if (counts[key]) {
            host_table_give(&table, &key, sizeof key);
            counts[key]--;
        }
        cr_assert_eq(host_table_count(&table, &key, sizeof key), counts[key]);
    }
    for (uint32_t key = 0; key < KEYS; key++)
        keys += counts[key] > 0;
    cr_assert_eq(host_table_keys(&table), keys);
    host_table_done(&table);
}

enum { THREADS = 4, ROUNDS = 30000, SHARED_KEYS = 7, SHARED_MAX = 2 };

struct crowd {
    struct host_table table;
    _Atomic int inside[SHARED_KEYS];
    _Atomic int too_many;
};

struct member {
    struct crowd *crowd;
    uint64_t seed;
};

static void *take_and_give(void *context)
{
    struct member *member = context;
    struct crowd *crowd = member->crowd;

    for (int i = 0; i < ROUNDS; i++) {
        uint32_t key = (uint32_t)random_below(&member->seed, SHARED_KEYS);

        if (!host_table_take(&crowd->table, &key, sizeof key, SHARED_MAX))
            continue;
        if (++crowd->inside[key] > SHARED_MAX)
            crowd->too_many++;
        crowd->inside[key]--;
        host_table_give(&crowd->table, &key, sizeof key);
    }
    return NULL;
}

Test(host_table, threads_never_have_more_than_max)
{
    static struct crowd crowd;
    struct member members[THREADS];
    pthread_t threads[THREADS];

    host_table_init(&crowd.table);
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){&crowd, (uint64_t)i + 1};
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, &members[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(crowd.too_many, 0);
    cr_assert_eq(host_table_keys(&crowd.table), 0);
    host_table_done(&crowd.table);
}
