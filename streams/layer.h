/* layer.h - one link of a stream pair's chain: it does one thing and calls only the layer below.
 * No layer knows the event loop. The rules of the calls:
 *
 *  open   drives the set-up of this layer, after the one below is open. OK: open now (calling
 *         again is harmless). AGAIN: `open_waits` says for what. EOF: the peer left. ERROR.
 *  read   OK with 1 <= *ret_n <= n. A read that returns less than it was asked for means that there
 *         is nothing more right now: a layer that holds bytes of its own hands out all that fit
 *         first. AGAIN: `read_waits` says for what. EOF: the peer ended its direction. ERROR.
 *  write  OK with 1 <= *ret_n <= n. A write that takes less than it was offered takes no more right
 *         now. AGAIN: `write_waits` says for what. ERROR. Never EOF.
 *  end    ends our direction after all that was written: close_notify, shutdown(SHUT_WR). OK,
 *         AGAIN, ERROR.
 *  splice_read, splice_write  as read and write, from and to a pipe, without copying through us;
 *         NULL for a layer that must see the bytes. A splice may move less than it was asked for
 *         although more could be moved: only AGAIN means that there is nothing, or no room. The
 *         pipe has room for, or holds, all `n` bytes.
 *  flush  hands down what the layer still holds of the bytes that `write`, `end` or `open` took; NULL
 *         for a layer that never holds any. While it does, `flush_waits` says for what, and the
 *         pair calls it when that has come. OK: all gone. AGAIN, ERROR.
 *  peek   as read, but what it gives is still there for the next read; NULL for a layer that cannot.
 *  done   frees what the layer owns, itself included if it was allocated. No I/O that could block.
 *
 * A layer that only sets up (`sets_up`) has `open` and `done` and nothing between: it reads no byte
 * that is not its own, and the pair takes it off the chain once it is open.
 *
 * `holds`: a read would give bytes, the end or an error although the layer below is silent.
 *
 * On ERROR the layer has stored its reason in `*error`, which keeps the first. Results are
 * untouched but on OK. */
#ifndef PAIRSOCKS_LAYER_H
#define PAIRSOCKS_LAYER_H

#include "streams/error.h"
#include "streams/status.h"

#include <stddef.h>
#include <stdint.h>

/* What a descriptor is watched for; the numbers are libev's. */
enum interest { INTEREST_NONE = 0, INTEREST_READ = 1, INTEREST_WRITE = 2 };

struct layer;

struct layer_ops {
    const char *name;
    enum io (*open)(struct layer *layer);
    enum io (*read)(struct layer *layer, void *out, size_t n, size_t *ret_n);
    enum io (*write)(struct layer *layer, const void *bytes, size_t n, size_t *ret_n);
    enum io (*end)(struct layer *layer);
    enum io (*splice_read)(struct layer *layer, int pipe, size_t n, size_t *ret_n);
    enum io (*splice_write)(struct layer *layer, int pipe, size_t n, size_t *ret_n);
    enum io (*flush)(struct layer *layer);
    enum io (*peek)(struct layer *layer, void *out, size_t n, size_t *ret_n);
    void (*done)(struct layer *layer);
    enum stream_error_id expired; /* what it is when `open` takes too long; ERROR_NONE: the layer
                                     below, which it opens, knows */
    bool sets_up;
    bool close_ends; /* to the peer, closing the descriptor says what `end` says */
};

/* The part that every layer begins with. */
struct layer {
    const struct layer_ops *ops;
    struct layer *below;        /* owned by the pair; NULL at the bottom */
    struct stream_error *error; /* borrowed: the pair's */
    uint8_t open_waits;         /* enum interest */
    uint8_t read_waits;
    uint8_t write_waits;
    uint8_t flush_waits; /* INTEREST_NONE: nothing to flush */
    bool holds;
    bool more_follows; /* set from above: what is written now is followed by more, or by the end */
};

#endif
