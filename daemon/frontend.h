/* frontend.h - the protocols that a client may speak to us, as rows of a table. Pure: bytes in,
 * answers out. A session sniffs with its first bytes, drives the chosen front end until it has a
 * request (or a refusal), and later asks it to word the reply. A front end knows no socket, no
 * clock and no session. */
#ifndef PAIRSOCKS_FRONTEND_H
#define PAIRSOCKS_FRONTEND_H

#include "config/config.h"
#include "streams/socks.h"

/* The most that a front end answers in one step or as a reply. */
#define FRONTEND_ANSWER_MAX SOCKS5_REPLY_MAX

/* What has been learnt of a client so far. Zeroed to begin with; it lives until the reply is
 * sent. */
struct handshake {
    const struct frontend *frontend; /* NULL until sniffed */
    const char *protocol;            /* as logged: socks4, socks4a, socks5 */
    uint8_t stage;                   /* the front end's own */
    struct socks_request request; /* valid once the step said DONE, or BAD after a whole request */
    bool has_request;
    struct stream_error error; /* BAD: why */
};

struct answer {
    uint8_t bytes[FRONTEND_ANSWER_MAX];
    size_t length;
};

struct frontend {
    const char *name;
    uint8_t first_byte; /* of the client's first message */

    /* Reads on. MORE: needs more bytes, after `answer` was sent (it may be empty). DONE: the
     * request is complete and nothing has been said about it yet. BAD: `error` says why;
     * `answer` is the protocol's own refusal, if it has one. */
    enum parse (*step)(struct handshake *handshake, struct cursor *in, struct answer *answer);

    /* The client ended its direction in the middle of a message: as BAD. */
    void (*cut)(struct handshake *handshake, struct answer *answer);

    /* The reply to a complete request: success when `error` is none, with the address that the
     * connection to the target comes from. */
    void (*reply)(const struct handshake *handshake, const struct stream_error *error,
                  const struct ip_endpoint *bound, struct answer *answer);
};

extern const struct frontend frontend_socks4;
extern const struct frontend frontend_socks5;

/* Chooses by the first bytes among `protocols` (enum protocol). DONE: handshake->frontend is
 * set. MORE: there are no bytes yet, or it may still become clear what speaks (only for naming
 * it in the log); at the client's end, `at_end`, bytes that are there decide. BAD: none of ours;
 * handshake->error names what it looks like, and there is no answer. */
enum parse frontend_sniff(struct handshake *handshake, unsigned protocols, const struct cursor *in,
                          bool at_end);

#endif
