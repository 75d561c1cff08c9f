/* test_layer_tls_records.c - a client of TLS 1.3 made by hand (RFC 8446; AES-128-GCM, X25519, nothing
 * is verified), which can send what no library would: empty and padded records, records of nothing
 * but a tag, alerts at will, changes of keys in odd places. */
#include "tests/unit/tls_wire.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/kdf.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_records, .timeout = 60);

enum { HASH = 32, TAG = 16, ALERT = 21, HANDSHAKE = 22, DATA = 23 };

struct direction {
    uint8_t secret[HASH], key[16], iv[12];
    uint64_t sequence;
};

struct client {
    struct tls_ends *ends;
    struct direction out, in;
    wc_Sha256 transcript;
};

static void ok(int rc)
{
    cr_assert_eq(rc, 0, "wolfCrypt says %d", rc);
}

static void expand(uint8_t *out, size_t n, const uint8_t *secret, const char *label,
                   const uint8_t *context, size_t context_n)
{
    ok(wc_Tls13_HKDF_Expand_Label(out, (word32)n, secret, HASH, (const byte *)"tls13 ", 6,
                                  (const byte *)label, (word32)strlen(label), context,
                                  (word32)context_n, WC_SHA256));
}

static void set_secret(struct direction *d, const uint8_t *secret)
{
    memmove(d->secret, secret, HASH);
    expand(d->key, sizeof d->key, d->secret, "key", NULL, 0);
    expand(d->iv, sizeof d->iv, d->secret, "iv", NULL, 0);
    d->sequence = 0;
}

static void update(struct direction *d)
{
    uint8_t secret[HASH];

    expand(secret, HASH, d->secret, "traffic upd", NULL, 0);
    set_secret(d, secret);
}

static void nonce_of(struct direction *d, uint8_t *nonce)
{
    memcpy(nonce, d->iv, 12);
    for (int i = 0; i < 8; i++)
        nonce[4 + i] ^= (uint8_t)(d->sequence >> (56 - 8 * i));
    d->sequence++;
}

/* Puts plain bytes onto the wire. */
static void put(struct client *c, const void *bytes, size_t n)
{
    struct wire *wire = &c->ends->up;

    cr_assert_leq(n, WIRE_MAX - wire->end);
    memcpy(wire->bytes + wire->end, bytes, n);
    wire->end += n;
}

/* A record of these inner bytes, as they are: content, type and padding are the caller's. */
static void send_inner(struct client *c, const void *inner, size_t n)
{
    static uint8_t sealed[20000];
    uint8_t header[5] = {DATA, 3, 3, (uint8_t)((n + TAG) >> 8), (uint8_t)(n + TAG)};
    uint8_t nonce[12];
    Aes aes;

    nonce_of(&c->out, nonce);
    ok(wc_AesInit(&aes, NULL, INVALID_DEVID));
    ok(wc_AesGcmSetKey(&aes, c->out.key, sizeof c->out.key));
    ok(wc_AesGcmEncrypt(&aes, sealed, inner, (word32)n, nonce, 12, sealed + n, TAG, header, 5));
    wc_AesFree(&aes);
    put(c, header, sizeof header);
    put(c, sealed, n + TAG);
}

static void send_record(struct client *c, uint8_t type, const void *content, size_t n,
                        size_t padding)
{
    static uint8_t inner[20000];

    memcpy(inner, content, n);
    inner[n] = type;
    memset(inner + n + 1, 0, padding);
    send_inner(c, inner, n + 1 + padding);
}

static void send_data(struct client *c, const char *text)
{
    send_record(c, DATA, text, strlen(text), 0);
}

static void hash_now(struct client *c, uint8_t *out)
{
    ok(wc_Sha256GetHash(&c->transcript, out));
}

/* Decrypts a record in place; returns the length of its content. */
static size_t open_record(struct client *c, uint8_t *record, size_t n)
{
    uint8_t nonce[12];
    Aes aes;

    nonce_of(&c->in, nonce);
    ok(wc_AesInit(&aes, NULL, INVALID_DEVID));
    ok(wc_AesGcmSetKey(&aes, c->in.key, sizeof c->in.key));
    ok(wc_AesGcmDecrypt(&aes, record + 5, record + 5, (word32)(n - 5 - TAG), nonce, 12,
                        record + n - TAG, TAG, record, 5));
    wc_AesFree(&aes);
    for (n -= 5 + TAG; n && record[4 + n] == 0; n--)
        ;
    cr_assert(n);
    return n - 1;
}

