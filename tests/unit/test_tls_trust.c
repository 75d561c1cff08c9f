/* test_tls_trust.c - certificates with one fault each against every setting, by an oracle that knows
 * nothing of certificates: the facts of tests/tls/make, and the order in which faults are named. */
#include "streams/tls_file.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tls_trust, .timeout = 60);

enum { NOW = 1800000000, CERTS_MAX = 8 };

/* What is so with a chain, in the eyes of somebody who trusts the roots of `authority`. */
struct facts {
    const char *chain, *authority;
    enum { KNOWN, UNKNOWN, BROKEN } root;
    bool is_expired, is_future, is_root_expired; /* is_expired: what is no root */
    bool is_revoked;                             /* by root.crl, both.crl; see needs_middle */
    bool is_middle_revoked;                      /* by both.crl */
    bool needs_middle; /* a list of the intermediate is needed to say that it is not revoked */
    bool is_by_other;  /* no list speaks of its issuer */
    bool is_self_signed;
};

static const struct facts facts[] = {
    {.chain = "server.pem"},
    {.chain = "server-rsa.pem"},
    {.chain = "server.pem", .authority = "two-roots.pem"},
    {.chain = "server.pem", .authority = "server.pem"}, /* pinned */
    {.chain = "server.pem", .authority = "other-root.pem", .root = UNKNOWN, .is_by_other = true},
    {.chain = "expired.pem", .is_expired = true},
    {.chain = "future.pem", .is_future = true},
    {.chain = "revoked.pem", .is_revoked = true},
    {.chain = "expired-revoked.pem", .is_revoked = true, .is_expired = true},
    {.chain = "by-middle-chain.pem", .needs_middle = true},
    {.chain = "by-middle.pem", .root = UNKNOWN, .needs_middle = true}, /* its link is missing */
    {.chain = "by-middle.pem", .authority = "root-and-middle.pem", .needs_middle = true},
    {.chain = "revoked-by-middle-chain.pem", .needs_middle = true, .is_middle_revoked = true},
    {.chain = "by-middle-expired-chain.pem", .is_expired = true, .is_by_other = true},
    {.chain = "by-below-middle-chain.pem", .root = UNKNOWN, .is_by_other = true},
    {.chain = "by-root-expired.pem",
     .authority = "root-expired.pem",
     .is_root_expired = true,
     .is_by_other = true},
    {.chain = "by-other.pem", .root = UNKNOWN, .is_by_other = true},
    {.chain = "by-other-chain.pem", .root = UNKNOWN, .is_by_other = true},
    {.chain = "by-other-chain.pem", .authority = "other-root.pem", .is_by_other = true},
    {.chain = "by-fake.pem", .root = UNKNOWN},
    {.chain = "by-fake-chain.pem", .root = UNKNOWN},
    {.chain = "by-leaf-chain.pem", .root = UNKNOWN, .is_by_other = true},
    {.chain = "self-signed.pem", .root = UNKNOWN, .is_self_signed = true},
    {.chain = "self-signed.pem", .authority = "self-signed.pem", .is_self_signed = true},
};

/* Lists that the roots of the bundle signed, and whom they speak of. */
static const struct lists {
    const char *file, *authority;
    bool of_root, of_middle, revokes, is_past;
} lists[] = {
    {NULL, NULL, false, false, false, false},
    {"root-empty.crl", NULL, true, false, false, false},
    {"root.crl", NULL, true, false, true, false},
    {"root-past.crl", NULL, true, false, true, true},
    {"both.crl", "root-and-middle.pem", true, true, true, false},
};

struct chain {
    uint8_t der[16 * 1024];
    struct x509_span certs[CERTS_MAX];
    size_t n;
};

static void load(const char *name, struct chain *chain)
{
    size_t n, der_n, used = 0;
    char *text = tls_file_read(tls_test_path(name), stderr, &n);
    const char *at = text;
    bool broken;

    cr_assert(text);
    chain->n = 0;
    while (x509_pem_next(&at, "CERTIFICATE", chain->der + used, &der_n, &broken)) {
        chain->certs[chain->n++] = (struct x509_span){chain->der + used, der_n};
        used += der_n;
    }
    cr_assert(chain->n && !broken);
    tls_file_free(text, n);
}

