/* log_record.c - fields to text, by hand: this runs once for every connection. */
#include "daemon/log_record.h"

#include <string.h>

/* Room that is kept for what ends a record. */
enum { END_ROOM = 4 };

static const char hex[] = "0123456789abcdef";

void log_record_begin(struct log_record *record, enum log_format format)
{
    record->format = format;
    record->length = 0;
    record->head = (struct log_head){.format = (uint16_t)format};
    if (format == LOG_JSON)
        record->bytes[record->length++] = '{';
}

static void put(struct log_record *r, const char *bytes, size_t n)
{
    memcpy(r->bytes + r->length, bytes, n);
    r->length += n;
}

static void put_char(struct log_record *r, char c)
{
    r->bytes[r->length++] = c;
}

/* True when a key and a value of at most `n` bytes, as written, fit. */
static bool fits(const struct log_record *r, const char *key, size_t n)
{
    return r->length + strlen(key) + n + 8 + END_ROOM <= sizeof r->bytes;
}

static void put_key(struct log_record *r, const char *key)
{
    if (r->format == LOG_JSON) {
        if (r->length > 1)
            put_char(r, ',');
        put_char(r, '"');
        put(r, key, strlen(key));
        put(r, "\":", 2);
    } else {
        if (r->length)
            put_char(r, ' ');
        put(r, key, strlen(key));
        put_char(r, '=');
    }
}

/* What may stand in text without quotes. */
static bool is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7F && c != '"' && c != '\\' && c != '=';
}

static bool all_plain(const char *value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_plain((unsigned char)value[i]))
            return false;
    return true;
}

/* Text: \xHH. JSON: \u00HH; bytes beyond ASCII, whose encoding is unknown, likewise (as
 * Latin-1). */
static void put_escaped(struct log_record *r, const char *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value[i];

        if (c == '"' || c == '\\') {
            put_char(r, '\\');
            put_char(r, (char)c);
        } else if (c >= ' ' && c < 0x7F) {
            put_char(r, (char)c);
        } else {
            put(r, r->format == LOG_JSON ? "\\u00" : "\\x", r->format == LOG_JSON ? 4 : 2);
            put_char(r, hex[c >> 4]);
            put_char(r, hex[c & 0xF]);
        }
    }
}

void log_record_bytes(struct log_record *r, const char *key, const char *value, size_t n)
{
    bool plain;

    if (n == 0) {
        value = "-";
        n = 1;
    }
    plain = r->format == LOG_TEXT && all_plain(value, n);
    if (n > LOG_RECORD_MAX || !fits(r, key, plain ? n : n * 6))
        return;
    put_key(r, key);
    if (plain) {
        put(r, value, n);
    } else {
        put_char(r, '"');
        put_escaped(r, value, n);
        put_char(r, '"');
    }
}

void log_record_string(struct log_record *r, const char *key, const char *value)
{
    log_record_bytes(r, key, value, strlen(value));
}

void log_record_number(struct log_record *r, const char *key, uint64_t value)
{
    char digits[20];
    size_t n = 0;

    if (!fits(r, key, sizeof digits))
        return;
    put_key(r, key);
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        put_char(r, digits[--n]);
}

void log_record_end(struct log_record *r)
{
    if (r->format == LOG_JSON)
        put_char(r, '}');
    put_char(r, '\n');
    r->head.length = (uint32_t)r->length;
}

/* `"..."` at `at`: what is between the quotes. Returns what stands behind them; NULL: no end. */
static const char *read_quoted(const char *at, const char *end, const char **ret, size_t *ret_n)
{
    const char *from = ++at;

    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    if (at >= end)
        return NULL;
    *ret = from;
    *ret_n = (size_t)(at - from);
    return at + 1;
}

/* Up to one of `ends`, or to the end. */
static const char *read_plain(const char *at, const char *end, const char *ends, const char **ret,
                              size_t *ret_n)
{
    *ret = at;
    while (at < end && !strchr(ends, *at))
        at++;
    *ret_n = (size_t)(at - *ret);
    return at;
}

bool log_record_next(enum log_format format, const char **at, const char *end,
                     struct log_field *ret_field)
{
    bool json = format == LOG_JSON;
    const char *from = *at;
    struct log_field field;

    from += strspn(from, json ? "{," : " "); /* a newline ends every line: never beyond it */
    if (from >= end || *from == '\n' || *from == '}')
        return false;
    from = json ? read_quoted(from, end, &field.key, &field.key_length)
                : read_plain(from, end, "=", &field.key, &field.key_length);
    if (!from || ++from >= end) /* the colon, or the equals sign */
        return false;
    from = *from == '"'
               ? read_quoted(from, end, &field.value, &field.value_length)
               : read_plain(from, end, json ? ",}" : " \n", &field.value, &field.value_length);
    if (!from)
        return false;
    *at = from;
    *ret_field = field;
    return true;
}
