/* test_socks_fragments.c - the reassembly queue of RFC 1928, 7. */
#include "streams/socks_fragments.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(socks_fragments, .timeout = 20);

static uint8_t block[SOCKS_FRAGMENTS_BLOCK];

/* Takes a fragment with FRAG, for port 53 of 1.2.3.`to`. */
static enum socks_fragments_result take(struct socks_fragments *f, uint8_t frag, uint8_t to,
                                        const void *data, size_t n, uint64_t now,
                                        unsigned *ret_lost)
{
    uint8_t *bytes = malloc(10 + n);
    struct socks_udp_header header;
    enum socks_fragments_result result;

    memcpy(bytes, (const uint8_t[]){0, 0, frag, 1, 1, 2, 3, to, 0, 53}, 10);
    if (n)
        memcpy(bytes + 10, data, n);
    cr_assert(socks_udp_parse(bytes, 10 + n, &header));
    result = socks_fragments_take(f, bytes, 10 + n, &header, block, now, ret_lost);
    free(bytes);
    return result;
}

/* Sequences as hexadecimal FRAG numbers; each fragment carries the letter of its place in the list, `a`
 * first. What came out whole, and how many fragments were of no use: what was dropped, and what was
 * taken and lost. */
static const struct {
    const char *what, *frags, *whole;
    unsigned lost;
} sequences[] = {
    {"one that is all", "81", "a", 0},
    {"two", "01 82", "ab", 0},
    {"three", "01 02 83", "abc", 0},
    {"two sequences", "01 82 01 82", "ab cd", 0},
    {"an end without a beginning", "82", "", 1},
    {"a middle without a beginning", "02 83", "", 2},
    {"position 0 with the end's bit", "80", "", 1},
    {"a lower one begins anew", "01 02 01 82", "cd", 2},
    {"a lower one that is no beginning abandons all", "01 02 03 02 84", "", 5},
    {"the first again is a second one", "01 01 82", "ac", 1},
    {"a second one is dropped alone", "01 02 02 83", "abd", 1},
    {"a gap cannot be filled", "01 03 02 84", "", 4},
    {"after a gap the next sequence is whole", "01 03 84 01 82", "de", 3},
    {"the end comes too early", "01 84 02 83", "", 4},
    {"position 0 abandons", "01 80 82", "", 3},
    {"one that begins and ends abandons", "01 02 81", "c", 2},
    {"the end again", "01 82 82", "ab", 1},
};

Test(socks_fragments, sequences_become_whole_or_nothing)
{
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        struct socks_fragments f = {0};
        char whole[64] = "", letter = 'a';
        unsigned dropped = 0;

        for (const char *at = sequences[i].frags; *at; at += 2 + (at[2] == ' '), letter++) {
            uint8_t frag = (uint8_t)strtoul((const char[]){at[0], at[1], '\0'}, NULL, 16);
            unsigned lost;

            switch (take(&f, frag, 4, &letter, 1, 100, &lost)) {
            case SOCKS_FRAGMENTS_MORE:
                break;
            case SOCKS_FRAGMENTS_WHOLE:
                cr_assert_eq(memcmp(f.block, "\0\0\0\1\1\2\3\4\0\x35", 10), 0);
                sprintf(whole + strlen(whole), "%s%.*s", *whole ? " " : "", (int)f.length - 10,
                        f.block + 10);
                socks_fragments_reset(&f);
                break;
            case SOCKS_FRAGMENTS_DROPPED:
                dropped++;
                break;
            }
            dropped += lost;
        }
        dropped += socks_fragments_reset(&f);
        cr_assert_str_eq(whole, sequences[i].whole, "%s", sequences[i].what);
        cr_assert_eq(dropped, sequences[i].lost, "%s: %u", sequences[i].what, dropped);
    }
}

