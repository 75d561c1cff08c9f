/* address.h - IP addresses, host names and ports as text and as bytes. The only parser of them
 * in the project: configuration, rules, SOCKS requests and the command line all come here, so
 * that one spelling means one thing. Pure: no I/O, no allocation, no resolving. */
#ifndef PAIRSOCKS_ADDRESS_H
#define PAIRSOCKS_ADDRESS_H

#include "api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

PAIRSOCKS_API_BEGIN

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

struct ip_address {
    uint8_t family;    /* enum ip_family */
    uint8_t bytes[16]; /* network order; IPv4 uses the first four, the others are 0 */
};

struct ip_endpoint {
    struct ip_address ip;
    uint16_t port; /* host order */
};

/* A network in CIDR notation, or one address (all bits). The bits behind the prefix are 0. */
struct ip_prefix {
    struct ip_address ip;
    uint8_t bits;
};

#define IP_TEXT_MAX 46           /* longest address with its NUL */
#define IP_PREFIX_TEXT_MAX 50    /* address/bits with its NUL */
#define ENDPOINT_TEXT_MAX 56     /* [address]:port with its NUL */
#define HOST_NAME_LENGTH_MAX 255 /* longest name that SOCKS can say, without a NUL */
#define HOST_PORT_TEXT_MAX (HOST_NAME_LENGTH_MAX + 9)

/* What a host's text is. */
enum host_kind {
    HOST_INVALID, /* nothing that may reach a resolver */
    HOST_NAME,
    HOST_ADDRESS,
};

/* Strict text to address: dotted quads of four decimal numbers without leading zeros; IPv6 as
 * RFC 4291, 2.2 has it, without brackets and without a zone. `ret_ip` is untouched on failure. */
bool ip_parse(const char *text, size_t n, struct ip_address *ret_ip);

/* Writes the address (IPv6 as RFC 5952 has it), NUL-terminated; `out` has IP_TEXT_MAX bytes.
 * Returns its length. */
size_t ip_format(const struct ip_address *ip, char *out);

bool ip_equal(const struct ip_address *a, const struct ip_address *b);

/* ::ffff:a.b.c.d becomes a.b.c.d (RFC 4291, 2.5.5.2); any other address stays as it is. */
struct ip_address ip_unmapped(const struct ip_address *ip);

/* Strict text to prefix: ADDRESS or ADDRESS/BITS (RFC 4632, 3.1; RFC 4291, 2.3). Bits behind the
 * prefix are cleared (10.0.0.1/8 is 10.0.0.0/8). IPv4-mapped prefixes of 96 bits or more become
 * IPv4. `ret` is untouched on failure. */
bool ip_prefix_parse(const char *text, size_t n, struct ip_prefix *ret);

/* Writes ADDRESS/BITS, or ADDRESS alone for all bits; `out` has IP_PREFIX_TEXT_MAX bytes. Returns
 * the length. */
size_t ip_prefix_format(const struct ip_prefix *prefix, char *out);

/* True when the address lies in the prefix; false for IP_NONE and for another family: whoever may
 * have an IPv4-mapped address calls ip_unmapped() first. */
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_address *ip);

/* True for 127/8 and ::1. */
bool ip_is_loopback(const struct ip_address *ip);

/* True for 0.0.0.0 and ::. */
bool ip_is_unspecified(const struct ip_address *ip);

/* True for what a proxy is of no use for: loopback and private addresses (RFC 1918, RFC 4193), also
 * IPv4-mapped ones. */
bool ip_is_near(const struct ip_address *ip);

/* Says what `n` bytes from anybody are. An address is parsed into `ret_ip`, which is untouched
 * otherwise. A name has labels of letters, digits, `-` and `_` (RFC 1123, 2.1, and the
 * underscore of service names), each of 1 to 63 bytes, 253 in all, one trailing dot allowed. A
 * name whose last label is a number (127.1, 2130706433, 0x7f000001, 1.2.3.4.) is an address in
 * an odd spelling and HOST_INVALID, as is every other byte: what is a name here means the same
 * to every resolver and can be written into a log as it is. */
enum host_kind host_classify(const char *text, size_t n, struct ip_address *ret_ip);

/* True when the names are the same, without regard to case and one trailing dot (RFC 4343). */
bool host_name_equal(const char *a, size_t a_length, const char *b, size_t b_length);

/* True for `localhost` and names below it (RFC 6761, 6.3): loopback, without asking anybody. */
bool host_name_is_localhost(const char *name, size_t n);

/* The same for names: those without a dot, and what is below .local (RFC 6762) and localhost. */
bool host_name_is_near(const char *name, size_t n);

/* A decimal port 0..65535 without sign, blanks or leading zeros. */
bool port_parse(const char *text, size_t n, uint16_t *ret_port);

/* Splits HOST:PORT or [V6]:PORT. The host is not classified, but an unbracketed one holds no
 * colon. Results are untouched on failure; `ret_host` points into `text`. */
bool host_port_split(const char *text, size_t n, const char **ret_host, size_t *ret_host_length,
                     uint16_t *ret_port);

/* Splits and parses ADDRESS:PORT, no names. */
bool endpoint_parse(const char *text, size_t n, struct ip_endpoint *ret_endpoint);

/* Writes a.b.c.d:port or [v6]:port, NUL-terminated; `out` has ENDPOINT_TEXT_MAX bytes; "-" for
 * IP_NONE. Returns the length. */
size_t endpoint_format(const struct ip_endpoint *endpoint, char *out);

bool endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b);

/* To and from the kernel's form. A family that is neither IPv4 nor IPv6 becomes IP_NONE. Returns
 * the length. */
socklen_t endpoint_to_sockaddr(const struct ip_endpoint *endpoint, struct sockaddr_storage *out);
struct ip_endpoint endpoint_from_sockaddr(const struct sockaddr_storage *sa);

PAIRSOCKS_API_END

#endif
