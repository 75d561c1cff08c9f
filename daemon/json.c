/* json.c - commas, escapes, and a buffer that grows. */
#include "daemon/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 1024 };

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

void json_init(struct json *json, size_t max)
{
    *json = (struct json){.max = max};
}

void json_done(struct json *json)
{
    free(json->bytes);
    json_init(json, 0);
}

/* For `n` bytes and the end of the text. */
static bool make_room(struct json *json, size_t n)
{
    size_t size = json->size ? json->size : FIRST_SIZE;
    char *bytes;

    if (json->is_short || n > json->max - json->length) {
        json->is_short = true;
        return false;
    }
    if (json->length + n < json->size)
        return true;
    while (size <= json->length + n)
        size *= 2;
    bytes = realloc(json->bytes, size);
    if (!bytes) {
        json->is_short = true;
        return false;
    }
    json->bytes = bytes;
    json->size = size;
    return true;
}

static void put(struct json *json, const char *bytes, size_t n)
{
    if (!make_room(json, n))
        return;
    memcpy(json->bytes + json->length, bytes, n);
    json->length += n;
}

static void put_text(struct json *json, const char *text)
{
    put(json, text, strlen(text));
}

/* How many bytes of a code point stand at `in`, as Unicode's table 3-7 has it: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF. 0: it is none. */
static size_t code_point(const unsigned char *in, size_t n, uint32_t *ret)
{
    static const struct {
        unsigned char first, last, second_min, second_max, length;
    } forms[] = {
        {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t i = 0;

    while (i < sizeof forms / sizeof *forms && in[0] > forms[i].last)
        i++;
    if (i == sizeof forms / sizeof *forms || in[0] < forms[i].first || n < forms[i].length)
        return 0;
    if (forms[i].length > 1 && (in[1] < forms[i].second_min || in[1] > forms[i].second_max))
        return 0;
    *ret = in[0] & lead_bits[forms[i].length];
    for (size_t j = 1; j < forms[i].length; j++) {
        if ((in[j] & 0xC0) != 0x80)
            return 0;
        *ret = *ret << 6 | (in[j] & 0x3F);
    }
    return forms[i].length;
}

static bool needs_escape(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == '"' || c == '\\' || c == 0x200E ||
           c == 0x200F ||                  /* left-to-right and right-to-left mark */
           (c >= 0x2028 && c <= 0x202E) || /* line and paragraph separator, embeddings */
           (c >= 0x2066 && c <= 0x2069);   /* isolates */
}

static void put_quoted(struct json *json, const char *bytes, size_t n)
{
    const unsigned char *in = (const unsigned char *)bytes;
    char escape[8];
    uint32_t c = 0;

    put(json, "\"", 1);
    for (size_t i = 0, used; i < n && !json->is_short; i += used ? used : 1) {
        used = code_point(in + i, n - i, &c);
        if (!used)
            put_text(json, replacement);
        else if (!needs_escape(c))
            put(json, bytes + i, used);
        else if (c == '"' || c == '\\')
            put(json, escape, (size_t)snprintf(escape, sizeof escape, "\\%c", (int)c));
        else
            put(json, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c));
    }
    put(json, "\"", 1);
}

/* What stands in front of a value. */
static void begin_value(struct json *json, const char *key)
{
    if (json->has_value)
        put(json, ",", 1);
    json->has_value = true;
    if (!key)
        return;
    put_quoted(json, key, strlen(key));
    put(json, ":", 1);
}

static void begin_nest(struct json *json, const char *key, const char *bracket)
{
    begin_value(json, key);
    put(json, bracket, 1);
    json->has_value = false;
}

static void end_nest(struct json *json, const char *bracket)
{
    put(json, bracket, 1);
    json->has_value = true;
}

void json_begin_object(struct json *json, const char *key)
{
    begin_nest(json, key, "{");
}

void json_end_object(struct json *json)
{
    end_nest(json, "}");
}

void json_begin_array(struct json *json, const char *key)
{
    begin_nest(json, key, "[");
}

void json_end_array(struct json *json)
{
    end_nest(json, "]");
}

void json_bytes(struct json *json, const char *key, const char *bytes, size_t n)
{
    begin_value(json, key);
    put_quoted(json, bytes, n);
}

void json_string(struct json *json, const char *key, const char *text)
{
    if (text)
        json_bytes(json, key, text, strlen(text));
    else
        json_null(json, key);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    char digits[24];

    begin_value(json, key);
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    put_text(json, digits);
}

void json_real(struct json *json, const char *key, double number)
{
    char digits[32], *comma;

    if (!isfinite(number)) {
        json_null(json, key);
        return;
    }
    begin_value(json, key);
    snprintf(digits, sizeof digits, "%g", number);
    comma = strchr(digits, ','); /* of a locale that has it so */
    if (comma)
        *comma = '.';
    put_text(json, digits);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    put_text(json, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    begin_value(json, key);
    put_text(json, "null");
}

struct json_mark json_mark(const struct json *json)
{
    return (struct json_mark){json->length, json->is_short, json->has_value};
}

void json_return(struct json *json, struct json_mark mark)
{
    json->length = mark.length;
    json->is_short = mark.is_short;
    json->has_value = mark.has_value;
}

size_t json_room(const struct json *json)
{
    return json->is_short ? 0 : json->max - json->length;
}

const char *json_text(struct json *json, size_t *ret_length)
{
    if (!make_room(json, 0))
        return NULL;
    json->bytes[json->length] = '\0';
    *ret_length = json->length;
    return json->bytes;
}
