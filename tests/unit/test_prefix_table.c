/* test_prefix_table.c - the table of prefixes gives the answers that asking each prefix gives: which of
 * them hold an address, from the narrowest to the widest. */
#include "config/prefix_table.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(prefix_table, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct ip_prefix prefix(const char *text)
{
    struct ip_prefix parsed;

    cr_assert(ip_prefix_parse(text, strlen(text), &parsed), "%s", text);
    return parsed;
}

static struct prefix_table *table_of(const char *const *texts, size_t count, uint32_t *ret_numbers)
{
    struct ip_prefix prefixes[32];
    struct prefix_table *table;

    cr_assert_leq(count, COUNT(prefixes));
    for (size_t i = 0; i < count; i++)
        prefixes[i] = prefix(texts[i]);
    table = prefix_table_new(prefixes, count, ret_numbers);
    cr_assert(table);
    return table;
}

static bool holds(const struct prefix_table *table, const char *text)
{
    struct ip_address ip;

    cr_assert(ip_parse(text, strlen(text), &ip), "%s", text);
    return prefix_table_holds(table, &ip);
}

Test(prefix_table, empty_one_holds_nothing)
{
    struct prefix_table *table = prefix_table_new(NULL, 0, NULL);

    cr_assert(table);
    cr_assert_eq(prefix_table_count(table), 0);
    cr_assert_not(holds(table, "0.0.0.0"));
    cr_assert_not(holds(table, "::"));
    prefix_table_free(table);
    prefix_table_free(NULL);
}