static size_t record_length(const uint8_t *record)
{
    return 5 + ((size_t)record[3] << 8 | record[4]);
}

/* ClientHello: supported_versions, supported_groups, signature_algorithms, key_share. */
static void send_hello(struct client *c, curve25519_key *key)
{
    /* clang-format off */
    static const uint8_t before_key[] = {
        22, 3, 1, 0, 0,      /* a record, its length */
        1, 0, 0, 0, 3, 3,    /* the message, its length, version */
        'a', 'r', 'a', 'n', 'd', 'o', 'm', 'n', 'u', 'm', 'b', 'e', 'r', 'o', 'f', 't',
        'h', 'i', 'r', 't', 'y', 't', 'w', 'o', 'b', 'y', 't', 'e', 's', '!', '!', '!',
        0,                   /* session id */
        0, 2, 0x13, 1,       /* TLS_AES_128_GCM_SHA256 */
        1, 0,                /* no compression */
        0, 0,                /* length of the extensions */
        0, 43, 0, 3, 2, 3, 4,
        0, 10, 0, 4, 0, 2, 0, 29,
        0, 13, 0, 6, 0, 4, 4, 3, 8, 4,
        0, 45, 0, 2, 1, 1,
        0, 51, 0, 38, 0, 36, 0, 29, 0, 32,
    };
    /* clang-format on */
    uint8_t hello[sizeof before_key + 32];
    word32 n = 32;

    memcpy(hello, before_key, sizeof before_key);
    ok(wc_curve25519_export_public_ex(key, hello + sizeof before_key, &n, EC25519_LITTLE_ENDIAN));
    hello[4] = sizeof hello - 5;
    hello[8] = sizeof hello - 9;
    hello[51] = sizeof hello - 52;
    put(c, hello, sizeof hello);
    ok(wc_Sha256Update(&c->transcript, hello + 5, sizeof hello - 5));
}

/* The key share of the ServerHello, which is the last but one extension or the last. */
static void shared_secret(const uint8_t *hello, size_t n, curve25519_key *key, uint8_t *out)
{
    static const uint8_t share[] = {0, 51, 0, 36, 0, 29, 0, 32};
    const uint8_t *at = memmem(hello, n, share, sizeof share);
    curve25519_key theirs;
    word32 length = 32;

    cr_assert(at);
    ok(wc_curve25519_init(&theirs));
    ok(wc_curve25519_import_public_ex(at + sizeof share, 32, &theirs, EC25519_LITTLE_ENDIAN));
    ok(wc_curve25519_shared_secret_ex(key, &theirs, out, &length, EC25519_LITTLE_ENDIAN));
    wc_curve25519_free(&theirs);
}

/* RFC 8446, 7.1 up to the handshake's secrets; `ret_master` for later. */
static void derive(struct client *c, uint8_t *shared, uint8_t *ret_client, uint8_t *ret_master)
{
    uint8_t zero[HASH] = {0}, secret[HASH], derived[HASH], empty[HASH], hash[HASH], server[HASH];
    wc_Sha256 sha;

    ok(wc_InitSha256(&sha));
    ok(wc_Sha256Final(&sha, empty));
    ok(wc_Tls13_HKDF_Extract(secret, zero, HASH, zero, HASH, WC_SHA256));
    expand(derived, HASH, secret, "derived", empty, HASH);
    ok(wc_Tls13_HKDF_Extract(secret, derived, HASH, shared, 32, WC_SHA256));
    hash_now(c, hash);
    expand(ret_client, HASH, secret, "c hs traffic", hash, HASH);
    expand(server, HASH, secret, "s hs traffic", hash, HASH);
    set_secret(&c->out, ret_client);
    set_secret(&c->in, server);
    expand(derived, HASH, secret, "derived", empty, HASH);
    memset(zero, 0, HASH);
    ok(wc_Tls13_HKDF_Extract(ret_master, derived, HASH, zero, HASH, WC_SHA256));
}

