/* error.h - one error value for the whole project, and its one stable name. Pure: part of the
 * bottom of the tree, used by everything above it. An error is a value that is copied; it owns
 * nothing. `{0, 0, 0}` is "no error". The names and replies are the contract of errors.md: a new
 * error is one row. */
#ifndef PAIRSOCKS_ERROR_H
#define PAIRSOCKS_ERROR_H

#include "api.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

PAIRSOCKS_API_BEGIN

enum error_domain {
    ERROR_DOMAIN_NONE,
    ERROR_DOMAIN_SOCKS,
    ERROR_DOMAIN_SYSTEM,
    ERROR_DOMAIN_STREAM,
    ERROR_DOMAIN_RESOLVER,
    ERROR_DOMAIN_POLICY,
    ERROR_DOMAIN_PROTOCOL,
    ERROR_DOMAIN_TIMEOUT,
    ERROR_DOMAIN_CLIENT,
    ERROR_DOMAIN_DAEMON,
    ERROR_DOMAIN_AUTH,
    ERROR_DOMAIN_TLS,
    ERROR_DOMAIN_HTTP,
};

/* Subdomains of ERROR_DOMAIN_SOCKS: the numbers of the CFStream socket additions. */
enum error_socks {
    SUBDOMAIN_SOCKS_NONE = 0,
    SUBDOMAIN_SOCKS_VERSION = 1,
    SUBDOMAIN_SOCKS_SOCKS4_RESPONSE = 2,
    SUBDOMAIN_SOCKS_SOCKS5_USERPASS = 3,
    SUBDOMAIN_SOCKS_SOCKS5_METHOD = 4,
    SUBDOMAIN_SOCKS_SOCKS5_RESPONSE = 5,
};

enum error_system {
    SUBDOMAIN_SYSTEM_CONNECT = 1,
    SUBDOMAIN_SYSTEM_READ,
    SUBDOMAIN_SYSTEM_WRITE,
    SUBDOMAIN_SYSTEM_LISTEN
};
enum error_resolver { SUBDOMAIN_RESOLVER_NAME = 1, SUBDOMAIN_RESOLVER_SERVER };
enum error_policy {
    SUBDOMAIN_POLICY_LIMIT = 1,
    SUBDOMAIN_POLICY_RULE,
    SUBDOMAIN_POLICY_GUARD,
    SUBDOMAIN_POLICY_WHITELIST,
    SUBDOMAIN_POLICY_BIND,
};
enum error_protocol {
    SUBDOMAIN_PROTOCOL_GREETING = 1,
    SUBDOMAIN_PROTOCOL_REQUEST,
    SUBDOMAIN_PROTOCOL_LOOKS_LIKE,
    SUBDOMAIN_PROTOCOL_COMMAND,
    SUBDOMAIN_PROTOCOL_ADDRESS,
    SUBDOMAIN_PROTOCOL_PROXY,
};
enum error_auth { SUBDOMAIN_AUTH_PASSWORD = 1, SUBDOMAIN_AUTH_IDENT, SUBDOMAIN_AUTH_CERTIFICATE };

/* An alert's code is its AlertDescription (RFC 8446, 6). */
enum error_tls {
    SUBDOMAIN_TLS_HANDSHAKE = 1,
    SUBDOMAIN_TLS_CERTIFICATE,
    SUBDOMAIN_TLS_ALERT,
    SUBDOMAIN_TLS_CUT,
    SUBDOMAIN_TLS_RECORD,
};

/* Of a proxy that is asked to CONNECT. */
enum error_http { SUBDOMAIN_HTTP_STATUS = 1, SUBDOMAIN_HTTP_RESPONSE };

/* A row that stands for every code of its subdomain that has no row of its own. Where its name
 * ends in a dot the code is written behind it in decimal. */
#define ERROR_CODE_ANY (-1)

/* The reply columns: what a client is told when its request ends with this error. 0 = it is closed
 * without one.
 *  id, domain, subdomain, code, name, SOCKS4 reply, SOCKS5 reply, HTTP status */
