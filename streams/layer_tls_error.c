/* layer_tls_error.c - what failed, in our names, and what the peer is told of it. */
#include "streams/layer_tls_private.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <string.h>

/* A plain alert: type(1)=21 version(2) length(2)=2 | level(1) description(1) (RFC 8446, 6). */
enum { ALERT = 21 };

enum io layer_tls_fail(struct layer_tls *tls, struct stream_error error)
{
    stream_error_keep_first(tls->layer.error, error);
    return IO_ERROR;
}

enum io layer_tls_fail_of(struct layer_tls *tls, enum stream_error_id id)
{
    return layer_tls_fail(tls, stream_error_of(id));
}

static const struct {
    int code;
    enum stream_error_id id;
} library_errors[] = {
    {VERSION_ERROR, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION},
    {MATCH_SUITE_ERROR, ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE},
    {UNSUPPORTED_SUITE, ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE},
    {UNKNOWN_ALPN_PROTOCOL_NAME_E, ERROR_TLS_HANDSHAKE_NO_COMMON_ALPN},
    {NO_PEER_CERT, ERROR_TLS_CERTIFICATE_MISSING},
    {VERIFY_CERT_ERROR, ERROR_TLS_CERTIFICATE_BAD}, /* these before anybody is asked */
    {MAX_CHAIN_ERROR, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_PARSE_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_VERSION_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_UNKNOWN_OID_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_SIG_OID_E, ERROR_TLS_CERTIFICATE_BAD},
    {ASN_CRIT_EXT_E, ERROR_TLS_CERTIFICATE_BAD},
};

/* A peer that has no keys yet sends its alert in plain, when the library expects a sealed one: it stops
 * at the header, or behind it. */
static bool heard_plain_alert(struct layer_tls *tls, uint8_t *ret_code)
{
    static const uint8_t header[] = {ALERT, 3};
    static const uint8_t length[] = {0, 2};
    const uint8_t *last = tls->last;

    if (tls->is_open)
        return false;
    if (buffer_waiting(&tls->in) >= 2 && memcmp(last + 2, header, 2) == 0 &&
        memcmp(last + 5, length, 2) == 0)
        layer_tls_remember(tls, 2);
    if (memcmp(last, header, 2) != 0 || memcmp(last + 3, length, 2) != 0)
        return false;
    *ret_code = last[6];
    return true;
}

struct stream_error layer_tls_reason(struct layer_tls *tls, int code)
{
    WOLFSSL_ALERT_HISTORY alerts;
    uint8_t alert;

    if (tls->judgement && stream_error_set(&tls->judgement->error))
        return tls->judgement->error;
    if (wolfSSL_get_alert_history(tls->ssl, &alerts) == WOLFSSL_SUCCESS &&
        alerts.last_rx.level >= 0 && code != SOCKET_PEER_CLOSED_E && code != SOCKET_ERROR_E &&
        (alerts.last_rx.level == LAYER_TLS_ALERT_FATAL || code == FATAL_ERROR ||
         (!tls->is_open && code == ZERO_RETURN)))
        return stream_error_code(ERROR_TLS_ALERT, alerts.last_rx.code);
    if (tls->is_open)
        return stream_error_of(tls->below_ended ? ERROR_TLS_CUT : ERROR_TLS_RECORD_BAD);
    for (size_t i = 0; i < sizeof library_errors / sizeof library_errors[0]; i++)
        if (library_errors[i].code == code)
            return stream_error_of(library_errors[i].id);
    if (heard_plain_alert(tls, &alert))
        return stream_error_code(ERROR_TLS_ALERT, alert);
    return stream_error_of(ERROR_TLS_HANDSHAKE_PROTOCOL);
}

/* wolfSSL leaves some clients without an answer. Before anything else was sent an alert is plain. */
void layer_tls_send_alert(struct layer_tls *tls)
{
    uint8_t alert[LAYER_TLS_ALERT_RECORD] = {ALERT, 3, 3, 0, 2, LAYER_TLS_ALERT_FATAL,
                                             50 /* decode_error */};

    if (tls->alert_version[0])
        memcpy(alert + 1, tls->alert_version, 2);
    if (tls->has_sent || tls->below_ended)
        return;
    if (stream_error_is(tls->layer.error, ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION))
        alert[6] = 70;
    else if (stream_error_is(tls->layer.error, ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE))
        alert[6] = 40;
    layer_tls_append(tls, &tls->out, alert, sizeof alert);
}
