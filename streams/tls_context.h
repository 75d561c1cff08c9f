/* tls_context.h - what all TLS sessions of a listener's certificate, or of an upstream, have in
 * common: level, own certificate, whom they believe, suites, protocols, tickets. Immutable once
 * built and counted; any thread. Built by the control plane, used by layer_tls.c. */
#ifndef PAIRSOCKS_TLS_CONTEXT_H
#define PAIRSOCKS_TLS_CONTEXT_H

#include "streams/tls_tickets.h"
#include "streams/tls_trust.h"

#include <stdio.h>

struct WOLFSSL_CTX;
struct tls_context;

enum tls_role { TLS_CLIENT, TLS_SERVER };

/* The key `security`. NEGOTIATED is the highest that both ends have, 1.2 at least. */
enum tls_level { TLS_LEVEL_NONE, TLS_LEVEL_NEGOTIATED, TLS_LEVEL_1_2, TLS_LEVEL_1_3 };

/* The TLS keys of config.md. Texts are borrowed during the call; NULL = the key's default. */
struct tls_context_options {
    enum tls_role role;
    enum tls_level level; /* not NONE */
    const char
        *certificate; /* PEM file: own certificate, then its chain; a server has to have it */
    const char *private_key; /* PEM file */
    /* A server asks for a certificate, and lets nobody in without one, if there is an authority. A
     * client believes the system's bundle if there is none. */
    struct tls_trust_options trust;
    const char *ciphers; /* names between `:`; the built-in list has AEAD suites with forward
                            secrecy only */
    const char *alpn;    /* names between `,`, the best first */
    /* A server's: tickets are given out and taken with these keys. NULL: none. They are bound to
     * `name` and to all that decides who is let in; where clients have to show certificates there
     * are none (a resumed session would not show it again). */
    struct tls_ticket_keys *ticket_keys;
    const char *name; /* what the certificate is called in the configuration */
};

/* The suites that are offered when nothing else is asked for (RFC 9325, 4.2). */
extern const char tls_builtin_ciphers[];

/* NULL, with a text like "/etc/x.pem: No such file or directory" in `errors`. */
struct tls_context *tls_context_new(const struct tls_context_options *options, FILE *errors);

struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* harmless with NULL */

/* When the first certificate of the own chain expires, in seconds since 1970; 0 = it has none. */
int64_t tls_context_expires(const struct tls_context *context);

bool tls_context_is_server(const struct tls_context *context);

/* A server's, with `ticket_keys` that are used. TLS 1.2 has the ticket in its handshake; in TLS 1.3 the layer sends it
 * later. */
bool tls_context_gives_tickets(const struct tls_context *context);

/* Is the peer's certificate judged? Always for a client; for a server if it has an authority. */
bool tls_context_judges(const struct tls_context *context);

/* ---- for layer_tls.c */

struct WOLFSSL_CTX *tls_context_wolfssl(const struct tls_context *context);
const char *tls_context_alpn(const struct tls_context *context); /* NULL: none */

/* Is one of these versions, which a client offers, one of the context's level? */
bool tls_context_speaks(const struct tls_context *context, bool tls_1_2, bool tls_1_3);

enum { TLS_COMMON_NAME_MAX = 128 };

/* What became of the peer's certificate in one handshake. Zeroed by its owner before. */
struct tls_judgement {
    const char *peer_name; /* borrowed; NULL: any */
    bool is_believed;
    struct stream_error error;             /* why it is not believed */
    uint8_t *der;                          /* owned by the judgement: see tls_judgement_done() */
    struct x509_span chain[TLS_CHAIN_MAX]; /* in `der`, the peer's own first */
    size_t chain_n;
    char common_name[TLS_COMMON_NAME_MAX]; /* "": none that could be printed */
};

void tls_judgement_done(struct tls_judgement *judgement);

/* Around every call into wolfSSL that may meet the peer's certificate; on one thread, not nested.
 * Whoever has finished a handshake then looks at is_believed, where tls_context_judges(). */
void tls_context_judge(struct tls_context *context, struct tls_judgement *judgement);
void tls_context_judged(struct tls_context *context);

#endif
