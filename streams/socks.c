/* socks.c - the SOCKS messages, each drawn where it is read. */
#include "streams/socks.h"

#include <assert.h>
#include <string.h>

enum { ATYP_V4 = 1, ATYP_NAME = 3, ATYP_V6 = 4 };

static enum parse bad(struct stream_error *ret_error, struct stream_error error)
{
    *ret_error = error;
    return PARSE_BAD;
}

static void set_name(struct socks_host *host, const uint8_t *name, size_t n)
{
    host->ip = (struct ip_address){0};
    host->name_length = (uint8_t)n;
    memcpy(host->name, name, n);
    host->name[n] = '\0';
}

static void set_ip(struct socks_host *host, enum ip_family family, const uint8_t *bytes)
{
    host->ip = (struct ip_address){.family = (uint8_t)family};
    memcpy(host->ip.bytes, bytes, family == IP_V4 ? 4 : 16);
    host->name_length = 0;
    host->name[0] = '\0';
}

/* ATYP and what it announces. BAD leaves *ret_error to the caller: an unknown type and an empty
 * name differ. */
enum host_fault { FAULT_NONE, FAULT_TYPE, FAULT_EMPTY };

static enum host_fault read_host(struct cursor *at, struct socks_host *host)
{
    uint8_t type = cursor_u8(at);
    const uint8_t *bytes;
    size_t n;

    if (cursor_short(at))
        return FAULT_NONE;
    switch (type) {
    case ATYP_V4:
        bytes = cursor_bytes(at, 4);
        if (bytes)
            set_ip(host, IP_V4, bytes);
        return FAULT_NONE;
    case ATYP_V6:
        bytes = cursor_bytes(at, 16);
        if (bytes)
            set_ip(host, IP_V6, bytes);
        return FAULT_NONE;
    case ATYP_NAME:
        n = cursor_u8(at);
        if (!cursor_short(at) && n == 0)
            return FAULT_EMPTY;
        bytes = cursor_bytes(at, n);
        if (bytes)
            set_name(host, bytes, n);
        return FAULT_NONE;
    default:
        return FAULT_TYPE;
    }
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return out + n;
}

static uint8_t *put_port(uint8_t *out, uint16_t port)
{
    *out++ = (uint8_t)(port >> 8);
    *out++ = (uint8_t)port;
    return out;
}

static uint8_t *put_ip(uint8_t *out, const struct ip_address *ip)
{
    static const uint8_t zero[4];

    *out++ = ip->family == IP_V6 ? ATYP_V6 : ATYP_V4;
    if (ip->family == IP_V6)
        return put_bytes(out, ip->bytes, 16);
    return put_bytes(out, ip->family == IP_V4 ? ip->bytes : zero, 4);
}

enum parse socks5_parse_greeting(struct cursor *in, struct socks5_greeting *ret_greeting,
                                 struct stream_error *ret_error)
{
    /* +----+----------+----------+
     * |VER | NMETHODS | METHODS  |
     * +----+----------+----------+ */
    struct cursor at = *in;
    uint8_t version = cursor_u8(&at);
    uint8_t count = cursor_u8(&at);
    const uint8_t *methods;

    if (in->at < in->end && version != 5)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_GREETING_BAD));
    if (cursor_short(&at))
        return PARSE_MORE;
    if (count == 0)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_GREETING_BAD));
    methods = cursor_bytes(&at, count);
    if (!methods)
        return PARSE_MORE;
    ret_greeting->count = count;
    memcpy(ret_greeting->methods, methods, count);
    *in = at;
    return PARSE_DONE;
}

bool socks5_greeting_offers(const struct socks5_greeting *greeting, uint8_t method)
{
    return memchr(greeting->methods, method, greeting->count) != NULL;
}

enum parse socks5_parse_userpass(struct cursor *in, struct socks5_userpass *ret_userpass,
                                 struct stream_error *ret_error)
{
    /* +----+------+----------+------+----------+
     * |VER | ULEN |  UNAME   | PLEN |  PASSWD  |
     * +----+------+----------+------+----------+ */
    struct cursor at = *in;
    uint8_t version = cursor_u8(&at), user_length, password_length;
    const uint8_t *user, *password;

    if (!cursor_short(&at) && version != 1)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    user_length = cursor_u8(&at);
    if (!cursor_short(&at) && user_length == 0)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    user = cursor_bytes(&at, user_length);
    password_length = cursor_u8(&at);
    if (!cursor_short(&at) && password_length == 0)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    password = cursor_bytes(&at, password_length);
    if (cursor_short(&at))
        return PARSE_MORE;
    ret_userpass->user_length = user_length;
    ret_userpass->password_length = password_length;
    memcpy(ret_userpass->user, user, user_length);
    memcpy(ret_userpass->password, password, password_length);
    ret_userpass->user[user_length] = '\0';
    ret_userpass->password[password_length] = '\0';
    *in = at;
    return PARSE_DONE;
}

