/* stream_property.h - what can be asked and decided about a pair of streams (stream.h). A property
 * set on either stream of a pair holds for both. */
#ifndef PAIRSOCKS_STREAM_PROPERTY_H
#define PAIRSOCKS_STREAM_PROPERTY_H

#include "api.h"

#include <stdbool.h>
#include <stdint.h>

PAIRSOCKS_API_BEGIN

struct stream;

/* "closed": it can be set while the pair is neither open nor being opened. "plain": until TLS
 * begins. "read only": it cannot be set. All others can be set at any time. */
enum stream_property {
    /* The connection. */
    STREAM_SHOULD_CLOSE_NATIVE_SOCKET, /* bool; default: true, but false for a pair from a socket */
    STREAM_NATIVE_HANDLE,              /* number: the descriptor; read only; none while not open */
    STREAM_REMOTE_HOST,                /* text: as given, or the peer's address; closed */
    STREAM_REMOTE_PORT,                /* number, 0..65535; closed */
    STREAM_REMOTE_SERVICE,             /* text: as given; closed */
    STREAM_LOCAL_ADDRESS,              /* text ADDRESS:PORT; read only; once connected */
    STREAM_REMOTE_ADDRESS,             /* text ADDRESS:PORT that is connected (the proxy's, where
                                          there is one); read only */
    STREAM_KEEPALIVE,                  /* number: seconds, 0 = off (the default) */
    STREAM_CONNECT_TIMEOUT,            /* number: milliseconds until the pair is open, TLS included;
                                          0 = none (the default) */
    STREAM_WRITE_TIMEOUT,              /* number: milliseconds without a byte taken of what waits to
                                          be written; 0 = none (the default) */
    STREAM_WHY,                        /* text: why the last call or opening failed, where there is
                                          more to say than the error's name; read only */

    /* Events. */
    STREAM_AUTO_REENABLE, /* number: those of the events HAS_BYTES, DATA and CAN_ACCEPT_BYTES that
                             stay enabled after they came; default: all */
    STREAM_LEAVE_ERRORS,  /* bool: an error that waits in the socket is told, and left there for
                             getsockopt(SO_ERROR); default: false, it becomes the pair's */

    /* Proxies. */
    STREAM_SOCKS_HOST, /* text: name or address of the proxy; default: none, the host is connected
                              straight; closed, as the next five. A pair from a socket uses none */
    STREAM_SOCKS_PORT, /* number; default 1080 */
    STREAM_SOCKS_VERSION, /* number, 4 or 5; default 5. With 4 a name is sent as SOCKS4a has it. With
                              any other opening fails: socks.none.unknown-client-version */
    STREAM_SOCKS_USER,    /* text; default: none. SOCKS4: the USERID */
    STREAM_SOCKS_PASSWORD,     /* text; SOCKS5 */
    STREAM_PROXY_LOCAL_BYPASS, /* bool, default false: names without a dot, .local, .localhost, loopback
                                  and private addresses are connected straight */
    STREAM_SOCKS_SERVER_VERSION, /* number: which version the proxy wants, after socks.version.N; read
                                    only */

    /* TLS. Once one of these is set the level is NEGOTIATED unless it is set, too. */
    STREAM_SECURITY, /* number: enum stream_security. Set on a pair that is open in plain it starts
                        TLS there (STARTTLS): the pair is OPENING again, and OPEN_COMPLETED comes
                        again. What was read ahead is the beginning of the peer's TLS */
    STREAM_TLS_ALLOWS_EXPIRED_CERTIFICATES, /* bool, default false; plain */
    STREAM_TLS_ALLOWS_EXPIRED_ROOTS,        /* bool, default false; plain */
    STREAM_TLS_ALLOWS_ANY_ROOT,             /* bool, default false; plain */
    STREAM_TLS_VALIDATES_CHAIN,             /* bool, default true; plain */
    STREAM_TLS_PEER_NAME,   /* text: the name or address that the peer's certificate has to be for;
                               default: the host given at creation, for pairs without one no name is
                               checked. Set to a NULL text: no name is checked; plain */
    STREAM_TLS_CERTIFICATE, /* text: PEM file, the own certificate and its chain; plain */
    STREAM_TLS_PRIVATE_KEY, /* text: PEM file; plain */
    STREAM_TLS_AUTHORITY,   /* text: PEM file of trusted roots; default: the system's. A server with
                               one demands a certificate; plain */
    STREAM_TLS_REVOKE,      /* text: PEM file of revocation lists; plain */
    STREAM_TLS_CIPHERS,     /* text: suites between `:`; plain */
    STREAM_TLS_ALPN,        /* text: protocol names between `,`; plain */
    STREAM_TLS_IS_SERVER,   /* bool, default false; a server has to have a certificate; plain */
    STREAM_IS_SECURE,       /* bool: TLS stands; read only */
    STREAM_TLS_VERSION,     /* text "TLSv1.3"; read only, as the next two */
    STREAM_TLS_SUITE,       /* text */
    STREAM_PEER_CERTIFICATES, /* text: PEM, the peer's own first; also of a peer that was refused */

    STREAM_PROPERTY_COUNT
};

/* The levels have the names of CFStream; those that the RFCs forbid are refused when they are set,
 * see stream_security_refusal(). NEGOTIATED is the highest that both have, TLS 1.2 at least. */
enum stream_security {
    STREAM_SECURITY_NONE,
    STREAM_SECURITY_SSLV2,
    STREAM_SECURITY_SSLV3,
    STREAM_SECURITY_TLSV1,
    STREAM_SECURITY_NEGOTIATED,
    STREAM_SECURITY_SSLV23 = STREAM_SECURITY_NEGOTIATED, /* an old name of it */
    STREAM_SECURITY_TLSV1_2,
    STREAM_SECURITY_TLSV1_3,
};

/* "SSLv3 must not be used (RFC 7568)" for a level that is refused; NULL for one that is not. */
const char *stream_security_refusal(enum stream_security level);

/* The value of a property: which member counts is fixed by the property. */
struct stream_value {
    int64_t number; /* booleans too: 0 and 1 */
    char *text;     /* owned by whoever holds the value; NULL for numbers */
};

/* Sets a property, or with NULL for the value gives it back its default. False: it cannot be set
 * (now), the value is out of its range (STREAM_WHY says more), or without memory; nothing has
 * changed. `value` is copied. */
bool stream_set_property(struct stream *stream, enum stream_property property,
                         const struct stream_value *value);

/* The same in a word. */
bool stream_set_number(struct stream *stream, enum stream_property property, int64_t number);
bool stream_set_text(struct stream *stream, enum stream_property property, const char *text);

/* False: it has no value (now), or without memory. The caller frees ret_value->text. */
bool stream_copy_property(const struct stream *stream, enum stream_property property,
                          struct stream_value *ret_value);

PAIRSOCKS_API_END

#endif
