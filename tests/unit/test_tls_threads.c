/* test_tls_threads.c - contexts, names and ticket keys are shared by all workers. */
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

TestSuite(tls_threads, .timeout = 60);

enum { THREADS = 4, HANDSHAKES = 40 };

struct shared {
    struct tls_context *strict, *any;
    struct tls_names *names;
    struct tls_ticket_keys *keys;
    atomic_uint good, bad;
};

static bool shake(struct shared *s, struct tls_context *client, const char *name)
{
    struct tls_ends *ends = tls_ends_new();
    bool ok;

    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){.context = client, .peer_name = name});
    tls_end_push(ends, &ends->server, (struct layer_tls_options){.names = s->names});
    ok = tls_ends_open(ends);
    tls_ends_free(ends);
    return ok;
}

static void *run(void *context)
{
    struct shared *s = context;

    for (int i = 0; i < HANDSHAKES; i++) {
        bool as_expected = shake(s, s->strict, "server.test") && shake(s, s->any, "a.wild.test") &&
                           !shake(s, s->strict, "a.wild.test");

        if (i % 10 == 0)
            tls_ticket_keys_rotate(s->keys, 0);
        atomic_fetch_add(as_expected ? &s->good : &s->bad, 1);
    }
    return NULL;
}

Test(tls_threads, what_is_shared_stands_many_threads)
{
    struct shared s = {.keys = tls_ticket_keys_new("listener")};
    struct tls_context *known = tls_test_context_of((struct tls_context_options){
        .role = TLS_SERVER,
        .level = TLS_LEVEL_NEGOTIATED,
        .certificate = tls_test_path("by-middle-chain.pem"),
        .private_key = tls_test_path("by-middle.key"),
        .ticket_keys = s.keys,
    });
    struct tls_context *unknown = tls_test_context(TLS_SERVER, "by-other-chain", NULL);
    pthread_t threads[THREADS];

    s.names = tls_names_new(known);
    cr_assert(tls_names_add(s.names, "*.wild.test", unknown));
    tls_context_unref(known);
    tls_context_unref(unknown);
    s.strict = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    s.any = tls_test_context_of((struct tls_context_options){
        .role = TLS_CLIENT,
        .level = TLS_LEVEL_NEGOTIATED,
        .trust = {.authority = tls_test_path("root.pem"), .allow_any_root = true},
    });
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, run, &s), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(s.bad, 0);
    cr_assert_eq(s.good, THREADS * HANDSHAKES);
    tls_names_free(s.names);
    tls_ticket_keys_unref(s.keys);
    tls_context_unref(s.strict);
    tls_context_unref(s.any);
}