enum parse socks5_parse_request(struct cursor *in, struct socks_request *ret_request,
                                struct stream_error *ret_error)
{
    /* +----+-----+-------+------+----------+----------+
     * |VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |
     * +----+-----+-------+------+----------+----------+ */
    struct cursor at = *in;
    struct socks_request request;
    size_t have = cursor_left(in);

    if (have >= 1 && in->at[0] != 5)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    if (have >= 3 && in->at[2] != 0)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    cursor_u8(&at);
    request.command = cursor_u8(&at);
    cursor_u8(&at);
    switch (read_host(&at, &request.host)) {
    case FAULT_TYPE:
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_ADDRESS_UNSUPPORTED));
    case FAULT_EMPTY:
        return bad(ret_error, stream_error_of(ERROR_RESOLVER_EMPTY));
    case FAULT_NONE:
        break;
    }
    request.port = cursor_u16(&at);
    if (cursor_short(&at))
        return PARSE_MORE; /* sticky: one test for all the reads above */
    *ret_request = request;
    *in = at;
    return PARSE_DONE;
}

/* Bytes up to a NUL, which is consumed; at most `max` of them. */
static enum parse read_string(struct cursor *at, size_t max, const uint8_t **ret_bytes,
                              size_t *ret_n)
{
    size_t left = cursor_left(at);
    const uint8_t *nul = memchr(at->at, 0, left < max + 1 ? left : max + 1);

    if (!nul)
        return left > max ? PARSE_BAD : PARSE_MORE;
    *ret_bytes = at->at;
    *ret_n = (size_t)(nul - at->at);
    at->at = nul + 1;
    return PARSE_DONE;
}

enum parse socks4_parse_request(struct cursor *in, struct socks_request *ret_request,
                                size_t *ret_userid_length, struct stream_error *ret_error)
{
    /* +----+----+---------+-------+----------+------+        +----------+------+
     * | VN | CD | DSTPORT | DSTIP |  USERID  | NULL | , 4a:  |   NAME   | NULL |
     * +----+----+---------+-------+----------+------+        +----------+------+ */
    struct cursor at = *in;
    uint8_t version = cursor_u8(&at), command = cursor_u8(&at);
    uint16_t port = cursor_u16(&at);
    const uint8_t *ip = cursor_bytes(&at, 4), *userid, *name = NULL;
    size_t userid_length, name_length = 0;
    enum parse parsed;

    if (cursor_left(in) && version != 4)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    if (cursor_short(&at))
        return PARSE_MORE;
    parsed = read_string(&at, SOCKS4_USERID_MAX, &userid, &userid_length);
    if (parsed == PARSE_DONE && !ip[0] && !ip[1] && !ip[2] && ip[3]) {
        parsed = read_string(&at, HOST_NAME_LENGTH_MAX, &name, &name_length);
        if (parsed == PARSE_DONE && name_length == 0)
            parsed = PARSE_BAD;
    }
    if (parsed == PARSE_BAD)
        return bad(ret_error, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD));
    if (parsed == PARSE_MORE)
        return PARSE_MORE;
    ret_request->command = command;
    ret_request->port = port;
    if (name)
        set_name(&ret_request->host, name, name_length);
    else
        set_ip(&ret_request->host, IP_V4, ip);
    if (ret_userid_length)
        *ret_userid_length = userid_length;
    *in = at;
    return PARSE_DONE;
}

size_t socks5_write_method(uint8_t method, uint8_t *out)
{
    out[0] = 5;
    out[1] = method;
    return SOCKS5_METHOD_SIZE;
}

size_t socks5_write_status(uint8_t status, uint8_t *out)
{
    out[0] = 1;
    out[1] = status;
    return SOCKS5_STATUS_SIZE;
}

size_t socks5_write_reply(uint8_t code, const struct ip_endpoint *bound, uint8_t *out)
{
    /* +----+-----+-------+------+----------+----------+
     * |VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |
     * +----+-----+-------+------+----------+----------+ */
    static const struct ip_endpoint none;
    uint8_t *at = out;

    if (!bound || bound->ip.family == IP_NONE)
        bound = &none;
    *at++ = 5;
    *at++ = code;
    *at++ = 0;
    at = put_ip(at, &bound->ip);
    at = put_port(at, bound->port);
    return (size_t)(at - out);
}

size_t socks4_write_reply(uint8_t code, const struct ip_endpoint *bound, uint8_t *out)
{
    /* +----+----+---------+-------+
     * | VN | CD | DSTPORT | DSTIP |
     * +----+----+---------+-------+ */
    memset(out, 0, SOCKS4_REPLY_SIZE);
    out[1] = code;
    if (bound && bound->ip.family != IP_NONE) {
        put_port(out + 2, bound->port);
        if (bound->ip.family == IP_V4)
            memcpy(out + 4, bound->ip.bytes, 4);
    }
    return SOCKS4_REPLY_SIZE;
}

