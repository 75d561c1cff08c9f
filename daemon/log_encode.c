/* log_encode.c - https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ and RFC 3164 as the C library has it. */
#include "daemon/log_encode.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

unsigned log_severity(enum log_level level)
{
    static const unsigned char severities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,     [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_NOTICE] = LOG_NOTICE, [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };

    return severities[level];
}

/* strftime would use the locale's names. */
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* The line without its newline. */
static size_t text_length(const struct log_line *line)
{
    return line->head.length - 1;
}

size_t log_encode_syslog(const struct log_line *line, const struct tm *local, long pid,
                         char out[LOG_DATAGRAM_MAX])
{
    size_t n = (size_t)snprintf(out, LOG_DATAGRAM_MAX, "<%u>%s %2d %02d:%02d:%02d %s[%ld]: ",
                                LOG_DAEMON | log_severity(line->head.level), months[local->tm_mon],
                                local->tm_mday, local->tm_hour, local->tm_min, local->tm_sec,
                                LOG_IDENTIFIER, pid);

    memcpy(out + n, line->text, text_length(line));
    return n + text_length(line);
}

size_t log_encode_field(char *out, size_t room, const char *name, const char *value, size_t n)
{
    size_t name_length = strlen(name), at = name_length;

    if (name_length + n + 10 > room) /* at most: newline, eight bytes of length, newline */
        return 0;
    memcpy(out, name, name_length);
    if (memchr(value, '\n', n)) {
        out[at++] = '\n';
        for (unsigned i = 0; i < 8; i++) /* little-endian */
            out[at++] = (char)((uint64_t)n >> 8 * i);
    } else {
        out[at++] = '=';
    }
    memcpy(out + at, value, n);
    at += n;
    out[at++] = '\n';
    return at;
}

/* An entry being written. */
struct entry {
    char *bytes;
    size_t length;
};

static void put(struct entry *e, const char *name, const char *value, size_t n)
{
    e->length +=
        log_encode_field(e->bytes + e->length, LOG_DATAGRAM_MAX - e->length, name, value, n);
}

static void put_number(struct entry *e, const char *name, unsigned value)
{
    char digits[16];

    put(e, name, digits, (size_t)snprintf(digits, sizeof digits, "%u", value));
}

/* The names are ours: short, of a-z, 0-9 and `_`; the journal wants them in capitals. */
static bool field_name(const struct log_field *field, char *out, size_t size)
{
    static const char prefix[] = "PAIRSOCKS_";
    size_t n = sizeof prefix - 1;

    if (n + field->key_length >= size)
        return false;
    memcpy(out, prefix, n);
    for (size_t i = 0; i < field->key_length; i++) {
        char c = field->key[i];

        out[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    out[n] = '\0';
    return true;
}

/* The escapes of JSON as those of text: \u00HH becomes \xHH. */
static size_t to_text(enum log_format format, const struct log_field *field, char *out)
{
    const char *in = field->value, *end = in + field->value_length;
    size_t n = 0;

    while (in < end) {
        if (format == LOG_JSON && end - in >= 6 && in[0] == '\\' && in[1] == 'u') {
            out[n++] = '\\';
            out[n++] = 'x';
            in += 4;
        } else if (*in == '\\' && end - in >= 2) {
            out[n++] = *in++; /* as a pair, lest an escaped backslash begins a new escape */
            out[n++] = *in++;
        } else {
            out[n++] = *in++;
        }
    }
    return n;
}

size_t log_encode_journal(const struct log_line *line, char out[LOG_DATAGRAM_MAX])
{
    enum log_format format = line->head.format;
    struct entry e = {.bytes = out};
    const char *at = line->text, *end = at + line->head.length;
    char name[64 + 1], value[LOG_RECORD_MAX]; /* the journal takes names of 64 */
    struct log_field field;

    put(&e, "MESSAGE", line->text, text_length(line));
    put_number(&e, "PRIORITY", log_severity(line->head.level));
    put_number(&e, "SYSLOG_FACILITY", LOG_FAC(LOG_DAEMON));
    put(&e, "SYSLOG_IDENTIFIER", LOG_IDENTIFIER, strlen(LOG_IDENTIFIER));
    while (log_record_next(format, &at, end, &field))
        if (field_name(&field, name, sizeof name))
            put(&e, name, value, to_text(format, &field, value));
    return e.length;
}
