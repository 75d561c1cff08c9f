/* test_x509.c - the reader of certificates and revocation lists. */
#include "streams/tls_file.h"
#include "streams/x509.h"
#include "tests/unit/tls_wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(x509, .timeout = 20);

static uint8_t der[16 * 1024];

static size_t load(const char *name, const char *label)
{
    size_t text_n, n = 0;
    char *text = tls_file_read(tls_test_path(name), stderr, &text_n);
    const char *at = text;
    bool broken;

    cr_assert(text);
    cr_assert(x509_pem_next(&at, label, der, &n, &broken));
    tls_file_free(text, text_n);
    return n;
}

static bool is_text(struct x509_span span, const char *text)
{
    return span.n == strlen(text) && memcmp(span.at, text, span.n) == 0;
}

Test(x509, what_a_certificate_says_is_read)
{
    struct x509 cert;
    size_t n = load("server.pem", "CERTIFICATE");

    cr_assert(x509_parse(der, n, &cert));
    cr_assert(is_text(cert.common_name, "server"));
    cr_assert_eq(cert.not_before, 1577836800);
    cr_assert_eq(cert.not_after, 4070908800);
    cr_assert(!cert.is_authority);
    cr_assert(!cert.may_sign);
    cr_assert_eq(cert.version, X509_V3);
    cr_assert(!x509_span_equal(cert.issuer, cert.subject));
    n = load("middle.pem", "CERTIFICATE");
    cr_assert(x509_parse(der, n, &cert));
    cr_assert(cert.is_authority);
    cr_assert(cert.may_sign);
    cr_assert_eq(cert.path_length, 0);
    n = load("root.pem", "CERTIFICATE");
    cr_assert(x509_parse(der, n, &cert));
    cr_assert_eq(cert.path_length, -1);
    cr_assert(x509_span_equal(cert.issuer, cert.subject));
}

Test(x509, a_certificate_that_is_cut_or_has_something_behind_it_is_none)
{
    struct x509 cert;
    size_t n = load("server.pem", "CERTIFICATE");

    for (size_t k = 0; k < n; k++)
        cr_assert(!x509_parse(der, k, &cert), "%zu bytes", k);
    cr_assert(!x509_parse(der, n + 1, &cert));
}

/* Dates as certificates write them, in a certificate that says when it begins. */
Test(x509, dates_are_read_or_refused)
{
    static const struct {
        const char *text;
        int64_t seconds; /* 0: refused */
    } table[] = {
        {"700101000001Z", 1},          {"000229120000Z", 951825600}, {"491231235959Z", 2524607999},
        {"500101000000Z", -631152000}, {"691231235959Z", -1},        {"201301000000Z", 0},
        {"200001000000Z", 0},          {"200100000000Z", 0},         {"200101240000Z", 0},
        {"200101006000Z", 0},          {"20010100000 Z", 0},         {"200101000000+", 0},
    };
    struct x509 cert;
    size_t n = load("server.pem", "CERTIFICATE");
    uint8_t *at = memmem(der, n, "200101000000Z", 13);

    cr_assert(at);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        memcpy(at, table[i].text, 13);
        cr_assert_eq(x509_parse(der, n, &cert), table[i].seconds != 0, "%s", table[i].text);
        if (table[i].seconds)
            cr_assert_eq(cert.not_before, table[i].seconds, "%s", table[i].text);
    }
}

/* subjectAltName entries by hand. */
static bool named(const char *entries, size_t n, const char *common_name, const char *name)
{
    struct x509 cert = {
        .common_name = {(const uint8_t *)common_name, strlen(common_name)},
        .other_names = {(const uint8_t *)entries, n},
    };

    return x509_is_named(&cert, name);
}

#define NAMED(entries, common_name, name) named(entries, sizeof entries - 1, common_name, name)

