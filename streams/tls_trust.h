/* tls_trust.h - whom a TLS context believes: trusted roots, revocation lists, and what is forgiven.
 * It judges a peer's whole chain at once, by itself, because wolfSSL's own check leaves out
 * revocation where a verify callback forgave an expired certificate, never looks at the dates of
 * a root again, and keeps every forgiven authority for all later peers. wolfSSL is asked for the
 * signatures only. Immutable once loaded; any thread. Called by tls_context*.c. */
#ifndef PAIRSOCKS_TLS_TRUST_H
#define PAIRSOCKS_TLS_TRUST_H

#include "streams/error.h"
#include "streams/x509.h"

#include <stdio.h>

struct tls_trust;

/* The keys of config.md. All zero: the system's roots, everything checked. Texts are borrowed
 * during the call. */
struct tls_trust_options {
    const char *authority; /* PEM bundle; NULL: the system's */
    /* PEM file of CRLs; NULL: none. Those of other authorities are passed over. */
    const char *revoke;
    bool skip_chain; /* validate_chain = no: neither issuer nor dates are looked at */
    bool allow_expired_certificates;
    bool allow_expired_roots;
    bool allow_any_root;
};

/* The longest chain of a peer that is judged. */
enum { TLS_CHAIN_MAX = 9 };

/* NULL, with the file and the reason in `errors`: a file cannot be read, has nothing of its kind, no
 * revocation list of an authority of the bundle, or one that only claims to be. A list that is past
 * its date loads, and refuses. */
struct tls_trust *tls_trust_new(const struct tls_trust_options *options, FILE *errors);

/* True when these need the system's bundle, and where that is found now. */
bool tls_trust_uses_system(const struct tls_trust_options *options);
const char *tls_trust_system_bundle(void);

void tls_trust_free(struct tls_trust *trust);

/* Judges a chain, the peer's own certificate first, at `now` (seconds since 1970). The links after
 * it may come in any order, and some may be missing whose certificates stand in the bundle.
 * False: *ret_error is a tls.certificate.* error. Of several faults it names the first of: bad,
 * unknown-root, revoked, crl-missing, crl-expired, not-yet-valid, expired. A revoked certificate
 * is refused whatever is forgiven. The peer's own certificate is never taken for a root, even when
 * the bundle has it. */
bool tls_trust_judge(const struct tls_trust *trust, const struct x509_span *chain, size_t n,
                     int64_t now, struct stream_error *ret_error);

bool tls_trust_skips_chain(const struct tls_trust *trust);

/* Does a certificate that was not refused prove who its subject is? Not where any root will do. */
bool tls_trust_proves(const struct tls_trust *trust);

#endif
