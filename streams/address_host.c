/* address_host.c - what a host may be called, which names mean the same or are near, and HOST:PORT. */
#include "streams/address.h"

#include "streams/address_digits.h"

#include <string.h>

/* Decimal or hexadecimal digits only: the last label of an address in an odd spelling. */
static bool label_is_number(const char *label, size_t n)
{
    size_t i = 0;
    bool hex = n >= 2 && label[0] == '0' && lower(label[1]) == 'x';

    for (i = hex ? 2 : 0; i < n; i++)
        if (hex ? hex_value(label[i]) < 0 : !is_digit(label[i]))
            return false;
    return true;
}

static bool is_name_byte(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
}

static bool is_name(const char *text, size_t n)
{
    size_t label = 0; /* where the current label starts */

    if (n && text[n - 1] == '.')
        n--;
    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.') {
            if (i == label)
                return false;
            label = i + 1;
        } else if (!is_name_byte(text[i]) || i - label >= 63) {
            return false;
        }
    }
    return label < n && !label_is_number(text + label, n - label);
}

enum host_kind host_classify(const char *text, size_t n, struct ip_address *ret_ip)
{
    if (ip_parse(text, n, ret_ip))
        return HOST_ADDRESS;
    return is_name(text, n) ? HOST_NAME : HOST_INVALID;
}

bool host_name_equal(const char *a, size_t a_length, const char *b, size_t b_length)
{
    if (a_length && a[a_length - 1] == '.')
        a_length--;
    if (b_length && b[b_length - 1] == '.')
        b_length--;
    if (a_length != b_length)
        return false;
    for (size_t i = 0; i < a_length; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

/* `domain` or a name below it. */
static bool is_within(const char *name, size_t n, const char *domain)
{
    const size_t length = strlen(domain);

    if (n && name[n - 1] == '.')
        n--;
    if (n < length || !host_name_equal(name + n - length, length, domain, length))
        return false;
    return n == length || name[n - length - 1] == '.';
}

bool host_name_is_localhost(const char *name, size_t n)
{
    return is_within(name, n, "localhost");
}

bool host_name_is_near(const char *name, size_t n)
{
    if (n && name[n - 1] == '.')
        n--;
    return !memchr(name, '.', n) || host_name_is_localhost(name, n) || is_within(name, n, "local");
}

bool port_parse(const char *text, size_t n, uint16_t *ret_port)
{
    unsigned value;

    if (!parse_decimal(text, n, 65535, &value))
        return false;
    *ret_port = (uint16_t)value;
    return true;
}

bool host_port_split(const char *text, size_t n, const char **ret_host, size_t *ret_host_length,
                     uint16_t *ret_port)
{
    const char *end = text + n, *colon = memrchr(text, ':', n);
    const char *host = text;
    size_t length;

    if (!colon || colon == text)
        return false;
    length = (size_t)(colon - text);
    if (text[0] == '[') {
        if (length < 3 || colon[-1] != ']' || !memchr(text, ':', length))
            return false;
        host++;
        length -= 2;
    } else if (memchr(text, ':', length)) {
        return false;
    }
    if (!port_parse(colon + 1, (size_t)(end - colon - 1), ret_port))
        return false;
    *ret_host = host;
    *ret_host_length = length;
    return true;
}