/* All sequences of four fragments out of these; the plain reading beside the module. */
Test(socks_fragments, every_short_sequence_is_as_the_rfc_says)
{
    static const uint8_t frags[] = {0x01, 0x02, 0x03, 0x80, 0x81, 0x82, 0x83, 0x7F, 0xFF};
    const unsigned kinds = sizeof frags;

    for (unsigned code = 0; code < kinds * kinds * kinds * kinds; code++) {
        struct socks_fragments f = {0};
        unsigned highest = 0, rest = code; /* highest: 0 = no sequence */

        for (unsigned i = 0; i < 4; i++, rest /= kinds) {
            uint8_t frag = frags[rest % kinds];
            unsigned position = frag & 0x7F, lost;
            bool is_last = frag & 0x80;
            enum socks_fragments_result wanted = SOCKS_FRAGMENTS_DROPPED;

            if (highest && position == highest) {
                /* a second one */
            } else if (position == 1 || (highest && position == highest + 1)) {
                wanted = is_last ? SOCKS_FRAGMENTS_WHOLE : SOCKS_FRAGMENTS_MORE;
                highest = is_last ? 0 : position;
            } else {
                highest = 0;
            }
            cr_assert_eq(take(&f, frag, 4, "x", 1, 1, &lost), wanted, "%u at %u", code, i);
            if (wanted == SOCKS_FRAGMENTS_WHOLE)
                socks_fragments_reset(&f);
            cr_assert_eq(f.block != NULL, highest != 0, "%u at %u", code, i);
        }
    }
}

Test(socks_fragments, fragments_for_another_destination_abandon_the_sequence)
{
    struct socks_fragments f = {0};
    unsigned lost;

    cr_assert_eq(take(&f, 1, 4, "a", 1, 0, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 0x82, 5, "b", 1, 0, &lost), SOCKS_FRAGMENTS_DROPPED);
    cr_assert_eq(lost, 1);
    cr_assert_null(f.block);
    cr_assert_eq(take(&f, 0x82, 4, "b", 1, 0, &lost), SOCKS_FRAGMENTS_DROPPED);
}

Test(socks_fragments, timer_runs_from_the_first_fragment_on)
{
    struct socks_fragments f = {0};
    unsigned lost;

    cr_assert_not(socks_fragments_expired(&f, UINT64_MAX));
    cr_assert_eq(take(&f, 1, 4, "a", 1, 1000, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 2, 4, "b", 1, 5000, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_not(socks_fragments_expired(&f, 5999));
    cr_assert(socks_fragments_expired(&f, 6000));
    cr_assert_eq(take(&f, 0x83, 4, "c", 1, 6000, &lost), SOCKS_FRAGMENTS_DROPPED);
    cr_assert_eq(lost, 2);

    cr_assert_eq(take(&f, 1, 4, "a", 1, 7000, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 0x82, 4, "b", 1, 11999, &lost), SOCKS_FRAGMENTS_WHOLE);
    cr_assert_eq(memcmp(f.block + 10, "ab", 2), 0);
}

Test(socks_fragments, memory_is_bounded_and_what_is_longer_is_dropped)
{
    static uint8_t data[SOCKS_FRAGMENTS_DATA_MAX];
    struct socks_fragments f = {0};
    unsigned lost;

    memset(data, 'x', sizeof data);
    cr_assert_eq(take(&f, 1, 4, data, sizeof data - 1, 0, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 2, 4, data, 1, 0, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 0x83, 4, data, 0, 0, &lost), SOCKS_FRAGMENTS_WHOLE);
    cr_assert_eq(f.length, 10 + sizeof data);
    socks_fragments_reset(&f);

    cr_assert_eq(take(&f, 1, 4, data, sizeof data, 0, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 0x82, 4, data, 1, 0, &lost), SOCKS_FRAGMENTS_DROPPED);
    cr_assert_eq(lost, 1);
    cr_assert_null(f.block);
}

Test(socks_fragments, all_positions_make_one_sequence)
{
    struct socks_fragments f = {0};
    unsigned lost;

    for (unsigned i = 1; i < 127; i++)
        cr_assert_eq(take(&f, (uint8_t)i, 4, "x", 1, 0, &lost), SOCKS_FRAGMENTS_MORE);
    cr_assert_eq(take(&f, 0xFF, 4, "x", 1, 0, &lost), SOCKS_FRAGMENTS_WHOLE);
    cr_assert_eq(f.length, 10 + 127);
}

Test(socks_fragments, without_memory_nothing_is_taken)
{
    struct socks_fragments f = {0};
    struct socks_udp_header header;
    const uint8_t first[] = {0, 0, 1, 1, 1, 2, 3, 4, 0, 53};
    unsigned lost;

    cr_assert(socks_udp_parse(first, sizeof first, &header));
    cr_assert(socks_fragments_begins(&header));
    cr_assert_eq(socks_fragments_take(&f, first, sizeof first, &header, NULL, 0, &lost),
                 SOCKS_FRAGMENTS_DROPPED);
    cr_assert_null(f.block);
}
