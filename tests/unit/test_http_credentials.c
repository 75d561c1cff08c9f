/* test_http_credentials.c - Proxy-Authorization: which users and passwords are read from it (RFC
 * 7617), and that whatever makes no sense is nobody's. Only the bytes that the encoder below
 * writes, and the examples of the RFC, are base64. */
#include "streams/http.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(http_credentials, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define END "\r\n\r\n"

/* A request with these fields. */
static struct http_request request_with(const char *fields)
{
    char head[4000];
    size_t n = (size_t)snprintf(head, sizeof head, "CONNECT a.example:443 HTTP/1.1\r\n%s", fields);
    struct cursor in = cursor_over(head, n);
    struct http_request request = {0};
    struct stream_error error;

    cr_assert_lt(n, sizeof head);
    cr_assert_eq(http_parse_request(&in, &request, &error), PARSE_DONE, "%s", fields);
    return request;
}

static struct http_credentials credentials_of(const char *value)
{
    struct http_credentials credentials;
    char fields[2000];

    snprintf(fields, sizeof fields, "Proxy-Authorization:%s" END, value);
    credentials = request_with(fields).credentials;
    cr_assert(credentials.present, "%s", value);
    return credentials;
}

static void expect_no_user(const struct http_credentials *credentials, const char *what)
{
    static const char zero[256];

    cr_assert(credentials->is_bad, "%s", what);
    cr_assert_eq(credentials->user_length, 0, "%s", what);
    cr_assert_eq(credentials->password_length, 0, "%s", what);
    cr_assert_arr_eq(credentials->user, zero, sizeof credentials->user);
    cr_assert_arr_eq(credentials->password, zero, sizeof credentials->password);
}

Test(http_credentials, without_the_field_there_are_no_credentials)
{
    struct http_request request = request_with("Authorization: Basic dTpw" END);

    cr_assert_not(request.credentials.present);
    cr_assert_not(request.credentials.is_bad);
}

static const struct {
    const char *value, *user, *password;
} pairs[] = {
    {" Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"}, /* RFC 7617, 2 */
    {" Basic dGVzdDoxMjPCow==", "test", "123\xC2\xA3"},                /* RFC 7617, 2.1 */
    {"Basic dTpw", "u", "p"},
    {" basic dTpw", "u", "p"},
    {" BASIC dTpw", "u", "p"},
    {"\tBasic dTpw \t", "u", "p"},
    {" Basic    dTpw", "u", "p"},
    {" Basic Og==", "", ""},
    {" Basic dTo=", "u", ""},
    {" Basic OnA=", "", "p"},
    {" Basic Ojo=", "", ":"},
    {" Basic dTpwOnE6", "u", "p:q:"},
    {" Basic //86Pz8=", "\xFF\xFF", "??"},
    {" Basic Pj4+Oj4+Pg==", ">>>", ">>>"},
};

Test(http_credentials, basic_credentials_are_a_user_and_a_password)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct http_credentials credentials = credentials_of(pairs[i].value);

        cr_assert_not(credentials.is_bad, "%s", pairs[i].value);
        cr_assert_eq(credentials.user_length, strlen(pairs[i].user), "%s", pairs[i].value);
        cr_assert_eq(credentials.password_length, strlen(pairs[i].password), "%s", pairs[i].value);
        cr_assert_str_eq(credentials.user, pairs[i].user);
        cr_assert_str_eq(credentials.password, pairs[i].password);
    }
}

static const char *const no_credentials[] = {
    "",
    " ",
    " Basic",
    " Basic ",
    " Basi dTpw",
    " Basicc dTpw",
    " BasicdTpw",
    " Basic\tdTpw",
    " Basic,dTpw",
    " dTpw",
    " Bearer dTpw",
    " Digest username=\"u\"",
    " Negotiate dTpw",
    " Basic dTpw dTpw",
    " Basic dTpw, Basic dTpw",
    " Basic dT pw",
    " Basic dTp", /* no padding where some belongs, or none is possible */
    " Basic dTo",
    " Basic Og",
    " Basic Og=",
    " Basic d",
    " Basic dTpwd",
    " Basic =",
    " Basic ==",
    " Basic ===",
    " Basic ====",
    " Basic d===",
    " Basic dTpw=",
    " Basic dTpw==",
    " Basic dTpw====",
    " Basic dT==dTpw", /* padding in the middle */
    " Basic Og==dTpw",
    " Basic dT=w",
    " Basic =Tpw",
    " Basic dTp=", /* bits behind the last byte */
    " Basic Oh==",
    " Basic Ox==",
    " Basic dTp!", /* other alphabets */
    " Basic __86Pz8=",
    " Basic Pj4-Oj4-Pg==",
    " Basic dTp\xC3",
    " Basic :",
    " Basic u:p",
    " Basic dXA=", /* no colon */
    " Basic dXBw",
    " Basic \"dTpw\"",
};

