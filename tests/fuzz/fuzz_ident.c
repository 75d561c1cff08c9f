/* fuzz_ident.c - a reply of the Identification Protocol, for the ports of the RFC's example. The
 * claims are those of ident.h: MORE consumes and sets nothing, IDENT_REPLY_MAX bytes are enough
 * to decide, a split changes nothing, BAD stays BAD, and a user who was named is named again by a
 * reply that is written for him, and by none for other ports. */
#include "tests/fuzz/fuzz.h"

#include "streams/ident.h"

#include <string.h>

enum { THEIRS = 6193, OURS = 23, FILL = 0xA5 };

struct outcome {
    enum parse parsed;
    size_t consumed;
    struct ident_user user;
    struct stream_error error;
};

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != FILL)
            return false;
    return true;
}

/* One call, with what ident.h says of each of its results. `bytes` is copied to a block of just
 * its size: a sanitizer then sees any read behind it. */
static struct outcome parse_once(const uint8_t *bytes, size_t n, uint16_t theirs, uint16_t ours)
{
    uint8_t *copy = malloc(n ? n : 1);
    struct outcome o;
    struct cursor in;

    CLAIM(copy);
    memset(&o, FILL, sizeof o);
    if (n)
        memcpy(copy, bytes, n);
    in = cursor_over(copy, n);
    o.parsed = ident_parse_reply(&in, theirs, ours, &o.user, &o.error);
    CLAIM(in.at >= copy && in.at <= copy + n && in.end == copy + n);
    o.consumed = (size_t)(in.at - copy);
    free(copy);
    switch (o.parsed) {
    case PARSE_DONE:
        CLAIM(o.consumed > 0 && o.consumed <= IDENT_REPLY_MAX && bytes[o.consumed - 1] == '\n');
        CLAIM(is_filled(&o.error, sizeof o.error));
        break;
    case PARSE_MORE:
        CLAIM(n < IDENT_REPLY_MAX && o.consumed == 0);
        CLAIM(is_filled(&o.user, sizeof o.user) && is_filled(&o.error, sizeof o.error));
        break;
    case PARSE_BAD:
        CLAIM(is_filled(&o.user, sizeof o.user));
        CLAIM(stream_error_is(&o.error, ERROR_AUTH_IDENT_NO_ANSWER));
        break;
    }
    return o;
}

static bool same_user(const struct ident_user *a, const struct ident_user *b)
{
    return a->length == b->length && memcmp(a->name, b->name, a->length) == 0;
}

static void check_user(const struct ident_user *user)
{
    CLAIM(user->length > 0 && user->name[user->length] == '\0');
    CLAIM(strlen(user->name) == user->length);
    CLAIM(!strpbrk(user->name, "\r\n") && user->name[0] != ' ' && user->name[0] != '\t');
}

static void check_written(const struct ident_user *user)
{
    char reply[IDENT_QUERY_MAX + 64 + IDENT_USER_MAX];
    size_t n = ident_write_query(THEIRS, OURS, reply) - 2;
    struct outcome o;

    n += (size_t)snprintf(reply + n, sizeof reply - n, " : USERID : OTHER : %s\r\n", user->name);
    o = parse_once((const uint8_t *)reply, n, THEIRS, OURS);
    CLAIM(o.parsed == PARSE_DONE && o.consumed == n && same_user(&o.user, user));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < IDENT_REPLY_MAX + 1 ? size : IDENT_REPLY_MAX + 1;
    struct outcome whole = parse_once(data, size, THEIRS, OURS);
    bool decided = false;

    for (size_t length = 0; length <= n; length++) {
        struct outcome part = parse_once(data, length, THEIRS, OURS);

        CLAIM(!decided || part.parsed == whole.parsed);
        decided = part.parsed != PARSE_MORE;
        CLAIM(!decided || part.parsed == whole.parsed);
        if (part.parsed == PARSE_DONE)
            CLAIM(part.consumed == whole.consumed && same_user(&part.user, &whole.user));
    }
    if (whole.parsed == PARSE_DONE) {
        check_user(&whole.user);
        check_written(&whole.user);
        CLAIM(parse_once(data, size, THEIRS, OURS + 1).parsed == PARSE_BAD);
        CLAIM(parse_once(data, size, THEIRS + 1, OURS).parsed == PARSE_BAD);
    }
    return 0;
}
