/* test_tls_names.c - contexts by the name that a client asks for, each with its own certificate and
 * its own idea of whom it lets in. */
#include "streams/client_hello.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_names, .timeout = 60);

Test(tls_names, a_name_comes_before_a_pattern_and_a_long_pattern_before_a_short_one)
{
    struct tls_context *c[4];
    struct tls_names *names;

    for (int i = 0; i < 4; i++)
        c[i] = tls_test_context(TLS_SERVER, "server", NULL);
    names = tls_names_new(c[0]);
    cr_assert(tls_names_add(names, "*.test", c[1]));
    cr_assert(tls_names_add(names, "*.a.test", c[2]));
    cr_assert(tls_names_add(names, "b.a.test", c[3]));
    cr_assert_eq(tls_names_find(names, ""), c[0]);
    cr_assert_eq(tls_names_find(names, "test"), c[0], "not the suffix itself");
    cr_assert_eq(tls_names_find(names, "xtest"), c[0]);
    cr_assert_eq(tls_names_find(names, ".test"), c[0]);
    cr_assert_eq(tls_names_find(names, "a.test"), c[1]);
    cr_assert_eq(tls_names_find(names, "c.a.test"), c[2]);
    cr_assert_eq(tls_names_find(names, "d.c.a.test"), c[2]);
    cr_assert_eq(tls_names_find(names, "B.A.Test."), c[3]);
    cr_assert_eq(tls_names_find(names, "bb.a.test"), c[2]);
    tls_names_free(names);
    for (int i = 0; i < 4; i++)
        tls_context_unref(c[i]);
}

static struct tls_ends *shake(struct tls_context *client, const struct tls_names *names,
                              const char *name, size_t portion)
{
    struct tls_ends *ends = tls_ends_new();
    uint8_t byte;
    size_t n;

    ends->up.portion = portion;
    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){.context = client, .peer_name = name});
    tls_end_push(ends, &ends->server, (struct layer_tls_options){.names = names});
    for (int i = 0; i < 3000 && ends->server.opened == IO_AGAIN; i++)
        tls_ends_open(ends);
    if (ends->client.opened == IO_OK)
        ends->client.top->ops->read(ends->client.top, &byte, 1, &n);
    return ends;
}

Test(tls_names, each_name_has_its_certificate_and_its_policy)
{
    for
        EACH_TLS_LEVEL(i)
        {
            struct tls_context *open = tls_test_context(TLS_SERVER, "server", NULL);
            struct tls_context *closed = tls_test_context(TLS_SERVER, "second", "root.pem");
            struct tls_context *stranger = tls_test_context_of((struct tls_context_options){
                .role = TLS_CLIENT,
                .level = tls_levels[i],
                .trust = {.authority = tls_test_path("root.pem")},
            });
            struct tls_context *alice = tls_test_context_of((struct tls_context_options){
                .role = TLS_CLIENT,
                .level = tls_levels[i],
                .certificate = tls_test_path("alice.pem"),
                .private_key = tls_test_path("alice.key"),
                .trust = {.authority = tls_test_path("root.pem")},
            });
            struct tls_names *names = tls_names_new(open);
            static const struct {
                bool is_alice;
                const char *name, *server_error, *client_error;
            } table[] = {
                {false, "server.test", "none", "none"},
                {false, "127.0.0.1", "none", "none"}, /* no name is sent */
                {true, "server.test", "none", "none"},
                {false, "other.test", "tls.certificate.missing", NULL},
                {true, "other.test", "none", "none"},
                {true, "OTHER.test.", "none", "none"},
            };

            cr_assert(tls_names_add(names, "other.test", closed));
            for (size_t k = 0; k < sizeof table / sizeof table[0]; k++) {
                for (size_t portion = 0; portion < 3; portion++) {
                    struct tls_ends *ends =
                        shake(table[k].is_alice ? alice : stranger, names, table[k].name, portion);

                    cr_expect_str_eq(tls_end_error(&ends->server), table[k].server_error, "%zu: %s",
                                     k, tls_end_error(&ends->server));
                    if (table[k].client_error)
                        cr_expect_str_eq(tls_end_error(&ends->client), table[k].client_error,
                                         "%zu: %s", k, tls_end_error(&ends->client));
                    else
                        cr_expect_eq(strncmp(tls_end_error(&ends->client), "tls.alert.", 10), 0);
                    tls_ends_free(ends);
                }
            }
            tls_names_free(names);
            tls_context_unref(open);
            tls_context_unref(closed);
            tls_context_unref(stranger);
            tls_context_unref(alice);
        }
}

