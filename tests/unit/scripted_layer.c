/* scripted_layer.c - see scripted_layer.h. */
#include "tests/unit/scripted_layer.h"

#include <errno.h>
#include <string.h>

static enum io scripted_open(struct layer *layer)
{
    (void)layer;
    return IO_OK;
}

static enum io scripted_read(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct scripted_layer *s = (struct scripted_layer *)layer;
    size_t left = s->input_length - s->input_at;

    if (++s->reads == s->fail_read) {
        stream_error_keep_first(layer->error, stream_error_read(ECONNRESET));
        return IO_ERROR;
    }
    if (s->again_between && !s->said_again) {
        s->said_again = true;
        return IO_AGAIN;
    }
    s->said_again = false;
    if (left == 0)
        return s->ends ? IO_EOF : IO_AGAIN;
    if (s->portion && n > s->portion)
        n = s->portion;
    if (n > left)
        n = left;
    memcpy(out, s->input + s->input_at, n);
    s->input_at += n;
    *ret_n = n;
    return IO_OK;
}

static enum io scripted_peek(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct scripted_layer *s = (struct scripted_layer *)layer;
    size_t at = s->input_at;
    enum io result = scripted_read(layer, out, n, ret_n);

    s->input_at = at;
    return result;
}

static enum io scripted_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    struct scripted_layer *s = (struct scripted_layer *)layer;

    if (++s->writes == s->fail_write) {
        stream_error_keep_first(layer->error, stream_error_write(EPIPE));
        return IO_ERROR;
    }
    if (s->takes == 0)
        return IO_AGAIN;
    if (n > s->takes)
        n = s->takes;
    if (n > SCRIPTED_MAX - s->output_length)
        n = SCRIPTED_MAX - s->output_length;
    memcpy(s->output + s->output_length, bytes, n);
    s->output_length += n;
    s->takes -= n;
    *ret_n = n;
    return IO_OK;
}

static enum io scripted_end(struct layer *layer)
{
    ((struct scripted_layer *)layer)->ends_seen++;
    return IO_OK;
}

static void scripted_done(struct layer *layer)
{
    ((struct scripted_layer *)layer)->dones++;
}

static const struct layer_ops scripted_ops = {
    .name = "scripted",
    .open = scripted_open,
    .read = scripted_read,
    .write = scripted_write,
    .end = scripted_end,
    .done = scripted_done,
};

static const struct layer_ops peeking_ops = {
    .name = "scripted",
    .open = scripted_open,
    .read = scripted_read,
    .peek = scripted_peek,
    .write = scripted_write,
    .end = scripted_end,
    .done = scripted_done,
};

void scripted_peeks(struct scripted_layer *script)
{
    script->layer.ops = &peeking_ops;
}

static void ignore_event(struct stream_pair *pair)
{
    (void)pair;
}

void scripted_pair(struct stream_pair *pair, struct scripted_layer *script)
{
    static const struct ip_endpoint nobody;

    pair_init(pair, ev_default_loop(EVFLAG_NOENV), ignore_event);
    pair_adopt(pair, -1, &nobody, false);
    memset(script, 0, sizeof *script);
    script->layer.ops = &scripted_ops;
    script->layer.read_waits = INTEREST_READ;
    script->layer.write_waits = INTEREST_WRITE;
    pair_push_layer(pair, &script->layer);
    scripted_ready(pair);
}

void scripted_ready(struct stream_pair *pair)
{
    pair->ready = INTEREST_READ | INTEREST_WRITE;
}
