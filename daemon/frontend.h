/* frontend.h - the protocols that a client may speak to us, as rows of a table. Pure: bytes in,
 * answers out. A session sniffs with its first bytes, drives the chosen front end until it has a
 * request (or a refusal), and later asks it to word the reply. On the way a front end may ask who
 * the client is; the session finds out, and the front end tells the client. A front end knows no
 * socket, no clock and no session. */
#ifndef PAIRSOCKS_FRONTEND_H
#define PAIRSOCKS_FRONTEND_H

#include "config/config.h"
#include "daemon/queue.h"
#include "streams/http.h"
#include "streams/socks.h"

/* The most that a front end answers in one step or as a reply. */
#define FRONTEND_ANSWER_MAX HTTP_REPLY_MAX

/* What has been learnt of a client so far. Zeroed to begin with; it lives until the reply is
 * sent. */
struct handshake {
    const struct frontend *frontend; /* NULL until sniffed */
    const char *protocol;            /* as logged: socks4, socks4a, socks5, http */
    unsigned auth;                   /* enum auth: what the listener takes, set before all else */
    unsigned commands;               /* likewise, enum command */
    struct session_bind *bind;       /* the session's; no front end's business */
    struct queue_entry place;     /* likewise: in the gate's queue, while the session is queued */
    struct session *session;      /* likewise, and borrowed */
    uint8_t stage;                /* the front end's own */
    struct http_request http;     /* likewise */
    struct socks5_userpass login; /* with FRONTEND_PASSWORD; with FRONTEND_IDENT who the client
                                     says it is, if the protocol has that (user_length 0: nobody) */
    bool has_claim;
    bool can_login;               /* with FRONTEND_IDENT: a password may be asked for after it */
    struct socks_request request; /* valid once the step said DONE, or BAD after a whole request */
    bool has_request;
    struct stream_error error; /* BAD: why */
};

struct answer {
    uint8_t bytes[FRONTEND_ANSWER_MAX];
    size_t length;
};

enum frontend_step {
    FRONTEND_MORE,     /* needs more bytes, after `answer` was sent (it may be empty) */
    FRONTEND_DONE,     /* the request is complete and nothing has been said about it yet */
    FRONTEND_BAD,      /* `error` says why; `answer` is the protocol's own refusal, if it has one */
    FRONTEND_PASSWORD, /* is `login` right? To be answered by judged() */
    FRONTEND_IDENT,    /* who is it? Likewise */
};

struct frontend {
    const char *name;
    unsigned protocol; /* its bit of enum protocol */
    bool is_silent;    /* no word reaches its clients: who cannot be served is reset */
    bool ipv4_only;    /* its replies know no IPv6 */
    bool tells_bound;  /* its success names our address towards the target */

    /* Whether a client's first byte is this protocol's. */
    bool (*begins)(uint8_t first);

    /* Reads on. */
    enum frontend_step (*step)(struct handshake *handshake, struct cursor *in,
                               struct answer *answer);

    /* The answer to FRONTEND_PASSWORD or FRONTEND_IDENT: none, or why not. Says MORE, DONE or BAD.
     * NULL: it never asks. */
    enum frontend_step (*judged)(struct handshake *handshake, struct stream_error error,
                                 struct answer *answer);

    /* The client ended its direction in the middle of a message: as BAD. */
    void (*cut)(struct handshake *handshake, struct answer *answer);

    /* The reply to a complete request: success when `error` is none, with the address that the
     * connection to the target comes from. */
    void (*reply)(const struct handshake *handshake, const struct stream_error *error,
                  const struct ip_endpoint *bound, struct answer *answer);
};

extern const struct frontend frontend_forward; /* never sniffed: the listener says so */
extern const struct frontend frontend_http;
extern const struct frontend frontend_socks4;
extern const struct frontend frontend_socks5;

/* Whether the request is for a command that the listener serves, with a port where that needs one; false:
 * *ret_error says what is wrong. */
bool frontend_serves(const struct handshake *handshake, struct stream_error *ret_error);

/* Chooses by the first bytes among `protocols` (enum protocol). DONE: handshake->frontend is
 * set. MORE: there are no bytes yet, or it may still become clear what speaks (only for naming
 * it in the log); at the client's end, `at_end`, bytes that are there decide. BAD: none of ours;
 * handshake->error names what it looks like, and there is no answer. */
enum parse frontend_sniff(struct handshake *handshake, unsigned protocols, const struct cursor *in,
                          bool at_end);

#endif
