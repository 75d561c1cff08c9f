/* client_hello.h - finds the name and the versions in a TLS ClientHello (RFC 8446, 4.1.2 and 4.2.1;
 * RFC 6066, 3), so that a server can choose its certificate, and whom it lets in, before the TLS
 * library sees a byte, and can tell a client that has no version in common with it. Pure. Called by
 * layer_tls.c. */
#ifndef PAIRSOCKS_CLIENT_HELLO_H
#define PAIRSOCKS_CLIENT_HELLO_H

#include "streams/address.h"
#include "streams/cursor.h"

/* Never more is looked at; a longer ClientHello is BAD. Hybrid key shares need about 2 KiB. */
enum { CLIENT_HELLO_MAX = 16 * 1024 };

struct client_hello {
    char name[HOST_NAME_LENGTH_MAX + 1]; /* "": none, or not a host name */
    uint16_t version;                    /* the message's own: 0x0303 for TLS 1.2 and 1.3 */
    bool offers_1_2, offers_1_3;
};

/* Looks at the records that a client begins with; nothing is consumed. The message may lie in any
 * number of records. One in the form of SSL 2 (RFC 5246, E.2) offers nothing, whatever it says:
 * RFC 6176. DONE: *ret_hello is set. MORE: call again with more bytes. BAD: it is no
 * ClientHello that one could read; the library may say what is wrong with it. */
enum parse client_hello_parse(const void *bytes, size_t n, struct client_hello *ret_hello);

#endif
