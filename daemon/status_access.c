/* status_access.c - compares what a request says with what we are. */
#include "daemon/status_access.h"

#include <string.h>
#include <strings.h>

/* The host alone; false: this is none. */
static bool split_port(const char *text, const char **ret_host, size_t *ret_length)
{
    size_t n = strlen(text);
    const char *colon = memchr(text, ':', n);
    uint16_t port;

    if (text[0] == '[' && n > 2 && text[n - 1] == ']') {
        *ret_host = text + 1;
        *ret_length = n - 2;
        return true;
    }
    if (colon || text[0] == '[')
        return host_port_split(text, n, ret_host, ret_length, &port);
    *ret_host = text;
    *ret_length = n;
    return n > 0;
}

static bool is_listed(const char *host, size_t n, const char *hosts)
{
    while (hosts && *hosts) {
        size_t length = strcspn(hosts, ",");

        if (host_name_equal(host, n, hosts, length))
            return true;
        hosts += length + (hosts[length] == ',');
    }
    return false;
}

bool status_host_is_ours(const char *host, const char *hosts, const struct ip_address *local)
{
    struct ip_address ip, reached = ip_unmapped(local);
    const char *name;
    size_t n;

    if (!host || !split_port(host, &name, &n))
        return false;
    if (is_listed(name, n, hosts))
        return true;
    if (!ip_parse(name, n, &ip))
        return false;
    ip = ip_unmapped(&ip);
    return ip_equal(&ip, &reached) || (ip_is_loopback(&ip) && ip_is_loopback(&reached));
}

bool status_token_is_shown(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    size_t n, shown_length;
    const char *shown;
    unsigned difference;

    if (!token || !authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    shown = authorization + sizeof scheme - 1;
    shown += strspn(shown, " ");
    shown_length = strlen(shown);
    n = strlen(token);
    difference = shown_length != n;
    for (size_t i = 0; i < shown_length; i++)
        difference |= (unsigned char)shown[i] ^ (unsigned char)token[i % n];
    return difference == 0;
}

static bool is_refused(const char *parameters, size_t n)
{
    const char *q = memmem(parameters, n, "q=0", 3);

    return q && strspn(q + 3, ".0") == strcspn(q + 3, ";, ");
}

bool status_wants_open_metrics(const char *accept)
{
    static const char type[] = "application/openmetrics-text";

    while (accept && *accept) {
        size_t n = strcspn(accept, ",");
        size_t blanks = strspn(accept, " \t");

        if (blanks < n && strncasecmp(accept + blanks, type, sizeof type - 1) == 0 &&
            strchr(";, \t", accept[blanks + sizeof type - 1]))
            return !is_refused(accept, n);
        accept += n + (accept[n] == ',');
    }
    return false;
}
