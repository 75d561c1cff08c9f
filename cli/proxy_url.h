/* proxy_url.h - a proxy as users write it: SCHEME://[USER[:PASSWORD]@]HOST[:PORT]. Pure: no I/O.
 * Used by the verbs that go through a proxy. */
#ifndef PAIRSOCKS_PROXY_URL_H
#define PAIRSOCKS_PROXY_URL_H

#include "streams/address.h"

enum { PROXY_URL_PORT = 1080, PROXY_URL_CREDENTIAL_MAX = 255, PROXY_URL_TEXT_MAX = 320 };

struct proxy_url {
    uint8_t kind;         /* enum open_kind: OPEN_SOCKS4, OPEN_SOCKS4A, OPEN_SOCKS5 or OPEN_HTTP */
    bool resolves_here;   /* it is given addresses: names are resolved by who uses it */
    bool tls;             /* the connection to it */
    struct ip_address ip; /* IP_NONE: `host` is a name */
    uint16_t port;
    bool has_user;
    char host[HOST_NAME_LENGTH_MAX + 1]; /* without brackets */
    char user[PROXY_URL_CREDENTIAL_MAX + 1];
    char password[PROXY_URL_CREDENTIAL_MAX + 1];
    char text[PROXY_URL_TEXT_MAX]; /* SCHEME://HOST:PORT, for messages */
};

/* SCHEME is socks4, socks4a, socks5, socks5h or http, with `+tls` behind it for TLS. USER and PASSWORD
 * may hold %HH (RFC 3986, 2.1), but no NUL; the last `@` ends them. A `/` may stand at the end.
 * NULL: *ret_url is set, and the caller's to wipe; else what is wrong, in words. */
const char *proxy_url_parse(const char *text, struct proxy_url *ret_url);

/* Overwrites the password in the text of a URL: command lines are there for all to see. */
void proxy_url_hide_password(char *text);

void proxy_url_wipe(struct proxy_url *url);

#endif
