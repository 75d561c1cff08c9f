/* fuzz_socks_udp.c - datagrams of anybody, one behind the other: each is led by its length (two bytes) and
 * by how many 16 ms later it comes (one byte). The claims are those of socks_udp.h and
 * socks_fragments.h: a header lies within its datagram and is written as it was read; a whole is never
 * longer than its block, stands alone, and is for whom its fragments were. */
#include "tests/fuzz/fuzz.h"

#include "streams/socks_fragments.h"

#include <string.h>

static uint8_t block[SOCKS_FRAGMENTS_BLOCK];

static void claim_header(const uint8_t *bytes, size_t n, const struct socks_udp_header *header)
{
    uint8_t out[SOCKS_UDP_HEADER_MAX];
    size_t written;

    CLAIM(header->size <= n && header->size <= SOCKS_UDP_HEADER_MAX);
    CLAIM(header->port != 0);
    CLAIM((header->name_length == 0) == (header->ip.family != IP_NONE));
    if (header->name_length)
        written = socks_udp_write_name(header->name, header->name_length, header->port, out);
    else
        written = socks_udp_write(&(struct ip_endpoint){header->ip, header->port}, out);
    CLAIM(written == header->size);
    CLAIM(memcmp(out + 3, bytes + 3, written - 3) == 0);
}

static void claim_whole(const struct socks_fragments *f, const struct socks_udp_header *last)
{
    struct socks_udp_header header;

    CLAIM(f->block == block && f->length <= sizeof block);
    CLAIM(socks_udp_parse(f->block, f->length, &header));
    CLAIM(header.fragment == 0 && header.size == last->size && header.port == last->port);
    CLAIM(f->length - header.size <= SOCKS_FRAGMENTS_DATA_MAX);
}

static void take(struct socks_fragments *f, const uint8_t *bytes, size_t n, uint64_t now)
{
    struct socks_udp_header header;
    unsigned before = f->block ? f->position : 0, lost = 0;

    if (!socks_udp_parse(bytes, n, &header))
        return;
    claim_header(bytes, n, &header);
    if (header.fragment == 0) {
        CLAIM(socks_fragments_reset(f) == before);
        return;
    }
    switch (socks_fragments_take(f, bytes, n, &header, block, now, &lost)) {
    case SOCKS_FRAGMENTS_MORE:
        CLAIM(f->block && !socks_fragments_expired(f, now));
        CLAIM(f->position == (header.fragment & SOCKS_UDP_FRAGMENT_POSITION));
        break;
    case SOCKS_FRAGMENTS_WHOLE:
        claim_whole(f, &header);
        socks_fragments_reset(f);
        break;
    case SOCKS_FRAGMENTS_DROPPED:
        CLAIM(lost <= 127);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks_fragments f = {0};
    uint64_t now = 0;

    while (size >= 3) {
        size_t n = (size_t)data[0] << 8 | data[1];
        uint8_t *copy;

        now += 16u * data[2];
        data += 3;
        size -= 3;
        n = n < size ? n : size;
        copy = malloc(n ? n : 1); /* of just its size: a sanitizer sees any read behind */
        CLAIM(copy);
        memcpy(copy, data, n);
        take(&f, copy, n, now);
        free(copy);
        data += n;
        size -= n;
    }
    return 0;
}
