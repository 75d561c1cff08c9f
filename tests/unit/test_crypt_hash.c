/* test_crypt_hash.c - what crypt(3) returns has a known shape with its digest where it is said to
 * be, and what crypt(3) would take by mistake has none. */
#include "config/crypt_hash.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <stdio.h>
#include <string.h>

TestSuite(crypt_hash, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Cheap ones: a hash of each is made. */
static const struct {
    const char *setting, *parameters;
} settings[] = {
    {"$y$j75$YGmYaSNPysX//80o0wNSD.$", "$y$j75$"},
    {"$y$j75$$", "$y$j75$"},
    {"$gy$j75$aAEbADTTz9cOtX0NAlwEq1$", "$gy$j75$"},
    {"$7$6U..../....xWMgf5ckBUXnilNUIh2db/$", "$7$6U..../...."},
    {"$2a$04$abcdefghijklmnopqrstuu", "$2a$04$"},
    {"$2b$04$abcdefghijklmnopqrstuu", "$2b$04$"},
    {"$2x$04$abcdefghijklmnopqrstuu", "$2x$04$"},
    {"$2y$04$abcdefghijklmnopqrstuu", "$2y$04$"},
    {"$6$MOnwdIujWdoeg3On$", "$6$"},
    {"$6$a-b#~$", "$6$"},
    {"$6$$", "$6$"},
    {"$6$rounds=1000$MOnwdIujWdoeg3On$", "$6$rounds=1000$"},
    {"$5$ab$", "$5$"},
    {"$5$rounds=1234$ab$", "$5$rounds=1234$"},
    {"$sha1$10$x8JUrjPMgEzb6mMqoxnc$", "$sha1$10$"},
    {"$md5,rounds=10$QvImPdu6$", "$md5,rounds=10$"},
    {"$md5$QvImPdu6$", "$md5$"},
    {"$1$8YrKGuMb$", "$1$"},
    {"$3$", "$3$$"},
    {"_J...QKyq", "_J..."},
    {"ab", ""},
};

static const char *hash_of(const char *password, const char *setting, struct crypt_data *data)
{
    memset(data, 0, sizeof *data);
    return crypt_rn(password, setting, data, sizeof *data);
}

Test(crypt_hash, what_crypt_returns_is_parsed_and_its_setting_gives_it_again)
{
    static struct crypt_data data, again;

    for (size_t i = 0; i < COUNT(settings); i++) {
        const char *hash = hash_of("secret", settings[i].setting, &data);
        char setting[CRYPT_OUTPUT_SIZE];
        struct crypt_hash shape;

        if (!hash) { /* an algorithm that this library was built without */
            cr_log_warn("%s is not tested", settings[i].setting);
            continue;
        }
        cr_assert(crypt_hash_parse(hash, &shape), "%s", hash);
        cr_assert_eq(shape.length, strlen(hash));
        cr_assert_eq(shape.parameters, strlen(settings[i].parameters), "%s", hash);
        cr_assert_eq(strncmp(hash, settings[i].parameters, shape.parameters), 0, "%s", hash);
        snprintf(setting, sizeof setting, "%.*s", (int)shape.digest, hash);
        cr_assert_str_eq(hash_of("secret", setting, &again), hash);
        cr_assert_eq(strncmp(hash_of("other", setting, &again), hash, shape.digest), 0);
        cr_assert_str_neq(again.output, hash);
    }
}

Test(crypt_hash, one_character_less_or_more_is_none)
{
    static struct crypt_data data;

    for (size_t i = 0; i < COUNT(settings); i++) {
        const char *hash = hash_of("secret", settings[i].setting, &data);
        char text[CRYPT_OUTPUT_SIZE + 1];
        struct crypt_hash shape;

        if (!hash)
            continue;
        snprintf(text, sizeof text, "%s.", hash);
        cr_assert_not(crypt_hash_parse(text, &shape), "%s", text);
        text[strlen(hash) - 1] = '\0';
        cr_assert_not(crypt_hash_parse(text, &shape), "%s", text);
    }
}

#define D22 "1234567890123456789012"
#define D31 "1234567890123456789012345678901"
#define D43 "1234567890123456789012345678901234567890123"
#define D86 D43 D43

static const char *const bad[] = {
    "",
    "x",
    "secret",
    "plaintext",
    "a long password in plain text",
    "correcthorsebatterystaple", /* crypt(3) takes it for bigcrypt's */
    "abcdefghijkl:",             /* 13 */
    "abcdefghijkl\n",
    "abcdefghijk ",
    "\xC3\xBC"
    "bcdefghijk",
    "*",
    "!",
    "*0",
    "!abzlUXK5ed5rs",
    "$",
    "$6",
    "$6$",
    "$6$salt",
    "$6$salt$",
    "$6$salt$" D43,
    "$6$12345678901234567$" D86, /* crypt(3) would cut the salt */
    "$6$a b$" D86,
    "$6$a:b$" D86,
    "$6$a*b$" D86,
    "$6$\xC3\xBC$" D86,
    "$6$salt$$" D86,
    "$6$rounds=abc$salt$" D86,
    "$6$rounds=$salt$" D86,
    "$6$rounds=999$salt$" D86,
    "$6$rounds=0999$salt$" D86,
    "$6$rounds=01000$salt$" D86,
    "$6$rounds=1000000000$salt$" D86,
    "$6$rounds=1000$" D86,
    "$5$salt$" D86,
    "$1$123456789$" D22,
    "$2b$03$" D22 D31,
    "$2b$32$" D22 D31,
    "$2b$4$" D22 D31,
    "$2b$005$" D22 D31,
    "$2$05$" D22 D31,
    "$2c$05$" D22 D31,
    "$y$$salt$" D43,
    "$y$j9$salt$" D43,
    "$y$j9T$salt" D43,
    "$y$j9T$salt$" D43 "=",
    "$y$j9T$" D86 "1$" D43,
    "$y$j9T$sa_lt$" D43,
    "$7$CU..../...$" D43,
    "$sha1$0$salt$1234567890123456789012345678",
    "$sha1$4294967296$salt$1234567890123456789012345678",
    "$sha1$99999999999999999999$salt$1234567890123456789012345678",
    "$sha1$1000$$1234567890123456789012345678",
    "$3$$0123456789abcdef0123456789abcdeF",
    "$9$salt$" D43,
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g", /* not crypt(3)'s */
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",                      /* htpasswd's */
};

Test(crypt_hash, what_is_no_hash_is_refused_and_nothing_is_written)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct crypt_hash shape = {7, 8, 9};

        cr_assert_not(crypt_hash_parse(bad[i], &shape), "%s", bad[i]);
        cr_assert(shape.parameters == 7 && shape.digest == 8 && shape.length == 9);
    }
}

Test(crypt_hash, costs_at_their_bounds_are_taken)
{
    static const char *const good[] = {
        "$6$rounds=1000$salt$" D86, "$6$rounds=999999999$salt$" D86,
        "$6$1234567890123456$" D86, "$2b$31$" D22 D31,
        ("$y$jFT./$" D86 "$" D43),  "$sha1$4294967295$s$1234567890123456789012345678",
        "$1$12345678$" D22,
    };
    struct crypt_hash shape;

    for (size_t i = 0; i < COUNT(good); i++)
        cr_assert(crypt_hash_parse(good[i], &shape), "%s", good[i]);
}
