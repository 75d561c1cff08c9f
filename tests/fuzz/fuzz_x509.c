/* fuzz_x509.c - the first byte says what the rest is: a certificate, a revocation list, or text with
 * PEM blocks. What is read lies within the input, and the same bytes are read again from a copy. */
#include "tests/fuzz/fuzz.h"

#include "streams/x509.h"

#include <string.h>

static void check_span(struct x509_span span, const uint8_t *bytes, size_t n)
{
    CLAIM(span.n == 0 || (span.at >= bytes && span.n <= (size_t)(bytes + n - span.at)));
}

static void certificate(const uint8_t *bytes, size_t n)
{
    static const char *const names[] = {"server.test", "a.wild.test", "127.0.0.1", "::1", "x", ""};
    struct x509 cert;

    if (!x509_parse(bytes, n, &cert))
        return;
    CLAIM(cert.whole.at == bytes && cert.whole.n == n);
    check_span(cert.serial, bytes, n);
    check_span(cert.issuer, bytes, n);
    check_span(cert.subject, bytes, n);
    check_span(cert.common_name, bytes, n);
    check_span(cert.other_names, bytes, n);
    CLAIM(cert.path_length >= -1 && cert.path_length <= 127);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        x509_is_named(&cert, names[i]);
    CLAIM(!x509_is_named(&cert, ""));
    CLAIM(!x509_parse(bytes, n - 1, &cert));
}

static void list(const uint8_t *bytes, size_t n)
{
    struct x509_crl crl;

    if (!x509_crl_parse(bytes, n, &crl))
        return;
    check_span(crl.issuer, bytes, n);
    check_span(crl.revoked, bytes, n);
    x509_crl_holds(&crl, (struct x509_span){bytes, n < 8 ? n : 8});
    CLAIM(!x509_crl_parse(bytes, n - 1, &crl));
}

static void text(const uint8_t *bytes, size_t n)
{
    char *copy = malloc(n + 1);
    uint8_t *out = malloc(n / 4 * 3 + 3);
    const char *at = copy;
    bool broken = false;
    size_t length;

    CLAIM(copy && out);
    memcpy(copy, bytes, n);
    copy[n] = '\0';
    while (x509_pem_next(&at, "CERTIFICATE", out, &length, &broken)) {
        CLAIM(at > copy && at <= copy + n && length > 0 && length <= n / 4 * 3 + 3);
        certificate(out, length);
    }
    free(copy);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    if (size < 2)
        return 0;
    copy = malloc(size - 1);
    CLAIM(copy);
    memcpy(copy, data + 1, size - 1);
    if (*data == 'c')
        certificate(copy, size - 1);
    else if (*data == 'l')
        list(copy, size - 1);
    else
        text(copy, size - 1);
    free(copy);
    return 0;
}
