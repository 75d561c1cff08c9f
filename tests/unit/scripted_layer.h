/* scripted_layer.h - a layer that does what its script says: hands out given bytes in given
 * portions with AGAIN between them, ends, fails at the Nth call, takes as much as it is allowed
 * to and records it. What stands on it (pairs, the relay) is tested without sockets and without
 * time. */
#ifndef PAIRSOCKS_SCRIPTED_LAYER_H
#define PAIRSOCKS_SCRIPTED_LAYER_H

#include "streams/pair.h"

#define SCRIPTED_MAX (512 * 1024)

struct scripted_layer {
    struct layer layer;

    /* Reading: `input[at..length)` in portions of `portion` bytes (0 = all that fits); with
     * `again_between`, every other read says AGAIN. */
    const uint8_t *input;
    size_t input_length, input_at;
    size_t portion;
    bool again_between, said_again;
    bool ends;           /* EOF behind the input; else AGAIN */
    unsigned fail_read;  /* the Nth read fails with a reset; 0 = none */
    unsigned fail_write; /* likewise */

    /* Writing: how many bytes are taken before AGAIN; raise it to go on. */
    size_t takes;
    uint8_t output[SCRIPTED_MAX];
    size_t output_length;

    unsigned reads, writes, ends_seen, dones;
};

/* Makes `pair` CONNECTED over the script, which the caller fills in. Everything is ready. */
void scripted_pair(struct stream_pair *pair, struct scripted_layer *script);

/* From now on it can be peeked into; each peek counts as a read. */
void scripted_peeks(struct scripted_layer *script);

/* What the loop would do: the descriptor is ready for both. */
void scripted_ready(struct stream_pair *pair);

#endif
