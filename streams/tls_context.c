/* tls_context.c - a WOLFSSL_CTX with everything that could let in too much switched off. */
#include "streams/tls_context_private.h"

#include "streams/tls_file.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char tls_builtin_ciphers[] =
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:TLS13-CHACHA20-POLY1305-SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static void start_library(void)
{
    wolfSSL_Init();
}

static WOLFSSL_CTX *new_wolfssl(const struct tls_context_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bool is_server = options->role == TLS_SERVER;
    WOLFSSL_METHOD *method = NULL;

    pthread_once(&once, start_library);
    switch (options->level) {
    case TLS_LEVEL_NONE:
        break;
    case TLS_LEVEL_NEGOTIATED:
        method = is_server ? wolfSSLv23_server_method() : wolfSSLv23_client_method();
        break;
    case TLS_LEVEL_1_2:
        method = is_server ? wolfTLSv1_2_server_method() : wolfTLSv1_2_client_method();
        break;
    case TLS_LEVEL_1_3:
        /* wolfTLSv1_3_client_method() takes the hello of an older server for a broken one. */
        method = is_server ? wolfTLSv1_3_server_method() : wolfSSLv23_client_method();
        break;
    }
    return method ? wolfSSL_CTX_new(method) : NULL;
}

static bool set_least_version(struct tls_context *context,
                              const struct tls_context_options *options)
{
    int least = options->level == TLS_LEVEL_1_3 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;

    return wolfSSL_CTX_SetMinVersion(context->wolfssl, least) == WOLFSSL_SUCCESS;
}

/* ---- the own certificate */

static const char *reason_of(int rc)
{
    const char *text = wolfSSL_ERR_reason_error_string((unsigned long)rc);

    return text && *text ? text : "it is not usable";
}

/* The first date at which one of the chain expires. */
static int64_t first_expiry(const char *pem, size_t n)
{
    uint8_t *der = malloc(n + 1);
    int64_t first = 0;
    size_t der_n;
    bool broken;
    struct x509 cert;

    while (der && x509_pem_next(&pem, "CERTIFICATE", der, &der_n, &broken))
        if (x509_parse(der, der_n, &cert) && (first == 0 || cert.not_after < first))
            first = cert.not_after;
    free(der);
    return first;
}

static bool load_certificate(struct tls_context *context, const char *path, FILE *errors)
{
    size_t n;
    char *pem = tls_file_read(path, errors, &n);
    int rc;

    if (!pem)
        return false;
    rc = wolfSSL_CTX_use_certificate_chain_buffer(context->wolfssl, (const uint8_t *)pem, (long)n);
    if (rc == WOLFSSL_SUCCESS)
        context->expires = first_expiry(pem, n);
    else if (!strstr(pem, "-----BEGIN CERTIFICATE-----"))
        fprintf(errors, "%s: no certificate in it (PEM is expected)", path);
    else
        fprintf(errors, "%s: not a usable certificate: %s", path, reason_of(rc));
    tls_file_free(pem, n);
    return rc == WOLFSSL_SUCCESS;
}

static bool load_key(struct tls_context *context, const struct tls_context_options *options,
                     FILE *errors)
{
    size_t n;
    char *pem = tls_file_read(options->private_key, errors, &n);
    int rc;

    if (!pem)
        return false;
    rc = wolfSSL_CTX_use_PrivateKey_buffer(context->wolfssl, (const uint8_t *)pem, (long)n,
                                           WOLFSSL_FILETYPE_PEM);
    if (rc != WOLFSSL_SUCCESS)
        fprintf(errors, "%s: %s", options->private_key,
                strstr(pem, "ENCRYPTED")          ? "the key has a pass phrase"
                : strstr(pem, "PRIVATE KEY-----") ? "not a usable private key"
                                                  : "no private key in it (PEM is expected)");
    tls_file_free(pem, n);
    if (rc != WOLFSSL_SUCCESS)
        return false;
    if (wolfSSL_CTX_check_private_key(context->wolfssl) == WOLFSSL_SUCCESS)
        return true;
    fprintf(errors, "%s: the key does not belong to the certificate %s", options->private_key,
            options->certificate);
    return false;
}