/* clang-format off */
#define STREAM_ERROR_TABLE(ROW) \
    ROW(NONE,                         NONE, 0, 0, "none", 90, 0, 200) \
    ROW(SYSTEM_CONNECT_REFUSED,       SYSTEM, SUBDOMAIN_SYSTEM_CONNECT, ECONNREFUSED, "system.connect.refused", 91, 5, 502) \
    ROW(SYSTEM_CONNECT_NETWORK,       SYSTEM, SUBDOMAIN_SYSTEM_CONNECT, ENETUNREACH, "system.connect.network-unreachable", 91, 3, 502) \
    ROW(SYSTEM_CONNECT_HOST,          SYSTEM, SUBDOMAIN_SYSTEM_CONNECT, EHOSTUNREACH, "system.connect.host-unreachable", 91, 4, 502) \
    ROW(SYSTEM_CONNECT_TIMEOUT,       SYSTEM, SUBDOMAIN_SYSTEM_CONNECT, ETIMEDOUT, "system.connect.timeout", 91, 6, 504) \
    ROW(SYSTEM_CONNECT_OTHER,         SYSTEM, SUBDOMAIN_SYSTEM_CONNECT, ERROR_CODE_ANY, "system.connect.other", 91, 1, 502) \
    ROW(SYSTEM_READ_RESET,            SYSTEM, SUBDOMAIN_SYSTEM_READ, ECONNRESET, "system.read.reset", 91, 1, 502) \
    ROW(SYSTEM_READ_OTHER,            SYSTEM, SUBDOMAIN_SYSTEM_READ, ERROR_CODE_ANY, "system.read.other", 91, 1, 502) \
    ROW(SYSTEM_WRITE_RESET,           SYSTEM, SUBDOMAIN_SYSTEM_WRITE, ECONNRESET, "system.write.reset", 91, 1, 502) \
    ROW(SYSTEM_WRITE_TIMEOUT,         SYSTEM, SUBDOMAIN_SYSTEM_WRITE, ETIMEDOUT, "system.write.timeout", 0, 0, 0) \
    ROW(SYSTEM_WRITE_OTHER,           SYSTEM, SUBDOMAIN_SYSTEM_WRITE, ERROR_CODE_ANY, "system.write.other", 91, 1, 502) \
    ROW(SYSTEM_LISTEN_ADDRESS_IN_USE, SYSTEM, SUBDOMAIN_SYSTEM_LISTEN, EADDRINUSE, "system.listen.address-in-use", 91, 1, 502) \
    ROW(SYSTEM_LISTEN_OTHER,          SYSTEM, SUBDOMAIN_SYSTEM_LISTEN, ERROR_CODE_ANY, "system.listen.other", 91, 1, 502) \
    ROW(STREAM_BAD_STATE,             STREAM, 1, 2, "stream.state.bad-state", 91, 1, 502) \
    ROW(STREAM_BAD_SETTINGS,          STREAM, 3, 1, "stream.settings.bad", 91, 1, 502) \
    ROW(STREAM_END_EARLY,             STREAM, 2, 1, "stream.end.early", 91, 1, 502) \
    ROW(RESOLVER_NOT_FOUND,           RESOLVER, SUBDOMAIN_RESOLVER_NAME, 1, "resolver.name.not-found", 91, 4, 502) \
    ROW(RESOLVER_NO_ADDRESS,          RESOLVER, SUBDOMAIN_RESOLVER_NAME, 2, "resolver.name.no-address", 91, 4, 502) \
    ROW(RESOLVER_TIMEOUT,             RESOLVER, SUBDOMAIN_RESOLVER_NAME, 3, "resolver.name.timeout", 91, 4, 504) \
    ROW(RESOLVER_INVALID,             RESOLVER, SUBDOMAIN_RESOLVER_NAME, 4, "resolver.name.invalid", 91, 4, 400) \
    ROW(RESOLVER_EMPTY,               RESOLVER, SUBDOMAIN_RESOLVER_NAME, 5, "resolver.name.invalid", 91, 8, 400) \
    ROW(RESOLVER_SERVER_FAILED,       RESOLVER, SUBDOMAIN_RESOLVER_SERVER, 1, "resolver.server.failed", 91, 4, 502) \
    ROW(POLICY_LIMIT_QUEUE,           POLICY, SUBDOMAIN_POLICY_LIMIT, 1, "policy.limit.queue", 0, 1, 503) \
    ROW(POLICY_LIMIT_HOST,            POLICY, SUBDOMAIN_POLICY_LIMIT, 3, "policy.limit.host", 0, 1, 503) \
    ROW(POLICY_LIMIT_USER,            POLICY, SUBDOMAIN_POLICY_LIMIT, 4, "policy.limit.user", 0, 1, 503) \
    ROW(POLICY_LIMIT_DESCRIPTORS,     POLICY, SUBDOMAIN_POLICY_LIMIT, 2, "policy.limit.descriptors", 0, 1, 503) \
    ROW(POLICY_LIMIT_BIND_PORTS,      POLICY, SUBDOMAIN_POLICY_LIMIT, 5, "policy.limit.bind-ports", 91, 1, 503) \
    ROW(POLICY_BIND_OTHER_PEER,       POLICY, SUBDOMAIN_POLICY_BIND, 1, "policy.bind.other-peer", 91, 2, 403) \
    ROW(POLICY_WHITELIST_DENIED,      POLICY, SUBDOMAIN_POLICY_WHITELIST, 1, "policy.whitelist.denied", 0, 1, 503) \
    ROW(POLICY_RULE_DENIED,           POLICY, SUBDOMAIN_POLICY_RULE, 1, "policy.rule.denied", 91, 2, 403) \
    ROW(POLICY_GUARD_DENIED,          POLICY, SUBDOMAIN_POLICY_GUARD, 1, "policy.guard.denied", 91, 2, 403) \
    ROW(PROTOCOL_GREETING_BAD,        PROTOCOL, SUBDOMAIN_PROTOCOL_GREETING, 1, "protocol.greeting.bad", 0, 0xFF, 400) \
    ROW(PROTOCOL_REQUEST_BAD,         PROTOCOL, SUBDOMAIN_PROTOCOL_REQUEST, 1, "protocol.request.bad", 91, 1, 400) \
    ROW(PROTOCOL_LOOKS_LIKE_HTTP,     PROTOCOL, SUBDOMAIN_PROTOCOL_LOOKS_LIKE, 1, "protocol.looks-like.http", 0, 0, 0) \
    ROW(PROTOCOL_LOOKS_LIKE_TLS,      PROTOCOL, SUBDOMAIN_PROTOCOL_LOOKS_LIKE, 2, "protocol.looks-like.tls", 0, 0, 0) \
    ROW(PROTOCOL_LOOKS_LIKE_SSH,      PROTOCOL, SUBDOMAIN_PROTOCOL_LOOKS_LIKE, 3, "protocol.looks-like.ssh", 0, 0, 0) \
    ROW(PROTOCOL_COMMAND_UNSUPPORTED, PROTOCOL, SUBDOMAIN_PROTOCOL_COMMAND, 1, "protocol.command.unsupported", 91, 7, 405) \
    ROW(PROTOCOL_ADDRESS_UNSUPPORTED, PROTOCOL, SUBDOMAIN_PROTOCOL_ADDRESS, 1, "protocol.address.unsupported", 91, 8, 400) \
    ROW(PROTOCOL_PROXY_BAD,           PROTOCOL, SUBDOMAIN_PROTOCOL_PROXY, 1, "protocol.proxy.bad", 0, 0, 0) \
    ROW(AUTH_PASSWORD_FAILED,         AUTH, SUBDOMAIN_AUTH_PASSWORD, 1, "auth.password.failed", 93, 1, 407) \
    ROW(AUTH_PASSWORD_BUSY,           AUTH, SUBDOMAIN_AUTH_PASSWORD, 2, "auth.password.busy", 91, 1, 503) \
    ROW(AUTH_IDENT_NO_ANSWER,         AUTH, SUBDOMAIN_AUTH_IDENT, 1, "auth.ident.no-answer", 92, 0xFF, 403) \
    ROW(AUTH_IDENT_OTHER_USER,        AUTH, SUBDOMAIN_AUTH_IDENT, 2, "auth.ident.other-user", 93, 0xFF, 403) \
    ROW(AUTH_CERTIFICATE_MISSING,     AUTH, SUBDOMAIN_AUTH_CERTIFICATE, 1, "auth.certificate.missing", 93, 1, 407) \
    ROW(TIMEOUT_HANDSHAKE,            TIMEOUT, 1, 1, "timeout.handshake", 0, 0, 408) \
    ROW(TIMEOUT_IDLE,                 TIMEOUT, 2, 1, "timeout.idle", 0, 0, 0) \
    ROW(TIMEOUT_HALF_CLOSE,           TIMEOUT, 3, 1, "timeout.half-close", 0, 0, 0) \
    ROW(TIMEOUT_BIND,                 TIMEOUT, 4, 1, "timeout.bind", 91, 6, 504) \
    ROW(CLIENT_GONE,                  CLIENT, 1, 1, "client.gone", 0, 0, 0) \
    ROW(DAEMON_CLOSED_BY_ADMIN,       DAEMON, 2, 1, "daemon.closed-by-admin", 0, 0, 0) \
    ROW(DAEMON_DRAINED,               DAEMON, 1, 1, "daemon.drained", 0, 0, 0) \
    ROW(SOCKS_BAD_RESPONSE_ADDRESS,   SOCKS, SUBDOMAIN_SOCKS_NONE, 1, "socks.none.bad-response-address", 91, 1, 502) \
    ROW(SOCKS_BAD_STATE,              SOCKS, SUBDOMAIN_SOCKS_NONE, 2, "stream.state.bad-state", 91, 1, 502) \
    ROW(SOCKS_UNKNOWN_CLIENT_VERSION, SOCKS, SUBDOMAIN_SOCKS_NONE, 3, "socks.none.unknown-client-version", 91, 1, 502) \
    ROW(SOCKS_VERSION,                SOCKS, SUBDOMAIN_SOCKS_VERSION, ERROR_CODE_ANY, "socks.version.", 91, 1, 502) \
    ROW(SOCKS4_FAILED,                SOCKS, SUBDOMAIN_SOCKS_SOCKS4_RESPONSE, 91, "socks.socks4-response.request-failed", 91, 1, 502) \
    ROW(SOCKS4_IDENTD_FAILED,         SOCKS, SUBDOMAIN_SOCKS_SOCKS4_RESPONSE, 92, "socks.socks4-response.identd-failed", 92, 1, 502) \
    ROW(SOCKS4_ID_CONFLICT,           SOCKS, SUBDOMAIN_SOCKS_SOCKS4_RESPONSE, 93, "socks.socks4-response.id-conflict", 93, 1, 502) \
    ROW(SOCKS4_RESPONSE,              SOCKS, SUBDOMAIN_SOCKS_SOCKS4_RESPONSE, ERROR_CODE_ANY, "socks.socks4-response.", 91, 1, 502) \
    ROW(SOCKS5_USERPASS,              SOCKS, SUBDOMAIN_SOCKS_SOCKS5_USERPASS, ERROR_CODE_ANY, "socks.socks5-userpass.", 91, 1, 502) \
    ROW(SOCKS5_NONE_ACCEPTABLE,       SOCKS, SUBDOMAIN_SOCKS_SOCKS5_METHOD, 0xFF, "socks.socks5-method.none-acceptable", 91, 1, 502) \
    ROW(SOCKS5_METHOD,                SOCKS, SUBDOMAIN_SOCKS_SOCKS5_METHOD, ERROR_CODE_ANY, "socks.socks5-method.", 91, 1, 502) \
    ROW(SOCKS5_GENERAL_FAILURE,       SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 1, "socks.socks5-response.general-failure", 91, 1, 502) \
    ROW(SOCKS5_NOT_ALLOWED,           SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 2, "socks.socks5-response.not-allowed", 91, 2, 403) \
    ROW(SOCKS5_NETWORK_UNREACHABLE,   SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 3, "socks.socks5-response.network-unreachable", 91, 3, 502) \
    ROW(SOCKS5_HOST_UNREACHABLE,      SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 4, "socks.socks5-response.host-unreachable", 91, 4, 502) \
    ROW(SOCKS5_CONNECTION_REFUSED,    SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 5, "socks.socks5-response.connection-refused", 91, 5, 502) \
    ROW(SOCKS5_TTL_EXPIRED,           SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 6, "socks.socks5-response.ttl-expired", 91, 6, 504) \
    ROW(SOCKS5_COMMAND_UNSUPPORTED,   SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 7, "socks.socks5-response.command-not-supported", 91, 7, 502) \
    ROW(SOCKS5_ADDRESS_UNSUPPORTED,   SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, 8, "socks.socks5-response.address-type-not-supported", 91, 8, 502) \
    ROW(SOCKS5_RESPONSE,              SOCKS, SUBDOMAIN_SOCKS_SOCKS5_RESPONSE, ERROR_CODE_ANY, "socks.socks5-response.", 91, 1, 502) \
    ROW(HTTP_STATUS_FORBIDDEN,        HTTP, SUBDOMAIN_HTTP_STATUS, 403, "http.status.", 91, 2, 502) \
    ROW(HTTP_STATUS_UNAUTHORIZED,     HTTP, SUBDOMAIN_HTTP_STATUS, 407, "http.status.", 91, 2, 502) \
    ROW(HTTP_STATUS_BAD_GATEWAY,      HTTP, SUBDOMAIN_HTTP_STATUS, 502, "http.status.", 91, 4, 502) \
    ROW(HTTP_STATUS_TIMEOUT,          HTTP, SUBDOMAIN_HTTP_STATUS, 504, "http.status.", 91, 6, 502) \
    ROW(HTTP_STATUS,                  HTTP, SUBDOMAIN_HTTP_STATUS, ERROR_CODE_ANY, "http.status.", 91, 1, 502) \
    ROW(HTTP_RESPONSE_BAD,            HTTP, SUBDOMAIN_HTTP_RESPONSE, 1, "http.response.bad", 91, 1, 502) \
    ROW(TLS_HANDSHAKE_TIMEOUT,        TLS, SUBDOMAIN_TLS_HANDSHAKE, 1, "tls.handshake.timeout", 91, 1, 502) \
    ROW(TLS_HANDSHAKE_PROTOCOL,       TLS, SUBDOMAIN_TLS_HANDSHAKE, 2, "tls.handshake.protocol", 91, 1, 502) \
    ROW(TLS_HANDSHAKE_NO_COMMON_VERSION,TLS, SUBDOMAIN_TLS_HANDSHAKE, 3, "tls.handshake.no-common-version", 91, 1, 502) \
    ROW(TLS_HANDSHAKE_NO_COMMON_SUITE,TLS, SUBDOMAIN_TLS_HANDSHAKE, 4, "tls.handshake.no-common-suite", 91, 1, 502) \
    ROW(TLS_HANDSHAKE_NO_COMMON_ALPN, TLS, SUBDOMAIN_TLS_HANDSHAKE, 5, "tls.handshake.no-common-alpn", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_BAD,          TLS, SUBDOMAIN_TLS_CERTIFICATE, 1, "tls.certificate.bad", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_MISSING,      TLS, SUBDOMAIN_TLS_CERTIFICATE, 2, "tls.certificate.missing", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_EXPIRED,      TLS, SUBDOMAIN_TLS_CERTIFICATE, 3, "tls.certificate.expired", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_NOT_YET_VALID,TLS, SUBDOMAIN_TLS_CERTIFICATE, 4, "tls.certificate.not-yet-valid", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_UNKNOWN_ROOT, TLS, SUBDOMAIN_TLS_CERTIFICATE, 5, "tls.certificate.unknown-root", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_NAME_MISMATCH,TLS, SUBDOMAIN_TLS_CERTIFICATE, 6, "tls.certificate.name-mismatch", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_REVOKED,      TLS, SUBDOMAIN_TLS_CERTIFICATE, 7, "tls.certificate.revoked", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_CRL_EXPIRED,  TLS, SUBDOMAIN_TLS_CERTIFICATE, 8, "tls.certificate.crl-expired", 91, 1, 502) \
    ROW(TLS_CERTIFICATE_CRL_MISSING,  TLS, SUBDOMAIN_TLS_CERTIFICATE, 9, "tls.certificate.crl-missing", 91, 1, 502) \
    ROW(TLS_ALERT_CLOSE_NOTIFY,       TLS, SUBDOMAIN_TLS_ALERT, 0, "tls.alert.close-notify", 91, 1, 502) \
    ROW(TLS_ALERT_UNEXPECTED_MESSAGE, TLS, SUBDOMAIN_TLS_ALERT, 10, "tls.alert.unexpected-message", 91, 1, 502) \
    ROW(TLS_ALERT_BAD_RECORD_MAC,     TLS, SUBDOMAIN_TLS_ALERT, 20, "tls.alert.bad-record-mac", 91, 1, 502) \
    ROW(TLS_ALERT_RECORD_OVERFLOW,    TLS, SUBDOMAIN_TLS_ALERT, 22, "tls.alert.record-overflow", 91, 1, 502) \
    ROW(TLS_ALERT_HANDSHAKE_FAILURE,  TLS, SUBDOMAIN_TLS_ALERT, 40, "tls.alert.handshake-failure", 91, 1, 502) \
    ROW(TLS_ALERT_BAD_CERTIFICATE,    TLS, SUBDOMAIN_TLS_ALERT, 42, "tls.alert.bad-certificate", 91, 1, 502) \
    ROW(TLS_ALERT_UNSUPPORTED_CERTIFICATE,TLS, SUBDOMAIN_TLS_ALERT, 43, "tls.alert.unsupported-certificate", 91, 1, 502) \
    ROW(TLS_ALERT_CERTIFICATE_REVOKED,TLS, SUBDOMAIN_TLS_ALERT, 44, "tls.alert.certificate-revoked", 91, 1, 502) \
    ROW(TLS_ALERT_CERTIFICATE_EXPIRED,TLS, SUBDOMAIN_TLS_ALERT, 45, "tls.alert.certificate-expired", 91, 1, 502) \
    ROW(TLS_ALERT_CERTIFICATE_UNKNOWN,TLS, SUBDOMAIN_TLS_ALERT, 46, "tls.alert.certificate-unknown", 91, 1, 502) \
    ROW(TLS_ALERT_ILLEGAL_PARAMETER,  TLS, SUBDOMAIN_TLS_ALERT, 47, "tls.alert.illegal-parameter", 91, 1, 502) \
    ROW(TLS_ALERT_UNKNOWN_CA,         TLS, SUBDOMAIN_TLS_ALERT, 48, "tls.alert.unknown-ca", 91, 1, 502) \
    ROW(TLS_ALERT_ACCESS_DENIED,      TLS, SUBDOMAIN_TLS_ALERT, 49, "tls.alert.access-denied", 91, 1, 502) \
    ROW(TLS_ALERT_DECODE_ERROR,       TLS, SUBDOMAIN_TLS_ALERT, 50, "tls.alert.decode-error", 91, 1, 502) \
    ROW(TLS_ALERT_DECRYPT_ERROR,      TLS, SUBDOMAIN_TLS_ALERT, 51, "tls.alert.decrypt-error", 91, 1, 502) \
    ROW(TLS_ALERT_PROTOCOL_VERSION,   TLS, SUBDOMAIN_TLS_ALERT, 70, "tls.alert.protocol-version", 91, 1, 502) \
    ROW(TLS_ALERT_INSUFFICIENT_SECURITY,TLS, SUBDOMAIN_TLS_ALERT, 71, "tls.alert.insufficient-security", 91, 1, 502) \
    ROW(TLS_ALERT_INTERNAL_ERROR,     TLS, SUBDOMAIN_TLS_ALERT, 80, "tls.alert.internal-error", 91, 1, 502) \
    ROW(TLS_ALERT_INAPPROPRIATE_FALLBACK,TLS, SUBDOMAIN_TLS_ALERT, 86, "tls.alert.inappropriate-fallback", 91, 1, 502) \
    ROW(TLS_ALERT_USER_CANCELED,      TLS, SUBDOMAIN_TLS_ALERT, 90, "tls.alert.user-canceled", 91, 1, 502) \
    ROW(TLS_ALERT_NO_RENEGOTIATION,   TLS, SUBDOMAIN_TLS_ALERT, 100, "tls.alert.no-renegotiation", 91, 1, 502) \
    ROW(TLS_ALERT_MISSING_EXTENSION,  TLS, SUBDOMAIN_TLS_ALERT, 109, "tls.alert.missing-extension", 91, 1, 502) \
    ROW(TLS_ALERT_UNSUPPORTED_EXTENSION,TLS, SUBDOMAIN_TLS_ALERT, 110, "tls.alert.unsupported-extension", 91, 1, 502) \
    ROW(TLS_ALERT_UNRECOGNIZED_NAME,  TLS, SUBDOMAIN_TLS_ALERT, 112, "tls.alert.unrecognized-name", 91, 1, 502) \
    ROW(TLS_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE,TLS, SUBDOMAIN_TLS_ALERT, 113, "tls.alert.bad-certificate-status-response", 91, 1, 502) \
    ROW(TLS_ALERT_UNKNOWN_PSK_IDENTITY,TLS, SUBDOMAIN_TLS_ALERT, 115, "tls.alert.unknown-psk-identity", 91, 1, 502) \
    ROW(TLS_ALERT_CERTIFICATE_REQUIRED,TLS, SUBDOMAIN_TLS_ALERT, 116, "tls.alert.certificate-required", 91, 1, 502) \
    ROW(TLS_ALERT_NO_APPLICATION_PROTOCOL,TLS, SUBDOMAIN_TLS_ALERT, 120, "tls.alert.no-application-protocol", 91, 1, 502) \
    ROW(TLS_ALERT,                    TLS, SUBDOMAIN_TLS_ALERT, ERROR_CODE_ANY, "tls.alert.", 91, 1, 502) \
    ROW(TLS_CUT,                      TLS, SUBDOMAIN_TLS_CUT, 1, "tls.cut.no-close-notify", 0, 0, 0) \
    ROW(TLS_RECORD_BAD,               TLS, SUBDOMAIN_TLS_RECORD, 1, "tls.record.bad", 0, 0, 0)
