/* setup.c - saying and hearing for the layers that only set up. */
#include "streams/setup.h"

enum io setup_fail(struct layer *layer, struct stream_error error)
{
    stream_error_keep_first(layer->error, error);
    return IO_ERROR;
}

enum io setup_send(struct layer *layer, const uint8_t *bytes, size_t n, size_t *at)
{
    struct layer *below = layer->below;

    while (*at < n) {
        size_t taken = 0;
        enum io result = below->ops->write(below, bytes + *at, n - *at, &taken);

        if (result != IO_OK) {
            layer->open_waits = below->write_waits;
            return result;
        }
        *at += taken;
    }
    layer->open_waits = INTEREST_NONE; /* the pair watches for who holds bytes below */
    return below->ops->flush ? below->ops->flush(below) : IO_OK;
}

enum io setup_receive(struct layer *layer, uint8_t *in, size_t want, size_t *have)
{
    struct layer *below = layer->below;
    size_t n = 0;
    enum io result = below->ops->read(below, in + *have, want - *have, &n);

    if (result == IO_EOF)
        return setup_fail(layer, stream_error_of(ERROR_STREAM_END_EARLY));
    layer->open_waits = below->read_waits;
    if (result == IO_OK)
        *have += n;
    return result;
}
