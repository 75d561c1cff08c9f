/* tls_wire.h - both ends of a TLS connection in one process: two chains of layers over a wire in
 * memory, whose portions and room a test decides. No socket, no time. */
#ifndef PAIRSOCKS_TLS_WIRE_H
#define PAIRSOCKS_TLS_WIRE_H

#include "streams/layer_tls.h"

#define WIRE_MAX (1024 * 1024)

/* One direction. */
struct wire {
    uint8_t bytes[WIRE_MAX];
    size_t begin, end;
    size_t portion;   /* a read gives no more; 0 = all that fits */
    size_t takes;     /* how much the writer may write before AGAIN */
    bool again_often; /* every other read says AGAIN */
    bool said_again;
    bool has_ended;
    bool more_follows; /* as the last write said */
    unsigned fails_at; /* the Nth read or write fails with a reset; 0 = none */
    unsigned reads, writes;
};

/* The bottom of a chain. */
struct wire_layer {
    struct layer layer;
    struct wire *from, *to; /* borrowed */
};

/* One end. `top` is what a test reads from and writes to. */
struct tls_end {
    struct wire_layer wire;
    struct layer *top;
    struct stream_error error;
    enum io opened; /* of the last step of its open */
};

struct tls_ends {
    struct wire up, down; /* from the client, to the client */
    struct tls_end client, server;
    struct buffer_pool pool;
};

/* for EACH_TLS_LEVEL(i): tls_levels[i] is TLS 1.2, then 1.3. */
extern const enum tls_level tls_levels[2];
#define EACH_TLS_LEVEL(i) (size_t i = 0; i < sizeof tls_levels / sizeof tls_levels[0]; i++)

/* Two ends over an empty wire that takes everything; no TLS yet. */
struct tls_ends *tls_ends_new(void);
void tls_ends_free(struct tls_ends *ends);

/* Puts a TLS layer on top of an end. */
void tls_end_push(struct tls_ends *ends, struct tls_end *end, struct layer_tls_options options);

/* Opens both tops, step by step, until neither moves any more. True: both are open. */
bool tls_ends_open(struct tls_ends *ends);

/* Both at once, from files of tests/tls. NULL files: none. Fails the test when a context cannot be
 * built. */
struct tls_context *tls_test_context(enum tls_role role, const char *certificate,
                                     const char *authority);
struct tls_context *tls_test_context_of(struct tls_context_options options);

/* The path of a file of tests/tls, in one of a few static buffers; NULL for NULL. */
const char *tls_test_path(const char *name);

/* Two ends with a client that believes root.pem and looks for server.test, and a server with
 * server.pem; open. */
struct tls_ends *tls_ends_talking(enum tls_level level);

/* What the layer says; all bytes until it does not say OK. */
enum io tls_end_read_all(struct tls_end *end, uint8_t *out, size_t max, size_t *ret_n);

/* Reads so many bytes; fails the test unless they are these. */
void tls_end_expect(struct tls_end *end, const void *expected, size_t n);

/* Writes all, flushing, the wire being large enough; fails the test else. */
void tls_end_write_all(struct tls_end *end, const void *bytes, size_t n);

const char *tls_end_error(const struct tls_end *end);

#endif
