/* tls_trust.c - builds a path from the peer's certificate to a trusted one, link by link, and judges
 * what lies on it. */
#include "streams/tls_trust.h"

#include "streams/tls_file.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATH_MAX_ = TLS_CHAIN_MAX + 4, LINKS_TRIED_MAX = 48 };

static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",                  /* Alpine */
};

struct tls_trust {
    struct tls_trust_options options; /* its texts are not kept */
    uint8_t *authority_der;           /* owned: what the roots' spans point to */
    size_t authority_n;
    struct x509 *roots; /* owned; of `root_count` */
    size_t root_count;
    uint8_t *list_der;      /* owned, likewise */
    struct x509_crl *lists; /* owned */
    size_t list_count;
    bool revokes;
};

/* ---- one link */

enum link { LINK_OK, LINK_OTHER_KEY, LINK_BROKEN };

/* A manager that trusts just this one. NULL: wolfSSL cannot use it. */
static WOLFSSL_CERT_MANAGER *manager_of(const struct x509 *issuer)
{
    WOLFSSL_CERT_MANAGER *manager = wolfSSL_CertManagerNew();

    if (manager && wolfSSL_CertManagerLoadCABuffer_ex(
                       manager, issuer->whole.at, (long)issuer->whole.n, WOLFSSL_FILETYPE_ASN1, 0,
                       WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY) != WOLFSSL_SUCCESS) {
        wolfSSL_CertManagerFree(manager);
        manager = NULL;
    }
    return manager;
}

/* Did the key of `issuer` sign `cert`, within its name constraints? Dates are judged later. */
static enum link signed_by(const struct x509 *cert, const struct x509 *issuer)
{
    WOLFSSL_CERT_MANAGER *manager = manager_of(issuer);
    int rc;

    if (!manager)
        return LINK_BROKEN;
    rc = wolfSSL_CertManagerVerifyBuffer(manager, cert->whole.at, (long)cert->whole.n,
                                         WOLFSSL_FILETYPE_ASN1);
    wolfSSL_CertManagerFree(manager);
    if (rc == WOLFSSL_SUCCESS || rc == ASN_BEFORE_DATE_E || rc == ASN_AFTER_DATE_E)
        return LINK_OK;
    return rc == ASN_NO_SIGNER_E || rc == ASN_SELF_SIGNED_E ? LINK_OTHER_KEY : LINK_BROKEN;
}

static bool is_self_issued(const struct x509 *cert)
{
    return x509_span_equal(cert->subject, cert->issuer);
}

/* ---- the path */

struct path {
    const struct x509 *at[PATH_MAX_]; /* the peer's own first */
    size_t n;
    size_t roots_from; /* what stands here and later is of the bundle */
    bool is_broken;    /* something was to be the next link, and its signature is wrong */
};

struct search {
    const struct tls_trust *trust;
    const struct x509 *chain;
    size_t chain_n;
    bool used[TLS_CHAIN_MAX];
    unsigned tried;
    struct path path;
    struct path longest; /* of those that led to no root */
};

/* May `issuer` stand above the path? RFC 5280, 4.2.1.9: not more intermediates below it than it
 * allows; those that are self-issued do not count. */
static bool may_issue(const struct path *path, const struct x509 *issuer, bool is_root)
{
    int below = 0;

    if (!(issuer->is_authority && issuer->may_sign) && !(is_root && issuer->version == X509_V1))
        return false;
    for (size_t i = 1; i < path->n; i++)
        below += !is_self_issued(path->at[i]);
    return issuer->path_length < 0 || below <= issuer->path_length;
}

/* Is `issuer` the next link? */
static bool fits(struct search *s, const struct x509 *issuer, bool is_root)
{
    const struct x509 *last = s->path.at[s->path.n - 1];
    enum link link;

    if (s->path.n == PATH_MAX_ || !x509_span_equal(issuer->subject, last->issuer) ||
        !may_issue(&s->path, issuer, is_root) || s->tried++ >= LINKS_TRIED_MAX)
        return false;
    link = signed_by(last, issuer);
    if (link == LINK_BROKEN && !is_self_issued(last)) /* that one signed itself */
        s->path.is_broken = true;
    return link == LINK_OK;
}