static bool load_own(struct tls_context *context, const struct tls_context_options *options,
                     FILE *errors)
{
    if (!options->certificate && !options->private_key) {
        if (options->role == TLS_CLIENT)
            return true;
        fprintf(errors, "a server needs a certificate and a private key");
        return false;
    }
    if (!options->certificate || !options->private_key) {
        fprintf(errors, "%s: %s is missing",
                options->certificate ? options->certificate : options->private_key,
                options->certificate ? "its private key" : "the certificate for this private key");
        return false;
    }
    return load_certificate(context, options->certificate, errors) &&
           load_key(context, options, errors);
}

/* ---- suites */

static bool is_of_tls13(const char *name, size_t n)
{
    static const char *const prefixes[] = {"TLS13-", "TLS_AES_", "TLS_CHACHA20_"};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (n > strlen(prefixes[i]) && strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* wolfSSL passes over names that it does not know; a user who wrote one should hear of it. A client
 * of TLS 1.3 offers suites of 1.2, too: an older server then says that it is older. */
static bool set_ciphers(struct tls_context *context, const struct tls_context_options *options,
                        FILE *errors)
{
    const char *list = options->ciphers ? options->ciphers : tls_builtin_ciphers;
    bool usable = false;

    for (const char *at = list, *end; *at; at = *end ? end + 1 : end) {
        char name[80];
        size_t n;

        end = strchrnul(at, ':');
        n = (size_t)(end - at);
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        if (n == 0 || n >= sizeof name ||
            wolfSSL_CTX_set_cipher_list(context->wolfssl, name) != WOLFSSL_SUCCESS) {
            fprintf(errors, "ciphers: there is no suite `%s`", name);
            return false;
        }
        usable = usable || options->level == TLS_LEVEL_NEGOTIATED ||
                 is_of_tls13(at, n) == (options->level == TLS_LEVEL_1_3);
    }
    if (usable && wolfSSL_CTX_set_cipher_list(context->wolfssl, list) == WOLFSSL_SUCCESS)
        return true;
    fprintf(errors, "ciphers: no suite for this security level");
    return false;
}

/* ---- tickets */

/* Who may resume: it is authenticated with each ticket. */
static bool set_ticket_scope(struct tls_context *context, const struct tls_context_options *options)
{
    const char *texts[] = {
        tls_ticket_keys_name(options->ticket_keys),
        options->name ? options->name : "",
        options->ciphers ? options->ciphers : "",
        options->alpn ? options->alpn : "",
    };
    uint8_t level = (uint8_t)options->level;
    size_t n;
    char *pem = tls_file_read(options->certificate, NULL, &n);
    wc_Sha256 sha;
    bool ok;

    if (!pem || wc_InitSha256(&sha) != 0) {
        tls_file_free(pem, pem ? n : 0);
        return false;
    }
    ok = wc_Sha256Update(&sha, &level, 1) == 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ok = ok &&
             wc_Sha256Update(&sha, (const uint8_t *)texts[i], (word32)strlen(texts[i]) + 1) == 0;
    ok = ok && wc_Sha256Update(&sha, (const uint8_t *)pem, (word32)n) == 0 &&
         wc_Sha256Final(&sha, context->ticket_scope) == 0;
    wc_Sha256Free(&sha);
    tls_file_free(pem, n);
    return ok;
}

static int64_t monotonic_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static int on_ticket(WOLFSSL *ssl, unsigned char *key_name, unsigned char *iv, unsigned char *mac,
                     int seal, unsigned char *ticket, int n, int *ret_n, void *user)
{
    const struct tls_context *context = user;
    int64_t now = monotonic_seconds();

    (void)ssl;
    *ret_n = n;
    if (!seal)
        return tls_ticket_open(context->tickets, context->ticket_scope, now, key_name, iv, mac,
                               ticket, (size_t)n)
                   ? WOLFSSL_TICKET_RET_OK
                   : WOLFSSL_TICKET_RET_REJECT;
    memset(iv, 0, WOLFSSL_TICKET_IV_SZ);
    memset(mac, 0, WOLFSSL_TICKET_MAC_SZ);
    return tls_ticket_seal(context->tickets, context->ticket_scope, now, key_name, iv, mac, ticket,
                           (size_t)n)
               ? WOLFSSL_TICKET_RET_OK
               : WOLFSSL_TICKET_RET_FATAL;
}

static bool set_tickets(struct tls_context *context, const struct tls_context_options *options)
{
    WOLFSSL_CTX *wolfssl = context->wolfssl;

    /* The library's own cache of sessions is one for the whole process. */
    wolfSSL_CTX_set_session_cache_mode(wolfssl, WOLFSSL_SESS_CACHE_OFF);
    if (options->role == TLS_CLIENT)
        return true;
    if (!options->ticket_keys || context->trust) {
        wolfSSL_CTX_set_TicketEncCb(wolfssl, NULL);
        wolfSSL_CTX_NoTicketTLSv12(wolfssl);
        return options->level == TLS_LEVEL_1_2 || wolfSSL_CTX_no_ticket_TLSv13(wolfssl) == 0;
    }
    context->tickets = tls_ticket_keys_ref(options->ticket_keys);
    return set_ticket_scope(context, options) &&
           wolfSSL_CTX_set_TicketEncCb(wolfssl, on_ticket) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_set_TicketEncCtx(wolfssl, context) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_set_TicketHint(wolfssl, TLS_TICKET_PERIOD) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_set_num_tickets(wolfssl, 0) == WOLFSSL_SUCCESS; /* see give_ticket() */
}

/* ---- the context */

static bool build(struct tls_context *context, const struct tls_context_options *options,
                  FILE *errors)
{
    context->wolfssl = new_wolfssl(options);
    if (!context->wolfssl) {
        fprintf(errors, "the TLS library cannot make a context (memory, random numbers)");
        return false;
    }
    if (!set_least_version(context, options)) {
        fprintf(errors, "the TLS library does not know this security level");
        return false;
    }
    if (!set_ciphers(context, options, errors) || !load_own(context, options, errors))
        return false;
    if (options->role == TLS_SERVER && options->trust.revoke && !options->trust.authority) {
        fprintf(errors, "%s: a revocation list without an authority", options->trust.revoke);
        return false;
    }
    if (options->role == TLS_CLIENT || options->trust.authority) {
        context->trust = tls_trust_new(&options->trust, errors);
        if (!context->trust)
            return false;
    }
    tls_context_set_judge(context, options);
    if (options->alpn && !(context->alpn = strdup(options->alpn))) {
        fprintf(errors, "out of memory");
        return false;
    }
    if (!set_tickets(context, options)) {
        fprintf(errors, "the TLS library cannot set up session tickets");
        return false;
    }
    return true;
}

struct tls_context *tls_context_new(const struct tls_context_options *options, FILE *errors)
{
    struct tls_context *context = calloc(1, sizeof *context);

    if (!context) {
        fprintf(errors, "out of memory");
        return NULL;
    }
    atomic_init(&context->refs, 1);
    pthread_mutex_init(&context->handshake, NULL);
    context->role = options->role;
    context->level = options->level;
    if (build(context, options, errors))
        return context;
    tls_context_unref(context);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add(&context->refs, 1);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub(&context->refs, 1) != 1)
        return;
    wolfSSL_CTX_free(context->wolfssl);
    tls_trust_free(context->trust);
    tls_ticket_keys_unref(context->tickets);
    free(context->alpn);
    pthread_mutex_destroy(&context->handshake);
    free(context);
}

int64_t tls_context_expires(const struct tls_context *context)
{
    return context->expires;
}

bool tls_context_is_server(const struct tls_context *context)
{
    return context->role == TLS_SERVER;
}

bool tls_context_gives_tickets(const struct tls_context *context)
{
    return context->tickets != NULL;
}

bool tls_context_judges(const struct tls_context *context)
{
    return context->trust;
}

struct WOLFSSL_CTX *tls_context_wolfssl(const struct tls_context *context)
{
    return context->wolfssl;
}

bool tls_context_speaks(const struct tls_context *context, bool tls_1_2, bool tls_1_3)
{
    return (tls_1_2 && context->level != TLS_LEVEL_1_3) ||
           (tls_1_3 && context->level != TLS_LEVEL_1_2);
}

const char *tls_context_alpn(const struct tls_context *context)
{
    return context->alpn;
}
