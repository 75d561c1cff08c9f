/* test_error.c - the names and replies of errors are a contract with users' scripts, log readers
 * and alarms. The table below is that contract a second time, written by hand and not made from
 * the sources: a row that changes there has to be changed here, knowingly. */
#include "streams/error.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(error, .timeout = 10);

/* 0: closed without a reply. For a row of many codes `code` is one of them, else 0. */
static const struct {
    enum stream_error_id id;
    const char *name;
    uint8_t socks4, socks5;
    uint16_t http;
    int code;
} contract[] = {
    {ERROR_NONE, "none", 90, 0, 200, 0},
    {ERROR_SYSTEM_CONNECT_REFUSED, "system.connect.refused", 91, 5, 502, 0},
    {ERROR_SYSTEM_CONNECT_NETWORK, "system.connect.network-unreachable", 91, 3, 502, 0},
    {ERROR_SYSTEM_CONNECT_HOST, "system.connect.host-unreachable", 91, 4, 502, 0},
    {ERROR_SYSTEM_CONNECT_TIMEOUT, "system.connect.timeout", 91, 6, 504, 0},
    {ERROR_SYSTEM_CONNECT_OTHER, "system.connect.other", 91, 1, 502, EACCES},
    {ERROR_SYSTEM_READ_RESET, "system.read.reset", 91, 1, 502, 0},
    {ERROR_SYSTEM_READ_OTHER, "system.read.other", 91, 1, 502, EIO},
    {ERROR_SYSTEM_WRITE_RESET, "system.write.reset", 91, 1, 502, 0},
    {ERROR_SYSTEM_WRITE_TIMEOUT, "system.write.timeout", 0, 0, 0, 0},
    {ERROR_SYSTEM_WRITE_OTHER, "system.write.other", 91, 1, 502, EIO},
    {ERROR_SYSTEM_LISTEN_ADDRESS_IN_USE, "system.listen.address-in-use", 91, 1, 502, 0},
    {ERROR_SYSTEM_LISTEN_OTHER, "system.listen.other", 91, 1, 502, EACCES},
    {ERROR_STREAM_BAD_STATE, "stream.state.bad-state", 91, 1, 502, 0},
    {ERROR_STREAM_BAD_SETTINGS, "stream.settings.bad", 91, 1, 502, 0},
    {ERROR_STREAM_END_EARLY, "stream.end.early", 91, 1, 502, 0},
    {ERROR_HTTP_STATUS_FORBIDDEN, "http.status.403", 91, 2, 502, 0},
    {ERROR_HTTP_STATUS_UNAUTHORIZED, "http.status.407", 91, 2, 502, 0},
    {ERROR_HTTP_STATUS_BAD_GATEWAY, "http.status.502", 91, 4, 502, 0},
    {ERROR_HTTP_STATUS_TIMEOUT, "http.status.504", 91, 6, 502, 0},
    {ERROR_HTTP_STATUS, "http.status.418", 91, 1, 502, 418},
    {ERROR_HTTP_RESPONSE_BAD, "http.response.bad", 91, 1, 502, 0},
    {ERROR_RESOLVER_NOT_FOUND, "resolver.name.not-found", 91, 4, 502, 0},
    {ERROR_RESOLVER_NO_ADDRESS, "resolver.name.no-address", 91, 4, 502, 0},
    {ERROR_RESOLVER_TIMEOUT, "resolver.name.timeout", 91, 4, 504, 0},
    {ERROR_RESOLVER_INVALID, "resolver.name.invalid", 91, 4, 400, 0},
    {ERROR_RESOLVER_EMPTY, "resolver.name.invalid", 91, 8, 400, 0},
    {ERROR_RESOLVER_SERVER_FAILED, "resolver.server.failed", 91, 4, 502, 0},
    {ERROR_POLICY_LIMIT_QUEUE, "policy.limit.queue", 0, 1, 503, 0},
    {ERROR_POLICY_LIMIT_HOST, "policy.limit.host", 0, 1, 503, 0},
    {ERROR_POLICY_LIMIT_USER, "policy.limit.user", 0, 1, 503, 0},
    {ERROR_POLICY_LIMIT_DESCRIPTORS, "policy.limit.descriptors", 0, 1, 503, 0},
    {ERROR_POLICY_WHITELIST_DENIED, "policy.whitelist.denied", 0, 1, 503, 0},
    {ERROR_POLICY_RULE_DENIED, "policy.rule.denied", 91, 2, 403, 0},
    {ERROR_POLICY_GUARD_DENIED, "policy.guard.denied", 91, 2, 403, 0},
    {ERROR_PROTOCOL_GREETING_BAD, "protocol.greeting.bad", 0, 0xFF, 400, 0},
    {ERROR_PROTOCOL_REQUEST_BAD, "protocol.request.bad", 91, 1, 400, 0},
    {ERROR_PROTOCOL_LOOKS_LIKE_HTTP, "protocol.looks-like.http", 0, 0, 0, 0},
    {ERROR_PROTOCOL_LOOKS_LIKE_TLS, "protocol.looks-like.tls", 0, 0, 0, 0},
    {ERROR_PROTOCOL_LOOKS_LIKE_SSH, "protocol.looks-like.ssh", 0, 0, 0, 0},
    {ERROR_PROTOCOL_COMMAND_UNSUPPORTED, "protocol.command.unsupported", 91, 7, 405, 0},
    {ERROR_PROTOCOL_ADDRESS_UNSUPPORTED, "protocol.address.unsupported", 91, 8, 400, 0},
    {ERROR_PROTOCOL_PROXY_BAD, "protocol.proxy.bad", 0, 0, 0, 0},
    {ERROR_AUTH_PASSWORD_FAILED, "auth.password.failed", 93, 1, 407, 0},
    {ERROR_AUTH_PASSWORD_BUSY, "auth.password.busy", 91, 1, 503, 0},
    {ERROR_AUTH_CERTIFICATE_MISSING, "auth.certificate.missing", 93, 1, 407, 0},
    {ERROR_AUTH_IDENT_NO_ANSWER, "auth.ident.no-answer", 92, 0xFF, 403, 0},
    {ERROR_AUTH_IDENT_OTHER_USER, "auth.ident.other-user", 93, 0xFF, 403, 0},
    {ERROR_TIMEOUT_HANDSHAKE, "timeout.handshake", 0, 0, 408, 0},
    {ERROR_TIMEOUT_IDLE, "timeout.idle", 0, 0, 0, 0},
    {ERROR_TIMEOUT_BIND, "timeout.bind", 91, 6, 504, 0},
    {ERROR_POLICY_LIMIT_BIND_PORTS, "policy.limit.bind-ports", 91, 1, 503, 0},
    {ERROR_POLICY_BIND_OTHER_PEER, "policy.bind.other-peer", 91, 2, 403, 0},
    {ERROR_TIMEOUT_HALF_CLOSE, "timeout.half-close", 0, 0, 0, 0},
    {ERROR_CLIENT_GONE, "client.gone", 0, 0, 0, 0},
    {ERROR_DAEMON_CLOSED_BY_ADMIN, "daemon.closed-by-admin", 0, 0, 0, 0},
    {ERROR_DAEMON_DRAINED, "daemon.drained", 0, 0, 0, 0},
    {ERROR_SOCKS_BAD_RESPONSE_ADDRESS, "socks.none.bad-response-address", 91, 1, 502, 0},
    {ERROR_SOCKS_BAD_STATE, "stream.state.bad-state", 91, 1, 502, 0},
    {ERROR_SOCKS_UNKNOWN_CLIENT_VERSION, "socks.none.unknown-client-version", 91, 1, 502, 0},
    {ERROR_SOCKS_VERSION, "socks.version.4", 91, 1, 502, 4},
    {ERROR_SOCKS4_FAILED, "socks.socks4-response.request-failed", 91, 1, 502, 0},
    {ERROR_SOCKS4_IDENTD_FAILED, "socks.socks4-response.identd-failed", 92, 1, 502, 0},
    {ERROR_SOCKS4_ID_CONFLICT, "socks.socks4-response.id-conflict", 93, 1, 502, 0},
    {ERROR_SOCKS4_RESPONSE, "socks.socks4-response.94", 91, 1, 502, 94},
    {ERROR_SOCKS5_USERPASS, "socks.socks5-userpass.255", 91, 1, 502, 255},
    {ERROR_SOCKS5_NONE_ACCEPTABLE, "socks.socks5-method.none-acceptable", 91, 1, 502, 0},
    {ERROR_SOCKS5_METHOD, "socks.socks5-method.2", 91, 1, 502, 2},
    {ERROR_SOCKS5_GENERAL_FAILURE, "socks.socks5-response.general-failure", 91, 1, 502, 0},
    {ERROR_SOCKS5_NOT_ALLOWED, "socks.socks5-response.not-allowed", 91, 2, 403, 0},
    {ERROR_SOCKS5_NETWORK_UNREACHABLE, "socks.socks5-response.network-unreachable", 91, 3, 502, 0},
    {ERROR_SOCKS5_HOST_UNREACHABLE, "socks.socks5-response.host-unreachable", 91, 4, 502, 0},
    {ERROR_SOCKS5_CONNECTION_REFUSED, "socks.socks5-response.connection-refused", 91, 5, 502, 0},
    {ERROR_SOCKS5_TTL_EXPIRED, "socks.socks5-response.ttl-expired", 91, 6, 504, 0},
    {ERROR_SOCKS5_COMMAND_UNSUPPORTED, "socks.socks5-response.command-not-supported", 91, 7, 502,
     0},
    {ERROR_SOCKS5_ADDRESS_UNSUPPORTED, "socks.socks5-response.address-type-not-supported", 91, 8,
     502, 0},
    {ERROR_SOCKS5_RESPONSE, "socks.socks5-response.9", 91, 1, 502, 9},
    {ERROR_TLS_HANDSHAKE_TIMEOUT, "tls.handshake.timeout", 91, 1, 502, 0},
    {ERROR_TLS_HANDSHAKE_PROTOCOL, "tls.handshake.protocol", 91, 1, 502, 0},
    {ERROR_TLS_HANDSHAKE_NO_COMMON_VERSION, "tls.handshake.no-common-version", 91, 1, 502, 0},
    {ERROR_TLS_HANDSHAKE_NO_COMMON_SUITE, "tls.handshake.no-common-suite", 91, 1, 502, 0},
    {ERROR_TLS_HANDSHAKE_NO_COMMON_ALPN, "tls.handshake.no-common-alpn", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_BAD, "tls.certificate.bad", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_MISSING, "tls.certificate.missing", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_EXPIRED, "tls.certificate.expired", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_NOT_YET_VALID, "tls.certificate.not-yet-valid", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_UNKNOWN_ROOT, "tls.certificate.unknown-root", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_NAME_MISMATCH, "tls.certificate.name-mismatch", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_REVOKED, "tls.certificate.revoked", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_CRL_EXPIRED, "tls.certificate.crl-expired", 91, 1, 502, 0},
    {ERROR_TLS_CERTIFICATE_CRL_MISSING, "tls.certificate.crl-missing", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_CLOSE_NOTIFY, "tls.alert.close-notify", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_UNEXPECTED_MESSAGE, "tls.alert.unexpected-message", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_BAD_RECORD_MAC, "tls.alert.bad-record-mac", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_RECORD_OVERFLOW, "tls.alert.record-overflow", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_HANDSHAKE_FAILURE, "tls.alert.handshake-failure", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_BAD_CERTIFICATE, "tls.alert.bad-certificate", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_UNSUPPORTED_CERTIFICATE, "tls.alert.unsupported-certificate", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_CERTIFICATE_REVOKED, "tls.alert.certificate-revoked", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_CERTIFICATE_EXPIRED, "tls.alert.certificate-expired", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_CERTIFICATE_UNKNOWN, "tls.alert.certificate-unknown", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_ILLEGAL_PARAMETER, "tls.alert.illegal-parameter", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_UNKNOWN_CA, "tls.alert.unknown-ca", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_ACCESS_DENIED, "tls.alert.access-denied", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_DECODE_ERROR, "tls.alert.decode-error", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_DECRYPT_ERROR, "tls.alert.decrypt-error", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_PROTOCOL_VERSION, "tls.alert.protocol-version", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_INSUFFICIENT_SECURITY, "tls.alert.insufficient-security", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_INTERNAL_ERROR, "tls.alert.internal-error", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_INAPPROPRIATE_FALLBACK, "tls.alert.inappropriate-fallback", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_USER_CANCELED, "tls.alert.user-canceled", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_NO_RENEGOTIATION, "tls.alert.no-renegotiation", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_MISSING_EXTENSION, "tls.alert.missing-extension", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_UNSUPPORTED_EXTENSION, "tls.alert.unsupported-extension", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_UNRECOGNIZED_NAME, "tls.alert.unrecognized-name", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE, "tls.alert.bad-certificate-status-response",
     91, 1, 502, 0},
    {ERROR_TLS_ALERT_UNKNOWN_PSK_IDENTITY, "tls.alert.unknown-psk-identity", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_CERTIFICATE_REQUIRED, "tls.alert.certificate-required", 91, 1, 502, 0},
    {ERROR_TLS_ALERT_NO_APPLICATION_PROTOCOL, "tls.alert.no-application-protocol", 91, 1, 502, 0},
    {ERROR_TLS_ALERT, "tls.alert.200", 91, 1, 502, 200},
    {ERROR_TLS_CUT, "tls.cut.no-close-notify", 0, 0, 0, 0},
    {ERROR_TLS_RECORD_BAD, "tls.record.bad", 0, 0, 0, 0},
};