static struct tls_trust *trust_of(struct tls_trust_options options, bool expected, char *ret_text)
{
    char *text = NULL;
    size_t n;
    FILE *errors = open_memstream(&text, &n);
    struct tls_trust *trust = tls_trust_new(&options, errors);

    fclose(errors);
    cr_assert_eq(trust != NULL, expected, "%s", text);
    if (ret_text)
        snprintf(ret_text, 256, "%s", text);
    free(text);
    return trust;
}

static enum stream_error_id oracle_of_lists(const struct facts *f, const struct lists *l)
{
    bool covered = !f->is_by_other && (f->needs_middle ? l->of_middle : l->of_root);

    if (!l->file || f->is_self_signed)
        return ERROR_NONE;
    if ((f->is_revoked && l->revokes) || (f->is_middle_revoked && l->of_middle))
        return ERROR_TLS_CERTIFICATE_REVOKED;
    if (!covered)
        return ERROR_TLS_CERTIFICATE_CRL_MISSING;
    return l->is_past ? ERROR_TLS_CERTIFICATE_CRL_EXPIRED : ERROR_NONE;
}

static enum stream_error_id oracle(const struct facts *f, const struct lists *l,
                                   const struct tls_trust_options *o)
{
    enum stream_error_id revoked = oracle_of_lists(f, l);

    if (o->skip_chain)
        return revoked;
    if (f->root == BROKEN)
        return ERROR_TLS_CERTIFICATE_BAD;
    if (f->root == UNKNOWN && !o->allow_any_root)
        return ERROR_TLS_CERTIFICATE_UNKNOWN_ROOT;
    if (revoked != ERROR_NONE)
        return revoked;
    if (f->is_future)
        return ERROR_TLS_CERTIFICATE_NOT_YET_VALID;
    if ((f->is_expired && !o->allow_expired_certificates) ||
        (f->is_root_expired && !o->allow_expired_roots))
        return ERROR_TLS_CERTIFICATE_EXPIRED;
    return ERROR_NONE;
}

Test(tls_trust, every_fault_is_named_and_forgiven_by_its_own_setting_only)
{
    static struct chain chain;
    unsigned checked = 0;

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        load(facts[i].chain, &chain);
        for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
            const char *authority = facts[i].authority ? facts[i].authority : "root.pem";

            /* A bundle that did not sign the list is refused, which is tested elsewhere. */
            if (lists[k].authority && facts[i].authority &&
                strcmp(facts[i].authority, lists[k].authority) != 0)
                continue;
            if (lists[k].file && facts[i].authority && strncmp(authority, "root-and", 8) != 0 &&
                strcmp(authority, "two-roots.pem") != 0)
                continue;
            if (lists[k].authority) {
                /* With the intermediate in the bundle the missing link is there. */
                if (strcmp(facts[i].chain, "by-middle.pem") == 0 && !facts[i].authority)
                    continue;
                authority = lists[k].authority;
            }
            for (unsigned bits = 0; bits < 16; bits++) {
                struct tls_trust_options options = {
                    .authority = tls_test_path(authority),
                    .revoke = tls_test_path(lists[k].file),
                    .skip_chain = bits & 1,
                    .allow_expired_certificates = bits & 2,
                    .allow_expired_roots = bits & 4,
                    .allow_any_root = bits & 8,
                };
                struct tls_trust *trust = trust_of(options, true, NULL);
                struct stream_error error = {0},
                                    expected =
                                        stream_error_of(oracle(&facts[i], &lists[k], &options));
                char a[STREAM_ERROR_NAME_MAX], b[STREAM_ERROR_NAME_MAX];
                bool ok = tls_trust_judge(trust, chain.certs, chain.n, NOW, &error);

                cr_expect_str_eq(stream_error_name(&error, a), stream_error_name(&expected, b),
                                 "%s with roots %s, lists %s, settings %x: %s instead of %s",
                                 facts[i].chain, authority, lists[k].file ? lists[k].file : "none",
                                 bits, a, b);
                cr_expect_eq(ok, !stream_error_set(&expected));
                tls_trust_free(trust);
                checked++;
            }
        }
    }
    cr_assert_gt(checked, 1000);
}