static void push(struct path *path, const struct x509 *cert)
{
    path->at[path->n++] = cert;
    path->is_broken = false;
}

/* Goes on from one certificate of the bundle to the next: a bundle may hold intermediates, too. */
static void climb_roots(struct search *s)
{
    for (size_t i = 0; i < s->trust->root_count; i++) {
        const struct x509 *root = &s->trust->roots[i];

        if (is_self_issued(s->path.at[s->path.n - 1]))
            return;
        if (!fits(s, root, true))
            continue;
        push(&s->path, root);
        i = (size_t)-1;
    }
    s->path.is_broken = false;
}

/* Extends the path to a root. False: it is as it was, and `longest` may have it. */
static bool reach_root(struct search *s)
{
    const struct x509 *last = s->path.at[s->path.n - 1];
    bool is_broken;

    for (size_t i = 0; i < s->trust->root_count; i++) {
        if (x509_span_equal(s->trust->roots[i].whole, last->whole)) {
            s->path.roots_from = s->path.n - 1;
            climb_roots(s);
            return true;
        }
        if (!fits(s, &s->trust->roots[i], true))
            continue;
        s->path.roots_from = s->path.n;
        push(&s->path, &s->trust->roots[i]);
        climb_roots(s);
        return true;
    }
    for (size_t i = 1; i < s->chain_n && !is_self_issued(last); i++) {
        if (s->used[i] || !fits(s, &s->chain[i], false))
            continue;
        is_broken = s->path.is_broken;
        s->used[i] = true;
        push(&s->path, &s->chain[i]);
        if (reach_root(s))
            return true;
        s->path.n--;
        s->path.is_broken = is_broken;
        s->used[i] = false;
    }
    if (s->path.n > s->longest.n) {
        s->longest = s->path;
        s->longest.roots_from = s->path.n;
    }
    return false;
}

/* ---- the judgement */

/* The list that answers for this certificate. */
static enum stream_error_id check_revoked(const struct tls_trust *trust, const struct x509 *cert,
                                          int64_t now)
{
    enum stream_error_id result = ERROR_TLS_CERTIFICATE_CRL_MISSING;

    for (size_t i = 0; i < trust->list_count; i++) {
        const struct x509_crl *crl = &trust->lists[i];

        if (!x509_span_equal(crl->issuer, cert->issuer))
            continue;
        if (x509_crl_holds(crl, cert->serial))
            return ERROR_TLS_CERTIFICATE_REVOKED;
        if (crl->this_update <= now && now <= crl->next_update)
            result = ERROR_NONE;
        else if (result == ERROR_TLS_CERTIFICATE_CRL_MISSING)
            result = ERROR_TLS_CERTIFICATE_CRL_EXPIRED;
    }
    return result;
}

/* The worst on the path: what is revoked first, then what no list speaks of. */
static enum stream_error_id check_path_revoked(const struct tls_trust *trust,
                                               const struct path *path, int64_t now)
{
    enum stream_error_id first = ERROR_NONE;

    for (size_t i = 0; trust->revokes && i < path->n; i++) {
        enum stream_error_id found;

        if ((i > 0 && i >= path->roots_from) || is_self_issued(path->at[i]))
            break; /* a root is not in a list of its own */
        found = check_revoked(trust, path->at[i], now);
        if (found == ERROR_TLS_CERTIFICATE_REVOKED)
            return found;
        if (first == ERROR_NONE)
            first = found;
    }
    return first;
}

static enum stream_error_id check_dates(const struct tls_trust *trust, const struct path *path,
                                        int64_t now)
{
    enum stream_error_id result = ERROR_NONE;

    for (size_t i = 0; i < path->n; i++) {
        bool is_root = i > 0 && (i >= path->roots_from || is_self_issued(path->at[i]));

        if (now < path->at[i]->not_before)
            return ERROR_TLS_CERTIFICATE_NOT_YET_VALID;
        if (now > path->at[i]->not_after && !(is_root ? trust->options.allow_expired_roots
                                                      : trust->options.allow_expired_certificates))
            result = ERROR_TLS_CERTIFICATE_EXPIRED;
    }
    return result;
}

