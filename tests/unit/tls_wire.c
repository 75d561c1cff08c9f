/* tls_wire.c - see tls_wire.h. */
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const enum tls_level tls_levels[] = {TLS_LEVEL_1_2, TLS_LEVEL_1_3};

static enum io wire_open(struct layer *layer)
{
    (void)layer;
    return IO_OK;
}

static enum io wire_read(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    struct wire *wire = ((struct wire_layer *)layer)->from;
    size_t waiting = wire->end - wire->begin;

    if (++wire->reads + wire->writes == wire->fails_at) {
        stream_error_keep_first(layer->error, stream_error_read(ECONNRESET));
        return IO_ERROR;
    }
    if (wire->again_often && !wire->said_again) {
        wire->said_again = true;
        return IO_AGAIN;
    }
    wire->said_again = false;
    if (waiting == 0)
        return wire->has_ended ? IO_EOF : IO_AGAIN;
    if (wire->portion && n > wire->portion)
        n = wire->portion;
    if (n > waiting)
        n = waiting;
    memcpy(out, wire->bytes + wire->begin, n);
    wire->begin += n;
    if (wire->begin == wire->end)
        wire->begin = wire->end = 0;
    *ret_n = n;
    return IO_OK;
}

static enum io wire_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    struct wire *wire = ((struct wire_layer *)layer)->to;

    if (++wire->writes + wire->reads == wire->fails_at) {
        stream_error_keep_first(layer->error, stream_error_write(ECONNRESET));
        return IO_ERROR;
    }
    if (n > wire->takes)
        n = wire->takes;
    if (n > WIRE_MAX - wire->end)
        n = WIRE_MAX - wire->end;
    if (n == 0)
        return IO_AGAIN;
    cr_assert(!wire->has_ended, "written after the end");
    wire->more_follows = layer->more_follows;
    memcpy(wire->bytes + wire->end, bytes, n);
    wire->end += n;
    wire->takes -= n;
    *ret_n = n;
    return IO_OK;
}

static enum io wire_end(struct layer *layer)
{
    ((struct wire_layer *)layer)->to->has_ended = true;
    return IO_OK;
}

static void wire_done(struct layer *layer)
{
    (void)layer;
}

static const struct layer_ops wire_ops = {
    .name = "wire",
    .open = wire_open,
    .read = wire_read,
    .write = wire_write,
    .end = wire_end,
    .done = wire_done,
};

static void init_end(struct tls_end *end, struct wire *from, struct wire *to)
{
    end->wire.layer.ops = &wire_ops;
    end->wire.layer.error = &end->error;
    end->wire.layer.open_waits = end->wire.layer.read_waits = INTEREST_READ;
    end->wire.layer.write_waits = INTEREST_WRITE;
    end->wire.from = from;
    end->wire.to = to;
    end->top = &end->wire.layer;
}

struct tls_ends *tls_ends_new(void)
{
    struct tls_ends *ends = calloc(1, sizeof *ends);

    cr_assert(ends);
    ends->up.takes = ends->down.takes = SIZE_MAX;
    init_end(&ends->client, &ends->down, &ends->up);
    init_end(&ends->server, &ends->up, &ends->down);
    return ends;
}

static void done_end(struct tls_end *end)
{
    while (end->top) {
        struct layer *layer = end->top;

        end->top = layer->below;
        layer->ops->done(layer);
    }
}

void tls_ends_free(struct tls_ends *ends)
{
    done_end(&ends->client);
    done_end(&ends->server);
    cr_assert_eq(ends->pool.lent, 0, "a block was not given back");
    buffer_pool_done(&ends->pool);
    free(ends);
}

void tls_end_push(struct tls_ends *ends, struct tls_end *end, struct layer_tls_options options)
{
    struct layer *layer;

    options.pool = &ends->pool;
    layer = layer_tls_new(&options);
    cr_assert(layer);
    layer->below = end->top;
    layer->error = &end->error;
    end->top = layer;
    end->opened = IO_AGAIN;
}

