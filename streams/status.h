/* status.h - the states of a connection and of its two directions, and what a call on them says. */
#ifndef PAIRSOCKS_STATUS_H
#define PAIRSOCKS_STATUS_H

/* What reading, writing and their like say. OK: bytes were moved. AGAIN: not now. EOF: the peer
 * ended its direction, in order. ERROR: there is an error to ask for. */
enum io { IO_OK, IO_AGAIN, IO_EOF, IO_ERROR };

enum pair_state {
    PAIR_INITIALIZED, /* nothing opened yet, or being opened (its directions are OPENING) */
    PAIR_CONNECTED,
    PAIR_LISTENING, /* a tcp_socket's; a pair of streams is never in it */
    PAIR_CLOSED,
    PAIR_ERROR,
};

enum stream_status {
    STREAM_NOT_OPEN,
    STREAM_OPENING,
    STREAM_OPEN,
    STREAM_AT_END, /* the peer (read) or we (write) ended this direction in order */
    STREAM_CLOSED,
    STREAM_ERROR,
};

#endif