static enum stream_error_id judge(const struct tls_trust *trust, struct search *s, int64_t now)
{
    const struct path *path = &s->path;
    enum stream_error_id result;

    push(&s->path, &s->chain[0]);
    if (trust->options.skip_chain) {
        s->path.roots_from = 1;
        return check_path_revoked(trust, path, now);
    }
    if (!reach_root(s)) {
        path = &s->longest;
        if (path->is_broken)
            return ERROR_TLS_CERTIFICATE_BAD;
        if (!trust->options.allow_any_root)
            return ERROR_TLS_CERTIFICATE_UNKNOWN_ROOT;
    }
    result = check_path_revoked(trust, path, now);
    return result == ERROR_NONE ? check_dates(trust, path, now) : result;
}

bool tls_trust_judge(const struct tls_trust *trust, const struct x509_span *chain, size_t n,
                     int64_t now, struct stream_error *ret_error)
{
    struct x509 certs[TLS_CHAIN_MAX];
    struct search s = {.trust = trust, .chain = certs};
    enum stream_error_id result = ERROR_TLS_CERTIFICATE_BAD;

    if (n == 0) {
        *ret_error = stream_error_of(ERROR_TLS_CERTIFICATE_MISSING);
        return false;
    }
    for (size_t i = 0; i < n && i < TLS_CHAIN_MAX; i++) {
        if (x509_parse(chain[i].at, chain[i].n, &certs[s.chain_n]))
            s.chain_n++;
        else if (i == 0)
            break; /* of the others those that cannot be read are no links */
    }
    if (s.chain_n)
        result = judge(trust, &s, now);
    if (result == ERROR_NONE)
        return true;
    *ret_error = stream_error_of(result);
    return false;
}

bool tls_trust_skips_chain(const struct tls_trust *trust)
{
    return trust->options.skip_chain;
}

bool tls_trust_proves(const struct tls_trust *trust)
{
    return !trust->options.skip_chain && !trust->options.allow_any_root;
}

/* ---- loading */

static bool add_root(struct tls_trust *trust, struct x509_span der)
{
    struct x509 cert;
    struct x509 *more;

    if (!x509_parse(der.at, der.n, &cert))
        return false;
    more = reallocarray(trust->roots, trust->root_count + 1, sizeof *more);
    if (!more)
        return false;
    trust->roots = more;
    trust->roots[trust->root_count++] = cert;
    return true;
}

enum list_from { LIST_OURS, LIST_OF_OTHERS, LIST_FORGED };

/* Signed by one of the bundle? wolfSSL does not look at the signature of a list that is past its
 * date; such a list is good for refusing only, whoever made it. */
static enum list_from list_from(const struct tls_trust *trust, struct x509_span der,
                                const struct x509_crl *crl)
{
    enum list_from from = LIST_OF_OTHERS;

    for (size_t i = 0; i < trust->root_count; i++) {
        WOLFSSL_CERT_MANAGER *manager;
        int rc = BAD_FUNC_ARG;

        if (!x509_span_equal(trust->roots[i].subject, crl->issuer))
            continue;
        from = LIST_FORGED;
        manager = manager_of(&trust->roots[i]);
        if (manager)
            rc = wolfSSL_CertManagerLoadCRLBuffer(manager, der.at, (long)der.n,
                                                  WOLFSSL_FILETYPE_ASN1);
        wolfSSL_CertManagerFree(manager);
        if (rc == WOLFSSL_SUCCESS || rc == CRL_CERT_DATE_ERR || rc == ASN_AFTER_DATE_E)
            return LIST_OURS;
    }
    return from;
}

/* NULL: added, or the list of an authority that is not of the bundle: one file may serve several
 * contexts, and it says nothing about whom this one believes. */
