/* log_record.h - one line of the log while it is being written, `key=value` text or one JSON
 * object, and the way back from a line to its fields. Pure. Whatever a peer sent is escaped here
 * and nowhere else, so that no line can be forged: a line is printable ASCII, wherever it goes. A
 * record that would become too long is cut at a field's end, never in the middle of one. */
#ifndef PAIRSOCKS_LOG_RECORD_H
#define PAIRSOCKS_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_TEXT, LOG_JSON };

/* A session line with a name of 255 bytes, each escaped, fits. */
#define LOG_RECORD_MAX 4096

/* What the log's writer has to know of a line. It stands right in front of the line in the rings. */
struct log_head {
    int64_t second;  /* Unix time */
    uint32_t length; /* of the line with its newline */
    uint16_t level;  /* enum log_level */
    uint16_t format; /* enum log_format */
};

struct log_record {
    enum log_format format;
    size_t length;
    struct log_head head; /* level and second are the caller's, the rest is log_record_end()'s */
    char bytes[LOG_RECORD_MAX];
};

_Static_assert(offsetof(struct log_record, bytes) ==
                   offsetof(struct log_record, head) + sizeof(struct log_head),
               "a head and its line go into a ring as one piece");

void log_record_begin(struct log_record *record, enum log_format format);

/* `value` of `n` bytes that may be anything; an empty one is `-`. */
void log_record_bytes(struct log_record *record, const char *key, const char *value, size_t n);
void log_record_string(struct log_record *record, const char *key, const char *value);
void log_record_number(struct log_record *record, const char *key, uint64_t value);

/* The line with its newline is record->bytes[0..length). */
void log_record_end(struct log_record *record);

/* A field of a finished line, borrowed from it. The value is as it stands there, escaped, but
 * without quotes. */
struct log_field {
    const char *key, *value;
    size_t key_length, value_length;
};

/* Reads the next field of a line that ends (before or with its newline) at `end`; `*at` begins at
 * the line. False: there are no more. Only for lines that a record wrote. */
bool log_record_next(enum log_format format, const char **at, const char *end,
                     struct log_field *ret_field);

#endif