static void send_finished(struct client *c, const uint8_t *secret, const uint8_t *hash)
{
    uint8_t key[HASH], message[4 + HASH] = {20, 0, 0, HASH};
    Hmac hmac;

    expand(key, HASH, secret, "finished", NULL, 0);
    ok(wc_HmacInit(&hmac, NULL, INVALID_DEVID));
    ok(wc_HmacSetKey(&hmac, WC_SHA256, key, HASH));
    ok(wc_HmacUpdate(&hmac, hash, HASH));
    ok(wc_HmacFinal(&hmac, message + 4));
    wc_HmacFree(&hmac);
    send_record(c, HANDSHAKE, message, sizeof message, 0);
}

/* All that the server has sent, from the ServerHello to its Finished. */
static void read_flight(struct client *c, curve25519_key *key, uint8_t *ret_client,
                        uint8_t *ret_master)
{
    struct wire *wire = &c->ends->down;
    uint8_t shared[32];
    size_t n = record_length(wire->bytes + wire->begin);

    cr_assert_eq(wire->bytes[wire->begin], HANDSHAKE);
    ok(wc_Sha256Update(&c->transcript, wire->bytes + wire->begin + 5, (word32)n - 5));
    shared_secret(wire->bytes + wire->begin, n, key, shared);
    derive(c, shared, ret_client, ret_master);
    for (wire->begin += n; wire->begin < wire->end; wire->begin += n) {
        uint8_t *record = wire->bytes + wire->begin;
        size_t content;

        n = record_length(record);
        if (record[0] != DATA)
            continue; /* change_cipher_spec */
        content = open_record(c, record, n);
        ok(wc_Sha256Update(&c->transcript, record + 5, (word32)content));
    }
    wire->begin = wire->end = 0;
}

/* A client that waits for the server's flight, which may be there. */
static struct client waiting(curve25519_key *key, WC_RNG *rng)
{
    struct client c = {.ends = tls_ends_new()};
    struct tls_context *server = tls_test_context(TLS_SERVER, "server", NULL);

    tls_end_push(c.ends, &c.ends->server, (struct layer_tls_options){.context = server});
    tls_context_unref(server);
    ok(wc_InitRng(rng));
    ok(wc_curve25519_init(key));
    ok(wc_curve25519_make_key(rng, 32, key));
    ok(wc_InitSha256(&c.transcript));
    send_hello(&c, key);
    tls_ends_open(c.ends);
    cr_assert_eq(c.ends->server.opened, IO_AGAIN, "%s", tls_end_error(&c.ends->server));
    return c;
}

/* A client that is connected to a server with server.pem. */
static struct client connected(void)
{
    struct client c;
    uint8_t handshake[HASH], master[HASH], hash[HASH], secret[HASH];
    curve25519_key key;
    WC_RNG rng;

    c = waiting(&key, &rng);
    read_flight(&c, &key, handshake, master);
    hash_now(&c, hash);
    send_finished(&c, handshake, hash);
    expand(secret, HASH, master, "c ap traffic", hash, HASH);
    set_secret(&c.out, secret);
    expand(secret, HASH, master, "s ap traffic", hash, HASH);
    set_secret(&c.in, secret);
    tls_ends_open(c.ends);
    cr_assert_eq(c.ends->server.opened, IO_OK, "%s", tls_end_error(&c.ends->server));
    wc_curve25519_free(&key);
    wc_FreeRng(&rng);
    return c;
}

static void finish(struct client *c)
{
    wc_Sha256Free(&c->transcript);
    tls_ends_free(c->ends);
}

static enum io read_some(struct client *c, char *out, size_t max)
{
    size_t n = 0;
    enum io result = c->ends->server.top->ops->read(c->ends->server.top, out, max - 1, &n);

    out[n] = '\0';
    return result;
}

static void expect_text(struct client *c, const char *text)
{
    char out[1000];

    cr_assert_eq(read_some(c, out, sizeof out), IO_OK, "%s", tls_end_error(&c->ends->server));
    cr_assert_str_eq(out, text);
}

