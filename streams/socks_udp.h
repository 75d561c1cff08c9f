/* socks_udp.h - the header of SOCKS5's datagrams (RFC 1928, 7): bytes in, where they go, and back. Pure:
 * no I/O, no allocation. Used towards clients and towards the proxies that datagrams go through. A
 * datagram comes whole or not at all, so there is nothing to wait for. */
#ifndef PAIRSOCKS_SOCKS_UDP_H
#define PAIRSOCKS_SOCKS_UDP_H

#include "streams/address.h"

/* RSV, FRAG, ATYP, a name of 255 bytes with its length, port. */
#define SOCKS_UDP_HEADER_MAX (2 + 1 + 1 + 1 + HOST_NAME_LENGTH_MAX + 2)
/* The same with an address. */
#define SOCKS_UDP_IP_HEADER_MAX (2 + 1 + 1 + 16 + 2)

/* FRAG: the position in a sequence, and whether it ends there; 0 stands alone. */
#define SOCKS_UDP_FRAGMENT_LAST 0x80
#define SOCKS_UDP_FRAGMENT_POSITION 0x7F

struct socks_udp_header {
    size_t size;         /* of the header: behind it are the data */
    uint8_t fragment;    /* FRAG as it came */
    uint8_t name_length; /* 0: `ip` */
    const char *name;    /* points into the datagram: bytes of any kind */
    struct ip_address
        ip; /* IP_NONE when there is a name; as it came, also when it is a mapped one */
    uint16_t port;
};

/* False: too short, reserved bytes that are not 0, an unknown ATYP, a name of no bytes, port 0. Then
 * `ret_header` is untouched. */
bool socks_udp_parse(const uint8_t *bytes, size_t n, struct socks_udp_header *ret_header);

/* Writes a header that stands alone; `out` has SOCKS_UDP_IP_HEADER_MAX bytes. IP_NONE is 0.0.0.0. Returns
 * its size. */
size_t socks_udp_write(const struct ip_endpoint *endpoint, uint8_t *out);

/* The same for a name of 1 to 255 bytes; `out` has SOCKS_UDP_HEADER_MAX bytes. */
size_t socks_udp_write_name(const char *name, uint8_t name_length, uint16_t port, uint8_t *out);

/* How many bytes socks_udp_write() writes. */
size_t socks_udp_size(const struct ip_endpoint *endpoint);

#endif