Test(prefix_table, whole_family_holds_all_of_it_and_nothing_of_the_other)
{
    static const struct ip_address none = {.family = IP_NONE};
    static const char *const v4[] = {"0.0.0.0/0"}, *const v6[] = {"::/0"};
    struct prefix_table *table = table_of(v4, 1, NULL);

    cr_assert(holds(table, "0.0.0.0") && holds(table, "255.255.255.255"));
    cr_assert(holds(table, "::ffff:0.0.0.0") && holds(table, "::ffff:255.255.255.255"));
    cr_assert_not(holds(table, "::"));
    cr_assert_not(prefix_table_holds(table, &none));
    prefix_table_free(table);
    table = table_of(v6, 1, NULL);
    cr_assert(holds(table, "::") && holds(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    cr_assert_not(holds(table, "0.0.0.0"));
    cr_assert_not(holds(table, "::ffff:0.0.0.0"));
    cr_assert_not(prefix_table_holds(table, &none));
    prefix_table_free(table);
}

Test(prefix_table, equal_prefixes_have_one_number)
{
    static const char *const texts[] = {"10.0.0.0/8", "10.0.0.0/9", "::/0",
                                        "10.1.2.3/8", "0.0.0.0/0",  "::ffff:10.0.0.0/104",
                                        "10.0.0.0/9", "::/128",     "::"};
    uint32_t numbers[COUNT(texts)];
    struct prefix_table *table = table_of(texts, COUNT(texts), numbers);

    cr_assert_eq(prefix_table_count(table), 5);
    for (size_t i = 0; i < COUNT(texts); i++) {
        cr_assert_lt(numbers[i], 5);
        for (size_t j = 0; j < COUNT(texts); j++) {
            struct ip_prefix a = prefix(texts[i]), b = prefix(texts[j]);

            cr_assert_eq(numbers[i] == numbers[j], ip_equal(&a.ip, &b.ip) && a.bits == b.bits,
                         "%s and %s", texts[i], texts[j]);
        }
    }
    prefix_table_free(table);
}

/* An IPv6 prefix whose first bits are those of an IPv4 one is not around it. */
Test(prefix_table, families_do_not_nest)
{
    static const char *const texts[] = {"::/0", "0.0.0.0/0", "a00::/8", "10.0.0.0/8"};
    uint32_t numbers[COUNT(texts)];
    struct prefix_table *table = table_of(texts, COUNT(texts), numbers);

    cr_assert_eq(prefix_table_wider(table, numbers[3]), numbers[1]);
    cr_assert_eq(prefix_table_wider(table, numbers[2]), numbers[0]);
    cr_assert_eq(prefix_table_wider(table, numbers[1]), PREFIX_NONE);
    cr_assert_eq(prefix_table_wider(table, numbers[0]), PREFIX_NONE);
    prefix_table_free(table);
}

/* One of every length around one address: as many as can be. */
Test(prefix_table, prefixes_of_every_length_are_found_from_the_narrowest)
{
    struct ip_prefix prefixes[PREFIX_DEPTH_MAX];
    uint32_t numbers[PREFIX_DEPTH_MAX], number;
    struct ip_address ip = {.family = IP_V6};
    struct prefix_table *table;

    for (unsigned bits = 0; bits < PREFIX_DEPTH_MAX; bits++)
        prefixes[bits] = (struct ip_prefix){ip, (uint8_t)bits};
    table = prefix_table_new(prefixes, PREFIX_DEPTH_MAX, numbers);
    cr_assert(table);
    for (unsigned shared = 0; shared < PREFIX_DEPTH_MAX; shared++) { /* bits that are the same */
        struct ip_address other = ip;

        if (shared < 128)
            other.bytes[shared / 8] = (uint8_t)(0x80 >> shared % 8);
        number = prefix_table_find(table, &other);
        for (unsigned bits = shared + 1; bits-- > 0; number = prefix_table_wider(table, number))
            cr_assert_eq(number, numbers[bits], "%u bits of %u", bits, shared);
        cr_assert_eq(number, PREFIX_NONE);
    }
    prefix_table_free(table);
}

/* Few bits, so that prefixes often lie within each other, touch and repeat. */
static struct ip_prefix random_prefix(uint64_t *seed)
{
    bool v4 = random_below(seed, 2);
    char text[IP_PREFIX_TEXT_MAX];
    struct ip_prefix p = {.ip = {.family = v4 ? IP_V4 : IP_V6}};

    p.bits = (uint8_t)random_below(seed, v4 ? 33 : 129);
    p.ip.bytes[random_below(seed, v4 ? 4 : 16)] = (uint8_t)(random_below(seed, 4) * 0x41);
    p.ip.bytes[random_below(seed, 2)] |= (uint8_t)(1 << random_below(seed, 8));
    ip_prefix_format(&p, text);
    return prefix(text); /* the bits behind it cleared */
}

Test(prefix_table, says_what_asking_every_prefix_says)
{
    uint64_t seed = 4711;

    for (int round = 0; round < 300; round++) {
        struct ip_prefix prefixes[60];
        uint32_t numbers[COUNT(prefixes)];
        size_t count = 1 + random_below(&seed, COUNT(prefixes));
        struct prefix_table *table;

        for (size_t i = 0; i < count; i++)
            prefixes[i] = random_prefix(&seed);
        table = prefix_table_new(prefixes, count, numbers);
        cr_assert(table);
        for (int question = 0; question < 200; question++) {
            struct ip_address ip = random_prefix(&seed).ip;
            bool is_found[COUNT(prefixes)] = {false};
            int narrower = 129;

            for (uint32_t n = prefix_table_find(table, &ip); n != PREFIX_NONE;
                 n = prefix_table_wider(table, n)) {
                for (size_t i = 0; i < count; i++) {
                    if (numbers[i] != n)
                        continue;
                    is_found[i] = true;
                    cr_assert_leq(prefixes[i].bits, narrower, "round %d", round);
                    narrower = prefixes[i].bits;
                }
            }
            for (size_t i = 0; i < count; i++)
                cr_assert_eq(is_found[i], ip_prefix_contains(&prefixes[i], &ip), "round %d", round);
        }
        prefix_table_free(table);
    }
}
