/* x509.c - a small reader of DER. Every length is checked against what holds it; what is not
 * understood is stepped over, but never in a critical extension of a revocation list. */
#include "streams/x509.h"

#include "streams/address.h"

#include <string.h>
#include <strings.h>

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0xA0,
    DER_CONTEXT_3 = 0xA3,
    GENERAL_DNS = 0x82,
    GENERAL_IP = 0x87,
};

struct element {
    uint8_t tag;
    struct x509_span whole;
    struct x509_span content;
};

bool x509_span_equal(struct x509_span a, struct x509_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

/* Takes one element off `in`. X.690, 8.1: one byte of tag (we meet no others), then the length in
 * 1 to 4 bytes, never indefinite. */
static bool next(struct x509_span *in, struct element *ret)
{
    size_t header = 2, length;

    if (in->n < 2 || (in->at[0] & 0x1F) == 0x1F)
        return false;
    length = in->at[1];
    if (length & 0x80) {
        size_t bytes = length & 0x7F;

        if (bytes == 0 || bytes > 3 || in->n < 2 + bytes)
            return false;
        length = 0;
        for (size_t i = 0; i < bytes; i++)
            length = length << 8 | in->at[2 + i];
        header += bytes;
    }
    if (length > in->n - header)
        return false;
    ret->tag = in->at[0];
    ret->whole = (struct x509_span){in->at, header + length};
    ret->content = (struct x509_span){in->at + header, length};
    in->at += header + length;
    in->n -= header + length;
    return true;
}

static bool next_is(struct x509_span *in, uint8_t tag, struct element *ret)
{
    return in->n && in->at[0] == tag && next(in, ret);
}

static bool is_oid(const struct element *oid, const char *bytes, size_t n)
{
    return oid->content.n == n && memcmp(oid->content.at, bytes, n) == 0;
}

#define IS_OID(oid, bytes) is_oid(oid, bytes, sizeof bytes - 1)

/* ---- dates */

static bool two_digits(const uint8_t *at, unsigned *ret)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *ret = (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years count from March. */
static int64_t days_to(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ (RFC 5280, 4.1.2.5). */
static bool read_time(const struct element *e, int64_t *ret)
{
    const uint8_t *at = e->content.at;
    unsigned century = 0, field[6];

    if (e->tag == DER_GENERALIZED_TIME && e->content.n == 15) {
        if (!two_digits(at, &century))
            return false;
        at += 2;
    } else if (e->tag != DER_UTC_TIME || e->content.n != 13) {
        return false;
    }
    for (int i = 0; i < 6; i++)
        if (!two_digits(at + 2 * (ptrdiff_t)i, &field[i]))
            return false;
    if (at[12] != 'Z' || field[1] < 1 || field[1] > 12 || field[2] < 1 || field[2] > 31 ||
        field[3] > 23 || field[4] > 59 || field[5] > 60)
        return false;
    if (e->tag == DER_UTC_TIME)
        century = field[0] < 50 ? 20 : 19;
    *ret = days_to(century * 100 + field[0], field[1], field[2]) * 86400 + field[3] * 3600 +
           field[4] * 60 + field[5];
    return true;
}

/* ---- certificates */

/* Validity ::= SEQUENCE { notBefore, notAfter } */
static bool read_validity(struct x509_span in, struct x509 *cert)
{
    struct element from, to;

    return next(&in, &from) && next(&in, &to) && read_time(&from, &cert->not_before) &&
           read_time(&to, &cert->not_after);
}

/* Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value } */
static struct x509_span common_name(struct x509_span name)
{
    struct x509_span found = {0};
    struct element set, pair, type, value;

    while (next_is(&name, DER_SET, &set))
        while (next_is(&set.content, DER_SEQUENCE, &pair))
            if (next_is(&pair.content, DER_OID, &type) && next(&pair.content, &value) &&
                IS_OID(&type, "\x55\x04\x03"))
                found = value.content;
    return found;
}

/* BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } */
static bool read_basic_constraints(struct x509_span in, struct x509 *cert)
{
    struct element sequence, e;

    if (!next_is(&in, DER_SEQUENCE, &sequence))
        return false;
    if (next_is(&sequence.content, DER_BOOLEAN, &e))
        cert->is_authority = e.content.n == 1 && e.content.at[0];
    if (next_is(&sequence.content, DER_INTEGER, &e)) {
        if (e.content.n != 1 || e.content.at[0] > 127)
            return e.content.n > 1; /* longer than any chain */
        cert->path_length = e.content.at[0];
    }
    return true;
}

/* KeyUsage ::= BIT STRING; keyCertSign is bit 5. */
static bool read_key_usage(struct x509_span in, struct x509 *cert)
{
    struct element bits;

    if (!next_is(&in, DER_BIT_STRING, &bits) || bits.content.n < 1)
        return false;
    cert->may_sign = bits.content.n >= 2 && (bits.content.at[1] & 0x04);
    return true;
}

static bool read_extension(struct x509_span in, struct x509 *cert)
{
    struct element id, critical, value, names;

    if (!next_is(&in, DER_OID, &id))
        return false;
    if (in.n && in.at[0] == DER_BOOLEAN && !next(&in, &critical))
        return false;
    if (!next_is(&in, DER_OCTET_STRING, &value))
        return false;
    if (IS_OID(&id, "\x55\x1D\x13"))
        return read_basic_constraints(value.content, cert);
    if (IS_OID(&id, "\x55\x1D\x0F"))
        return read_key_usage(value.content, cert);
    if (IS_OID(&id, "\x55\x1D\x11")) {
        if (!next_is(&value.content, DER_SEQUENCE, &names))
            return false;
        cert->other_names = names.content;
    }
    return true;
}

/* TBSCertificate (RFC 5280, 4.1): version, serial, algorithm, issuer, validity, subject, key, ids,
 * extensions. */
static bool read_to_be_signed(struct x509_span in, struct x509 *cert)
{
    struct element e, extensions, extension;

    if (next_is(&in, DER_CONTEXT_0, &e)) {
        struct element version;

        if (!next_is(&e.content, DER_INTEGER, &version) || version.content.n != 1)
            return false;
        cert->version = version.content.at[0];
    }
    if (!next_is(&in, DER_INTEGER, &e) || e.content.n == 0)
        return false;
    cert->serial = e.content;
    if (!next_is(&in, DER_SEQUENCE, &e) || !next_is(&in, DER_SEQUENCE, &e))
        return false;
    cert->issuer = e.whole;
    if (!next_is(&in, DER_SEQUENCE, &e) || !read_validity(e.content, cert))
        return false;
    if (!next_is(&in, DER_SEQUENCE, &e))
        return false;
    cert->subject = e.whole;
    cert->common_name = common_name(e.content);
    if (!next_is(&in, DER_SEQUENCE, &e))
        return false;
    while (in.n) {
        if (!next(&in, &e))
            return false;
        if (e.tag != DER_CONTEXT_3)
            continue;
        if (!next_is(&e.content, DER_SEQUENCE, &extensions))
            return false;
        while (extensions.content.n)
            if (!next_is(&extensions.content, DER_SEQUENCE, &extension) ||
                !read_extension(extension.content, cert))
                return false;
    }
    return true;
}

/* SEQUENCE { what is signed, algorithm, signature }: the first of them. */
static bool open_signed(struct x509_span in, struct element *ret)
{
    struct element outer, rest;

    return next_is(&in, DER_SEQUENCE, &outer) && in.n == 0 &&
           next_is(&outer.content, DER_SEQUENCE, ret) &&
           next_is(&outer.content, DER_SEQUENCE, &rest) &&
           next_is(&outer.content, DER_BIT_STRING, &rest) && outer.content.n == 0;
}

bool x509_parse(const void *der, size_t n, struct x509 *ret)
{
    struct x509 cert = {.whole = {der, n}, .path_length = -1, .may_sign = true};
    struct element inner;

    if (!open_signed(cert.whole, &inner) || !read_to_be_signed(inner.content, &cert))
        return false;
    *ret = cert;
    return true;
}

/* ---- names */

static bool same_text(const char *a, const uint8_t *b, size_t n)
{
    return strncasecmp(a, (const char *)b, n) == 0;
}

/* RFC 9525, 6.3: a pattern is a name, or `*.` and a name of two labels at least. */
static bool dns_matches(struct x509_span pattern, const char *name, size_t n)
{
    const char *dot;

    if (pattern.n && pattern.at[pattern.n - 1] == '.')
        pattern.n--;
    if (pattern.n == 0 || memchr(pattern.at, 0, pattern.n))
        return false;
    if (pattern.n < 3 || pattern.at[0] != '*' || pattern.at[1] != '.')
        return pattern.n == n && same_text(name, pattern.at, n);
    dot = memchr(name, '.', n);
    if (!dot || dot == name || !memchr(pattern.at + 2, '.', pattern.n - 2))
        return false;
    n -= (size_t)(dot - name);
    return n == pattern.n - 1 && same_text(dot, pattern.at + 1, n);
}

static bool ip_matches(struct x509_span entry, const struct ip_address *ip)
{
    return entry.n == (ip->family == IP_V4 ? 4 : 16) && memcmp(entry.at, ip->bytes, entry.n) == 0;
}

bool x509_is_named(const struct x509 *cert, const char *name)
{
    struct x509_span names = cert->other_names;
    size_t n = strlen(name);
    struct ip_address ip;
    bool is_ip = ip_parse(name, n, &ip), has_entries = false;
    struct element e;

    while (names.n) {
        if (!next(&names, &e))
            return false;
        if (e.tag != GENERAL_DNS && e.tag != GENERAL_IP)
            continue;
        has_entries = true;
        if (is_ip ? e.tag == GENERAL_IP && ip_matches(e.content, &ip)
                  : e.tag == GENERAL_DNS && dns_matches(e.content, name, n))
            return true;
    }
    return !has_entries && !is_ip && dns_matches(cert->common_name, name, n);
}

/* ---- revocation lists */

static bool has_critical_extension(struct x509_span in)
{
    struct element extensions, extension, id, critical;

    if (!next_is(&in, DER_SEQUENCE, &extensions))
        return true;
    while (extensions.content.n) {
        if (!next_is(&extensions.content, DER_SEQUENCE, &extension) ||
            !next_is(&extension.content, DER_OID, &id))
            return true;
        if (next_is(&extension.content, DER_BOOLEAN, &critical) &&
            (critical.content.n != 1 || critical.content.at[0]))
            return true;
    }
    return false;
}

/* TBSCertList (RFC 5280, 5.1): version, algorithm, issuer, thisUpdate, nextUpdate, entries,
 * extensions. */
static bool read_list(struct x509_span in, struct x509_crl *crl)
{
    struct element e;

    if (in.n && in.at[0] == DER_INTEGER && !next(&in, &e))
        return false;
    if (!next_is(&in, DER_SEQUENCE, &e) || !next_is(&in, DER_SEQUENCE, &e))
        return false;
    crl->issuer = e.whole;
    if (!next(&in, &e) || !read_time(&e, &crl->this_update))
        return false;
    if (in.n && (in.at[0] == DER_UTC_TIME || in.at[0] == DER_GENERALIZED_TIME) &&
        (!next(&in, &e) || !read_time(&e, &crl->next_update)))
        return false;
    if (in.n && in.at[0] == DER_SEQUENCE) {
        if (!next(&in, &e))
            return false;
        crl->revoked = e.content;
    }
    return in.n == 0 || (next_is(&in, DER_CONTEXT_0, &e) && !has_critical_extension(e.content));
}

bool x509_crl_parse(const void *der, size_t n, struct x509_crl *ret)
{
    struct x509_span in = {der, n};
    struct x509_crl crl = {0};
    struct element inner, entry, serial;
    struct x509_span entries;

    if (!open_signed(in, &inner) || !read_list(inner.content, &crl))
        return false;
    entries = crl.revoked;
    while (entries.n)
        if (!next_is(&entries, DER_SEQUENCE, &entry) ||
            !next_is(&entry.content, DER_INTEGER, &serial))
            return false;
    *ret = crl;
    return true;
}

bool x509_crl_holds(const struct x509_crl *crl, struct x509_span serial)
{
    struct x509_span entries = crl->revoked;
    struct element entry, revoked;

    while (entries.n && next_is(&entries, DER_SEQUENCE, &entry))
        if (next_is(&entry.content, DER_INTEGER, &revoked) &&
            x509_span_equal(revoked.content, serial))
            return true;
    return false;
}

/* ---- PEM */

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Base64 with line ends and blanks, up to the first `-`. NULL: something else is in it. */
static const char *decode(const char *at, uint8_t *out, size_t *ret_n)
{
    unsigned held = 0, bits = 0, padding = 0;
    size_t n = 0;

    for (; *at && *at != '-'; at++) {
        if (strchr(" \t\r\n", *at))
            continue;
        if (*at == '=') {
            padding++;
            continue;
        }
        if (sextet(*at) < 0 || padding)
            return NULL;
        held = held << 6 | (unsigned)sextet(*at);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(held >> bits);
        }
    }
    *ret_n = n;
    return padding <= 2 && n ? at : NULL;
}

/* Steps over `text`. */
static bool skip(const char **at, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

bool x509_pem_next(const char **at, const char *label, uint8_t *out, size_t *ret_n,
                   bool *ret_broken)
{
    *ret_broken = false;
    while (*at) {
        const char *begin = strstr(*at, "-----BEGIN ");
        const char *inside = begin;
        size_t n;

        if (!begin)
            return false;
        if (!skip(&inside, "-----BEGIN ") || !skip(&inside, label) || !skip(&inside, "-----")) {
            *at = begin + 1;
            continue;
        }
        *at = begin;
        inside = decode(inside, out, &n);
        if (!inside || !skip(&inside, "-----END ") || !skip(&inside, label) ||
            !skip(&inside, "-----")) {
            *ret_broken = true;
            return false;
        }
        *at = inside;
        *ret_n = n;
        return true;
    }
    return false;
}
