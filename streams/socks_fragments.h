/* socks_fragments.h - puts the fragments of one datagram together again (RFC 1928, 7): the reassembly
 * queue and its timer. Pure: the caller has the clock and lends the memory. One sequence at a time, as
 * the RFC has it; what cannot become whole any more is forgotten as early as that is known, and nothing
 * of it is ever handed out. */
#ifndef PAIRSOCKS_SOCKS_FRAGMENTS_H
#define PAIRSOCKS_SOCKS_FRAGMENTS_H

#include "streams/socks_udp.h"

/* "The REASSEMBLY TIMER MUST be no less than 5 seconds", from the first fragment on. */
#define SOCKS_FRAGMENTS_MS 5000

/* The most that a datagram with the smallest header can hold, and so the most that is put together:
 * 65,535 without the headers of IP, UDP and SOCKS5. The whole lies behind its header. */
#define SOCKS_FRAGMENTS_DATA_MAX (65535 - 20 - 8)
#define SOCKS_FRAGMENTS_BLOCK (SOCKS_UDP_HEADER_MAX + SOCKS_FRAGMENTS_DATA_MAX)

/* Zeroed is empty. */
struct socks_fragments {
    uint8_t *block;   /* borrowed, SOCKS_FRAGMENTS_BLOCK bytes; NULL: no sequence is under way */
    uint64_t started; /* ms */
    uint32_t length;  /* of the header and the data so far */
    uint16_t header;  /* of it, the header */
    uint8_t position; /* of the last fragment */
};

enum socks_fragments_result {
    SOCKS_FRAGMENTS_MORE,  /* it was taken; the sequence goes on */
    SOCKS_FRAGMENTS_WHOLE, /* `block` holds a datagram of `length` bytes whose FRAG is 0; it is the
                                caller's to use until socks_fragments_reset() */
    SOCKS_FRAGMENTS_DROPPED, /* of no use, and `*ret_lost` fragments with it that had been taken */
};

/* Whether this fragment can begin a sequence, for which a block has to be lent. */
static inline bool socks_fragments_begins(const struct socks_udp_header *header)
{
    return (header->fragment & SOCKS_UDP_FRAGMENT_POSITION) == 1;
}

/* A fragment (FRAG is not 0) of `n` bytes, its header included. `block`: what a sequence that begins is
 * put together in; may be what the last one had. NULL: none is to be had, it is dropped.
 *
 * A sequence is positions 1, 2, 3 ... in order, all for one destination. A position that is lower than
 * the last one abandons what was there, a 1 begins anew; the same position again is dropped alone; a gap
 * can never be filled, for what would fill it is lower than what came: all is dropped. So is what gets
 * too long, and what the timer has run out for. */
enum socks_fragments_result socks_fragments_take(struct socks_fragments *fragments,
                                                 const uint8_t *bytes, size_t n,
                                                 const struct socks_udp_header *header,
                                                 uint8_t *block, uint64_t now, unsigned *ret_lost);

/* Whether the sequence has taken too long by now. */
bool socks_fragments_expired(const struct socks_fragments *fragments, uint64_t now);

/* Abandons the sequence, if there is one: also for a datagram that stands alone, whose FRAG of 0 is lower
 * than any. Returns how many fragments are lost by it. The block is the caller's again. */
unsigned socks_fragments_reset(struct socks_fragments *fragments);

#endif