enum { CONTRACT_ROWS = sizeof contract / sizeof contract[0] };

static struct stream_error of_row(size_t i)
{
    return contract[i].code ? stream_error_code(contract[i].id, contract[i].code)
                            : stream_error_of(contract[i].id);
}

/* The enum counts up from 0, and each row is of another id: then all of them are here. */
Test(error, every_error_is_in_the_contract)
{
    cr_assert_eq(CONTRACT_ROWS, ERROR_ID_COUNT);
    for (size_t i = 0; i < CONTRACT_ROWS; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(contract[i].id, contract[j].id, "%s twice", contract[i].name);
}

Test(error, every_error_has_the_name_of_the_contract)
{
    for (size_t i = 0; i < CONTRACT_ROWS; i++) {
        struct stream_error error = of_row(i);
        char name[STREAM_ERROR_NAME_MAX];

        cr_assert_eq(stream_error_name(&error, name), name);
        cr_assert_str_eq(name, contract[i].name);
    }
}

Test(error, every_error_has_the_socks4_reply_of_the_contract)
{
    for (size_t i = 0; i < CONTRACT_ROWS; i++) {
        struct stream_error error = of_row(i);

        cr_assert_eq(stream_error_reply(&error).socks4, contract[i].socks4, "%s is answered by %d",
                     contract[i].name, stream_error_reply(&error).socks4);
    }
}

Test(error, every_error_has_the_socks5_reply_of_the_contract)
{
    for (size_t i = 0; i < CONTRACT_ROWS; i++) {
        struct stream_error error = of_row(i);

        cr_assert_eq(stream_error_reply(&error).socks5, contract[i].socks5, "%s is answered by %d",
                     contract[i].name, stream_error_reply(&error).socks5);
    }
}

Test(error, every_error_has_the_http_status_of_the_contract)
{
    for (size_t i = 0; i < CONTRACT_ROWS; i++) {
        struct stream_error error = of_row(i);

        cr_assert_eq(stream_error_reply(&error).http, contract[i].http, "%s is answered by %d",
                     contract[i].name, stream_error_reply(&error).http);
    }
}

Test(error, every_error_is_its_own_row_and_no_other)
{
    for (size_t i = 0; i < CONTRACT_ROWS; i++) {
        struct stream_error error = of_row(i);

        for (size_t j = 0; j < CONTRACT_ROWS; j++)
            cr_assert_eq(stream_error_is(&error, contract[j].id), i == j, "%s is %s",
                         contract[i].name, contract[j].name);
    }
}

Test(error, zero_is_no_error)
{
    struct stream_error zero = {0}, refused = stream_error_of(ERROR_SYSTEM_CONNECT_REFUSED);

    cr_assert(stream_error_is(&zero, ERROR_NONE));
    cr_assert_not(stream_error_set(&zero));
    cr_assert(stream_error_set(&refused));
}

Test(error, an_error_that_nobody_knows_has_a_name_and_general_replies)
{
    struct stream_error error = {.domain = 60000, .subdomain = 65535, .code = INT32_MIN};
    struct stream_error_reply reply = stream_error_reply(&error);
    char name[STREAM_ERROR_NAME_MAX];

    cr_assert_str_eq(stream_error_name(&error, name), "unknown.60000.65535.-2147483648");
    cr_assert_eq(reply.socks4, 91);
    cr_assert_eq(reply.socks5, 1);
    cr_assert_eq(reply.http, 502);
}

/* Every subdomain that names its numbers, with the longest number that there is. */
Test(error, the_longest_names_fit)
{
    static const enum stream_error_id numbered[] = {
        ERROR_SOCKS_VERSION,   ERROR_SOCKS4_RESPONSE, ERROR_SOCKS5_USERPASS, ERROR_SOCKS5_METHOD,
        ERROR_SOCKS5_RESPONSE, ERROR_TLS_ALERT,       ERROR_HTTP_STATUS,
    };

    for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++) {
        struct stream_error error = stream_error_code(numbered[i], INT32_MIN);
        char name[STREAM_ERROR_NAME_MAX + 1] = {[STREAM_ERROR_NAME_MAX] = '#'};

        stream_error_name(&error, name);
        cr_assert_str_eq(strrchr(name, '.'), ".-2147483648");
        cr_assert_eq(name[STREAM_ERROR_NAME_MAX], '#');
    }
}

