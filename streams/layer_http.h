/* layer_http.h - the client of an HTTP proxy that is asked to CONNECT (RFC 9110, 9.3.6), as a layer
 * that only sets up: see layer_socks.h. Errors of `open`, beside those of the layer below:
 * http.status.N; http.response.bad: what came is no answer of HTTP/1; stream.end.early;
 * system.connect.timeout. */
#ifndef PAIRSOCKS_LAYER_HTTP_H
#define PAIRSOCKS_LAYER_HTTP_H

#include "streams/setup.h"
#include "streams/socks.h"

/* Everything is copied, but for the observer. */
struct layer_http_options {
    struct socks_host host;
    uint16_t port;
    const char *user;     /* Basic (RFC 7617); NULL: none */
    const char *password; /* NULL: empty */
    setup_observer *observer;
    void *context; /* of the observer; borrowed */
};

extern const char layer_http_name[]; /* for pair_find_layer() */

/* What cannot be asked for, found before anything is sent:
 * - resolver.name.invalid: a name of no bytes, or of bytes that no host's name has (RFC 3986,
 *   3.2.2), blanks and line ends among them;
 * - stream.state.bad-state: a user or password longer than 255 bytes; a colon in the user. */
bool layer_http_check(const struct layer_http_options *options, struct stream_error *ret_error);

/* NULL: no memory. What layer_http_check() finds, `open` fails with. Credentials are wiped when the
 * layer is done. */
struct layer *layer_http_new(const struct layer_http_options *options);

#endif