/* The owner of the table may let it go once the layer is open, or has failed. */
Test(tls_names, what_is_no_hello_is_left_to_the_library)
{
    struct tls_context *open = tls_test_context(TLS_SERVER, "server", NULL);
    struct tls_names *names = tls_names_new(open);
    static const char text[] = "GET / HTTP/1.1\r\n\r\n";
    struct tls_ends *ends = tls_ends_new();

    tls_end_push(ends, &ends->server, (struct layer_tls_options){.names = names});
    memcpy(ends->up.bytes, text, sizeof text - 1);
    ends->up.end = sizeof text - 1;
    cr_assert_eq(ends->server.top->ops->open(ends->server.top), IO_ERROR);
    cr_assert_eq(ends->down.bytes[0], 21, "an alert");
    tls_names_free(names);
    tls_context_unref(open);
    tls_ends_free(ends);
}

/* ---- the ClientHello */

/* What wolfSSL sends for a name. */
static size_t hello_of(const char *name, enum tls_level level, uint8_t *out)
{
    struct tls_context *client = tls_test_context_of((struct tls_context_options){
        .role = TLS_CLIENT, .level = level, .trust = {.authority = tls_test_path("root.pem")}});
    struct tls_ends *ends = tls_ends_new();
    size_t n;

    tls_end_push(ends, &ends->client,
                 (struct layer_tls_options){.context = client, .peer_name = name});
    cr_assert_eq(ends->client.top->ops->open(ends->client.top), IO_AGAIN);
    n = ends->up.end;
    memcpy(out, ends->up.bytes, n);
    tls_context_unref(client);
    tls_ends_free(ends);
    return n;
}

Test(tls_names, the_name_of_a_hello_is_found_at_every_split)
{
    uint8_t bytes[4096];
    struct client_hello hello;

    for
        EACH_TLS_LEVEL(i)
        {
            size_t n = hello_of("some.name.test", tls_levels[i], bytes);

            for (size_t k = 0; k < n; k++)
                cr_assert_eq(client_hello_parse(bytes, k, &hello), PARSE_MORE, "%zu of %zu", k, n);
            cr_assert_eq(client_hello_parse(bytes, n, &hello), PARSE_DONE);
            cr_assert_str_eq(hello.name, "some.name.test");
            cr_assert_eq(hello.version, 0x0303);
            cr_assert_eq(hello.offers_1_2, tls_levels[i] == TLS_LEVEL_1_2);
            cr_assert_eq(hello.offers_1_3, tls_levels[i] == TLS_LEVEL_1_3);
            n = hello_of("::1", tls_levels[i], bytes);
            cr_assert_eq(client_hello_parse(bytes, n, &hello), PARSE_DONE);
            cr_assert_str_eq(hello.name, "");
        }
}

Test(tls_names, a_hello_in_many_records_is_the_same)
{
    uint8_t bytes[4096], split[6 * 4096];
    struct client_hello hello;
    size_t n = hello_of("some.name.test", TLS_LEVEL_1_3, bytes), end = 0;

    for (size_t i = 5; i < n; i++) {
        const uint8_t record[] = {22, 3, 1, 0, 1, bytes[i]};

        cr_assert_eq(client_hello_parse(split, end, &hello), PARSE_MORE);
        memcpy(split + end, record, sizeof record);
        end += sizeof record;
    }
    cr_assert_eq(client_hello_parse(split, end, &hello), PARSE_DONE);
    cr_assert_str_eq(hello.name, "some.name.test");
}

/* A record, the message's version, 32 random bytes, a session id, a suite, a compression, and one
 * extension of these bytes. */
static size_t hello_with(uint8_t major, uint8_t minor, const void *extension, size_t n,
                         uint8_t *out)
{
    static const uint8_t middle[] = {0, 0, 2, 0x13, 1, 1, 0};
    const size_t length = 2 + 32 + sizeof middle + (n ? 2 + n : 0);
    uint8_t *at = out;

    memset(out, 'r', 200);
    memcpy(at, (uint8_t[]){22, 3, 1, 0, (uint8_t)(length + 4), 1, 0, 0, (uint8_t)length}, 9);
    at[9] = major;
    at[10] = minor;
    memcpy(at + 11 + 32, middle, sizeof middle);
    at += 11 + 32 + sizeof middle;
    if (n) {
        memcpy(at, (uint8_t[]){0, (uint8_t)n}, 2);
        memcpy(at + 2, extension, n);
    }
    return 9 + length;
}

