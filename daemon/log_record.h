/* log_record.h - one line of the log while it is being written: `key=value` text or one JSON
 * object. Pure. Whatever a peer sent is escaped here and nowhere else, so that no line can be
 * forged. A record that would become too long is cut at a field's end, never in the middle of
 * one. */
#ifndef PAIRSOCKS_LOG_RECORD_H
#define PAIRSOCKS_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_format { LOG_TEXT, LOG_JSON };

/* A session line with a name of 255 bytes, each escaped, fits. */
#define LOG_RECORD_MAX 4096

struct log_record {
    enum log_format format;
    bool is_error; /* of the highest level */
    size_t length;
    char bytes[LOG_RECORD_MAX];
};

void log_record_begin(struct log_record *record, enum log_format format);

/* `value` of `n` bytes that may be anything; an empty one is `-` in text. */
void log_record_bytes(struct log_record *record, const char *key, const char *value, size_t n);
void log_record_string(struct log_record *record, const char *key, const char *value);
void log_record_number(struct log_record *record, const char *key, uint64_t value);

/* The line with its newline is record->bytes[0..length). */
void log_record_end(struct log_record *record);

#endif
