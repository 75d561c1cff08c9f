/* http_client.h - the part of HTTP/1.1 that a client of a CONNECT proxy speaks (RFC 9110, 9.3.6; RFC
 * 9112). Pure: no I/O, no allocation. */
#ifndef PAIRSOCKS_HTTP_CLIENT_H
#define PAIRSOCKS_HTTP_CLIENT_H

#include "streams/cursor.h"
#include "streams/http.h"
#include "streams/socks.h"

/* Twice an authority, and the longest credentials as base64. */
#define HTTP_CONNECT_MAX (2 * (HOST_NAME_LENGTH_MAX + 8) + 4 * ((255 + 1 + 255 + 2) / 3) + 96)

/* CONNECT to host:port, with Basic credentials (RFC 7617) if there is a user; `password` may be NULL
 * for an empty one. The name is one of http_is_name(); user and password have at most
 * HTTP_USER_MAX and HTTP_PASSWORD_MAX bytes. `out` has HTTP_CONNECT_MAX bytes. Returns how many
 * are the request. */
size_t http_write_connect(const struct socks_host *host, uint16_t port, const char *user,
                          const char *password, uint8_t *out);

/* Zeroed to begin with. */
struct http_response {
    uint8_t stage; /* the parser's own, as the next two */
    uint8_t at;
    bool head_over;     /* the line feed that is waited for ends the head */
    uint16_t status;    /* of the last status line; 0: none yet */
    uint16_t head_size; /* bytes consumed so far, of all heads */
};

/* Reads on. MORE: all is consumed; call again with what comes next. DONE: the head of a 2xx ended,
 * and `in` stands behind it, at the first byte of the tunnel: Content-Length and Transfer-Encoding
 * of a 2xx mean nothing (9.3.6), and heads of 1xx before it are skipped (15.2). BAD: it is not
 * called again; *ret_error is
 * - http.status.N, at the end of the digits, for any other status of 100 or more, and for 101: nobody
 *   asked to upgrade;
 * - http.response.bad, at the byte that is: no HTTP/1, a status that is no number from 100 to 999, a
 *   field without a name (RFC 9110, 5.1), a control character, a bare CR, or more than HTTP_HEAD_MAX
 *   bytes in all.
 * A line may end in LF alone, the reason with its blank may be missing, and what a line that begins
 * with a blank says goes by like the rest (RFC 9112, 2.2, 4, 5.2). */
enum parse http_parse_response(struct cursor *in, struct http_response *response,
                               struct stream_error *ret_error);

#endif
