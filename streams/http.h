/* http.h - the part of HTTP/1.1 that a CONNECT proxy speaks as a server (RFC 9110, 9.3.6; RFC
 * 9112). Pure: no I/O, no allocation. The head of a request is read line by line, so that nobody
 * ever holds more of it than one line: each call consumes the whole lines that are there. */
#ifndef PAIRSOCKS_HTTP_H
#define PAIRSOCKS_HTTP_H

#include "streams/address.h"
#include "streams/cursor.h"
#include "streams/error.h"
#include "streams/socks.h"

#define HTTP_LINE_MAX 4000 /* ours, as the next: a line with its end, and the whole head */
#define HTTP_HEAD_MAX 8192
#define HTTP_USER_MAX 255 /* as RFC 1929 has it: the same users */
#define HTTP_PASSWORD_MAX 255

/* Of a Proxy-Authorization header of the Basic scheme (RFC 7617). Bytes are opaque, NUL included.
 * The caller wipes it. */
struct http_credentials {
    bool present; /* there was such a header; also one that makes no sense, see is_bad */
    bool is_bad;  /* another scheme, base64 that is not RFC 4648's with its padding, no colon, or
                   * too long: no user has it, and both lengths are 0 */
    uint8_t user_length; /* may be 0, as may the next */
    uint8_t password_length;
    char user[HTTP_USER_MAX + 1]; /* NUL-terminated for convenience */
    char password[HTTP_PASSWORD_MAX + 1];
};

/* Zeroed to begin with; the result once the parser says DONE. */
struct http_request {
    uint8_t stage;          /* the parser's own */
    bool is_connect;        /* the method */
    bool is_head;           /* likewise: the reply to it has no body (RFC 9110, 9.3.2) */
    uint16_t head_size;     /* bytes consumed so far */
    struct socks_host host; /* of CONNECT: an address literal is parsed ([V6] in brackets) */
    uint16_t port;
    struct http_credentials credentials;
};

/* Reads on. DONE: the head ended with its empty line, and `in` stands behind it. MORE: all whole
 * lines are consumed; call again with more bytes behind the rest. BAD: it is not called again;
 * *ret_error is
 * - protocol.request.bad, at the end of the line that is: not HTTP/1.x; a request line or field
 *   that RFC 9112 forbids (a blank before the colon, obs-fold, NUL or other control characters, a
 *   bare CR); a line or head that is too long; of CONNECT, a target that is not HOST:PORT with a
 *   port from 1 to 65535 (no user information), a Content-Length other than 0 or a
 *   Transfer-Encoding; two Proxy-Authorization fields;
 * - resolver.name.invalid, at the end of the request line: an empty host, or one longer than 255
 *   bytes. Any other name is taken as it is: whether it is one, host_classify() knows;
 * - protocol.command.unsupported: the whole head came, and the method is not CONNECT. `is_connect`
 *   is false.
 * A line may end in LF alone (RFC 9112, 2.2), and one empty line before the request line is
 * skipped. No Host field is asked for: all that it could say stands in the target. */
enum parse http_parse_request(struct cursor *in, struct http_request *request,
                              struct stream_error *ret_error);

/* Whether a host's name is spelled as RFC 3986, 3.2.2, has it; not of no bytes. */
bool http_is_name(const char *name, size_t n);

#define HTTP_REPLY_MAX 512

/* The reply to CONNECT: 200 for an error of none, else the status of the error's row with a body of
 * one plain sentence that names the error, and `Connection: close`; 407 with Proxy-Authenticate:
 * Basic, 405 with Allow: CONNECT. `out` has HTTP_REPLY_MAX bytes. Returns how many are the reply; 0
 * for an error whose row has no status. */
size_t http_write_reply(const struct stream_error *error, char *out);

#endif
