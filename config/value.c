/* value.c - values of the ini file. */
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Leading digits; *ret_rest is what follows them. */
static bool read_digits(const char *text, int64_t *ret, const char **ret_rest)
{
    int64_t value = 0;
    size_t n = 0;

    while (text[n] >= '0' && text[n] <= '9') {
        if (n == 18)
            return false;
        value = value * 10 + (text[n++] - '0');
    }
    *ret = value;
    *ret_rest = text + n;
    return n > 0;
}

bool value_number(const char *text, int64_t *ret)
{
    const char *rest;
    int64_t value;

    if (!read_digits(text, &value, &rest) || *rest)
        return false;
    *ret = value;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

static bool with_unit(const char *text, const struct unit *units, int64_t *ret)
{
    const char *rest;
    int64_t value, product;

    if (!read_digits(text, &value, &rest))
        return false;
    for (; units->name; units++) {
        if (strcmp(rest, units->name) != 0)
            continue;
        if (__builtin_mul_overflow(value, units->factor, &product))
            return false;
        *ret = product;
        return true;
    }
    return false;
}

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {NULL, 0},
};

bool value_duration(const char *text, int64_t *ret_ms)
{
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    return with_unit(text, durations, ret_ms);
}

void value_duration_format(int64_t ms, char out[VALUE_DURATION_TEXT_MAX])
{
    const struct unit *best = durations;

    for (const struct unit *unit = durations; unit->name; unit++)
        if (ms % unit->factor == 0)
            best = unit;
    snprintf(out, VALUE_DURATION_TEXT_MAX, "%" PRId64 "%s", ms / best->factor,
             ms ? best->name : "");
}

/* The last of those that say the same is the one that is written. */
static const struct unit sizes[] = {
    {"", 1}, {"K", 1 << 10}, {"k", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0},
};

bool value_size(const char *text, int64_t *ret)
{
    return with_unit(text, sizes, ret);
}

void value_size_format(int64_t size, char out[VALUE_SIZE_TEXT_MAX])
{
    const struct unit *best = sizes;

    for (const struct unit *unit = sizes; size && unit->name; unit++)
        if (size % unit->factor == 0)
            best = unit;
    snprintf(out, VALUE_SIZE_TEXT_MAX, "%" PRId64 "%s", size / best->factor, best->name);
}

bool value_list_next(const char **at, const char **ret_item, size_t *ret_length)
{
    const char *item = *at, *end;

    if (!item)
        return false;
    while (is_blank(*item))
        item++;
    end = item + strcspn(item, ",");
    *at = *end == ',' ? end + 1 : NULL;
    while (end > item && is_blank(end[-1]))
        end--;
    *ret_item = item;
    *ret_length = (size_t)(end - item);
    return true;
}