Test(error, every_byte_that_an_upstream_can_answer_has_a_name)
{
    static const struct {
        enum stream_error_id id;
        const char *prefix;
        int first;
    } bytes[] = {
        {ERROR_SOCKS_VERSION, "socks.version.", 0},
        {ERROR_SOCKS4_RESPONSE, "socks.socks4-response.", 94},
        {ERROR_SOCKS5_USERPASS, "socks.socks5-userpass.", 1},
        {ERROR_SOCKS5_RESPONSE, "socks.socks5-response.", 9},
    };

    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        for (int code = bytes[i].first; code < 256; code++) {
            struct stream_error error = stream_error_code(bytes[i].id, code);
            char name[STREAM_ERROR_NAME_MAX], expected[STREAM_ERROR_NAME_MAX];

            snprintf(expected, sizeof expected, "%s%d", bytes[i].prefix, code);
            cr_assert_str_eq(stream_error_name(&error, name), expected);
        }
    }
}

static const struct {
    int error_number;
    const char *connect, *read, *write;
} system_calls[] = {
    {ECONNREFUSED, "system.connect.refused", "system.read.other", "system.write.other"},
    {ENETUNREACH, "system.connect.network-unreachable", "system.read.other", "system.write.other"},
    {ENETDOWN, "system.connect.network-unreachable", "system.read.other", "system.write.other"},
    {EHOSTUNREACH, "system.connect.host-unreachable", "system.read.other", "system.write.other"},
    {EHOSTDOWN, "system.connect.host-unreachable", "system.read.other", "system.write.other"},
    {ETIMEDOUT, "system.connect.timeout", "system.read.other", "system.write.timeout"},
    {ECONNRESET, "system.connect.other", "system.read.reset", "system.write.reset"},
    {EPIPE, "system.connect.other", "system.read.other", "system.write.reset"},
    {EACCES, "system.connect.other", "system.read.other", "system.write.other"},
    {EADDRNOTAVAIL, "system.connect.other", "system.read.other", "system.write.other"},
    {EMFILE, "policy.limit.descriptors", "system.read.other", "system.write.other"},
    {ENFILE, "policy.limit.descriptors", "system.read.other", "system.write.other"},
};