/* clang-format on */

/* ERROR_POLICY_LIMIT_QUEUE, ERROR_TIMEOUT_IDLE ...: one for each row. */
enum stream_error_id {
#define ROW(id, domain, subdomain, code, name, socks4, socks5, http) ERROR_##id,
    STREAM_ERROR_TABLE(ROW)
#undef ROW
        ERROR_ID_COUNT
};

struct stream_error {
    uint16_t domain; /* enum error_domain */
    uint16_t subdomain;
    int32_t code;
};

/* What a client is told (RFC 1928, 6; the SOCKS4 note; RFC 9110, 15). 0 = nothing, it is closed. */
struct stream_error_reply {
    uint8_t socks4;
    uint8_t socks5;
    uint16_t http;
};

#define STREAM_ERROR_NAME_MAX 64

/* The error of a row. For a row whose code is ERROR_CODE_ANY use stream_error_code(). */
struct stream_error stream_error_of(enum stream_error_id id);

/* The error of row `id`'s subdomain with this code, e.g. (ERROR_SOCKS5_RESPONSE, reply byte) or
 * (ERROR_SYSTEM_CONNECT_OTHER, errno). */
struct stream_error stream_error_code(enum stream_error_id id, int code);

/* The error of a failed connect or socket call: descriptor exhaustion is
 * policy.limit.descriptors, the errno values that mean the same to a user share a name, any
 * other is system.connect.other. */
