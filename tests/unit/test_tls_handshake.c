/* test_tls_handshake.c - who gets in: certificates, names, versions, suites and protocols, by real
 * handshakes, with the names of the errors at both ends. */
#include "tests/unit/folder.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_handshake, .timeout = 60);

struct sides {
    struct tls_context_options client, server; /* level: both may be left to the test */
    const char *client_certificate, *server_certificate;
    const char *client_authority, *server_authority;
    const char *client_revoke, *server_revoke;
    const char *peer_name;
    bool keeps_chain;
};

static void set_files(struct tls_context_options *o, const char *certificate, const char *authority,
                      const char *revoke)
{
    char pem[64], key[64];

    if (certificate) {
        snprintf(pem, sizeof pem, "%s.pem", certificate);
        snprintf(key, sizeof key, "%s.key", certificate);
        o->certificate = tls_test_path(pem);
        o->private_key = tls_test_path(key);
    }
    o->trust.authority = tls_test_path(authority);
    o->trust.revoke = tls_test_path(revoke);
    if (o->level == TLS_LEVEL_NONE)
        o->level = TLS_LEVEL_NEGOTIATED;
}

/* One handshake. A client of TLS 1.3 is open before the server has seen its certificate: it reads
 * once more, as it would. */
static struct tls_ends *shake(struct sides s)
{
    struct tls_ends *ends = tls_ends_new();
    struct tls_context *client, *server;
    uint8_t byte;
    size_t n;

    s.client.role = TLS_CLIENT;
    s.server.role = TLS_SERVER;
    set_files(&s.client, s.client_certificate, s.client_authority ? s.client_authority : "root.pem",
              s.client_revoke);
    set_files(&s.server, s.server_certificate ? s.server_certificate : "server", s.server_authority,
              s.server_revoke);
    client = tls_test_context_of(s.client);
    server = tls_test_context_of(s.server);
    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){
                     .context = client,
                     .keeps_chain = s.keeps_chain,
                     .peer_name = s.peer_name && strcmp(s.peer_name, "none") == 0 ? NULL
                                  : s.peer_name                                   ? s.peer_name
                                                                                  : "server.test"});
    tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
    tls_context_unref(client);
    tls_context_unref(server);
    tls_ends_open(ends);
    if (ends->client.opened == IO_OK)
        ends->client.top->ops->read(ends->client.top, &byte, 1, &n);
    if (ends->server.opened == IO_OK)
        ends->server.top->ops->read(ends->server.top, &byte, 1, &n);
    return ends;
}

static void expect_errors(struct sides s, const char *client, const char *server)
{
    struct tls_ends *ends = shake(s);

    if (client)
        cr_expect_str_eq(tls_end_error(&ends->client), client, "client: %s (server: %s)",
                         tls_end_error(&ends->client), tls_end_error(&ends->server));
    if (server)
        cr_expect_str_eq(tls_end_error(&ends->server), server, "server: %s (client: %s)",
                         tls_end_error(&ends->server), tls_end_error(&ends->client));
    tls_ends_free(ends);
}

static const struct {
    const char *certificate, *revoke, *error;
} server_faults[] = {
    {"server", NULL, "none"},
    {"server-rsa", NULL, "none"},
    {"by-middle-chain", NULL, "none"},
    {"expired", NULL, "tls.certificate.expired"},
    {"future", NULL, "tls.certificate.not-yet-valid"},
    {"by-other", NULL, "tls.certificate.unknown-root"},
    {"by-other-chain", NULL, "tls.certificate.unknown-root"},
    {"self-signed", NULL, "tls.certificate.unknown-root"},
    {"by-middle", NULL, "tls.certificate.unknown-root"},
    {"by-fake-chain", NULL, "tls.certificate.unknown-root"},
    {"second", NULL, "tls.certificate.name-mismatch"},
    {"no-names", NULL, "tls.certificate.name-mismatch"}, /* its CN is server.test, see below */
    {"client-only", NULL, "tls.certificate.bad"},
    {"server", "root.crl", "none"},
    {"revoked", "root.crl", "tls.certificate.revoked"},
    {"expired-revoked", "root.crl", "tls.certificate.revoked"},
    {"server", "root-past.crl", "tls.certificate.crl-expired"},
    {"by-middle-chain", "root.crl", "tls.certificate.crl-missing"},
};