Test(x509, names_are_compared_as_the_rfc_has_it)
{
    cr_assert(NAMED("\x82\x03"
                    "a.b",
                    "", "A.B"));
    cr_assert(NAMED("\x82\x04"
                    "a.b.",
                    "", "a.b"));
    cr_assert(NAMED("\x81\x01x\x82\x05*.b.c", "", "a.b.c"));
    cr_assert(!NAMED("\x82\x05*.b.c", "", "b.c"));
    cr_assert(!NAMED("\x82\x05*.b.c", "", ".b.c"));
    cr_assert(!NAMED("\x82\x03*.c", "", "b.c"), "directly below the root");
    cr_assert(!NAMED("\x82\x01*", "", "b"));
    cr_assert(!NAMED("\x82\x06"
                     "a*.b.c",
                     "", "ax.b.c"),
              "a part of a label");
    cr_assert(!NAMED("\x82\x07x.*.b.c", "", "x.a.b.c"));
    cr_assert(!NAMED("\x82\x05"
                     "a.b\0c",
                     "", "a.b"),
              "a zero ends no name");
    cr_assert(!NAMED("\x82\x03"
                     "a.b",
                     "c.d", "c.d"),
              "the common name beside another one");
    cr_assert(NAMED("", "c.d", "c.d"));
    cr_assert(NAMED("\x81\x01x", "c.d", "c.d"), "a mail address is no other name");
    cr_assert(!NAMED("", "127.0.0.1", "127.0.0.1"), "an address is never a common name");
    cr_assert(!NAMED("\x82\x09"
                     "127.0.0.1",
                     "", "127.0.0.1"),
              "nor a host name");
    cr_assert(NAMED("\x87\x04\x7F\0\0\x01", "", "127.0.0.1"));
    cr_assert(!NAMED("\x87\x05\x7F\0\0\x01\x01", "", "127.0.0.1"));
    cr_assert(!NAMED("\x87\x04"
                     "a.bc",
                     "", "a.bc"));
    cr_assert(!NAMED("\x82\x05"
                     "a.b",
                     "", "a.b"),
              "longer than there is");
    cr_assert(!NAMED("", "", ""));
}

Test(x509, a_list_holds_what_was_revoked)
{
    struct x509_crl crl;
    size_t n = load("root.crl", "X509 CRL");

    cr_assert(x509_crl_parse(der, n, &crl));
    cr_assert_eq(crl.this_update, 1577836800);
    cr_assert_eq(crl.next_update, 4070908800);
    cr_assert(x509_crl_holds(&crl, (struct x509_span){(const uint8_t *)"\x10\x09", 2}));
    cr_assert(!x509_crl_holds(&crl, (struct x509_span){(const uint8_t *)"\x10\x01", 2}));
    for (size_t k = 0; k < n; k++)
        cr_assert(!x509_crl_parse(der, k, &crl));
    n = load("root-empty.crl", "X509 CRL");
    cr_assert(x509_crl_parse(der, n, &crl));
    cr_assert_eq(crl.revoked.n, 0);
}

Test(x509, blocks_of_a_text_are_found_and_broken_ones_are_said)
{
    static const char good[] = "talk\n-----BEGIN B-----\nAAAA\n-----END B-----\n"
                               "-----BEGIN A-----\r\nAQID\r\nBA==\r\n-----END A-----\r\n";
    static const char *const bad[] = {
        "-----BEGIN A-----\nAQID\n",
        "-----BEGIN A-----\nAQI!\n-----END A-----\n",
        "-----BEGIN A-----\nAQ==ID\n-----END A-----\n",
        "-----BEGIN A-----\nAQID\n-----END B-----\n",
        "-----BEGIN A-----\n-----END A-----\n",
        "-----BEGIN A-----",
    };
    const char *at = good;
    bool broken = true;
    size_t n;

    cr_assert(x509_pem_next(&at, "A", der, &n, &broken));
    cr_assert_eq(n, 4);
    cr_assert(memcmp(der, "\1\2\3\4", 4) == 0);
    cr_assert(!x509_pem_next(&at, "A", der, &n, &broken));
    cr_assert(!broken);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        at = bad[i];
        cr_assert(!x509_pem_next(&at, "A", der, &n, &broken), "%s", bad[i]);
        cr_assert(broken, "%s", bad[i]);
    }
}
