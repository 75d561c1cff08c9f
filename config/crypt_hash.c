/* crypt_hash.c - crypt(5) as a table. */
#include "config/crypt_hash.h"

#include <crypt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define B64 "./" DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
/* Some salts hold anything but `$` and what libxcrypt lets no hash hold: blanks and `:;*!\`. */
#define ANY B64 "\"#%&'()+,-<=>?@[]^_`{|}~"

/* As many characters of an alphabet as there are, up to `max`, and what stands behind them. */
struct piece {
    const char *alphabet;
    size_t min, max;
    const char *end;
};

struct kind {
    const char *prefix;
    uint64_t least, most; /* of a cost in decimal digits */
    struct piece cost, salt, digest;
};

/* The first one whose prefix fits decides. bigcrypt is left out: any long word would be one. */
static const struct kind kinds[] = {
    {"$y$", 0, 0, {B64, 3, 32, "$"}, {B64, 0, 86, "$"}, {B64, 43, 43, ""}},
    {"$gy$", 0, 0, {B64, 3, 32, "$"}, {B64, 0, 86, "$"}, {B64, 43, 43, ""}},
    {"$7$", 0, 0, {B64, 11, 11, ""}, {B64, 0, 86, "$"}, {B64, 43, 43, ""}},
    {"$2a$", 4, 31, {DIGITS, 2, 2, "$"}, {B64, 22, 22, ""}, {B64, 31, 31, ""}},
    {"$2b$", 4, 31, {DIGITS, 2, 2, "$"}, {B64, 22, 22, ""}, {B64, 31, 31, ""}},
    {"$2x$", 4, 31, {DIGITS, 2, 2, "$"}, {B64, 22, 22, ""}, {B64, 31, 31, ""}},
    {"$2y$", 4, 31, {DIGITS, 2, 2, "$"}, {B64, 22, 22, ""}, {B64, 31, 31, ""}},
    {"$6$rounds=", 1000, 999999999, {DIGITS, 4, 9, "$"}, {ANY, 0, 16, "$"}, {B64, 86, 86, ""}},
    {"$6$", 0, 0, {"", 0, 0, ""}, {ANY, 0, 16, "$"}, {B64, 86, 86, ""}},
    {"$5$rounds=", 1000, 999999999, {DIGITS, 4, 9, "$"}, {ANY, 0, 16, "$"}, {B64, 43, 43, ""}},
    {"$5$", 0, 0, {"", 0, 0, ""}, {ANY, 0, 16, "$"}, {B64, 43, 43, ""}},
    {"$sha1$", 4, 4294967295, {DIGITS, 1, 10, "$"}, {B64, 1, 64, "$"}, {B64, 28, 28, ""}},
    {"$md5,rounds=", 1, 4294963199, {DIGITS, 1, 10, "$"}, {B64, 8, 8, "$$"}, {B64, 22, 22, ""}},
    {"$md5$", 0, 0, {"", 0, 0, ""}, {B64, 8, 8, "$$"}, {B64, 22, 22, ""}},
    {"$1$", 0, 0, {"", 0, 0, ""}, {ANY, 0, 8, "$"}, {B64, 22, 22, ""}},
    {"$3$$", 0, 0, {"", 0, 0, ""}, {"", 0, 0, ""}, {HEX, 32, 32, ""}}, /* NT */
    {"_", 0, 0, {B64, 4, 4, ""}, {B64, 4, 4, ""}, {B64, 11, 11, ""}},  /* BSDI's DES */
    {"", 0, 0, {"", 0, 0, ""}, {B64, 2, 2, ""}, {B64, 11, 11, ""}},    /* DES */
};

static bool take(const struct piece *piece, const char **at)
{
    size_t n = strspn(*at, piece->alphabet);

    if (n > piece->max)
        n = piece->max;
    if (n < piece->min || strncmp(*at + n, piece->end, strlen(piece->end)) != 0)
        return false;
    *at += n + strlen(piece->end);
    return true;
}

/* Digits of a variable number begin with none that means nothing. */
static bool take_cost(const struct kind *kind, const char **at)
{
    const char *from = *at;
    uint64_t cost;

    if (!take(&kind->cost, at))
        return false;
    if (kind->most == 0)
        return true;
    if (*from == '0' && kind->cost.min != kind->cost.max)
        return false;
    cost = strtoull(from, NULL, 10);
    return cost >= kind->least && cost <= kind->most;
}

static const struct kind *find_kind(const char *text)
{
    const struct kind *kind = kinds;

    while (strncmp(text, kind->prefix, strlen(kind->prefix)) != 0) /* the last one fits always */
        kind++;
    return kind;
}

/* Does this library have the kind? Not every one says. */
static bool is_supported(const char *text)
{
#ifdef CRYPT_CHECKSALT_AVAILABLE
    int salt = crypt_checksalt(text);

    return salt != CRYPT_SALT_INVALID && salt != CRYPT_SALT_METHOD_DISABLED;
#else
    return true;
#endif
}

bool crypt_hash_parse(const char *text, struct crypt_hash *ret_hash)
{
    const struct kind *kind = find_kind(text);
    const char *at = text + strlen(kind->prefix);
    struct crypt_hash hash;

    if (!take_cost(kind, &at))
        return false;
    hash.parameters = (size_t)(at - text);
    if (!take(&kind->salt, &at))
        return false;
    hash.digest = (size_t)(at - text);
    if (!take(&kind->digest, &at) || *at || !is_supported(text))
        return false;
    hash.length = (size_t)(at - text);
    *ret_hash = hash;
    return true;
}