Test(tls_handshake, faults_of_a_servers_certificate_have_their_names)
{
    for
        EACH_TLS_LEVEL(i)
        {
            for (size_t k = 0; k < sizeof server_faults / sizeof server_faults[0]; k++) {
                struct sides s = {
                    .client = {.level = tls_levels[i]},
                    .server_certificate = server_faults[k].certificate,
                    .client_revoke = server_faults[k].revoke,
                    .peer_name =
                        strcmp(server_faults[k].certificate, "no-names") == 0 ? "127.0.0.1" : NULL,
                };

                expect_errors(s, server_faults[k].error, NULL);
            }
        }
}

Test(tls_handshake, the_server_hears_why_its_certificate_was_refused)
{
    struct tls_ends *ends = shake((struct sides){.server_certificate = "by-other"});

    cr_assert_eq(strncmp(tls_end_error(&ends->server), "tls.alert.", 10), 0, "%s",
                 tls_end_error(&ends->server));
    tls_ends_free(ends);
}

Test(tls_handshake, each_allowance_lets_its_own_fault_pass)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_context_options o = {.level = tls_levels[i]};

            o.trust = (struct tls_trust_options){.allow_expired_certificates = true};
            expect_errors((struct sides){.client = o, .server_certificate = "expired"}, "none",
                          "none");
            expect_errors(
                (struct sides){.client = o, .server_certificate = "by-middle-expired-chain"},
                "none", "none");
            expect_errors((struct sides){.client = o,
                                         .server_certificate = "expired-revoked",
                                         .client_revoke = "root.crl"},
                          "tls.certificate.revoked", NULL);
            o.trust = (struct tls_trust_options){.allow_expired_roots = true};
            expect_errors((struct sides){.client = o,
                                         .server_certificate = "by-root-expired",
                                         .client_authority = "root-expired.pem"},
                          "none", "none");
            o.trust = (struct tls_trust_options){.allow_any_root = true};
            expect_errors((struct sides){.client = o, .server_certificate = "by-other-chain"},
                          "none", "none");
            expect_errors((struct sides){.client = o, .server_certificate = "self-signed"}, "none",
                          "none");
            expect_errors((struct sides){.client = o, .server_certificate = "expired"},
                          "tls.certificate.expired", NULL);
            o.trust = (struct tls_trust_options){.skip_chain = true};
            expect_errors((struct sides){.client = o, .server_certificate = "by-leaf-chain"},
                          "none", "none");
            expect_errors((struct sides){.client = o, .server_certificate = "future"}, "none",
                          "none");
            expect_errors((struct sides){.client = o, .server_certificate = "second"},
                          "tls.certificate.name-mismatch", NULL);
            expect_errors((struct sides){.client = o,
                                         .server_certificate = "revoked",
                                         .client_revoke = "root.crl"},
                          "tls.certificate.revoked", NULL);
        }
}

/* An authority that was forgiven once is not believed by those who come later. */
Test(tls_handshake, what_was_forgiven_is_not_remembered)
{
    struct tls_context_options o = {
        .role = TLS_CLIENT,
        .level = TLS_LEVEL_NEGOTIATED,
        .trust = {.authority = tls_test_path("root.pem"), .allow_expired_certificates = true},
    };
    struct tls_context *client = tls_test_context_of(o);
    static const char *const servers[] = {"by-other-chain", "by-other", "by-middle-expired-chain",
                                          "by-middle-chain", "by-middle"};
    static const enum io results[] = {IO_ERROR, IO_ERROR, IO_OK, IO_OK, IO_ERROR};

    for (size_t turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < 5; i++) {
            struct tls_context *server = tls_test_context(TLS_SERVER, servers[i], NULL);
            struct tls_ends *ends = tls_ends_new();

            tls_end_push(ends, &ends->client,
                         (struct layer_tls_options){.context = client, .peer_name = "server.test"});
            tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
            tls_context_unref(server);
            tls_ends_open(ends);
            cr_expect_eq(ends->client.opened, results[i], "%s: %s", servers[i],
                         tls_end_error(&ends->client));
            tls_ends_free(ends);
        }
    }
    tls_context_unref(client);
}

