/* test_wolfssl.c - what patches/wolfssl changes does what it did before. True for a library without them, too. */
#include <wolfssl/options.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/random.h>

TestSuite(wolfssl, .timeout = 30);

enum { SIZE = CURVE25519_KEYSIZE };

static const byte base_point[SIZE] = {9};

/* RFC 7748, 6.1. */
Test(wolfssl, public_keys_are_those_of_the_rfc)
{
    static const byte private[][SIZE] = {
        {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
         0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
         0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a},
        {0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f,
         0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18,
         0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb},
    };
    static const byte public[][SIZE] = {
        {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
         0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
         0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a},
        {0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61,
         0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78,
         0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f},
    };

    for (int i = 0; i < 2; i++) {
        byte clamped[SIZE], made[SIZE];

        memcpy(clamped, private[i], SIZE);
        clamped[0] &= 248;
        clamped[SIZE - 1] = (byte)((clamped[SIZE - 1] & 127) | 64);
        cr_assert_eq(wc_curve25519_make_pub(SIZE, made, SIZE, clamped), 0);
        cr_assert_arr_eq(made, public[i], SIZE);
    }
}

/* The table of Ed25519 and the ladder of X25519, of the same scalar. */
Test(wolfssl, a_public_key_is_the_scalar_times_the_base_point)
{
    WC_RNG rng;

    cr_assert_eq(wc_InitRng(&rng), 0);
    for (int i = 0; i < 500; i++) {
        byte private[SIZE], made[SIZE], wanted[SIZE];

        cr_assert_eq(wc_curve25519_make_priv(&rng, SIZE, private), 0);
        if (i == 0) /* the least and the greatest that a clamped key can be */
            memset(private, 0, SIZE), private[SIZE - 1] = 64;
        if (i == 1)
            memset(private, 0xff, SIZE), private[0] = 248, private[SIZE - 1] = 127;
        cr_assert_eq(wc_curve25519_make_pub(SIZE, made, SIZE, private), 0);
        cr_assert_eq(wc_curve25519_generic(SIZE, wanted, SIZE, private, SIZE, base_point), 0);
        cr_assert_arr_eq(made, wanted, SIZE);
    }
    wc_FreeRng(&rng);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

/* getrandom(2) ends early, or has not begun, when a signal comes: the rest of the block is random, too. */
Test(wolfssl, random_blocks_are_whole_whatever_signals_come)
{
    enum { BLOCK = 64 << 10, PART = 16 };
    static const byte zeros[PART];
    static byte blocks[2][BLOCK];
    struct sigaction action = {.sa_handler = count_alarm}; /* no SA_RESTART */
    struct itimerval every = {{0, 100}, {0, 100}};         /* microseconds */
    WC_RNG rng;

    cr_assert_eq(wc_InitRng(&rng), 0);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
    for (int round = 0; alarms < 100; round++) {
        byte *made = blocks[round % 2];

        memset(made, 0, BLOCK);
        cr_assert_eq(wc_RNG_GenerateBlock(&rng, made, BLOCK), 0);
        for (int at = 0; at < BLOCK; at += PART) {
            cr_assert(memcmp(made + at, zeros, PART) != 0, "zeros at %d", at);
            cr_assert(memcmp(made + at, blocks[(round + 1) % 2] + at, PART) != 0,
                      "the same again at %d", at);
        }
    }
    wc_FreeRng(&rng);
}

/* A key that is not random must not come into being: not where a filter of system calls forbids the one that it needs. */
Test(wolfssl, what_the_kernel_does_not_give_is_an_error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM), /* nor /dev/urandom */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    byte private[SIZE];
    WC_RNG rng;
    int made;

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
    made = wc_InitRng(&rng);
    if (made == 0) {
        made = wc_curve25519_make_priv(&rng, SIZE, private);
        wc_FreeRng(&rng);
    }
    cr_assert_lt(made, 0);
}
