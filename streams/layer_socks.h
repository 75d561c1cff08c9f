/* layer_socks.h - the client of a SOCKS4, SOCKS4a or SOCKS5 proxy (the SOCKS4 note; RFC 1928, RFC
 * 1929) as a layer that only sets up: its `open` asks for the next host, and once that is granted
 * the chain goes on without it. Pushed with pair_open_layer(), or a step of an open plan.
 *
 * Errors of `open`, beside those of the layer below: the socks. names of errors.md; a method that was
 * not offered is socks.socks5-method.N; stream.end.early: the proxy ended in the middle;
 * system.connect.timeout: it was silent until pair_expire(). */
#ifndef PAIRSOCKS_LAYER_SOCKS_H
#define PAIRSOCKS_LAYER_SOCKS_H

#include "streams/setup.h"
#include "streams/socks.h"

enum socks_client { SOCKS_CLIENT_4, SOCKS_CLIENT_4A, SOCKS_CLIENT_5 };

/* Everything is copied, but for the observer. */
struct layer_socks_options {
    enum socks_client version;
    struct socks_request request; /* `command` is CONNECT, or BIND for its first reply */
    const char *user;             /* SOCKS4: the USERID; NULL: none */
    const char *password;         /* SOCKS5 only; NULL: empty */
    setup_observer *observer;     /* NULL: nobody */
    void *context;                /* of the observer; borrowed */
};

extern const char layer_socks_name[]; /* for pair_find_layer() */

/* What no proxy of this version can be told, found before anything is sent:
 * - protocol.address.unsupported: SOCKS4 and a name; SOCKS4 and 4a and an IPv6 address;
 * - resolver.name.invalid: a name of no bytes; in 4a one that holds a NUL;
 * - socks.none.unknown-client-version: not of enum socks_client;
 * - stream.state.bad-state: a user or password longer than 255 bytes; in SOCKS5 an empty user. */
bool layer_socks_check(const struct layer_socks_options *options, struct stream_error *ret_error);

/* NULL: no memory. What layer_socks_check() finds, `open` fails with. Credentials are wiped when the
 * layer is done. */
struct layer *layer_socks_new(const struct layer_socks_options *options);

/* For a pair whose proxy has granted a BIND: its `open` sends nothing and hears the second reply, which
 * comes when the peer does, and stands when that is a grant. NULL: no memory. */
struct layer *layer_socks_second_reply_new(enum socks_client version, setup_observer *observer,
                                           void *context);

/* BND.ADDR and BND.PORT of the reply; false: none came yet. The layer is there until the pair takes
 * it off: ask when its observer is told SETUP_DONE. */
bool layer_socks_bound(const struct layer *layer, struct socks_host *ret_host, uint16_t *ret_port);

#endif
