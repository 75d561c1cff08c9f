/* value.h - the types of values in the ini file: text to numbers, durations, sizes. Pure. Each
 * returns true and sets its result, or returns false and leaves it untouched. All of the text
 * must be the value. */
#ifndef PAIRSOCKS_VALUE_H
#define PAIRSOCKS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A decimal number without sign; at most 18 digits. */
bool value_number(const char *text, int64_t *ret);

/* 500ms 10s 5m 2h, or 0; result in milliseconds. */
bool value_duration(const char *text, int64_t *ret_ms);

/* Writes the same in the largest unit that says it exactly. */
#define VALUE_DURATION_TEXT_MAX 24
void value_duration_format(int64_t ms, char out[VALUE_DURATION_TEXT_MAX]);

/* 64k 10M 1G, powers of 1024, or a plain number of bytes. */
bool value_size(const char *text, int64_t *ret);

/* Writes the same in the largest unit that says it exactly. */
#define VALUE_SIZE_TEXT_MAX 24
void value_size_format(int64_t size, char out[VALUE_SIZE_TEXT_MAX]);

/* The next entry of a list separated by commas: skips blanks around it. False at the end. An
 * empty entry has length 0. Begin with *at = the text. */
bool value_list_next(const char **at, const char **ret_item, size_t *ret_length);

#endif
