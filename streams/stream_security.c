/* stream_security.c - TLS of paired streams: from properties to a context, to a layer, and back to
 * what can be asked. */
#include "streams/layer_tls.h"
#include "streams/stream_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Level by level: what the TLS layer calls it. */
static const enum tls_level levels[] = {
    [STREAM_SECURITY_NONE] = TLS_LEVEL_NONE,
    [STREAM_SECURITY_NEGOTIATED] = TLS_LEVEL_NEGOTIATED,
    [STREAM_SECURITY_TLSV1_2] = TLS_LEVEL_1_2,
    [STREAM_SECURITY_TLSV1_3] = TLS_LEVEL_1_3,
};

enum stream_security connection_security(const struct connection *c)
{
    if (c->is_set[STREAM_SECURITY])
        return (enum stream_security)c->values[STREAM_SECURITY].number;
    for (int i = STREAM_TLS_ALLOWS_EXPIRED_CERTIFICATES; i <= STREAM_TLS_IS_SERVER; i++)
        if (c->is_set[i])
            return STREAM_SECURITY_NEGOTIATED;
    return STREAM_SECURITY_NONE;
}

static struct tls_context *build_context(const struct connection *c, FILE *errors)
{
    struct tls_context_options options = {
        .role = connection_number(c, STREAM_TLS_IS_SERVER) ? TLS_SERVER : TLS_CLIENT,
        .level = levels[connection_security(c)],
        .certificate = connection_text(c, STREAM_TLS_CERTIFICATE),
        .private_key = connection_text(c, STREAM_TLS_PRIVATE_KEY),
        .trust =
            {
                .authority = connection_text(c, STREAM_TLS_AUTHORITY),
                .revoke = connection_text(c, STREAM_TLS_REVOKE),
                .skip_chain = !connection_number(c, STREAM_TLS_VALIDATES_CHAIN),
                .allow_expired_certificates =
                    connection_number(c, STREAM_TLS_ALLOWS_EXPIRED_CERTIFICATES),
                .allow_expired_roots = connection_number(c, STREAM_TLS_ALLOWS_EXPIRED_ROOTS),
                .allow_any_root = connection_number(c, STREAM_TLS_ALLOWS_ANY_ROOT),
            },
        .ciphers = connection_text(c, STREAM_TLS_CIPHERS),
        .alpn = connection_text(c, STREAM_TLS_ALPN),
        .name = "",
    };

    return tls_context_new(&options, errors);
}

struct tls_context *connection_tls_context(struct connection *c)
{
    struct tls_context *context;
    char *why = NULL;
    size_t n;
    FILE *errors = open_memstream(&why, &n);

    if (!errors)
        return NULL;
    context = build_context(c, errors);
    fclose(errors);
    if (!context)
        connection_set_why(c, why);
    free(why);
    return context;
}

const char *connection_peer_name(const struct connection *c)
{
    if (connection_number(c, STREAM_TLS_IS_SERVER))
        return NULL;
    if (c->is_set[STREAM_TLS_PEER_NAME])
        return connection_text(c, STREAM_TLS_PEER_NAME);
    if (connection_text(c, STREAM_REMOTE_SERVICE))
        return connection_service_domain(connection_text(c, STREAM_REMOTE_SERVICE));
    return connection_text(c, STREAM_REMOTE_HOST);
}

/* Puts TLS on top of an open pair. False: no memory, or a bad state. */
static bool push_tls(struct connection *c, struct tls_context *context)
{
    struct layer_tls_options options = {
        .context = context,
        .peer_name = connection_peer_name(c),
        .keeps_chain = true,
        .pool = &c->pool,
        .early = c->ahead ? c->ahead + c->ahead_at : NULL,
        .early_length = connection_ahead(c),
    };
    struct layer *layer = layer_tls_new(&options);

    if (!layer)
        return false;
    if (!pair_open_layer(&c->pair, layer)) {
        layer->ops->done(layer);
        return false;
    }
    c->ahead_at = c->ahead_n = 0;
    return true;
}

bool connection_start_tls(struct connection *c)
{
    struct tls_context *context;
    bool has_begun;

    if (!c->is_up || connection_security(c) == STREAM_SECURITY_NONE)
        return true; /* for when it is opened */
    if (c->read.is_closed != c->read.is_left_out || c->write.is_closed != c->write.is_left_out ||
        c->wants_room) {
        connection_set_why(c, "a direction is closed, or waits to be written to");
        return false;
    }
    context = connection_tls_context(c);
    has_begun = context && push_tls(c, context);
    tls_context_unref(context);
    if (!has_begun)
        return false; /* in plain, as before */
    connection_begin(c);
    connection_continue(c);
    connection_update(c);
    return true;
}

/* ---- questions */

const char *connection_tls_version(const struct connection *c)
{
    struct layer *layer = pair_find_layer(&c->pair, layer_tls_name);

    return layer ? layer_tls_version(layer) : NULL;
}

const char *connection_tls_suite(const struct connection *c)
{
    struct layer *layer = pair_find_layer(&c->pair, layer_tls_name);

    return layer ? layer_tls_suite(layer) : NULL;
}

/* RFC 7468: base64 in lines of 64 characters. */
static void write_pem(FILE *out, const uint8_t *der, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fputs("-----BEGIN CERTIFICATE-----", out);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)der[i] << 16;

        bits |= i + 1 < n ? (uint32_t)der[i + 1] << 8 : 0;
        bits |= i + 2 < n ? (uint32_t)der[i + 2] : 0;
        if (i % 48 == 0)
            fputc('\n', out);
        fputc(digits[bits >> 18], out);
        fputc(digits[bits >> 12 & 63], out);
        fputc(i + 1 < n ? digits[bits >> 6 & 63] : '=', out);
        fputc(i + 2 < n ? digits[bits & 63] : '=', out);
    }
    fputs("\n-----END CERTIFICATE-----\n", out);
}

bool connection_copy_certificates(const struct connection *c, struct stream_value *ret_value)
{
    struct layer *layer = pair_find_layer(&c->pair, layer_tls_name);
    const struct x509_span *chain = NULL;
    size_t count = layer ? layer_tls_peer_chain(layer, &chain) : 0, n;
    FILE *out = count ? open_memstream(&ret_value->text, &n) : NULL;

    if (!out)
        return false;
    for (size_t i = 0; i < count; i++)
        write_pem(out, chain[i].at, chain[i].n);
    fclose(out);
    return ret_value->text;
}
