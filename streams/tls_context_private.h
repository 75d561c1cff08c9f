/* tls_context_private.h - what tls_context*.c know of a context. Nobody else does. */
#ifndef PAIRSOCKS_TLS_CONTEXT_PRIVATE_H
#define PAIRSOCKS_TLS_CONTEXT_PRIVATE_H

#include "streams/tls_context.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <pthread.h>
#include <stdatomic.h>

struct tls_context {
    atomic_uint refs;
    enum tls_role role;
    enum tls_level level;
    WOLFSSL_CTX *wolfssl;            /* owned */
    struct tls_trust *trust;         /* owned; NULL: nobody is judged */
    struct tls_ticket_keys *tickets; /* counted; NULL: none */
    uint8_t ticket_scope[TLS_TICKET_SCOPE];
    char *alpn;      /* owned; NULL: none */
    int64_t expires; /* 0: no certificate */
    /* Where roots that nobody knows are forgiven, wolfSSL would keep every authority that any peer
     * ever showed. They are unloaded after each step of a handshake, and these steps are taken one
     * at a time: another thread may be looking at them. */
    bool forgets;
    pthread_mutex_t handshake;
};

/* Whom wolfSSL is to ask about the peer's certificate, if anybody is judged (`trust` is set). */
void tls_context_set_judge(struct tls_context *context, const struct tls_context_options *options);

#endif