Test(error, what_the_system_says_becomes_a_name)
{
    for (size_t i = 0; i < sizeof system_calls / sizeof system_calls[0]; i++) {
        struct stream_error error = stream_error_connect(system_calls[i].error_number);
        char name[STREAM_ERROR_NAME_MAX];

        cr_assert_str_eq(stream_error_name(&error, name), system_calls[i].connect);
        error = stream_error_read(system_calls[i].error_number);
        cr_assert_str_eq(stream_error_name(&error, name), system_calls[i].read);
        error = stream_error_write(system_calls[i].error_number);
        cr_assert_str_eq(stream_error_name(&error, name), system_calls[i].write);
    }
}

Test(error, only_the_system_has_errno_names)
{
    struct stream_error error = stream_error_connect(EACCES);

    cr_assert_str_eq(stream_error_errno_name(&error), "EACCES");
    error = stream_error_read(EIO);
    cr_assert_str_eq(stream_error_errno_name(&error), "EIO");
    for (size_t i = 0; i < CONTRACT_ROWS; i++) {
        error = of_row(i);
        cr_assert_eq(stream_error_errno_name(&error) != NULL, error.domain == ERROR_DOMAIN_SYSTEM,
                     "%s", contract[i].name);
    }
}

/* The numbers that programs written for the CFStream additions compare with. */
Test(error, socks_subdomains_have_their_published_numbers)
{
    cr_assert_eq(SUBDOMAIN_SOCKS_NONE, 0);
    cr_assert_eq(SUBDOMAIN_SOCKS_VERSION, 1);
    cr_assert_eq(SUBDOMAIN_SOCKS_SOCKS4_RESPONSE, 2);
    cr_assert_eq(SUBDOMAIN_SOCKS_SOCKS5_USERPASS, 3);
    cr_assert_eq(SUBDOMAIN_SOCKS_SOCKS5_METHOD, 4);
    cr_assert_eq(SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 5);
}