static void expect_error(struct client *c, const char *name)
{
    char out[1000];

    cr_assert_eq(read_some(c, out, sizeof out), IO_ERROR, "no error");
    cr_assert_str_eq(tls_end_error(&c->ends->server), name);
}

Test(tls_records, the_client_by_hand_is_understood)
{
    struct client c = connected();

    send_data(&c, "hello");
    expect_text(&c, "hello");
    tls_end_write_all(&c.ends->server, "there", 5);
    cr_assert_eq(open_record(&c, c.ends->down.bytes, record_length(c.ends->down.bytes)), 5);
    cr_assert(memcmp(c.ends->down.bytes + 5, "there", 5) == 0);
    finish(&c);
}

Test(tls_records, empty_padded_and_tiny_records_are_ordinary)
{
    struct client c = connected();
    char out[10];

    send_data(&c, "");
    cr_assert_eq(read_some(&c, out, sizeof out), IO_AGAIN);
    send_record(&c, DATA, "", 0, 100);
    send_data(&c, "a");
    send_data(&c, "");
    send_record(&c, DATA, "b", 1, 1);
    send_record(&c, DATA, "c", 1, 16000);
    expect_text(&c, "abc");
    finish(&c);
}

/* A peer that sends nothing but empty records keeps nobody's thread to itself. */
Test(tls_records, a_flood_of_empty_records_is_read_in_turns)
{
    struct client c = connected();
    char out[10];
    unsigned turns = 1;

    for (int i = 0; i < 40000; i++)
        send_data(&c, "");
    send_data(&c, "done");
    while (read_some(&c, out, sizeof out) == IO_AGAIN) {
        cr_assert(c.ends->server.top->holds, "it has to come back although the wire is silent");
        turns++;
        cr_assert_lt(turns, 1000);
    }
    cr_assert_str_eq(out, "done");
    cr_assert_gt(turns, 1);
    finish(&c);
}

Test(tls_records, a_record_without_a_type_is_an_error)
{
    static const uint8_t zeros[100];

    for (size_t n = 0; n < sizeof zeros; n += 33) { /* 0: nothing but a tag */
        struct client c = connected();

        send_data(&c, "before");
        send_inner(&c, zeros, n);
        expect_text(&c, "before");
        expect_error(&c, "tls.record.bad");
        finish(&c);
    }
}

static const struct {
    uint8_t code;
    const char *name;
} alerts[] = {
    {10, "tls.alert.unexpected-message"},
    {20, "tls.alert.bad-record-mac"},
    {22, "tls.alert.record-overflow"},
    {40, "tls.alert.handshake-failure"},
    {42, "tls.alert.bad-certificate"},
    {43, "tls.alert.unsupported-certificate"},
    {44, "tls.alert.certificate-revoked"},
    {45, "tls.alert.certificate-expired"},
    {46, "tls.alert.certificate-unknown"},
    {47, "tls.alert.illegal-parameter"},
    {48, "tls.alert.unknown-ca"},
    {49, "tls.alert.access-denied"},
    {50, "tls.alert.decode-error"},
    {51, "tls.alert.decrypt-error"},
    {70, "tls.alert.protocol-version"},
    {71, "tls.alert.insufficient-security"},
    {80, "tls.alert.internal-error"},
    {86, "tls.alert.inappropriate-fallback"},
    {90, "tls.alert.user-canceled"},
    {100, "tls.alert.no-renegotiation"},
    {109, "tls.alert.missing-extension"},
    {110, "tls.alert.unsupported-extension"},
    {112, "tls.alert.unrecognized-name"},
    {113, "tls.alert.bad-certificate-status-response"},
    {115, "tls.alert.unknown-psk-identity"},
    {116, "tls.alert.certificate-required"},
    {120, "tls.alert.no-application-protocol"},
    {200, "tls.alert.200"},
};

Test(tls_records, alerts_of_the_peer_have_their_names)
{
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
        struct client c = connected();
        uint8_t alert[] = {2, alerts[i].code};

        send_data(&c, "before");
        send_record(&c, ALERT, alert, 2, 0);
        expect_text(&c, "before");
        expect_error(&c, alerts[i].name);
        finish(&c);
    }
}

