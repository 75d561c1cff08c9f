/* cursor.h - reads bytes in order, and remembers when they did not suffice. Pure. A parser works
 * on a copy of its caller's cursor, reads straight through, asks cursor_short() once, and only
 * then commits the copy: a message that is not complete consumes nothing. */
#ifndef PAIRSOCKS_CURSOR_H
#define PAIRSOCKS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What a pure parser says. DONE: results set, the cursor stands behind the message. MORE:
 * nothing consumed, call again with more bytes. BAD: the error says why; where the cursor stands
 * means nothing. */
enum parse { PARSE_DONE, PARSE_MORE, PARSE_BAD };

struct cursor {
    const uint8_t *at; /* borrowed */
    const uint8_t *end;
    bool is_short; /* sticky: a read went beyond the end */
};

static inline struct cursor cursor_over(const void *bytes, size_t n)
{
    const uint8_t *at = bytes;

    return (struct cursor){.at = at, .end = at ? at + n : at};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline bool cursor_short(const struct cursor *c)
{
    return c->is_short;
}

/* The next n bytes, or NULL (and short) when there are fewer. */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
    const uint8_t *bytes = c->at;

    if (c->is_short || cursor_left(c) < n) {
        c->is_short = true;
        return NULL;
    }
    c->at += n;
    return bytes;
}

/* The next byte; 0 when there is none. */
static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *b = cursor_bytes(c, 1);

    return b ? b[0] : 0;
}

/* The next two bytes in network order; 0 when there are fewer. */
static inline uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *b = cursor_bytes(c, 2);

    return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

/* A line of at most `max` bytes, its end included, which is LF or CR LF. DONE: `*ret_line` and
 * `*ret_n` are what stands before its end, and the cursor stands behind it. MORE: there is no
 * end yet. BAD: none within `max` bytes. It is no read that can be short. */
static inline enum parse cursor_line(struct cursor *c, size_t max, const char **ret_line,
                                     size_t *ret_n)
{
    size_t n = cursor_left(c) < max ? cursor_left(c) : max;
    const uint8_t *line = c->at, *lf = n ? memchr(line, '\n', n) : NULL;

    if (!lf)
        return n == max ? PARSE_BAD : PARSE_MORE;
    c->at = lf + 1;
    *ret_line = (const char *)line;
    *ret_n = (size_t)(lf - line);
    if (*ret_n > 0 && lf[-1] == '\r')
        --*ret_n;
    return PARSE_DONE;
}

#endif