static const struct {
    const char *certificate, *revoke, *client, *server;
} client_faults[] = {
    {"alice", NULL, "none", "none"},
    {"by-middle-chain", NULL, "none", "none"},
    {"alice", "root.crl", "none", "none"},
    {NULL, NULL, NULL, "tls.certificate.missing"},
    {"alice-other", NULL, NULL, "tls.certificate.unknown-root"},
    {"expired", NULL, NULL, "tls.certificate.expired"},
    {"future", NULL, NULL, "tls.certificate.not-yet-valid"},
    {"revoked", "root.crl", NULL, "tls.certificate.revoked"},
    {"alice", "root-past.crl", NULL, "tls.certificate.crl-expired"},
    {"self-signed", NULL, NULL, "tls.certificate.unknown-root"},
};

Test(tls_handshake, faults_of_a_clients_certificate_have_their_names)
{
    for
        EACH_TLS_LEVEL(i)
        {
            for (size_t k = 0; k < sizeof client_faults / sizeof client_faults[0]; k++) {
                struct sides s = {
                    .client = {.level = tls_levels[i]},
                    .client_certificate = client_faults[k].certificate,
                    .server_authority = "root.pem",
                    .server_revoke = client_faults[k].revoke,
                };
                struct tls_ends *ends = shake(s);

                cr_expect_str_eq(tls_end_error(&ends->server), client_faults[k].server, "%s %s: %s",
                                 client_faults[k].certificate, client_faults[k].revoke,
                                 tls_end_error(&ends->server));
                if (client_faults[k].client)
                    cr_expect_str_eq(tls_end_error(&ends->client), client_faults[k].client);
                else
                    cr_expect_eq(strncmp(tls_end_error(&ends->client), "tls.alert.", 10), 0, "%s",
                                 tls_end_error(&ends->client));
                tls_ends_free(ends);
            }
        }
}

Test(tls_handshake, who_the_peer_is_can_be_asked)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_ends *ends =
                shake((struct sides){.client = {.level = tls_levels[i], .alpn = "b,c"},
                                     .server = {.alpn = "a,b"},
                                     .client_certificate = "alice",
                                     .server_certificate = "by-middle-chain",
                                     .server_authority = "root.pem",
                                     .peer_name = "SERVER.test.",
                                     .keeps_chain = true});
            const struct x509_span *chain;
            struct x509 cert;
            size_t n;

            cr_assert_str_eq(layer_tls_peer_common_name(ends->server.top), "alice");
            cr_assert_eq(layer_tls_peer_chain(ends->server.top, &chain), 0, "not kept");
            cr_assert_str_eq(layer_tls_peer_common_name(ends->client.top), "by-middle");
            cr_assert_eq(layer_tls_peer_chain(ends->client.top, &chain), 2);
            cr_assert(x509_parse(chain[0].at, chain[0].n, &cert));
            cr_assert(x509_is_named(&cert, "server.test"));
            cr_assert(x509_parse(chain[1].at, chain[1].n, &cert));
            cr_assert(cert.is_authority);
            cr_assert_eq(strncmp(layer_tls_alpn(ends->client.top, &n), "b", 1), 0);
            cr_assert_eq(n, 1);
            cr_assert_eq(strncmp(layer_tls_alpn(ends->server.top, &n), "b", 1), 0);
            cr_assert(!layer_tls_is_resumed(ends->client.top));
            tls_ends_free(ends);
        }
}

/* `user = cert:alice` is a claim unless an authority stands for it. */
Test(tls_handshake, a_name_that_any_root_may_have_signed_is_no_name)
{
    static const struct tls_trust_options trust[] = {
        {.allow_any_root = true},
        {.skip_chain = true},
    };

    for (size_t i = 0; i < sizeof trust / sizeof trust[0]; i++) {
        struct tls_ends *ends = shake((struct sides){.server = {.trust = trust[i]},
                                                     .client_certificate = "alice-other",
                                                     .server_authority = "root.pem"});

        cr_assert_str_eq(tls_end_error(&ends->server), "none");
        cr_assert_eq(ends->server.opened, IO_OK);
        cr_assert_null(layer_tls_peer_common_name(ends->server.top));
        tls_ends_free(ends);
    }
}

