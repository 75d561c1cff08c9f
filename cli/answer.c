/* answer.c - a reader of JSON that works in place: a text becomes shorter when its escapes go. */
#include "cli/answer.h"

#include <stdlib.h>
#include <string.h>

static char *skip_blanks(char *at)
{
    return at + strspn(at, " \t\r\n");
}

static bool read_hex4(const char *at, uint32_t *ret)
{
    uint32_t c = 0;

    for (int i = 0; i < 4; i++) {
        const char *digit = at[i] ? strchr("0123456789abcdefABCDEF", at[i]) : NULL;
        uint32_t value;

        if (!digit)
            return false;
        value = (uint32_t)(digit - "0123456789abcdefABCDEF");
        c = c << 4 | (value < 16 ? value : value - 6);
    }
    *ret = c;
    return true;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* Behind `\u`: one of them, or a pair (RFC 8259, 7). A NUL and half a pair become U+FFFD. Never longer than what is
 * read. NULL: bad. */
static char *read_code_point(char *at, char **out)
{
    uint32_t c, low;

    if (!read_hex4(at, &c))
        return NULL;
    at += 4;
    if (c >= 0xD800 && c < 0xDC00 && at[0] == '\\' && at[1] == 'u' && read_hex4(at + 2, &low) &&
        low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    *out = put_utf8(*out, c == 0 || (c >= 0xD800 && c < 0xE000) ? 0xFFFD : c);
    return at;
}

/* Controls, and those of U+0080 to U+009F and U+2028 and the like, become `?`. */
static void make_harmless(char *text)
{
    char *out = text;

    while (*text) {
        const unsigned char *c = (const unsigned char *)text;

        if (*c < ' ' || *c == 0x7F) {
            *out++ = '?';
            text++;
        } else if (*c == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0) {
            *out++ = '?';
            text += 2;
        } else if (*c == 0xE2 && ((c[1] == 0x80 && ((c[2] >= 0xA8 && c[2] <= 0xAE) ||
                                                    c[2] == 0x8E || c[2] == 0x8F)) ||
                                  (c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9))) {
            *out++ = '?';
            text += 3;
        } else {
            *out++ = *text++;
        }
    }
    *out = '\0';
}

/* `at` is behind the quote. Returns what is behind the other one; NULL: bad. */
static char *read_text(char *at, const char **ret)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char *begin = at, *out = at;
    const char *escape;

    while (at && *at != '"') {
        if ((unsigned char)*at < ' ')
            return NULL;
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        at++;
        escape = *at ? strchr(escapes, *at) : NULL;
        if (escape) {
            *out++ = meanings[escape - escapes];
            at++;
        } else {
            at = *at == 'u' ? read_code_point(at + 1, &out) : NULL;
        }
    }
    if (!at)
        return NULL;
    *out = '\0';
    make_harmless(begin);
    *ret = begin;
    return at + 1;
}

/* `-`, digits, `.digits`, `e`: what is behind it; NULL: no number. */
static char *read_number(char *at, uint64_t *ret)
{
    static const char digits[] = "0123456789";
    bool is_negative = *at == '-';
    size_t n;

    at += is_negative;
    n = strspn(at, digits);
    if (n == 0 || (n > 1 && *at == '0'))
        return NULL;
    *ret = is_negative ? 0 : strtoull(at, NULL, 10);
    at += n;
    if (*at == '.') {
        n = strspn(at + 1, digits);
        if (n == 0)
            return NULL;
        at += 1 + n;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        n = strspn(at, digits);
        if (n == 0)
            return NULL;
        at += n;
    }
    return at;
}

static char *read_value(char *at, struct answer *value, unsigned depth);

static char *read_member(char *at, struct answer *value, bool has_key, unsigned depth)
{
    if (has_key) {
        if (*at != '"' || !(at = read_text(at + 1, &value->key)))
            return NULL;
        at = skip_blanks(at);
        if (*at++ != ':')
            return NULL;
    }
    return read_value(at, value, depth);
}

/* `at` is behind the bracket. */
static char *read_nest(char *at, struct answer *nest, unsigned depth)
{
    const bool has_keys = nest->kind == ANSWER_OBJECT;
    const char end = has_keys ? '}' : ']';
    struct answer **last = &nest->first;

    at = skip_blanks(at);
    if (*at == end)
        return at + 1;
    do {
        struct answer *value = depth < ANSWER_DEPTH_MAX ? calloc(1, sizeof *value) : NULL;

        if (!value)
            return NULL;
        *last = value;
        last = &value->next;
        at = read_member(skip_blanks(at), value, has_keys, depth + 1);
        if (!at)
            return NULL;
        at = skip_blanks(at);
    } while (*at++ == ',');
    return at[-1] == end ? at : NULL;
}

static char *read_word(char *at, struct answer *value)
{
    static const struct {
        const char *text;
        enum answer_kind kind;
        bool is_true;
    } words[] = {
        {"null", ANSWER_NULL, false}, {"true", ANSWER_BOOL, true}, {"false", ANSWER_BOOL, false}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].text);

        if (strncmp(at, words[i].text, n) == 0) {
            value->kind = words[i].kind;
            value->is_true = words[i].is_true;
            return at + n;
        }
    }
    return NULL;
}

static char *read_value(char *at, struct answer *value, unsigned depth)
{
    at = skip_blanks(at);
    switch (*at) {
    case '{':
    case '[':
        value->kind = *at == '{' ? ANSWER_OBJECT : ANSWER_ARRAY;
        return read_nest(at + 1, value, depth);
    case '"':
        value->kind = ANSWER_TEXT;
        return read_text(at + 1, &value->text);
    case 'n':
    case 't':
    case 'f':
        return read_word(at, value);
    default:
        value->kind = ANSWER_NUMBER;
        return read_number(at, &value->number);
    }
}

struct answer *answer_parse(char *text)
{
    struct answer *answer = calloc(1, sizeof *answer);
    char *end = answer ? read_value(text, answer, 0) : NULL;

    if (end && *skip_blanks(end) == '\0')
        return answer;
    answer_free(answer);
    return NULL;
}

void answer_free(struct answer *answer)
{
    while (answer) {
        struct answer *next = answer->next;

        answer_free(answer->first);
        free(answer);
        answer = next;
    }
}

const struct answer *answer_member(const struct answer *object, const char *key)
{
    static const struct answer nothing = {.kind = ANSWER_NULL};

    for (const struct answer *value = object->first; value; value = value->next)
        if (value->key && strcmp(value->key, key) == 0)
            return value;
    return &nothing;
}

const char *answer_text(const struct answer *object, const char *key)
{
    const struct answer *value = answer_member(object, key);

    return value->kind == ANSWER_TEXT ? value->text : "";
}

uint64_t answer_number(const struct answer *object, const char *key)
{
    const struct answer *value = answer_member(object, key);

    return value->kind == ANSWER_NUMBER ? value->number : 0;
}

bool answer_is(const struct answer *object, const char *key)
{
    return answer_member(object, key)->is_true;
}
