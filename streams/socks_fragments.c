/* socks_fragments.c - the reassembly queue. */
#include "streams/socks_fragments.h"

#include <string.h>

enum { FRAG_AT = 2, HOST_AT = 3 }; /* where FRAG and what names the destination lie in a header */

bool socks_fragments_expired(const struct socks_fragments *f, uint64_t now)
{
    return f->block && now - f->started >= SOCKS_FRAGMENTS_MS;
}

unsigned socks_fragments_reset(struct socks_fragments *f)
{
    unsigned lost = f->block ? f->position : 0;

    *f = (struct socks_fragments){0};
    return lost;
}

static bool is_for_the_same(const struct socks_fragments *f, const uint8_t *bytes,
                            const struct socks_udp_header *header)
{
    return f->header == header->size &&
           memcmp(f->block + HOST_AT, bytes + HOST_AT, header->size - HOST_AT) == 0;
}

static enum socks_fragments_result drop_all(struct socks_fragments *f, unsigned *ret_lost)
{
    *ret_lost += socks_fragments_reset(f);
    return SOCKS_FRAGMENTS_DROPPED;
}

static void begin(struct socks_fragments *f, const uint8_t *bytes,
                  const struct socks_udp_header *header, uint8_t *block, uint64_t now)
{
    f->block = block;
    f->started = now;
    f->length = f->header = (uint16_t)header->size;
    f->position = 0;
    memcpy(block, bytes, header->size);
    block[FRAG_AT] = 0;
}

enum socks_fragments_result socks_fragments_take(struct socks_fragments *f, const uint8_t *bytes,
                                                 size_t n, const struct socks_udp_header *header,
                                                 uint8_t *block, uint64_t now, unsigned *ret_lost)
{
    unsigned position = header->fragment & SOCKS_UDP_FRAGMENT_POSITION;
    size_t data = n - header->size;

    *ret_lost = 0;
    if (socks_fragments_expired(f, now))
        *ret_lost += socks_fragments_reset(f);
    if (f->block && position == f->position)
        return SOCKS_FRAGMENTS_DROPPED; /* a second one */
    if (f->block && position < f->position)
        *ret_lost += socks_fragments_reset(f);
    if (!f->block) {
        if (position != 1 || !block)
            return SOCKS_FRAGMENTS_DROPPED;
        begin(f, bytes, header, block, now);
    }
    if (position != f->position + 1u || !is_for_the_same(f, bytes, header) ||
        f->length - f->header + data > SOCKS_FRAGMENTS_DATA_MAX)
        return drop_all(f, ret_lost);
    memcpy(f->block + f->length, bytes + header->size, data);
    f->length += (uint32_t)data;
    f->position = (uint8_t)position;
    return header->fragment & SOCKS_UDP_FRAGMENT_LAST ? SOCKS_FRAGMENTS_WHOLE
                                                      : SOCKS_FRAGMENTS_MORE;
}