Test(error, a_packed_error_holds_subdomain_and_code)
{
    static const struct {
        enum stream_error_id id;
        int code;
        int32_t packed;
    } table[] = {
        {ERROR_SOCKS_BAD_RESPONSE_ADDRESS, 1, 0x00001},
        {ERROR_SOCKS_BAD_STATE, 2, 0x00002},
        {ERROR_SOCKS_UNKNOWN_CLIENT_VERSION, 3, 0x00003},
        {ERROR_SOCKS_VERSION, 4, 0x10004},
        {ERROR_SOCKS4_FAILED, 91, 0x2005B},
        {ERROR_SOCKS4_IDENTD_FAILED, 92, 0x2005C},
        {ERROR_SOCKS4_ID_CONFLICT, 93, 0x2005D},
        {ERROR_SOCKS5_USERPASS, 1, 0x30001},
        {ERROR_SOCKS5_METHOD, 2, 0x40002},
        {ERROR_SOCKS5_NONE_ACCEPTABLE, 255, 0x400FF},
        {ERROR_SOCKS5_CONNECTION_REFUSED, 5, 0x50005},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct stream_error error = stream_error_code(table[i].id, table[i].code);

        cr_assert_eq(stream_error_pack(&error), table[i].packed);
        cr_assert(stream_error_is(&error, table[i].id));
    }
}

