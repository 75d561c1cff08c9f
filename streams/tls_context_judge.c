/* tls_context_judge.c - whether the peer's certificate is believed: asked by wolfSSL, answered by tls_trust. */
#include "streams/tls_context_private.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/error-crypt.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* wolfSSL knows no root here: it finds fault with every chain, and asks. The answer is one for the
 * whole chain, found at the first question. Its two callbacks must agree: what one of them forgives
 * is forgiven. */

static _Thread_local struct tls_judgement *judgement_now;
static _Thread_local const struct tls_context *judging_now;

void tls_judgement_done(struct tls_judgement *judgement)
{
    free(judgement->der);
    judgement->der = NULL;
    judgement->chain_n = 0;
}

static bool copy_chain(struct tls_judgement *judgement, const WOLFSSL_X509_STORE_CTX *store)
{
    size_t count = store->totalCerts < TLS_CHAIN_MAX ? (size_t)store->totalCerts : TLS_CHAIN_MAX;
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += store->certs[i].length;
    judgement->der = malloc(n + 1);
    if (!judgement->der)
        return false;
    n = 0;
    for (size_t i = 0; i < count; i++) {
        judgement->chain[i] = (struct x509_span){judgement->der + n, store->certs[i].length};
        memcpy(judgement->der + n, store->certs[i].buffer, store->certs[i].length);
        n += store->certs[i].length;
    }
    judgement->chain_n = count;
    return true;
}

/* It becomes an identity, and goes into logs: plain text, or nothing. */
static void copy_common_name(struct tls_judgement *judgement, const struct x509 *cert)
{
    size_t n = cert->common_name.n;

    if (n >= sizeof judgement->common_name)
        return;
    for (size_t i = 0; i < n; i++)
        if (cert->common_name.at[i] < ' ' || cert->common_name.at[i] > '~')
            return;
    if (n)
        memcpy(judgement->common_name, cert->common_name.at, n);
    judgement->common_name[n] = '\0';
}

static void judge(const struct tls_context *context, struct tls_judgement *judgement,
                  const WOLFSSL_X509_STORE_CTX *store)
{
    struct x509 own;

    judgement->error = stream_error_of(ERROR_TLS_CERTIFICATE_BAD);
    if (!copy_chain(judgement, store) ||
        !tls_trust_judge(context->trust, judgement->chain, judgement->chain_n, time(NULL),
                         &judgement->error) ||
        !x509_parse(judgement->chain[0].at, judgement->chain[0].n, &own))
        return;
    if (judgement->peer_name && !x509_is_named(&own, judgement->peer_name)) {
        judgement->error = stream_error_of(ERROR_TLS_CERTIFICATE_NAME_MISMATCH);
        return;
    }
    if (tls_trust_proves(context->trust))
        copy_common_name(judgement, &own);
    judgement->error = (struct stream_error){0};
    judgement->is_believed = true;
}

/* What wolfSSL finds because it knows no root, or what was judged here. Everything else (the key is
 * not for this use, an extension that nobody knows) stays a fault. */
static bool is_judged_here(int fault)
{
    return fault == 0 || fault == ASN_NO_SIGNER_E || fault == ASN_SELF_SIGNED_E ||
           fault == ASN_BEFORE_DATE_E || fault == ASN_AFTER_DATE_E;
}

static int on_certificate(int ok, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls_judgement *judgement = judgement_now;

    (void)ok;
    if (!judgement)
        return 0;
    if (!judgement->is_believed && !stream_error_set(&judgement->error))
        judge(judging_now, judgement, store);
    if (judgement->is_believed && !is_judged_here(store->error) &&
        !tls_trust_skips_chain(judging_now->trust)) {
        judgement->is_believed = false;
        judgement->error = stream_error_of(ERROR_TLS_CERTIFICATE_BAD);
    }
    return judgement->is_believed;
}

void tls_context_judge(struct tls_context *context, struct tls_judgement *judgement)
{
    if (context->forgets)
        pthread_mutex_lock(&context->handshake);
    judgement_now = judgement;
    judging_now = context;
}

void tls_context_judged(struct tls_context *context)
{
    judgement_now = NULL;
    judging_now = NULL;
    if (!context->forgets)
        return;
    wolfSSL_CertManagerUnloadIntermediateCerts(wolfSSL_CTX_GetCertManager(context->wolfssl));
    pthread_mutex_unlock(&context->handshake);
}

void tls_context_set_judge(struct tls_context *context, const struct tls_context_options *options)
{
    int mode = WOLFSSL_VERIFY_PEER;

    if (!context->trust) {
        wolfSSL_CTX_set_verify(context->wolfssl, WOLFSSL_VERIFY_NONE, NULL);
        return;
    }
    if (context->role == TLS_SERVER)
        mode |= WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    wolfSSL_CTX_set_verify(context->wolfssl, mode, on_certificate);
    wolfSSL_CertManagerSetVerify(wolfSSL_CTX_GetCertManager(context->wolfssl), on_certificate);
    context->forgets = options->trust.allow_any_root || options->trust.skip_chain;
}