static const char *add_list(struct tls_trust *trust, struct x509_span der)
{
    struct x509_crl crl;
    struct x509_crl *more;

    if (!x509_crl_parse(der.at, der.n, &crl))
        return "a revocation list in it is broken, or of a kind that is not supported (delta, "
               "indirect, partial)";
    if (crl.next_update == 0)
        return "a revocation list in it has no date of the next one";
    switch (list_from(trust, der, &crl)) {
    case LIST_OURS:
        break;
    case LIST_OF_OTHERS:
        return NULL;
    case LIST_FORGED:
        return "a revocation list in it has the authority's name and not its signature";
    }
    more = reallocarray(trust->lists, trust->list_count + 1, sizeof *more);
    if (!more)
        return "out of memory";
    trust->lists = more;
    trust->lists[trust->list_count++] = crl;
    return NULL;
}

static bool load_roots(struct tls_trust *trust, const char *path, bool is_system, FILE *errors)
{
    size_t n, der_n, count = 0;
    char *text = tls_file_read(path, errors, &n);
    const char *at = text;
    bool is_broken = false;

    if (!text)
        return false;
    trust->authority_der = malloc(n + 1);
    while (trust->authority_der &&
           x509_pem_next(&at, "CERTIFICATE", trust->authority_der + trust->authority_n, &der_n,
                         &is_broken)) {
        count++;
        if (add_root(trust, (struct x509_span){trust->authority_der + trust->authority_n, der_n}))
            trust->authority_n += der_n;
        else if (!is_system)
            is_broken = true;
        if (is_broken)
            break;
    }
    tls_file_free(text, n);
    if (!is_broken && trust->root_count)
        return true;
    if (is_broken)
        fprintf(errors, "%s: certificate %zu in it is broken", path, count);
    else
        fprintf(errors, "%s: no certificate in it (PEM is expected)", path);
    return false;
}

static bool load_lists(struct tls_trust *trust, const char *path, FILE *errors)
{
    size_t n, der_n, used = 0, found = 0;
    char *text = tls_file_read(path, errors, &n);
    const char *at = text, *reason = NULL;
    bool is_broken = false;

    if (!text)
        return false;
    trust->list_der = malloc(n + 1);
    while (!reason && trust->list_der &&
           x509_pem_next(&at, "X509 CRL", trust->list_der + used, &der_n, &is_broken)) {
        reason = add_list(trust, (struct x509_span){trust->list_der + used, der_n});
        used += der_n;
        found++;
    }
    tls_file_free(text, n);
    if (is_broken)
        reason = "a revocation list in it is broken";
    else if (!reason && !found)
        reason = "no revocation list in it (PEM is expected)";
    else if (!reason && !trust->list_count)
        reason = "no revocation list in it is signed by a certificate of the authority";
    if (reason)
        fprintf(errors, "%s: %s", path, reason);
    trust->revokes = true;
    return !reason;
}

const char *tls_trust_system_bundle(void)
{
    for (size_t i = 0; i < sizeof system_bundles / sizeof system_bundles[0]; i++) {
        FILE *file = fopen(system_bundles[i], "re");

        if (!file)
            continue;
        fclose(file);
        return system_bundles[i];
    }
    return system_bundles[0]; /* the error then names it */
}

/* Roots are of use where the chain is judged, or where somebody has to have signed a list. */
static bool needs_roots(const struct tls_trust_options *options)
{
    return options->authority || options->revoke ||
           !(options->skip_chain || options->allow_any_root);
}

bool tls_trust_uses_system(const struct tls_trust_options *options)
{
    return !options->authority && needs_roots(options);
}

struct tls_trust *tls_trust_new(const struct tls_trust_options *options, FILE *errors)
{
    struct tls_trust *trust = calloc(1, sizeof *trust);
    const char *authority = options->authority ? options->authority : tls_trust_system_bundle();

    if (!trust) {
        fprintf(errors, "%s: out of memory", authority);
        return NULL;
    }
    trust->options = *options;
    trust->options.authority = trust->options.revoke = NULL;
    if ((needs_roots(options) && !load_roots(trust, authority, !options->authority, errors)) ||
        (options->revoke && !load_lists(trust, options->revoke, errors))) {
        tls_trust_free(trust);
        return NULL;
    }
    return trust;
}

void tls_trust_free(struct tls_trust *trust)
{
    if (!trust)
        return;
    free(trust->authority_der);
    free(trust->roots);
    free(trust->list_der);
    free(trust->lists);
    free(trust);
}