Test(tls_handshake, a_chain_without_end_is_refused, .init = folder_enter, .fini = folder_leave)
{
    static const char *const parts[] = {"by-middle.pem", "middle.pem"};
    FILE *out = fopen("long.pem", "w");
    struct tls_ends *ends = tls_ends_new();
    struct tls_context *client, *server;

    for (size_t i = 0; i < 12; i++) {
        char *text = folder_read(tls_test_path(parts[i > 0]));

        fputs(text, out);
        free(text);
    }
    fclose(out);
    client = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    server = tls_test_context_of((struct tls_context_options){
        .role = TLS_SERVER,
        .level = TLS_LEVEL_NEGOTIATED,
        .certificate = "long.pem",
        .private_key = tls_test_path("by-middle.key"),
    });
    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){.context = client, .peer_name = "server.test"});
    tls_end_push(ends, &ends->server, (struct layer_tls_options){.context = server});
    tls_ends_open(ends);
    cr_assert_str_eq(tls_end_error(&ends->client), "tls.certificate.bad");
    tls_context_unref(client);
    tls_context_unref(server);
    tls_ends_free(ends);
}

static const struct {
    const char *certificate, *name;
    bool fits;
} names[] = {
    {"server", "server.test", true},   {"server", "SERVER.TEST", true},
    {"server", "server.test.", true},  {"server", "127.0.0.1", true},
    {"server", "::1", true},           {"server", "0:0:0:0:0:0:0:1", true},
    {"server", "a.wild.test", true},   {"server", "a.b.wild.test", false},
    {"server", "wild.test", false},    {"server", "127.0.0.2", false},
    {"server", "::2", false},          {"server", "server", false},
    {"server", "xserver.test", false}, {"server", "server.test.example", false},
    {"no-names", "server.test", true}, {"no-names", "127.0.0.1", false},
    {"second", "second", false}, /* a common name beside other names does not count */
    {"second", "none", true},
};

Test(tls_handshake, a_certificate_is_for_its_names)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        expect_errors(
            (struct sides){.server_certificate = names[i].certificate, .peer_name = names[i].name},
            names[i].fits ? "none" : "tls.certificate.name-mismatch", NULL);
}

