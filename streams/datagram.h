/* datagram.h - UDP sockets and their datagrams, many with one system call (recvmmsg, sendmmsg). Nothing
 * here is allocated for a datagram: one scratch for each thread holds what was read last, and what is
 * about to be sent. Knows no event loop. */
#ifndef PAIRSOCKS_DATAGRAM_H
#define PAIRSOCKS_DATAGRAM_H

#include "streams/address.h"

/* Read, and sent, at a time. */
#define DATAGRAM_BATCH 32

/* The largest that there is; one that is read is never cut. */
#define DATAGRAM_MAX 65535

/* Bytes in front of each that was read, for headers that are put there. */
#define DATAGRAM_ROOM 1024

/* One that was read; gone with the next read into the same scratch. */
struct datagram {
    uint8_t *bytes; /* DATAGRAM_ROOM bytes before it may be written, too */
    size_t n;
    struct ip_endpoint from; /* IPv4-mapped as IPv4; IP_NONE on a connected socket */
};

/* Of one thread. */
struct datagram_scratch;

/* What is to be sent by one socket, in order. Its bytes are borrowed until datagram_flush(). Zeroed is
 * empty. */
struct datagram_queue {
    struct datagram_scratch *scratch; /* borrowed; NULL: nothing is queued */
    unsigned count;
    unsigned row; /* of the scratch's */
};

/* The rows of queues that one scratch has. */
#define DATAGRAM_QUEUES 3

/* About 2 MiB, of which only what datagrams really fill is ever touched. NULL: no memory. */
struct datagram_scratch *datagram_scratch_new(void);
void datagram_scratch_free(struct datagram_scratch *scratch); /* harmless with NULL */

/* A non-blocking socket that is bound to `ip`, at `port` or a free one (0). `tells_errors`: what ICMP
 * says of datagrams sent is kept for datagram_drain_errors(). Returns the descriptor, or -1 with errno. */
int datagram_open(const struct ip_address *ip, uint16_t port, bool tells_errors);

/* From now on it sends to this endpoint, and hears nobody else. False with errno. */
bool datagram_connect(int fd, const struct ip_endpoint *endpoint);

/* What the socket is bound to; IP_NONE if it cannot be known. */
struct ip_endpoint datagram_bound(int fd);

/* Reads what is there, up to DATAGRAM_BATCH. Returns how many, 0: none, -1 with errno: an error that was
 * waiting (an ICMP message); it is gone now, and reading goes on. */
int datagram_read(int fd, struct datagram_scratch *scratch, struct datagram *ret_datagrams);

/* DATAGRAM_MAX bytes behind DATAGRAM_ROOM, for one that comes from elsewhere. */
uint8_t *datagram_spare(struct datagram_scratch *scratch);

/* Throws away what ICMP has said; returns how many messages there were, at most a few hundred a call. */
unsigned datagram_drain_errors(int fd);

/* Puts one behind the others of row `row`. `data`: of its bytes, the owner's count. `to` NULL: the socket
 * is connected. False: the queue is full. */
bool datagram_queue_add(struct datagram_queue *queue, struct datagram_scratch *scratch,
                        unsigned row, const void *bytes, size_t n, size_t data,
                        const struct ip_endpoint *to);

/* Told of one that could not be sent: its place in the queue, its `data`, and errno. */
typedef void datagram_failed(void *context, unsigned place, size_t data, int error_number);

/* Sends all, and empties the queue. Who cannot be sent is told of and left out. Returns how many were
 * sent. An error that was waiting from before (ICMP) fails nobody. */
unsigned datagram_flush(int fd, struct datagram_queue *queue, datagram_failed *failed,
                        void *context);

#endif