Test(http_credentials, credentials_that_make_no_sense_are_nobody_s_and_no_fault_of_the_request)
{
    for (size_t i = 0; i < COUNT(no_credentials); i++) {
        struct http_credentials credentials = credentials_of(no_credentials[i]);

        expect_no_user(&credentials, no_credentials[i]);
    }
}

static void encode(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned left = n - i < 3 ? (unsigned)(n - i) : 3;
        unsigned bits = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0U);

        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

static struct http_credentials credentials_of_pair(const uint8_t *user, size_t user_length,
                                                   const uint8_t *password, size_t password_length)
{
    uint8_t pair[1024];
    char value[2000] = " Basic ";

    memcpy(pair, user, user_length);
    pair[user_length] = ':';
    memcpy(pair + user_length + 1, password, password_length);
    encode(pair, user_length + 1 + password_length, value + strlen(value));
    return credentials_of(value);
}

static void expect_pair(const uint8_t *user, size_t user_length, const uint8_t *password,
                        size_t password_length)
{
    struct http_credentials credentials =
        credentials_of_pair(user, user_length, password, password_length);

    if (user_length > HTTP_USER_MAX || password_length > HTTP_PASSWORD_MAX) {
        expect_no_user(&credentials, "too long");
        return;
    }
    cr_assert_not(credentials.is_bad, "%zu and %zu bytes", user_length, password_length);
    cr_assert_eq(credentials.user_length, user_length);
    cr_assert_eq(credentials.password_length, password_length);
    cr_assert_eq(memcmp(credentials.user, user, user_length), 0);
    cr_assert_eq(memcmp(credentials.password, password, password_length), 0);
    cr_assert_eq(credentials.user[user_length], '\0');
    cr_assert_eq(credentials.password[password_length], '\0');
}

Test(http_credentials, users_and_passwords_of_0_to_255_bytes_are_taken_and_longer_ones_are_nobody_s)
{
    static const size_t lengths[] = {0, 1, 2, 3, 4, 100, 253, 254, 255, 256, 257, 300, 510, 511};
    uint8_t user[600], password[600];

    memset(user, 'u', sizeof user);
    memset(password, 'p', sizeof password);
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (size_t j = 0; j < COUNT(lengths); j++)
            expect_pair(user, lengths[i], password, lengths[j]);
}

Test(http_credentials, users_and_passwords_are_opaque_bytes_with_nul)
{
    uint8_t user[255], password[256];
    uint64_t seed = 7617;

    for (int byte = 0; byte < 256; byte++)
        password[byte] = (uint8_t)byte;
    for (int byte = 0; byte < 255; byte++)
        user[byte] = (uint8_t)(byte < ':' ? byte : byte + 1); /* all but the colon */
    expect_pair(user, 255, password, 255);
    expect_pair(user, 1, password, 1);
    expect_pair((const uint8_t *)"\0\0", 2, (const uint8_t *)"a\0b\0", 4);
    for (int round = 0; round < 300; round++) {
        random_fill(&seed, password, sizeof password);
        expect_pair(user + random_below(&seed, 100), random_below(&seed, 156), password,
                    random_below(&seed, 256));
    }
}

/* Of the spellings of one byte and one colon, one is base64. */
Test(http_credentials, base64_has_one_spelling_of_everything)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int good = 0;

    for (size_t i = 0; i < 64; i++) {
        char value[] = " Basic dT?=", last[] = " Basic O?==";

        value[9] = digits[i];
        last[8] = digits[i];
        good += !credentials_of(value).is_bad + !credentials_of(last).is_bad;
    }
    cr_assert_eq(good, 2);
}