Test(tls_handshake, levels_are_exact_or_negotiated)
{
    static const struct {
        enum tls_level client, server;
        const char *version, *client_error, *server_error;
    } table[] = {
        {TLS_LEVEL_NEGOTIATED, TLS_LEVEL_NEGOTIATED, "TLSv1.3", "none", "none"},
        {TLS_LEVEL_1_2, TLS_LEVEL_NEGOTIATED, "TLSv1.2", "none", "none"},
        {TLS_LEVEL_NEGOTIATED, TLS_LEVEL_1_2, "TLSv1.2", "none", "none"},
        {TLS_LEVEL_1_3, TLS_LEVEL_NEGOTIATED, "TLSv1.3", "none", "none"},
        {TLS_LEVEL_NEGOTIATED, TLS_LEVEL_1_3, "TLSv1.3", "none", "none"},
        {TLS_LEVEL_1_2, TLS_LEVEL_1_3, NULL, "tls.alert.protocol-version",
         "tls.handshake.no-common-version"},
        {TLS_LEVEL_1_3, TLS_LEVEL_1_2, NULL, "tls.alert.protocol-version",
         "tls.handshake.no-common-version"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct tls_ends *ends = shake((struct sides){.client = {.level = table[i].client},
                                                     .server = {.level = table[i].server}});

        if (table[i].version)
            cr_expect_str_eq(layer_tls_version(ends->client.top) ?: "", table[i].version);
        cr_expect_str_eq(tls_end_error(&ends->client), table[i].client_error, "%zu: %s", i,
                         tls_end_error(&ends->client));
        cr_expect_str_eq(tls_end_error(&ends->server), table[i].server_error, "%zu: %s", i,
                         tls_end_error(&ends->server));
        tls_ends_free(ends);
    }
}

Test(tls_handshake, without_a_common_suite_or_protocol_there_is_no_connection)
{
    expect_errors(
        (struct sides){.client = {.level = TLS_LEVEL_1_3, .ciphers = "TLS13-AES128-GCM-SHA256"},
                       .server = {.ciphers = "TLS13-CHACHA20-POLY1305-SHA256"}},
        "tls.alert.handshake-failure", "tls.handshake.no-common-suite");
    expect_errors((struct sides){.client = {.level = TLS_LEVEL_1_2,
                                            .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
                                 .server = {.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305"}},
                  "tls.alert.handshake-failure", "tls.handshake.no-common-suite");
    for
        EACH_TLS_LEVEL(i)
    expect_errors((struct sides){.client = {.level = tls_levels[i], .alpn = "h2"},
                                 .server = {.alpn = "http/1.1"}},
                  "tls.alert.no-application-protocol", "tls.handshake.no-common-alpn");
    expect_errors((struct sides){.client = {.alpn = "h2"}}, "none", "none");
    expect_errors((struct sides){.server = {.alpn = "h2"}}, "none", "none");
}

static const struct {
    struct tls_context_options options;
    const char *certificate, *key, *says;
} refused[] = {
    {{.role = TLS_SERVER}, NULL, NULL, "a server needs a certificate and a private key"},
    {{.role = TLS_SERVER}, "no-such.pem", "server.key", "no-such.pem: No such file or directory"},
    {{.role = TLS_SERVER}, "server.pem", "no-such.key", "no-such.key: No such file or directory"},
    {{.role = TLS_SERVER},
     "server.key",
     "server.key",
     "server.key: no certificate in it (PEM is expected)"},
    {{.role = TLS_SERVER},
     "server.pem",
     "server.pem",
     "server.pem: no private key in it (PEM is expected)"},
    {{.role = TLS_SERVER}, "server.pem", "locked.key", "locked.key: the key has a pass phrase"},
    {{.role = TLS_SERVER},
     "server.pem",
     "root.key",
     "root.key: the key does not belong to the certificate "},
    {{.role = TLS_CLIENT}, "server.pem", NULL, "server.pem: its private key is missing"},
    {{.role = TLS_CLIENT, .ciphers = "TLS13-AES128-GCM-SHA256:NO-SUCH"},
     NULL,
     NULL,
     "ciphers: there is no suite `NO-SUCH`"},
    {{.role = TLS_CLIENT, .level = TLS_LEVEL_1_3, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"},
     NULL,
     NULL,
     "ciphers: no suite for this security level"},
    {{.role = TLS_CLIENT, .level = TLS_LEVEL_1_2, .ciphers = "TLS13-AES128-GCM-SHA256"},
     NULL,
     NULL,
     "ciphers: no suite for this security level"},
};

Test(tls_handshake, contexts_that_cannot_be_built_say_which_file_and_why)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct tls_context_options options = refused[i].options;
        char *text = NULL;
        size_t n;
        FILE *errors = open_memstream(&text, &n);

        if (options.level == TLS_LEVEL_NONE)
            options.level = TLS_LEVEL_NEGOTIATED;
        options.certificate = tls_test_path(refused[i].certificate);
        options.private_key = tls_test_path(refused[i].key);
        cr_expect_null(tls_context_new(&options, errors), "%s", refused[i].says);
        fclose(errors);
        cr_expect(strstr(text, refused[i].says), "`%s` instead of `%s`", text, refused[i].says);
        free(text);
    }
}

Test(tls_handshake, the_expiry_of_the_own_certificate_can_be_asked)
{
    struct tls_context *context = tls_test_context(TLS_SERVER, "expired", NULL);

    cr_assert_eq(tls_context_expires(context), 1609459200);
    tls_context_unref(context);
    context = tls_test_context(TLS_SERVER, "by-middle-expired-chain", NULL);
    cr_assert_eq(tls_context_expires(context), 1609459200, "one of its chain");
    tls_context_unref(context);
    context = tls_test_context(TLS_CLIENT, NULL, "root.pem");
    cr_assert_eq(tls_context_expires(context), 0);
    tls_context_unref(context);
}