static const struct {
    uint8_t major, minor;
    const char *extension;
    size_t n;
    bool is_bad, offers_1_2, offers_1_3;
} versions[] = {
    {3, 0, NULL, 0, false, false, false},
    {3, 1, NULL, 0, false, false, false},
    {3, 2, NULL, 0, false, false, false},
    {3, 3, NULL, 0, false, true, false},
    {3, 4, NULL, 0, false, true, false}, /* RFC 8446, 4.1.2: nobody says so, and it is no 1.3 */
    {3, 3, "\0\53\0\3\2\3\4", 7, false, false, true},
    {3, 3, "\0\53\0\3\2\3\3", 7, false, true, false},
    {3, 3, "\0\53\0\5\4\3\4\3\3", 9, false, true, true},
    {3, 1, "\0\53\0\3\2\3\4", 7, false, false, true},
    {3, 3, "\0\53\0\5\4\3\2\3\1", 9, false, false, false},
    {3, 3, "\0\53\0\5\4\x7a\x7a\x7f\x1c", 9, false, false, false}, /* grease, a draft */
    {3, 3, "\0\53\0\1\0", 5, false, false, false},
    {3, 3, "\0\53\0\2\1\3", 6, true, false, false},
    {3, 3, "\0\53\0\3\4\3\4", 7, true, false, false},
    {3, 3, "\0\53\0\0", 4, true, false, false},
};

Test(tls_names, versions_of_a_hello_are_those_of_the_extension_or_its_own)
{
    uint8_t bytes[200];
    struct client_hello hello;

    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        size_t n = hello_with(versions[i].major, versions[i].minor, versions[i].extension,
                              versions[i].n, bytes);

        cr_assert_eq(client_hello_parse(bytes, n - 1, &hello), PARSE_MORE, "%zu", i);
        cr_assert_eq(client_hello_parse(bytes, n, &hello),
                     versions[i].is_bad ? PARSE_BAD : PARSE_DONE, "%zu", i);
        if (versions[i].is_bad)
            continue;
        cr_assert_eq(hello.version, versions[i].major << 8 | versions[i].minor);
        cr_assert_eq(hello.offers_1_2, versions[i].offers_1_2, "%zu", i);
        cr_assert_eq(hello.offers_1_3, versions[i].offers_1_3, "%zu", i);
    }
}

Test(tls_names, a_hello_of_ssl_2_offers_nothing)
{
    static const char *const hellos[] = {"\x80\x2e\x01\x00\x02", "\x80\x2e\x01\x03\x03"};
    struct client_hello hello;

    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 1; n < 5; n++)
            cr_assert_eq(client_hello_parse(hellos[i], n, &hello), PARSE_MORE);
        cr_assert_eq(client_hello_parse(hellos[i], 5, &hello), PARSE_DONE);
        cr_assert(!hello.offers_1_2 && !hello.offers_1_3);
        cr_assert_eq(hello.version, i ? 0x0303 : 0x0002);
    }
    cr_assert_eq(client_hello_parse("\x80\x2e\x02", 3, &hello), PARSE_BAD);
    cr_assert_eq(client_hello_parse("\x80\x2e\x01\x09\x09", 5, &hello), PARSE_BAD);
}

Test(tls_names, what_cannot_be_a_hello_is_bad_at_once)
{
    struct client_hello hello;

    cr_assert_eq(client_hello_parse("G", 1, &hello), PARSE_BAD);
    cr_assert_eq(client_hello_parse("\x16\x02", 2, &hello), PARSE_BAD);
    cr_assert_eq(client_hello_parse("\x16\x03\x01\x00\x00", 5, &hello), PARSE_BAD);
    cr_assert_eq(client_hello_parse("\x16\x03\x01\x40\x01", 5, &hello), PARSE_BAD);
    cr_assert_eq(client_hello_parse("\x16\x03\x01\x00\x04\x02", 6, &hello), PARSE_BAD);
    cr_assert_eq(client_hello_parse("\x16\x03\x01\x00\x04\x01\x01\x00\x00", 9, &hello), PARSE_BAD,
                 "longer than is looked at");
    cr_assert_eq(client_hello_parse("\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, &hello), PARSE_BAD,
                 "an empty one");
}
