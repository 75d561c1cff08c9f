/* socks_udp.c - the header of SOCKS5's datagrams.
 *  +----+------+------+----------+----------+----------+
 *  |RSV | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |
 *  +----+------+------+----------+----------+----------+
 *  | 2  |  1   |  1   | Variable |    2     | Variable |
 *  +----+------+------+----------+----------+----------+ */
#include "streams/socks_udp.h"

#include "streams/cursor.h"

enum { ATYP_V4 = 1, ATYP_NAME = 3, ATYP_V6 = 4 };

static bool read_ip(struct cursor *at, enum ip_family family, struct socks_udp_header *header)
{
    size_t n = family == IP_V4 ? 4 : 16;
    const uint8_t *bytes = cursor_bytes(at, n);

    if (!bytes)
        return false;
    header->ip.family = (uint8_t)family;
    memcpy(header->ip.bytes, bytes, n);
    return true;
}

static bool read_name(struct cursor *at, struct socks_udp_header *header)
{
    header->name_length = cursor_u8(at);
    header->name = (const char *)cursor_bytes(at, header->name_length);
    return !cursor_short(at) && header->name_length > 0;
}

static bool read_host(struct cursor *at, struct socks_udp_header *header)
{
    switch (cursor_u8(at)) {
    case ATYP_V4:
        return read_ip(at, IP_V4, header);
    case ATYP_V6:
        return read_ip(at, IP_V6, header);
    case ATYP_NAME:
        return read_name(at, header);
    default:
        return false;
    }
}

bool socks_udp_parse(const uint8_t *bytes, size_t n, struct socks_udp_header *ret_header)
{
    struct cursor at = cursor_over(bytes, n);
    struct socks_udp_header header = {0};

    if (cursor_u16(&at) != 0)
        return false;
    header.fragment = cursor_u8(&at);
    if (!read_host(&at, &header))
        return false;
    header.port = cursor_u16(&at);
    if (cursor_short(&at) || header.port == 0)
        return false;
    header.size = (size_t)(at.at - bytes);
    *ret_header = header;
    return true;
}

static size_t write_port(uint8_t *out, size_t at, uint16_t port)
{
    out[at] = (uint8_t)(port >> 8);
    out[at + 1] = (uint8_t)port;
    return at + 2;
}

size_t socks_udp_size(const struct ip_endpoint *endpoint)
{
    return 4 + (endpoint->ip.family == IP_V6 ? 16u : 4u) + 2;
}

size_t socks_udp_write(const struct ip_endpoint *endpoint, uint8_t *out)
{
    size_t n = endpoint->ip.family == IP_V6 ? 16 : 4; /* of IP_NONE all bytes are 0 */

    memcpy(out, (const uint8_t[]){0, 0, 0, n == 16 ? ATYP_V6 : ATYP_V4}, 4);
    memcpy(out + 4, endpoint->ip.bytes, n);
    return write_port(out, 4 + n, endpoint->port);
}

size_t socks_udp_write_name(const char *name, uint8_t name_length, uint16_t port, uint8_t *out)
{
    memcpy(out, (const uint8_t[]){0, 0, 0, ATYP_NAME, name_length}, 5);
    memcpy(out + 5, name, name_length);
    return write_port(out, 5u + name_length, port);
}
