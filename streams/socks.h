/* socks.h - the SOCKS4, 4a and 5 codec: bytes in, messages out, and back. Pure: no I/O, no
 * allocation. Used by the daemon's front ends (server side) and by streams that go through a
 * SOCKS proxy (client side).
 *
 * Every parse_ function follows one rule. DONE: the result is set and `in` stands behind the
 * message. MORE: nothing was consumed; call again with more bytes, of which no more than the
 * message's _MAX are ever needed. BAD: `*ret_error` says why. Results are untouched unless DONE.
 * Every write_ function writes at most the message's _MAX bytes to `out` and returns how many. */
#ifndef PAIRSOCKS_SOCKS_H
#define PAIRSOCKS_SOCKS_H

#include "streams/address.h"
#include "streams/cursor.h"
#include "streams/error.h"

enum socks_command { SOCKS_CONNECT = 1, SOCKS_BIND = 2, SOCKS_UDP_ASSOCIATE = 3 };

enum socks5_method {
    SOCKS5_METHOD_NONE = 0,
    SOCKS5_METHOD_GSSAPI = 1,
    SOCKS5_METHOD_USERPASS = 2,
    SOCKS5_METHOD_NONE_ACCEPTABLE = 0xFF,
};

enum socks4_code { SOCKS4_GRANTED = 90, SOCKS4_FAILED, SOCKS4_IDENTD_FAILED, SOCKS4_ID_CONFLICT };

#define SOCKS4_USERID_MAX 255 /* ours: the note has no limit */
#define SOCKS4_REQUEST_MAX (8 + SOCKS4_USERID_MAX + 1 + HOST_NAME_LENGTH_MAX + 1)
#define SOCKS4_REPLY_SIZE 8
#define SOCKS5_GREETING_MAX 257
#define SOCKS5_METHOD_SIZE 2
#define SOCKS5_USERPASS_MAX 513
#define SOCKS5_STATUS_SIZE 2
#define SOCKS5_REQUEST_MAX 262
#define SOCKS5_REPLY_MAX 262

/* Where a request or a reply points: an address, or (name_length > 0) a name of opaque bytes. */
struct socks_host {
    struct ip_address ip; /* IP_NONE when there is a name */
    uint8_t name_length;
    char name[HOST_NAME_LENGTH_MAX +
              1]; /* NUL-terminated for convenience; it may hold any byte but is never read
                                            beyond name_length */
};

struct socks_request {
    uint8_t command; /* as sent: any value; enum socks_command are the known ones */
    uint16_t port;
    struct socks_host host;
};

struct socks5_greeting {
    uint8_t count;
    uint8_t methods[255];
};

/* RFC 1929. Lengths 1..255; bytes are opaque. The caller wipes it. */
struct socks5_userpass {
    uint8_t user_length;
    uint8_t password_length;
    char user[256];
    char password[256];
};

/* Server side. */

/* RFC 1928, 3: the client's version and methods. BAD (protocol.greeting.bad): not version 5, or
 * no method at all. */
enum parse socks5_parse_greeting(struct cursor *in, struct socks5_greeting *ret_greeting,
                                 struct stream_error *ret_error);
bool socks5_greeting_offers(const struct socks5_greeting *greeting, uint8_t method);

/* RFC 1929, 2. BAD (protocol.request.bad): not version 1, or an empty user or password. */
enum parse socks5_parse_userpass(struct cursor *in, struct socks5_userpass *ret_userpass,
                                 struct stream_error *ret_error);

/* RFC 1928, 4. BAD: protocol.request.bad for another version or a reserved byte that is not 0;
 * protocol.address.unsupported for an unknown ATYP; resolver.name.invalid for a name of no
 * bytes. */
enum parse socks5_parse_request(struct cursor *in, struct socks_request *ret_request,
                                struct stream_error *ret_error);

/* SOCKS4 and, for 0.0.0.x with x != 0, the name of 4a. The USERID is checked and skipped: it is
 * a claim without proof; `ret_userid_length` (may be NULL) tells where it lies, from the ninth
 * byte of the message. BAD (protocol.request.bad): not version 4, or a USERID or name longer
 * than 255 bytes, or an empty name. */
enum parse socks4_parse_request(struct cursor *in, struct socks_request *ret_request,
                                size_t *ret_userid_length, struct stream_error *ret_error);

size_t socks5_write_method(uint8_t method, uint8_t *out);
size_t socks5_write_status(uint8_t status, uint8_t *out);

/* RFC 1928, 6. `bound` may be NULL or IP_NONE: then 0.0.0.0:0. */
size_t socks5_write_reply(uint8_t code, const struct ip_endpoint *bound, uint8_t *out);

/* As above; an IPv6 address, which SOCKS4 cannot say, becomes 0.0.0.0 with the port kept. */
size_t socks4_write_reply(uint8_t code, const struct ip_endpoint *bound, uint8_t *out);

/* Client side. */

size_t socks5_write_greeting(const uint8_t *methods, uint8_t count, uint8_t *out);

/* BAD: socks.version.N when the answer is not version 5. The method is judged by the caller. */
enum parse socks5_parse_method(struct cursor *in, uint8_t *ret_method,
                               struct stream_error *ret_error);

size_t socks5_write_userpass(const struct socks5_userpass *userpass, uint8_t *out);

/* BAD: socks.version.N when the answer is not version 1; socks.socks5-userpass.N when the status
 * is not 0. */
enum parse socks5_parse_status(struct cursor *in, struct stream_error *ret_error);

size_t socks5_write_request(const struct socks_request *request, uint8_t *out);

/* DONE only for reply 0. BAD: socks.version.N, socks.socks5-response.N (as soon as the reply
 * byte is there), socks.none.bad-response-address for an unknown ATYP or an empty name. */
enum parse socks5_parse_reply(struct cursor *in, struct socks_host *ret_bound, uint16_t *ret_port,
                              struct stream_error *ret_error);

/* A request for a name is written as 4a; an address is IPv4, and 0.0.0.x would read as 4a.
 * `userid` holds no NUL and at most SOCKS4_USERID_MAX bytes. */
size_t socks4_write_request(const struct socks_request *request, const char *userid, uint8_t *out);

/* DONE only for 90. BAD: socks.version.N when VN is not 0; socks.socks4-response.N. */
enum parse socks4_parse_reply(struct cursor *in, struct ip_endpoint *ret_bound,
                              struct stream_error *ret_error);

#endif
