/* address_digits.h - the letters and numbers that addresses, names and ports are written with. Of address*.c alone. */
#ifndef PAIRSOCKS_ADDRESS_DIGITS_H
#define PAIRSOCKS_ADDRESS_DIGITS_H

#include <stdbool.h>
#include <stddef.h>

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static inline char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A decimal number of at most `max` without leading zeros; all of the text. */
static inline bool parse_decimal(const char *text, size_t n, unsigned max, unsigned *ret)
{
    unsigned value = 0;

    if (n == 0 || n > 5 || (n > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text[i]))
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}

static inline char *put_decimal(char *out, unsigned value)
{
    char digits[10];
    int n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        *out++ = digits[--n];
    return out;
}

#endif