static void step(struct tls_end *end)
{
    if (end->opened == IO_AGAIN)
        end->opened = end->top->ops->open(end->top);
    if (end->opened == IO_OK && end->top->ops->flush)
        end->top->ops->flush(end->top);
}

bool tls_ends_open(struct tls_ends *ends)
{
    unsigned quiet = 0;

    while (quiet < 4) {
        size_t before = ends->up.begin + ends->up.end + ends->down.begin + ends->down.end;

        step(&ends->client);
        step(&ends->server);
        quiet = before == ends->up.begin + ends->up.end + ends->down.begin + ends->down.end
                    ? quiet + 1
                    : 0;
    }
    return ends->client.opened == IO_OK && ends->server.opened == IO_OK;
}

const char *tls_test_path(const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];

    if (!name)
        return NULL;
    snprintf(path, sizeof paths[0], "%s/tests/tls/%s", SOURCE_FOLDER, name);
    return path;
}

struct tls_context *tls_test_context_of(struct tls_context_options options)
{
    char *text = NULL;
    size_t n;
    FILE *errors = open_memstream(&text, &n);
    struct tls_context *context = tls_context_new(&options, errors);

    fclose(errors);
    cr_assert(context, "%s", text);
    cr_assert_str_eq(text, "");
    free(text);
    return context;
}

struct tls_context *tls_test_context(enum tls_role role, const char *certificate,
                                     const char *authority)
{
    struct tls_context_options options = {
        .role = role,
        .level = TLS_LEVEL_NEGOTIATED,
        .trust = {.authority = tls_test_path(authority)},
    };
    char key[64], pem[64];

    if (certificate) {
        snprintf(pem, sizeof pem, "%s.pem", certificate);
        snprintf(key, sizeof key, "%s.key", certificate);
        options.certificate = tls_test_path(pem);
        options.private_key = tls_test_path(key);
    }
    return tls_test_context_of(options);
}

struct tls_ends *tls_ends_talking(enum tls_level level)
{
    struct tls_ends *ends = tls_ends_new();
    struct tls_context_options options = {
        .role = TLS_CLIENT,
        .level = level,
        .trust = {.authority = tls_test_path("root.pem")},
    };
    struct tls_context *client = tls_test_context_of(options);
    struct tls_context *server = tls_test_context(TLS_SERVER, "server", NULL);

    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){.context = client, .peer_name = "server.test"});
    tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
    tls_context_unref(client);
    tls_context_unref(server);
    cr_assert(tls_ends_open(ends), "client: %s", tls_end_error(&ends->client));
    return ends;
}

enum io tls_end_read_all(struct tls_end *end, uint8_t *out, size_t max, size_t *ret_n)
{
    size_t total = 0, n = 0;
    enum io result;

    do {
        result = end->top->ops->read(end->top, out + total, max - total, &n);
        if (result == IO_OK)
            total += n;
    } while ((result == IO_OK || (result == IO_AGAIN && end->top->holds)) && total < max);
    *ret_n = total;
    return result;
}

void tls_end_expect(struct tls_end *end, const void *expected, size_t n)
{
    static uint8_t got[WIRE_MAX];
    size_t received;
    enum io result = tls_end_read_all(end, got, n, &received);

    cr_assert_eq(result, IO_OK, "%s", tls_end_error(end));
    cr_assert_eq(received, n);
    cr_assert(memcmp(got, expected, n) == 0, "%zu bytes came out changed", n);
}

void tls_end_write_all(struct tls_end *end, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;

    while (n) {
        size_t taken = 0;

        cr_assert_eq(end->top->ops->write(end->top, at, n, &taken), IO_OK, "%s",
                     tls_end_error(end));
        cr_assert(taken >= 1 && taken <= n);
        at += taken;
        n -= taken;
    }
    cr_assert_eq(end->top->ops->flush(end->top), IO_OK);
}

const char *tls_end_error(const struct tls_end *end)
{
    static char names[4][STREAM_ERROR_NAME_MAX];
    static unsigned next;

    return stream_error_name(&end->error, names[next++ % 4]);
}
