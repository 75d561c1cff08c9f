/* address_endpoint.c - an IP address with a port: as text, and as the kernel has it. */
#include "streams/address.h"

#include "streams/address_digits.h"

#include <netinet/in.h>
#include <string.h>

bool endpoint_parse(const char *text, size_t n, struct ip_endpoint *ret_endpoint)
{
    struct ip_endpoint endpoint;
    const char *host;
    size_t length;

    if (!host_port_split(text, n, &host, &length, &endpoint.port) ||
        !ip_parse(host, length, &endpoint.ip))
        return false;
    *ret_endpoint = endpoint;
    return true;
}

size_t endpoint_format(const struct ip_endpoint *endpoint, char *out)
{
    char *end = out;

    if (endpoint->ip.family == IP_NONE)
        return ip_format(&endpoint->ip, out);
    if (endpoint->ip.family == IP_V6)
        *end++ = '[';
    end += ip_format(&endpoint->ip, end);
    if (endpoint->ip.family == IP_V6)
        *end++ = ']';
    *end++ = ':';
    end = put_decimal(end, endpoint->port);
    *end = '\0';
    return (size_t)(end - out);
}

bool endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

socklen_t endpoint_to_sockaddr(const struct ip_endpoint *endpoint, struct sockaddr_storage *out)
{
    /* Only as many bytes as the kernel will read are touched: this is on the way of every
     * connection. */
    if (endpoint->ip.family == IP_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
        memcpy(&in->sin_addr, endpoint->ip.bytes, 4);
        return sizeof *in;
    }
    if (endpoint->ip.family == IP_V6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

        *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};
        memcpy(&in6->sin6_addr, endpoint->ip.bytes, 16);
        return sizeof *in6;
    }
    *out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    return sizeof out->ss_family;
}

struct ip_endpoint endpoint_from_sockaddr(const struct sockaddr_storage *sa)
{
    struct ip_endpoint endpoint = {0};

    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

        endpoint.ip.family = IP_V4;
        memcpy(endpoint.ip.bytes, &in->sin_addr, 4);
        endpoint.port = ntohs(in->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

        endpoint.ip.family = IP_V6;
        memcpy(endpoint.ip.bytes, &in6->sin6_addr, 16);
        endpoint.port = ntohs(in6->sin6_port);
    }
    return endpoint;
}
