/* test_layer_tls_resume.c - which session may be resumed where. The client is wolfSSL itself, which
 * keeps its session from one server to the next. */
#include "tests/unit/tls_wire.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_resume, .timeout = 60);

enum { TLS1_2_VERSION_ = 0x0303 };

static int on_send(WOLFSSL *ssl, char *bytes, int n, void *user)
{
    struct wire_layer *wire = user;
    size_t written;

    (void)ssl;
    return wire->layer.ops->write(&wire->layer, bytes, (size_t)n, &written) == IO_OK
               ? (int)written
               : WOLFSSL_CBIO_ERR_WANT_WRITE;
}

static int on_receive(WOLFSSL *ssl, char *out, int n, void *user)
{
    struct wire_layer *wire = user;
    size_t got;

    (void)ssl;
    return wire->layer.ops->read(&wire->layer, out, (size_t)n, &got) == IO_OK
               ? (int)got
               : WOLFSSL_CBIO_ERR_WANT_READ;
}

static WOLFSSL_CTX *client_context(enum tls_level level)
{
    WOLFSSL_CTX *ctx = wolfSSL_CTX_new(level == TLS_LEVEL_1_2 ? wolfTLSv1_2_client_method()
                                                              : wolfTLSv1_3_client_method());

    cr_assert(ctx);
    wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_UseSessionTicket(ctx);
    wolfSSL_CTX_SetIORecv(ctx, on_receive);
    wolfSSL_CTX_SetIOSend(ctx, on_send);
    wolfSSL_CTX_use_certificate_file(ctx, tls_test_path("alice.pem"), WOLFSSL_FILETYPE_PEM);
    wolfSSL_CTX_use_PrivateKey_file(ctx, tls_test_path("alice.key"), WOLFSSL_FILETYPE_PEM);
    return ctx;
}

/* Connects, resuming *session if it is set, and keeps the new one there. Returns whether both ends
 * say that it was resumed. */
static bool visit(WOLFSSL_CTX *ctx, WOLFSSL_SESSION **session, struct layer_tls_options server,
                  const char *name)
{
    struct tls_ends *ends = tls_ends_new();
    WOLFSSL *ssl = wolfSSL_new(ctx);
    char byte;
    size_t n;
    bool resumed;

    cr_assert(ssl);
    wolfSSL_SetIOReadCtx(ssl, &ends->client.wire);
    wolfSSL_SetIOWriteCtx(ssl, &ends->client.wire);
    if (name)
        wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)strlen(name));
    if (*session)
        wolfSSL_set_session(ssl, *session);
    tls_end_push(ends, &ends->server, server);
    for (int i = 0; i < 10 && wolfSSL_connect(ssl) != WOLFSSL_SUCCESS; i++)
        tls_ends_open(ends);
    tls_ends_open(ends);
    if (*session && wolfSSL_version(ssl) == TLS1_2_VERSION_ && ends->server.opened == IO_ERROR) {
        /* wolfSSL's client of TLS 1.2 takes for granted that its ticket is good. It has seen a
         * certificate instead. */
        cr_assert(stream_error_is(&ends->server.error, ERROR_TLS_ALERT_UNEXPECTED_MESSAGE), "%s",
                  tls_end_error(&ends->server));
        wolfSSL_SESSION_free(*session);
        *session = NULL;
        wolfSSL_free(ssl);
        tls_ends_free(ends);
        return false;
    }
    cr_assert_eq(ends->server.opened, IO_OK, "%s", tls_end_error(&ends->server));
    tls_end_write_all(&ends->server, "x", 1);
    cr_assert_eq(wolfSSL_read(ssl, &byte, 1), 1); /* the ticket comes before it */
    resumed = wolfSSL_session_reused(ssl);
    cr_assert_eq(resumed, layer_tls_is_resumed(ends->server.top));
    cr_assert_eq(wolfSSL_write(ssl, "y", 1), 1);
    cr_assert_eq(ends->server.top->ops->read(ends->server.top, &byte, 1, &n), IO_OK);
    wolfSSL_SESSION_free(*session);
    *session = wolfSSL_get1_session(ssl);
    wolfSSL_free(ssl);
    tls_ends_free(ends);
    return resumed;
}

/* A handshake, up to where neither end has more to say by itself. */
static WOLFSSL *meet(WOLFSSL_CTX *ctx, struct tls_ends *ends, struct tls_context *server)
{
    WOLFSSL *ssl = wolfSSL_new(ctx);

    wolfSSL_SetIOReadCtx(ssl, &ends->client.wire);
    wolfSSL_SetIOWriteCtx(ssl, &ends->client.wire);
    tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
    for (int i = 0; i < 10 && wolfSSL_connect(ssl) != WOLFSSL_SUCCESS; i++)
        tls_ends_open(ends);
    tls_ends_open(ends);
    cr_assert_eq(ends->server.opened, IO_OK, "%s", tls_end_error(&ends->server));
    return ssl;
}

struct server {
    const char *keys_of, *name, *certificate, *authority, *alpn;
};

