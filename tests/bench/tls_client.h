/* tls_client.h - the clients' end of TLS. load.c works without it: only where tls_client.c is linked too (and with it
 * OpenSSL) is there a `tls_client`. An `SSL` is passed as void *, so that load.c needs no header of OpenSSL.
 *
 * Every connection is a full handshake of TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519, for the name
 * "localhost", and checks the certificate; anything else ends the process (die). */
#ifndef BENCH_TLS_CLIENT_H
#define BENCH_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tls_client_calls {
    /* Once, first: whoever has a certificate of this file (PEM) is trusted. */
    void (*begin)(const char *authority);

    /* The TLS end of a connected, non-blocking socket, which stays the caller's. */
    void *(*new)(int fd);
    void (*free)(void *tls);

    /* True when the handshake is done; else to be called again when the socket is readable. */
    bool (*handshake)(void *tls);

    /* As recv(2): 0 is a close_notify, and a stream that ends without one is EPROTO. More may be there than was asked
     * for, unseen by epoll: until EAGAIN. */
    ssize_t (*read)(void *tls, void *ret_bytes, size_t max);

    /* As send(2). After less than `n`, or EAGAIN, the next call must continue with the same bytes. */
    ssize_t (*write)(void *tls, const void *bytes, size_t n);

    /* Sends close_notify. */
    void (*end)(void *tls);
};

extern const struct tls_client_calls tls_client
    __attribute__((weak)); /* at address 0 if it is not linked */

#endif