/* Each byte of a certificate that its issuer signed matters; nothing that is changed may crash. */
Test(tls_trust, a_changed_certificate_is_not_believed)
{
    static struct chain chain;
    struct tls_trust *trust =
        trust_of((struct tls_trust_options){.authority = tls_test_path("root.pem")}, true, NULL);
    struct tls_trust *any = trust_of(
        (struct tls_trust_options){.authority = tls_test_path("root.pem"), .allow_any_root = true},
        true, NULL);
    struct stream_error error;

    load("by-middle-chain.pem", &chain);
    cr_assert(tls_trust_judge(trust, chain.certs, chain.n, NOW, &error));
    for (size_t i = 0; i < chain.certs[0].n; i++) {
        chain.der[i] ^= 4;
        cr_assert(!tls_trust_judge(trust, chain.certs, chain.n, NOW, &error), "byte %zu", i);
        tls_trust_judge(any, chain.certs, chain.n, NOW, &error);
        chain.der[i] ^= 4;
    }
    /* The signature itself: the issuer is there and did not make it. */
    chain.der[chain.certs[0].n - 1] ^= 1;
    cr_assert(!tls_trust_judge(any, chain.certs, chain.n, NOW, &error));
    cr_assert(stream_error_is(&error, ERROR_TLS_CERTIFICATE_BAD));
    tls_trust_free(trust);
    tls_trust_free(any);
}

Test(tls_trust, the_order_of_the_links_does_not_matter)
{
    static struct chain chain;
    struct tls_trust *trust =
        trust_of((struct tls_trust_options){.authority = tls_test_path("root.pem")}, true, NULL);
    struct stream_error error;
    struct x509_span more[4];

    load("by-middle-chain.pem", &chain);
    more[0] = chain.certs[0];
    more[1] = chain.certs[0];                                     /* of no use */
    more[2] = (struct x509_span){(const uint8_t *)"\x30\x01", 2}; /* nothing at all */
    more[3] = chain.certs[1];
    cr_assert(tls_trust_judge(trust, more, 4, NOW, &error));
    cr_assert(!tls_trust_judge(trust, more, 3, NOW, &error));
    cr_assert(!tls_trust_judge(trust, more, 0, NOW, &error));
    cr_assert(stream_error_is(&error, ERROR_TLS_CERTIFICATE_MISSING));
    tls_trust_free(trust);
}

Test(tls_trust, dates_hold_to_the_second)
{
    static struct chain chain;
    struct tls_trust *trust =
        trust_of((struct tls_trust_options){.authority = tls_test_path("root.pem")}, true, NULL);
    struct stream_error error;
    const int64_t from = 1577836800, to = 1609459200; /* 2020-01-01, 2021-01-01 */

    load("expired.pem", &chain);
    cr_assert(tls_trust_judge(trust, chain.certs, 1, from, &error));
    cr_assert(tls_trust_judge(trust, chain.certs, 1, to, &error));
    cr_assert(!tls_trust_judge(trust, chain.certs, 1, to + 1, &error));
    cr_assert(stream_error_is(&error, ERROR_TLS_CERTIFICATE_EXPIRED));
    cr_assert(!tls_trust_judge(trust, chain.certs, 1, from - 1, &error));
    cr_assert(stream_error_is(&error, ERROR_TLS_CERTIFICATE_NOT_YET_VALID));
    tls_trust_free(trust);
}

