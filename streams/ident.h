/* ident.h - the Identification Protocol's messages, as a client asks and reads them (RFC 1413).
 * Pure: no I/O, no allocation. */
#ifndef PAIRSOCKS_IDENT_H
#define PAIRSOCKS_IDENT_H

#include "streams/cursor.h"
#include "streams/error.h"

#define IDENT_QUERY_MAX 16
#define IDENT_REPLY_MAX 1024 /* the RFC's bound is 1,000 characters and an end of line */
#define IDENT_USER_MAX 255   /* ours; the RFC's is 512 octets */

/* `their_port , our_port` CR LF; `out` has IDENT_QUERY_MAX bytes. Returns the length. The ports as
 * the asked host sees them: its own first (RFC 1413, 3). */
size_t ident_write_query(uint16_t their_port, uint16_t our_port, char *out);

/* Octets other than NUL, CR and LF, of any charset. */
struct ident_user {
    uint8_t length;                /* 1 at least */
    char name[IDENT_USER_MAX + 1]; /* NUL-terminated */
};

/* A reply line (an end in LF alone is taken). DONE: USERID for just these ports, of any opsys,
 * OTHER too. MORE: no end of line yet, nothing was consumed. BAD (auth.ident.no-answer): ERROR,
 * other ports, a form that is not the RFC's, more than IDENT_REPLY_MAX bytes with the line's end, a
 * user that is empty or longer than IDENT_USER_MAX. Blanks before the user are not part of it,
 * blanks behind it are (RFC 1413, 6, note 1). */
enum parse ident_parse_reply(struct cursor *in, uint16_t their_port, uint16_t our_port,
                             struct ident_user *ret_user, struct stream_error *ret_error);

#endif