static struct tls_context *server_of(const struct server *s, struct tls_ticket_keys *keys)
{
    char pem[64], key[64];
    struct tls_context_options options = {.role = TLS_SERVER, .level = TLS_LEVEL_NEGOTIATED};

    snprintf(pem, sizeof pem, "%s.pem", s->certificate);
    snprintf(key, sizeof key, "%s.key", s->certificate);
    options.certificate = tls_test_path(pem);
    options.private_key = tls_test_path(key);
    options.trust.authority = tls_test_path(s->authority);
    options.ticket_keys = keys;
    options.name = s->name;
    return tls_test_context_of(options);
}

/* Does a session of the one resume at the other? */
static bool resumes(enum tls_level level, struct tls_context *from, struct tls_context *to)
{
    WOLFSSL_CTX *client = client_context(level);
    WOLFSSL_SESSION *session = NULL;
    bool resumed;

    cr_assert(!visit(client, &session, (struct layer_tls_options){.context = from}, NULL));
    resumed = visit(client, &session, (struct layer_tls_options){.context = to}, NULL);
    wolfSSL_SESSION_free(session);
    wolfSSL_CTX_free(client);
    return resumed;
}

Test(tls_resume, a_session_is_resumed_with_the_same_keys_also_after_a_reload)
{
    static const struct server server = {.name = "a", .certificate = "server"};

    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ticket_keys *keys = tls_ticket_keys_new("listener");
            struct tls_context *before = server_of(&server, keys),
                               *after = server_of(&server, keys);

            cr_assert(resumes(tls_levels[i], before, before), "level %zu", i);
            cr_assert(resumes(tls_levels[i], before, after), "level %zu", i);
            tls_context_unref(before);
            tls_context_unref(after);
            tls_ticket_keys_unref(keys);
        }
}

static const struct {
    struct server from, to;
    const char *what;
} apart[] = {
    {{"a", "", "server", NULL, NULL}, {"b", "", "server", NULL, NULL}, "listeners"},
    {{"a", "x", "server", NULL, NULL}, {"a", "y", "server", NULL, NULL}, "names"},
    {{"a", "x", "server", NULL, NULL}, {"a", "x", "server-rsa", NULL, NULL}, "certificates"},
    {{"a", "x", "server", NULL, NULL}, {"a", "x", "server", "root.pem", NULL}, "into a policy"},
    {{"a", "x", "server", "root.pem", NULL}, {"a", "x", "server", NULL, NULL}, "out of a policy"},
    {{"a", "x", "server", "root.pem", NULL},
     {"a", "x", "server", "root.pem", NULL},
     "with a client's certificate: it is shown each time"},
    {{NULL, "x", "server", NULL, NULL}, {NULL, "x", "server", NULL, NULL}, "no keys"},
    {{NULL, "x", "server", NULL, NULL}, {"a", "x", "server", NULL, NULL}, "the library's cache"},
};

Test(tls_resume, a_session_is_not_resumed_anywhere_else)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ticket_keys *a = tls_ticket_keys_new("a"), *b = tls_ticket_keys_new("b");

            for (size_t k = 0; k < sizeof apart / sizeof apart[0]; k++) {
                const char *from_keys = apart[k].from.keys_of, *to_keys = apart[k].to.keys_of;
                struct tls_context *from = server_of(&apart[k].from, !from_keys ? NULL : a);
                struct tls_context *to = server_of(&apart[k].to, !to_keys          ? NULL
                                                                 : *to_keys == 'a' ? a
                                                                                   : b);
                cr_expect(!resumes(tls_levels[i], from, to), "%s, level %zu", apart[k].what, i);
                tls_context_unref(from);
                tls_context_unref(to);
            }
            tls_ticket_keys_unref(a);
            tls_ticket_keys_unref(b);
        }
}

Test(tls_resume, tickets_survive_one_rotation_and_not_two)
{
    static const struct server server = {.name = "a", .certificate = "server"};

    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ticket_keys *keys = tls_ticket_keys_new("listener");
            struct tls_context *context = server_of(&server, keys);
            WOLFSSL_CTX *client = client_context(tls_levels[i]);
            WOLFSSL_SESSION *session = NULL;
            struct layer_tls_options options = {.context = context};
            struct timespec now;

            clock_gettime(CLOCK_MONOTONIC, &now);
            cr_assert(!visit(client, &session, options, NULL));
            cr_assert(tls_ticket_keys_rotate(keys, now.tv_sec));
            cr_assert(visit(client, &session, options, NULL));
            cr_assert(tls_ticket_keys_rotate(keys, now.tv_sec));
            cr_assert(tls_ticket_keys_rotate(keys, now.tv_sec));
            cr_assert(!visit(client, &session, options, NULL));
            wolfSSL_SESSION_free(session);
            wolfSSL_CTX_free(client);
            tls_context_unref(context);
            tls_ticket_keys_unref(keys);
        }
}