Test(tls_trust, a_list_goes_past_its_date_while_it_is_used)
{
    static struct chain chain;
    struct tls_trust *trust =
        trust_of((struct tls_trust_options){.authority = tls_test_path("root.pem"),
                                            .revoke = tls_test_path("root.crl")},
                 true, NULL);
    struct stream_error error;

    load("server.pem", &chain);
    cr_assert(tls_trust_judge(trust, chain.certs, 1, NOW, &error));
    cr_assert(!tls_trust_judge(trust, chain.certs, 1, 4070908801, &error)); /* 2099 */
    cr_assert(stream_error_is(&error, ERROR_TLS_CERTIFICATE_CRL_EXPIRED));
    tls_trust_free(trust);
}

/* One file with the lists of three authorities: each bundle is answered by its own. */
static const struct {
    const char *authority, *chain;
    enum stream_error_id error;
} shared[] = {
    {"root.pem", "server.pem", ERROR_NONE},
    {"root.pem", "revoked.pem", ERROR_TLS_CERTIFICATE_REVOKED},
    {"root.pem", "by-middle-chain.pem", ERROR_TLS_CERTIFICATE_CRL_MISSING},
    {"root.pem", "revoked-by-middle-chain.pem", ERROR_TLS_CERTIFICATE_CRL_MISSING},
    {"root-and-middle.pem", "by-middle-chain.pem", ERROR_NONE},
    {"root-and-middle.pem", "revoked-by-middle-chain.pem", ERROR_TLS_CERTIFICATE_REVOKED},
    {"other-root.pem", "by-other.pem", ERROR_NONE},
    {"other-root.pem", "alice-other.pem", ERROR_TLS_CERTIFICATE_REVOKED},
    {"two-roots.pem", "alice-other.pem", ERROR_TLS_CERTIFICATE_REVOKED},
    {"two-roots.pem", "revoked.pem", ERROR_TLS_CERTIFICATE_REVOKED},
    {"two-roots.pem", "alice.pem", ERROR_NONE},
};

Test(tls_trust, each_authority_is_answered_by_its_own_list_of_a_shared_file)
{
    static struct chain chain;

    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        struct tls_trust *trust =
            trust_of((struct tls_trust_options){.authority = tls_test_path(shared[i].authority),
                                                .revoke = tls_test_path("three.crl")},
                     true, NULL);
        struct stream_error error = {0}, expected = stream_error_of(shared[i].error);
        char a[STREAM_ERROR_NAME_MAX], b[STREAM_ERROR_NAME_MAX];

        load(shared[i].chain, &chain);
        tls_trust_judge(trust, chain.certs, chain.n, NOW, &error);
        cr_expect_str_eq(stream_error_name(&error, a), stream_error_name(&expected, b),
                         "%s by %s: %s", shared[i].chain, shared[i].authority, a);
        tls_trust_free(trust);
    }
}

static const struct {
    const char *authority, *revoke, *says;
} refused[] = {
    {"no-such.pem", NULL, "no-such.pem: No such file or directory"},
    {"make", NULL, "make: no certificate in it (PEM is expected)"},
    {"server.key", NULL, "server.key: no certificate in it (PEM is expected)"},
    {"root.pem", "no-such.crl", "no-such.crl: No such file or directory"},
    {"root.pem", "root.pem", "root.pem: no revocation list in it (PEM is expected)"},
    {"root.pem", "other.crl",
     "other.crl: no revocation list in it is signed by a certificate of the authority"},
    {"fake-root.pem", "root.crl",
     "root.crl: a revocation list in it has the authority's name and not its signature"},
    {"fake-root.pem", "both.crl",
     "both.crl: a revocation list in it has the authority's name and not its signature"},
};

Test(tls_trust, files_that_do_not_fit_are_refused_by_name_and_reason)
{
    char text[256];

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        trust_of((struct tls_trust_options){.authority = tls_test_path(refused[i].authority),
                                            .revoke = tls_test_path(refused[i].revoke)},
                 false, text);
        cr_expect(strlen(text) >= strlen(refused[i].says), "%s", text);
        cr_expect_str_eq(text + strlen(text) - strlen(refused[i].says), refused[i].says);
    }
}