/* A client has no keys before it has believed the server: what it then says comes in plain.
 * wolfSSL stops at its header: if the rest has not come by then, nobody knows what it was. */
Test(tls_records, a_plain_alert_in_the_handshake_has_its_name)
{
    for (size_t portion = 1; portion <= 14; portion++)
        for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
            const uint8_t alert[] = {ALERT, 3, 3, 0, 2, 2, alerts[i].code};
            static const uint8_t change[] = {20, 3, 3, 0, 1, 1};
            curve25519_key key;
            WC_RNG rng;
            struct client c = waiting(&key, &rng);

            if (i & 1) /* as a client does that wants to look like one of TLS 1.2 */
                put(&c, change, sizeof change);
            put(&c, alert, sizeof alert);
            c.ends->up.portion = portion;
            tls_ends_open(c.ends);
            cr_assert_eq(c.ends->server.opened, IO_ERROR);
            cr_assert(strcmp(tls_end_error(&c.ends->server), alerts[i].name) == 0 ||
                          (portion < 13 && portion != 7 &&
                           stream_error_is(&c.ends->server.error, ERROR_TLS_HANDSHAKE_PROTOCOL)),
                      "portions of %zu: %s", portion, tls_end_error(&c.ends->server));
            wc_curve25519_free(&key);
            wc_FreeRng(&rng);
            finish(&c);
        }
}

Test(tls_records, close_notify_is_the_end_whatever_follows)
{
    for (uint8_t level = 1; level <= 2; level++) {
        struct client c = connected();
        uint8_t alert[] = {level, 0};
        char out[10];

        send_data(&c, "bye");
        send_record(&c, ALERT, alert, 2, 0);
        send_data(&c, "more");
        expect_text(&c, "bye");
        cr_assert_eq(read_some(&c, out, sizeof out), IO_EOF);
        cr_assert_eq(read_some(&c, out, sizeof out), IO_EOF);
        finish(&c);
    }
}

static void send_key_update(struct client *c, uint8_t request)
{
    uint8_t message[] = {24, 0, 0, 1, request};

    send_record(c, HANDSHAKE, message, sizeof message, 0);
}

Test(tls_records, new_keys_are_answered_before_more_data)
{
    struct client c = connected();
    uint8_t *answer;

    send_data(&c, "old");
    send_key_update(&c, 1);
    update(&c.out);
    send_data(&c, "new");
    expect_text(&c, "oldnew");
    tls_end_write_all(&c.ends->server, "data", 4);
    answer = c.ends->down.bytes;
    cr_assert_eq(open_record(&c, answer, record_length(answer)), 5);
    cr_assert_eq(answer[5], 24, "no KeyUpdate");
    cr_assert_eq(answer[9], 0, "it asks back");
    update(&c.in);
    answer += record_length(answer);
    cr_assert_eq(open_record(&c, answer, record_length(answer)), 4);
    cr_assert(memcmp(answer + 5, "data", 4) == 0);
    finish(&c);
}

Test(tls_records, after_our_end_nothing_more_is_sent_not_even_an_answer)
{
    struct client c = connected();
    struct layer *server = c.ends->server.top;
    size_t sent;

    cr_assert_eq(server->ops->end(server), IO_OK);
    sent = c.ends->down.end;
    send_key_update(&c, 1);
    update(&c.out);
    send_data(&c, "still talking");
    expect_text(&c, "still talking");
    cr_assert_eq(c.ends->down.end, sent);
    finish(&c);
}

Test(tls_records, a_change_of_keys_that_is_none_is_an_error)
{
    struct client c = connected();

    send_key_update(&c, 2);
    expect_error(&c, "tls.record.bad");
    finish(&c);
    c = connected();
    send_record(&c, HANDSHAKE, "\x63\0\0\0", 4, 0); /* no such message */
    expect_error(&c, "tls.record.bad");
    finish(&c);
    c = connected();
    send_record(&c, HANDSHAKE, "\x01\0\0\0", 4, 0); /* a second ClientHello: no renegotiation */
    expect_error(&c, "tls.record.bad");
    finish(&c);
}
