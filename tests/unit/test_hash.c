/* test_hash.c - the hash is SipHash: the numbers that its authors published for 2-4, and those
 * that other implementations agree on for 1-3. */
#include "daemon/hash.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

TestSuite(hash, .timeout = 10);

enum { VECTORS = 64 };

/* Of the messages "", 00, 00 01, ... with the key 00 01 .. 0f. */
static const uint64_t siphash_2_4[VECTORS] = {
    0x726fdb47dd0e0e31U, 0x74f839c593dc67fdU, 0x0d6c8009d9a94f5aU, 0x85676696d7fb7e2dU,
    0xcf2794e0277187b7U, 0x18765564cd99a68dU, 0xcbc9466e58fee3ceU, 0xab0200f58b01d137U,
    0x93f5f5799a932462U, 0x9e0082df0ba9e4b0U, 0x7a5dbbc594ddb9f3U, 0xf4b32f46226bada7U,
    0x751e8fbc860ee5fbU, 0x14ea5627c0843d90U, 0xf723ca908e7af2eeU, 0xa129ca6149be45e5U,
    0x3f2acc7f57c29bdbU, 0x699ae9f52cbe4794U, 0x4bc1b3f0968dd39cU, 0xbb6dc91da77961bdU,
    0xbed65cf21aa2ee98U, 0xd0f2cbb02e3b67c7U, 0x93536795e3a33e88U, 0xa80c038ccd5ccec8U,
    0xb8ad50c6f649af94U, 0xbce192de8a85b8eaU, 0x17d835b85bbb15f3U, 0x2f2e6163076bcfadU,
    0xde4daaaca71dc9a5U, 0xa6a2506687956571U, 0xad87a3535c49ef28U, 0x32d892fad841c342U,
    0x7127512f72f27cceU, 0xa7f32346f95978e3U, 0x12e0b01abb051238U, 0x15e034d40fa197aeU,
    0x314dffbe0815a3b4U, 0x027990f029623981U, 0xcadcd4e59ef40c4dU, 0x9abfd8766a33735cU,
    0x0e3ea96b5304a7d0U, 0xad0c42d6fc585992U, 0x187306c89bc215a9U, 0xd4a60abcf3792b95U,
    0xf935451de4f21df2U, 0xa9538f0419755787U, 0xdb9acddff56ca510U, 0xd06c98cd5c0975ebU,
    0xe612a3cb9ecba951U, 0xc766e62cfcadaf96U, 0xee64435a9752fe72U, 0xa192d576b245165aU,
    0x0a8787bf8ecb74b2U, 0x81b3e73d20b49b6fU, 0x7fa8220ba3b2eceaU, 0x245731c13ca42499U,
    0xb78dbfaf3a8d83bdU, 0xea1ad565322a1a0bU, 0x60e61c23a3795013U, 0x6606d7e446282b93U,
    0x6ca4ecb15c5f91e1U, 0x9f626da15c9625f3U, 0xe51b38608ef25f57U, 0x958a324ceb064572U,
};

static const uint64_t siphash_1_3[VECTORS] = {
    0xabac0158050fc4dcU, 0xc9f49bf37d57ca93U, 0x82cb9b024dc7d44dU, 0x8bf80ab8e7ddf7fbU,
    0xcf75576088d38328U, 0xdef9d52f49533b67U, 0xc50d2b50c59f22a7U, 0xd3927d989bb11140U,
    0x369095118d299a8eU, 0x25a48eb36c063de4U, 0x79de85ee92ff097fU, 0x70c118c1f94dc352U,
    0x78a384b157b4d9a2U, 0x306f760c1229ffa7U, 0x605aa111c0f95d34U, 0xd320d86d2a519956U,
    0xcc4fdd1a7d908b66U, 0x9cf2689063dbd80cU, 0x8ffc389cb473e63eU, 0xf21f9de58d297d1cU,
    0xc0dc2f46a6cce040U, 0xb992abfe2b45f844U, 0x7ffe7b9ba320872eU, 0x525a0e7fdae6c123U,
    0xf464aeb267349c8cU, 0x45cd5928705b0979U, 0x3a3e35e3ca9913a5U, 0xa91dc74e4ade3b35U,
    0xfb0bed02ef6cd00dU, 0x88d93cb44ab1e1f4U, 0x540f11d643c5e663U, 0x2370dd1f8c21d1bcU,
    0x81157b6c16a7b60dU, 0x4d54b9e57a8ff9bfU, 0x759f12781f2a753eU, 0xcea1a3bebf186b91U,
    0x2cf508d3ada26206U, 0xb6101c2da3c33057U, 0xb3f47496ae3a36a1U, 0x626b57547b108392U,
    0xc1d2363299e41531U, 0x667cc1923f1ad944U, 0x65704ffec8138825U, 0x24f280d1c28949a6U,
    0xc2ca1cedfaf8876bU, 0xc2164bfc9f042196U, 0xa16e9c9368b1d623U, 0x49fb169c8b5114fdU,
    0x9f3143f8df074c46U, 0xc6fdaf2412cc86b3U, 0x7eaf49d10a52098fU, 0x1cf313559d292f9aU,
    0xc44a30dda2f41f12U, 0x36fae98943a71ed0U, 0x318fb34c73f0bce6U, 0xa27abf3670a7e980U,
    0xb4bcc0db243c6d75U, 0x23f8d852fdb71513U, 0x8f035f4da67d8a08U, 0xd89cd0e5b7e8f148U,
    0xf6f4e6bcf7a644eeU, 0xaec59ad80f1837f2U, 0xc3b2f6154b6694e0U, 0x9d199062b7bbb3a8U,
};

static void check_vectors(unsigned c, unsigned d, const uint64_t *vectors)
{
    uint8_t key[HASH_KEY_BYTES], message[VECTORS];

    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = i;
    for (uint8_t i = 0; i < sizeof message; i++)
        message[i] = i;
    for (size_t n = 0; n < VECTORS; n++)
        cr_assert_eq(hash_siphash(c, d, key, message, n), vectors[n], "%zu bytes", n);
    cr_assert_eq(hash_siphash(c, d, key, NULL, 0), vectors[0]);
}

Test(hash, published_numbers_of_siphash_2_4)
{
    check_vectors(2, 4, siphash_2_4);
}

Test(hash, published_numbers_of_siphash_1_3)
{
    check_vectors(1, 3, siphash_1_3);
}

Test(hash, bytes_need_no_alignment)
{
    uint8_t key[HASH_KEY_BYTES] = {0}, room[8 + 32];

    for (size_t shift = 0; shift < 8; shift++) {
        memset(room, 7, sizeof room);
        cr_assert_eq(hash_siphash(1, 3, key, room + shift, 32), hash_siphash(1, 3, key, room, 32));
    }
}

static void *hash_of_a_word(void *ret)
{
    *(uint64_t *)ret = hash_bytes("example.org", 11);
    return NULL;
}

/* The key is drawn once, whoever comes first. */
Test(hash, every_thread_has_the_same_key)
{
    enum { THREADS = 4 };
    uint64_t hashes[THREADS];
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, hash_of_a_word, &hashes[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(hashes[i], hash_bytes("example.org", 11));
}

Test(hash, the_key_is_not_all_zeros)
{
    static const uint8_t zeros[HASH_KEY_BYTES];

    cr_assert_neq(hash_bytes("example.org", 11), hash_siphash(1, 3, zeros, "example.org", 11));
    cr_assert_neq(hash_bytes("example.org", 11), hash_bytes("example.net", 11));
}
