/* json.h - writes JSON (RFC 8259) into a buffer that grows, up to a bound. For the answers of the control
 * socket and of the status page. Pure but for memory.
 *
 * Any bytes may be a text: what is UTF-8 stays what it is, each byte that is not becomes U+FFFD, and what a
 * terminal could take for an order (controls, also those of U+0080 to U+009F, and marks of writing
 * direction) is escaped. So whoever prints the text as it is prints one harmless line. The log writes
 * its own (log_record.h): a record there has one level, a fixed room, and nothing beyond ASCII.
 *
 * Each value has a key inside an object and none (NULL) inside an array or at the top; objects and arrays
 * that are begun are ended. Nothing fails in between: json_text() says at the end whether all found a place. */
#ifndef PAIRSOCKS_JSON_H
#define PAIRSOCKS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nobody outside json.c looks inside. */
struct json {
    char *bytes; /* owned */
    size_t length, size, max;
    bool is_short;  /* the bound was met, or there was no memory: nothing more is written */
    bool has_value; /* the next one needs a comma */
};

/* Empty, and at most `max` bytes ever. */
void json_init(struct json *json, size_t max);
void json_done(struct json *json); /* harmless twice */

void json_begin_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_begin_array(struct json *json, const char *key);
void json_end_array(struct json *json);

/* `n` bytes that may be anything. */
void json_bytes(struct json *json, const char *key, const char *bytes, size_t n);

/* NULL is written as null. */
void json_string(struct json *json, const char *key, const char *text);

void json_number(struct json *json, const char *key, uint64_t number);

/* With up to six significant digits, whatever the locale; null where it is no number or infinite. */
void json_real(struct json *json, const char *key, double number);

void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* Where the text is now; json_return() takes back all that was written since, also that it found no
 * place: for a list that ends where the room does. Between the two every object and array that was
 * begun has been ended, or none that was open before was. */
struct json_mark {
    size_t length;
    bool is_short, has_value;
};
struct json_mark json_mark(const struct json *json);
void json_return(struct json *json, struct json_mark mark);

/* Bytes that find a place still, as far as the bound goes; 0 once something has found none. */
size_t json_room(const struct json *json);

/* What was written, borrowed, without a newline and with a '\0' behind it. NULL: it met its bound, or there
 * was no memory. */
const char *json_text(struct json *json, size_t *ret_length);

#endif