struct stream_error stream_error_connect(int error_number);

/* The error of a failed read or write; a broken pipe is a reset. */
struct stream_error stream_error_read(int error_number);
struct stream_error stream_error_write(int error_number);

bool stream_error_is(const struct stream_error *error, enum stream_error_id id);
static inline bool stream_error_set(const struct stream_error *error)
{
    return error->domain != ERROR_DOMAIN_NONE;
}

/* Stores `error` in `*slot` unless one is there already: the first error wins. */
void stream_error_keep_first(struct stream_error *slot, struct stream_error error);

/* Stores the more telling one in `*slot` (errors.md: refused, then timeout, then unreachable,
 * then denied, then the rest): the error of a name is the best explanation that any of its
 * addresses gave. */
void stream_error_keep_telling(struct stream_error *slot, struct stream_error error);

/* Writes the stable name, NUL-terminated, into `out` (STREAM_ERROR_NAME_MAX bytes) and returns
 * it. */
const char *stream_error_name(const struct stream_error *error, char *out);

/* The replies of the error's row. */
struct stream_error_reply stream_error_reply(const struct stream_error *error);

/* The errno's name, such as "EACCES", for errors that carry one; NULL for all others. */
const char *stream_error_errno_name(const struct stream_error *error);

/* A SOCKS error as one number: subdomain in the upper, code in the lower 16 bits (as
 * kCFStreamErrorDomainSOCKS). */
int32_t stream_error_pack(const struct stream_error *error);
struct stream_error stream_error_unpack(enum error_domain domain, int32_t packed);

PAIRSOCKS_API_END

#endif