size_t socks5_write_greeting(const uint8_t *methods, uint8_t count, uint8_t *out)
{
    out[0] = 5;
    out[1] = count;
    memcpy(out + 2, methods, count);
    return 2 + (size_t)count;
}

enum parse socks5_parse_method(struct cursor *in, uint8_t *ret_method,
                               struct stream_error *ret_error)
{
    struct cursor at = *in;
    uint8_t version = cursor_u8(&at), method = cursor_u8(&at);

    if (cursor_left(in) && version != 5)
        return bad(ret_error, stream_error_code(ERROR_SOCKS_VERSION, version));
    if (cursor_short(&at))
        return PARSE_MORE;
    *ret_method = method;
    *in = at;
    return PARSE_DONE;
}

size_t socks5_write_userpass(const struct socks5_userpass *userpass, uint8_t *out)
{
    uint8_t *at = out;

    *at++ = 1;
    *at++ = userpass->user_length;
    at = put_bytes(at, userpass->user, userpass->user_length);
    *at++ = userpass->password_length;
    at = put_bytes(at, userpass->password, userpass->password_length);
    return (size_t)(at - out);
}

enum parse socks5_parse_status(struct cursor *in, struct stream_error *ret_error)
{
    struct cursor at = *in;
    uint8_t version = cursor_u8(&at), status = cursor_u8(&at);

    if (cursor_left(in) && version != 1)
        return bad(ret_error, stream_error_code(ERROR_SOCKS_VERSION, version));
    if (cursor_short(&at))
        return PARSE_MORE;
    if (status != 0)
        return bad(ret_error, stream_error_code(ERROR_SOCKS5_USERPASS, status));
    *in = at;
    return PARSE_DONE;
}

size_t socks5_write_request(const struct socks_request *request, uint8_t *out)
{
    uint8_t *at = out;

    *at++ = 5;
    *at++ = request->command;
    *at++ = 0;
    if (request->host.name_length) {
        *at++ = ATYP_NAME;
        *at++ = request->host.name_length;
        at = put_bytes(at, request->host.name, request->host.name_length);
    } else {
        at = put_ip(at, &request->host.ip);
    }
    at = put_port(at, request->port);
    return (size_t)(at - out);
}

enum parse socks5_parse_reply(struct cursor *in, struct socks_host *ret_bound, uint16_t *ret_port,
                              struct stream_error *ret_error)
{
    struct cursor at = *in;
    struct socks_host bound;
    size_t have = cursor_left(in);
    uint16_t port;

    if (have >= 1 && in->at[0] != 5)
        return bad(ret_error, stream_error_code(ERROR_SOCKS_VERSION, in->at[0]));
    /* The reason counts even if the rest never comes: some servers cut a refusal short. */
    if (have >= 2 && in->at[1] != 0)
        return bad(ret_error, stream_error_code(ERROR_SOCKS5_RESPONSE, in->at[1]));
    cursor_bytes(&at, 3);
    if (read_host(&at, &bound) != FAULT_NONE)
        return bad(ret_error, stream_error_of(ERROR_SOCKS_BAD_RESPONSE_ADDRESS));
    port = cursor_u16(&at);
    if (cursor_short(&at))
        return PARSE_MORE;
    *ret_bound = bound;
    *ret_port = port;
    *in = at;
    return PARSE_DONE;
}

size_t socks4_write_request(const struct socks_request *request, const char *userid, uint8_t *out)
{
    static const uint8_t name_follows[4] = {0, 0, 0, 1};
    size_t userid_length = strlen(userid);
    uint8_t *at = out;

    assert(userid_length <= SOCKS4_USERID_MAX);
    assert(request->host.name_length || request->host.ip.family == IP_V4);
    *at++ = 4;
    *at++ = request->command;
    at = put_port(at, request->port);
    at = put_bytes(at, request->host.name_length ? name_follows : request->host.ip.bytes, 4);
    at = put_bytes(at, userid, userid_length + 1);
    if (request->host.name_length) {
        at = put_bytes(at, request->host.name, request->host.name_length);
        *at++ = 0;
    }
    return (size_t)(at - out);
}

enum parse socks4_parse_reply(struct cursor *in, struct ip_endpoint *ret_bound,
                              struct stream_error *ret_error)
{
    struct cursor at = *in;
    uint8_t version = cursor_u8(&at), code = cursor_u8(&at);
    struct ip_endpoint bound = {.ip = {.family = IP_V4}};
    const uint8_t *ip;

    if (cursor_left(in) && version != 0)
        return bad(ret_error, stream_error_code(ERROR_SOCKS_VERSION, version));
    if (!cursor_short(&at) && code != SOCKS4_GRANTED)
        return bad(ret_error, stream_error_code(ERROR_SOCKS4_RESPONSE, code));
    bound.port = cursor_u16(&at);
    ip = cursor_bytes(&at, 4);
    if (!ip)
        return PARSE_MORE;
    memcpy(bound.ip.bytes, ip, 4);
    *ret_bound = bound;
    *in = at;
    return PARSE_DONE;
}
