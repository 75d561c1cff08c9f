/* layer_tls_open.c - the handshake: which context, which versions, whom to believe. */
#include "streams/layer_tls_private.h"

#include "streams/client_hello.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION_TLS_1_3 = 0x0304 }; /* RFC 8446, 4.2.1 */

/* The session of a context that is known. */
static bool begin_session(struct layer_tls *tls)
{
    const char *alpn = tls_context_alpn(tls->context);
    struct ip_address ip;

    tls->ssl = wolfSSL_new(tls_context_wolfssl(tls->context));
    tls->judgement = calloc(1, sizeof *tls->judgement);
    if (!tls->ssl || !tls->judgement)
        return false;
    wolfSSL_SSLSetIORecv(tls->ssl, layer_tls_receive);
    wolfSSL_SSLSetIOSend(tls->ssl, layer_tls_send);
    wolfSSL_SetIOReadCtx(tls->ssl, tls);
    wolfSSL_SetIOWriteCtx(tls->ssl, tls);
    if (alpn) {
        char *copy = strdup(alpn);
        int rc = copy ? wolfSSL_UseALPN(tls->ssl, copy, (unsigned)strlen(copy),
                                        WOLFSSL_ALPN_FAILED_ON_MISMATCH)
                      : 0;

        free(copy);
        if (rc != WOLFSSL_SUCCESS)
            return false;
    }
    if (tls_context_is_server(tls->context))
        return true;
    tls->judgement->peer_name = tls->peer_name;
    if (!tls->peer_name || host_classify(tls->peer_name, strlen(tls->peer_name), &ip) != HOST_NAME)
        return true;
    return wolfSSL_UseSNI(tls->ssl, WOLFSSL_SNI_HOST_NAME, tls->peer_name,
                          (unsigned short)strlen(tls->peer_name)) == WOLFSSL_SUCCESS;
}

/* RFC 8446, 5.1: an alert's version is that of the hello, and of TLS 1.2 at most. */
static enum io refuse_version(struct layer_tls *tls, const struct client_hello *hello)
{
    uint16_t version = hello->version > 0x0303 ? 0x0303 : hello->version;

    tls->alert_version[0] = 3;
    tls->alert_version[1] = version < 0x0300 ? 0 : (uint8_t)version;
    layer_tls_fail_of(tls, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION);
    layer_tls_send_alert(tls);
    return IO_ERROR;
}

/* A server looks for the name first: a context that is changed later would bring its certificate
 * along, but not whom it lets in. And for the versions: without a common one the library says
 * nothing, or blames the suites. */
static enum io choose(struct layer_tls *tls)
{
    struct client_hello hello = {0};
    enum parse parsed;

    for (;;) {
        enum io result;

        parsed = client_hello_parse(buffer_bytes(&tls->in), buffer_waiting(&tls->in), &hello);
        if (parsed != PARSE_MORE || buffer_waiting(&tls->in) >= BUFFER_LARGE)
            break; /* what cannot be read is left to the library, which says so to the peer */
        result = layer_tls_fill(tls);
        if (result != IO_OK)
            return result;
    }
    if (tls->names)
        tls->context = tls_context_ref(tls_names_find(tls->names, hello.name));
    tls->names = NULL;
    if (hello.name[0])
        tls->peer_name = strdup(hello.name);
    if (parsed == PARSE_DONE &&
        !tls_context_speaks(tls->context, hello.offers_1_2, hello.offers_1_3))
        return refuse_version(tls, &hello);
    return IO_OK;
}

/* After the handshake: what need not be kept goes. */
static enum io opened(struct layer_tls *tls)
{
    struct tls_judgement *judgement = tls->judgement;

    if (tls_context_judges(tls->context) && !judgement->is_believed)
        return layer_tls_fail_of(tls,
                                 ERROR_TLS_CERTIFICATE_BAD); /* it finished without asking us */
    tls->is_open = true;
    tls->owes_ticket =
        tls_context_gives_tickets(tls->context) && wolfSSL_version(tls->ssl) == VERSION_TLS_1_3;
    tls->layer.holds = buffer_waiting(&tls->in) > 0;
    if (judgement->common_name[0])
        tls->common_name = strdup(judgement->common_name);
    if (tls->keeps_chain)
        return IO_OK;
    tls_judgement_done(judgement);
    free(judgement);
    tls->judgement = NULL;
    return IO_OK;
}

static enum io shake_hands(struct layer_tls *tls)
{
    struct stream_error error;
    int rc, code;

    tls_context_judge(tls->context, tls->judgement);
    if (tls_context_is_server(tls->context))
        rc = wolfSSL_accept(tls->ssl);
    else
        rc = wolfSSL_connect(tls->ssl);
    tls_context_judged(tls->context);
    if (rc == WOLFSSL_SUCCESS)
        return opened(tls);
    if (tls->below_failed)
        return IO_ERROR;
    code = wolfSSL_get_error(tls->ssl, rc);
    if (code == WOLFSSL_ERROR_WANT_READ && !tls->below_ended)
        return IO_AGAIN;
    error = layer_tls_reason(tls, code);
    if (tls->below_ended && tls_context_is_server(tls->context) &&
        stream_error_is(&error, ERROR_TLS_HANDSHAKE_PROTOCOL))
        return IO_EOF; /* a client that has left did nothing wrong; a server that has is none of TLS */
    layer_tls_fail(tls, error);
    layer_tls_send_alert(tls);
    return IO_ERROR;
}

enum io layer_tls_open(struct layer *layer)
{
    struct layer_tls *tls = (struct layer_tls *)layer;
    enum io result = IO_OK;

    if (tls->is_open)
        return IO_OK;
    layer_tls_begin(tls);
    if (!tls->ssl && (!tls->context || tls_context_is_server(tls->context)))
        result = choose(tls);
    if (result == IO_OK && !tls->ssl && !begin_session(tls))
        result = layer_tls_fail(tls, stream_error_read(ENOMEM));
    if (result == IO_OK)
        result = shake_hands(tls);
    /* An alert goes out as far as it can; then what failed has failed. */
    if (layer_tls_flush(layer) == IO_ERROR)
        return IO_ERROR;
    layer->open_waits = layer->below->read_waits;
    layer->holds = result == IO_AGAIN && tls->is_paused;
    return result;
}
