/* proxy_protocol.h - the header by which a proxy tells the next hop who its client is: the PROXY
 * protocol, versions 1 and 2 (proxy-protocol.txt, 2.1 and 2.2). Pure: no I/O, no allocation. */
#ifndef PAIRSOCKS_PROXY_PROTOCOL_H
#define PAIRSOCKS_PROXY_PROTOCOL_H

#include "streams/address.h"
#include "streams/cursor.h"
#include "streams/error.h"

#define PROXY_V1_MAX 107
#define PROXY_V2_HEADER 16
#define PROXY_V2_MAX 2048 /* ours: the length field allows 65,551; TLVs of real senders fit */

struct proxy_header {
    uint8_t version; /* 1 or 2 */
    bool is_local;   /* says nothing of a client: v1 UNKNOWN; v2 LOCAL, or a family or protocol that
                      * is unspecified or has no IP address (AF_UNIX): the real addresses hold */
    struct ip_endpoint source; /* IP_NONE if is_local */
    struct ip_endpoint destination;
};

/* DONE: *ret_header is set and `in` stands behind the whole header (TLVs included). MORE: nothing
 * was consumed. BAD (protocol.proxy.bad), of v1 at the end of the word that is and else at the
 * byte:
 * - no such signature, a version or command that is unknown;
 * - a v1 line that is longer than PROXY_V1_MAX, or not exactly as 2.1 has it: single blanks,
 *   addresses of the family named as ip_parse() takes them, ports as port_parse() does, CR LF;
 *   behind UNKNOWN a blank and anything;
 * - a v2 header larger than PROXY_V2_MAX; of PROXY, an unknown family or protocol, datagrams, or a
 *   length too small for the family; of TCP, TLVs that run over the header's end. */
enum parse proxy_parse_header(struct cursor *in, struct proxy_header *ret_header,
                              struct stream_error *ret_error);

/* One header, to be sent in one write: of version 1 or 2, for `source` and `destination` of one
 * family (IPv4-mapped ones are written as IPv6); for addresses of IP_NONE or of two families
 * UNKNOWN or LOCAL. `out` has PROXY_V1_MAX bytes. Returns the header's size. */
size_t proxy_write_header(unsigned version, const struct ip_endpoint *source,
                          const struct ip_endpoint *destination, uint8_t *out);

#endif
