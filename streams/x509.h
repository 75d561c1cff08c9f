/* x509.h - what our checks need to know of a certificate and of a revocation list (RFC 5280): their
 * names, dates, serial numbers and limits. Pure: bytes in, spans into the same bytes out; no
 * clock, no allocation, no signature is checked here (tls_trust.c does that). Called by
 * tls_trust.c and tls_context*.c. */
#ifndef PAIRSOCKS_X509_H
#define PAIRSOCKS_X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else. */
struct x509_span {
    const uint8_t *at;
    size_t n;
};

enum { X509_V1 = 0, X509_V3 = 2 };

struct x509 {
    struct x509_span whole;       /* the DER that it was read from */
    struct x509_span serial;      /* content of the INTEGER */
    struct x509_span issuer;      /* the Name, with its header */
    struct x509_span subject;     /* likewise */
    struct x509_span common_name; /* the last CN of the subject, as it is written; empty: none */
    struct x509_span other_names; /* GeneralNames of the subject, without header; empty: none */
    int64_t not_before;           /* seconds since 1970 */
    int64_t not_after;
    int path_length; /* -1 = no limit */
    uint8_t version;
    bool is_authority; /* basicConstraints say cA */
    bool may_sign;     /* keyUsage is absent or has keyCertSign */
};

struct x509_crl {
    struct x509_span issuer;  /* the Name, with its header */
    struct x509_span revoked; /* content of revokedCertificates */
    int64_t this_update;
    int64_t next_update; /* 0 = it does not say */
};

bool x509_span_equal(struct x509_span a, struct x509_span b);

/* False: no certificate, or one with something behind it. `ret` is untouched then. */
bool x509_parse(const void *der, size_t n, struct x509 *ret);

/* Whether the certificate names the peer: `name` is an address (RFC 9525: compared with iPAddress
 * entries only) or a host name without a trailing dot, compared with dNSName entries; `*` stands
 * for one whole leftmost label, and never for one directly below the root. The common name counts
 * only in a certificate that has neither kind of entry. */
bool x509_is_named(const struct x509 *cert, const char *name);

/* False: no list, or one of a kind that we could misread (a critical extension: delta, indirect
 * and partial lists). */
bool x509_crl_parse(const void *der, size_t n, struct x509_crl *ret);

bool x509_crl_holds(const struct x509_crl *crl, struct x509_span serial);

/* Finds the next `-----BEGIN LABEL-----` block (RFC 7468) behind *at and decodes it to `out`, which
 * has room for 3/4 of the rest of the text. False: no more, or *at stands at one that is broken
 * (*ret_broken). Text between blocks is skipped. */
bool x509_pem_next(const char **at, const char *label, uint8_t *out, size_t *ret_n,
                   bool *ret_broken);

#endif
