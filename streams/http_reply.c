/* http_reply.c - the replies to a CONNECT request. Called by the daemon's HTTP front end. Nothing that
 * a client sent is ever written back to it. */
#include "streams/http.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Reason phrases, and the fields that a status calls for (RFC 9110, 10.2.1 and 11.7.1). The last
 * row is for a status that somebody added without one. */
static const struct status {
    unsigned status;
    const char *reason;
    const char *fields;
} statuses[] = {
    {400, "Bad Request", ""},
    {403, "Forbidden", ""},
    {405, "Method Not Allowed", "Allow: CONNECT\r\n"},
    {407, "Proxy Authentication Required",
     "Proxy-Authenticate: Basic realm=\"pairsocks\", charset=\"UTF-8\"\r\n"},
    {408, "Request Timeout", ""},
    {502, "Bad Gateway", ""},
    {503, "Service Unavailable", ""},
    {504, "Gateway Timeout", ""},
    {0, "Failed", ""},
};

enum { BODY_MAX = 200 };

static const struct sentence {
    enum stream_error_id id;
    const char *text;
} sentences[] = {
    {ERROR_SYSTEM_CONNECT_REFUSED, "The target refused the connection"},
    {ERROR_SYSTEM_CONNECT_NETWORK, "The target's network cannot be reached"},
    {ERROR_SYSTEM_CONNECT_HOST, "The target cannot be reached"},
    {ERROR_SYSTEM_CONNECT_TIMEOUT, "The target did not answer in time"},
    {ERROR_RESOLVER_NOT_FOUND, "The target's name does not exist"},
    {ERROR_RESOLVER_NO_ADDRESS, "The target's name has no address"},
    {ERROR_RESOLVER_TIMEOUT, "The target's name was not resolved in time"},
    {ERROR_RESOLVER_INVALID, "The target's name is not a valid one"},
    {ERROR_RESOLVER_EMPTY, "The target has no name"},
    {ERROR_RESOLVER_SERVER_FAILED, "The target's name could not be resolved"},
    {ERROR_POLICY_LIMIT_QUEUE, "The proxy is full"},
    {ERROR_POLICY_LIMIT_HOST, "Your host has as many connections as it may have"},
    {ERROR_POLICY_LIMIT_USER, "Your user has as many connections as it may have"},
    {ERROR_POLICY_LIMIT_DESCRIPTORS, "The proxy is full"},
    {ERROR_POLICY_RULE_DENIED, "The proxy's rules do not allow this connection"},
    {ERROR_POLICY_GUARD_DENIED, "The proxy does not connect to such an address"},
    {ERROR_PROTOCOL_REQUEST_BAD, "The request is not valid HTTP/1.1 for a proxy"},
    {ERROR_PROTOCOL_COMMAND_UNSUPPORTED, "This is a SOCKS and HTTP CONNECT proxy, nothing else"},
    {ERROR_AUTH_PASSWORD_FAILED, "The proxy asks for the name and the password of a user"},
    {ERROR_AUTH_PASSWORD_BUSY, "The proxy is too busy to check the password"},
    {ERROR_AUTH_IDENT_NO_ANSWER, "The ident service of your host did not say who you are"},
    {ERROR_AUTH_IDENT_OTHER_USER, "The ident service of your host named another user"},
    {ERROR_TIMEOUT_HANDSHAKE, "The request did not come in time"},
};

static const struct status *find_status(unsigned status)
{
    const struct status *row = statuses;

    while (row->status != status && row->status != 0)
        row++;
    return row;
}

static const char *find_sentence(const struct stream_error *error)
{
    for (size_t i = 0; i < COUNT(sentences); i++)
        if (stream_error_is(error, sentences[i].id))
            return sentences[i].text;
    return "The connection to the target could not be made";
}

/* Where many errno values share a name, which of them it was says more. */
static size_t write_body(const struct stream_error *error, char *out)
{
    const char *detail =
        stream_error_is(error, ERROR_SYSTEM_CONNECT_OTHER) ? stream_error_errno_name(error) : NULL;
    char name[STREAM_ERROR_NAME_MAX];
    int n = snprintf(out, BODY_MAX, "%s (%s%s%s).\n", find_sentence(error),
                     stream_error_name(error, name), detail ? ", " : "", detail ? detail : "");

    assert(n > 0 && n < BODY_MAX);
    return (size_t)n;
}

size_t http_write_reply(const struct stream_error *error, char *out)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    unsigned status = stream_error_reply(error).http;
    const struct status *row = find_status(status);
    char body[BODY_MAX];
    size_t length;
    int n;

    if (status == 0)
        return 0;
    if (status == 200) { /* without a length: what follows is the tunnel (RFC 9110, 9.3.6) */
        memcpy(out, established, sizeof established - 1);
        return sizeof established - 1;
    }
    length = write_body(error, body);
    n = snprintf(out, HTTP_REPLY_MAX,
                 "HTTP/1.1 %u %s\r\n%sContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                 "Connection: close\r\n\r\n%s",
                 status, row->reason, row->fields, length, body);
    assert(n > 0 && n < HTTP_REPLY_MAX);
    return (size_t)n;
}