Test(error, unpacking_gives_back_what_was_packed)
{
    for (unsigned subdomain = 0; subdomain < 0x10000; subdomain += 0xFF) {
        for (int32_t code = 0; code < 0x10000; code += 0xFF) {
            struct stream_error error = {ERROR_DOMAIN_SOCKS, (uint16_t)subdomain, code};
            struct stream_error back =
                stream_error_unpack(ERROR_DOMAIN_SOCKS, stream_error_pack(&error));

            cr_assert(back.domain == error.domain && back.subdomain == error.subdomain &&
                      back.code == error.code);
        }
    }
}

Test(error, the_first_error_is_kept)
{
    struct stream_error slot = {0};

    stream_error_keep_first(&slot, stream_error_of(ERROR_NONE));
    cr_assert_not(stream_error_set(&slot));
    stream_error_keep_first(&slot, stream_error_of(ERROR_TIMEOUT_IDLE));
    stream_error_keep_first(&slot, stream_error_of(ERROR_SYSTEM_CONNECT_REFUSED));
    stream_error_keep_first(&slot, stream_error_of(ERROR_NONE));
    cr_assert(stream_error_is(&slot, ERROR_TIMEOUT_IDLE));
}

/* The most telling first; those of one number are worth the same, and the first of them stays. */
static const struct {
    int rank;
    enum stream_error_id id;
} telling[] = {
    {1, ERROR_SYSTEM_CONNECT_REFUSED},
    {2, ERROR_SYSTEM_CONNECT_TIMEOUT},
    {3, ERROR_SYSTEM_CONNECT_NETWORK},
    {3, ERROR_SYSTEM_CONNECT_HOST},
    {4, ERROR_POLICY_LIMIT_QUEUE},
    {4, ERROR_POLICY_RULE_DENIED},
    {4, ERROR_POLICY_GUARD_DENIED},
    {5, ERROR_SYSTEM_CONNECT_OTHER},
    {6, ERROR_RESOLVER_NOT_FOUND},
    {6, ERROR_RESOLVER_SERVER_FAILED},
    {7, ERROR_NONE},
};

Test(error, the_most_telling_error_is_kept_whichever_came_first)
{
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        for (size_t j = 0; j < sizeof telling / sizeof telling[0]; j++) {
            struct stream_error slot = stream_error_of(telling[i].id);
            enum stream_error_id expected =
                telling[j].rank < telling[i].rank ? telling[j].id : telling[i].id;

            stream_error_keep_telling(&slot, stream_error_of(telling[j].id));
            cr_assert(stream_error_is(&slot, expected), "row %zu, then row %zu", i, j);
        }
    }
}