Test(tls_resume, keys_rotate_by_themselves_and_are_forgotten)
{
    struct tls_ticket_keys *keys = tls_ticket_keys_new("listener");
    uint8_t scope[TLS_TICKET_SCOPE] = {1}, other[TLS_TICKET_SCOPE] = {2};
    uint8_t name[TLS_TICKET_KEY_NAME], later[TLS_TICKET_KEY_NAME];
    uint8_t iv[TLS_TICKET_IV], tag[TLS_TICKET_TAG];
    uint8_t text[] = "the state of a session", sealed[sizeof text], out[sizeof text];
    int64_t now = 1000;

    memcpy(sealed, text, sizeof text);
    cr_assert(tls_ticket_seal(keys, scope, now, name, iv, tag, sealed, sizeof sealed));
    cr_assert(memcmp(sealed, text, sizeof text) != 0);
    for (int64_t age = 0; age < 3 * TLS_TICKET_PERIOD; age += TLS_TICKET_PERIOD / 4) {
        bool young = age < 2 * TLS_TICKET_PERIOD;

        memcpy(out, sealed, sizeof out);
        cr_assert(!tls_ticket_open(keys, other, now + age, name, iv, tag, out, sizeof out));
        memcpy(out, sealed, sizeof out);
        cr_assert_eq(tls_ticket_open(keys, scope, now + age, name, iv, tag, out, sizeof out),
                     young);
        cr_assert_eq(memcmp(out, text, sizeof out) == 0, young);
    }
    memcpy(out, text, sizeof out);
    cr_assert(
        tls_ticket_seal(keys, scope, now + TLS_TICKET_PERIOD * 3, later, iv, tag, out, sizeof out));
    cr_assert(memcmp(name, later, sizeof name) != 0);
    tls_ticket_keys_unref(keys);
}

/* A packet less for each handshake. Who is only sent an end gets it all the same. */
Test(tls_resume, a_ticket_travels_with_the_first_bytes_or_with_the_end)
{
    static const struct server server = {.name = "a", .certificate = "server"};
    struct tls_ticket_keys *keys = tls_ticket_keys_new("listener");
    struct tls_context *context = server_of(&server, keys);
    WOLFSSL_CTX *client = client_context(TLS_LEVEL_1_3);

    for (int only_end = 0; only_end < 2; only_end++) {
        struct tls_ends *ends = tls_ends_new();
        WOLFSSL *ssl = meet(client, ends, context);
        WOLFSSL_SESSION *session;
        unsigned writes = ends->down.writes;
        char byte;

        cr_assert_eq(ends->down.begin, ends->down.end, "something came behind the handshake");
        if (only_end) {
            cr_assert_eq(ends->server.top->ops->end(ends->server.top), IO_OK);
            cr_assert_leq(wolfSSL_read(ssl, &byte, 1), 0);
        } else {
            tls_end_write_all(&ends->server, "x", 1);
            cr_assert_eq(wolfSSL_read(ssl, &byte, 1), 1);
        }
        cr_assert_eq(ends->down.writes, writes + 1);
        if (!only_end) { /* there is one ticket */
            size_t before = ends->down.end;

            tls_end_write_all(&ends->server, "x", 1);
            cr_assert_leq(ends->down.end - before, 32);
        }
        session = wolfSSL_get1_session(ssl);
        cr_assert(visit(client, &session, (struct layer_tls_options){.context = context}, NULL));
        wolfSSL_SESSION_free(session);
        wolfSSL_free(ssl);
        tls_ends_free(ends);
    }
    wolfSSL_CTX_free(client);
    tls_context_unref(context);
    tls_ticket_keys_unref(keys);
}

/* ---- names */

Test(tls_resume, a_session_of_one_name_is_not_resumed_at_another)
{
    static const struct server servers[] = {{.name = "first", .certificate = "server"},
                                            {.name = "second", .certificate = "server"}};

    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ticket_keys *keys = tls_ticket_keys_new("listener");
            struct tls_context *first = server_of(&servers[0], keys),
                               *second = server_of(&servers[1], keys);
            struct tls_names *names = tls_names_new(first);
            WOLFSSL_CTX *client = client_context(tls_levels[i]);
            WOLFSSL_SESSION *session = NULL;
            struct layer_tls_options options = {.names = names};

            cr_assert(tls_names_add(names, "second.test", second));
            cr_assert(!visit(client, &session, options, "first.test"));
            cr_assert(visit(client, &session, options, "first.test"));
            cr_assert(!visit(client, &session, options, "second.test"));
            /* wolfSSL's server of TLS 1.2 gives out no new ticket for one that it refuses. */
            wolfSSL_SESSION_free(session);
            session = NULL;
            cr_assert(!visit(client, &session, options, "second.test"));
            cr_assert(visit(client, &session, options, "second.test"), "level %zu", i);
            cr_assert(!visit(client, &session, options, NULL));
            wolfSSL_SESSION_free(session);
            wolfSSL_CTX_free(client);
            tls_names_free(names);
            tls_context_unref(first);
            tls_context_unref(second);
            tls_ticket_keys_unref(keys);
        }
}
