/* stream_property.c - the properties as rows: what kind, when it can be set, in which range, and what
 * has to be done when it was. */
#include "streams/stream_private.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum kind { KIND_BOOL, KIND_NUMBER, KIND_TEXT };
enum settable { SET_ALWAYS, SET_CLOSED, SET_PLAIN, SET_NEVER };

struct row {
    uint8_t kind;     /* enum kind */
    uint8_t settable; /* enum settable */
    bool may_be_null; /* a text that is set to nothing is not the same as one that is not set */
    int64_t max;      /* of a number; the least is 0 */
    int64_t fallback; /* what a number is unless it is set */

    /* For values that are found, not stored. False: none now. */
    bool (*find)(const struct connection *c, struct stream_value *ret_value);
    /* Judges a new value; the reason why it cannot be had, or NULL. */
    const char *(*refuses)(const struct stream_value *value);
    /* The value has changed. False: it could not be done, and is taken back. */
    bool (*changed)(struct connection *c);
};

static bool copy_text(struct stream_value *ret_value, const char *text)
{
    ret_value->text = text ? strdup(text) : NULL;
    return ret_value->text;
}

static bool copy_endpoint(struct stream_value *ret_value, const struct ip_endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(endpoint, text);
    return endpoint->ip.family != IP_NONE && copy_text(ret_value, text);
}

/* ---- the connection */

static int descriptor(const struct connection *c)
{
    return c->pair.tcp.fd >= 0 ? c->pair.tcp.fd : c->socket;
}

static struct ip_endpoint peer_of(const struct connection *c)
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof sa;

    if (descriptor(c) < 0 || getpeername(descriptor(c), (struct sockaddr *)&sa, &length) != 0)
        sa.ss_family = AF_UNSPEC;
    return endpoint_from_sockaddr(&sa);
}

static bool find_handle(const struct connection *c, struct stream_value *ret_value)
{
    ret_value->number = descriptor(c);
    return ret_value->number >= 0;
}

static bool find_local(const struct connection *c, struct stream_value *ret_value)
{
    struct ip_endpoint local = pair_local_address(&c->pair);

    return copy_endpoint(ret_value, &local);
}

static bool find_remote(const struct connection *c, struct stream_value *ret_value)
{
    struct ip_endpoint peer = peer_of(c);

    return copy_endpoint(ret_value, &peer);
}

static bool find_host(const struct connection *c, struct stream_value *ret_value)
{
    struct ip_endpoint peer = peer_of(c);
    char text[IP_TEXT_MAX];

    if (peer.ip.family == IP_NONE)
        return false;
    ip_format(&peer.ip, text);
    return copy_text(ret_value, text);
}

static bool find_port(const struct connection *c, struct stream_value *ret_value)
{
    struct ip_endpoint peer = peer_of(c);

    ret_value->number = peer.port;
    return peer.ip.family != IP_NONE;
}

static bool find_should_close(const struct connection *c, struct stream_value *ret_value)
{
    ret_value->number = !c->is_from_socket;
    return true;
}

static bool should_close_changed(struct connection *c)
{
    c->pair.should_close = connection_number(c, STREAM_SHOULD_CLOSE_NATIVE_SOCKET);
    return true;
}

void connection_apply_keepalive(struct connection *c)
{
    if (c->is_up && c->is_set[STREAM_KEEPALIVE])
        pair_set_keepalive(&c->pair, (int)connection_number(c, STREAM_KEEPALIVE));
}

static bool keepalive_changed(struct connection *c)
{
    if (c->is_up)
        pair_set_keepalive(&c->pair, (int)connection_number(c, STREAM_KEEPALIVE));
    return true;
}

static bool find_why(const struct connection *c, struct stream_value *ret_value)
{
    return copy_text(ret_value, c->why);
}

static bool reenable_changed(struct connection *c)
{
    connection_update(c);
    return true;
}

/* ---- proxies */

static bool find_server_version(const struct connection *c, struct stream_value *ret_value)
{
    ret_value->number = c->pair.error.code;
    return stream_error_is(&c->pair.error, ERROR_SOCKS_VERSION);
}

/* ---- security */

const char *stream_security_refusal(enum stream_security level)
{
    static const char *const refusals[] = {
        [STREAM_SECURITY_SSLV2] = "SSLv2 must not be used (RFC 6176)",
        [STREAM_SECURITY_SSLV3] = "SSLv3 must not be used (RFC 7568)",
        [STREAM_SECURITY_TLSV1] = "TLSv1 must not be used (RFC 8996)",
    };

    return (size_t)level < sizeof refusals / sizeof refusals[0] ? refusals[level] : NULL;
}

static const char *refuses_level(const struct stream_value *value)
{
    return stream_security_refusal((enum stream_security)value->number);
}

static bool find_secure(const struct connection *c, struct stream_value *ret_value)
{
    ret_value->number = connection_is_secure(c);
    return true;
}

static bool find_version(const struct connection *c, struct stream_value *ret_value)
{
    return copy_text(ret_value, connection_tls_version(c));
}

static bool find_suite(const struct connection *c, struct stream_value *ret_value)
{
    return copy_text(ret_value, connection_tls_suite(c));
}

/* ---- the rows */

enum { EVENTS_THAT_COME_AGAIN = 2 | 4 | 32 };

/* clang-format off */
#define PLAIN_BOOL(default_) {.kind = KIND_BOOL, .settable = SET_PLAIN, .fallback = (default_)}
#define PLAIN_TEXT {.kind = KIND_TEXT, .settable = SET_PLAIN}
#define MILLISECONDS {.kind = KIND_NUMBER, .max = INT32_MAX}
#define FOUND(kind_, find_) {.kind = (kind_), .settable = SET_NEVER, .find = (find_)}

static const struct row rows[STREAM_PROPERTY_COUNT] = {
    [STREAM_SHOULD_CLOSE_NATIVE_SOCKET] = {.kind = KIND_BOOL, .find = find_should_close, .changed = should_close_changed},
    [STREAM_NATIVE_HANDLE] = FOUND(KIND_NUMBER, find_handle),
    [STREAM_REMOTE_HOST] = {.kind = KIND_TEXT, .settable = SET_CLOSED, .find = find_host},
    [STREAM_REMOTE_PORT] = {.kind = KIND_NUMBER, .settable = SET_CLOSED, .max = UINT16_MAX, .find = find_port},
    [STREAM_REMOTE_SERVICE] = {.kind = KIND_TEXT, .settable = SET_CLOSED},
    [STREAM_LOCAL_ADDRESS] = FOUND(KIND_TEXT, find_local),
    [STREAM_REMOTE_ADDRESS] = FOUND(KIND_TEXT, find_remote),
    [STREAM_KEEPALIVE] = {.kind = KIND_NUMBER, .max = INT16_MAX, .changed = keepalive_changed},
    [STREAM_CONNECT_TIMEOUT] = MILLISECONDS,
    [STREAM_WRITE_TIMEOUT] = MILLISECONDS,
    [STREAM_WHY] = FOUND(KIND_TEXT, find_why),
    [STREAM_AUTO_REENABLE] = {.kind = KIND_NUMBER, .max = INT16_MAX, .fallback = EVENTS_THAT_COME_AGAIN, .changed = reenable_changed},
    [STREAM_LEAVE_ERRORS] = {.kind = KIND_BOOL},
    [STREAM_SOCKS_HOST] = {.kind = KIND_TEXT, .settable = SET_CLOSED},
    [STREAM_SOCKS_PORT] = {.kind = KIND_NUMBER, .settable = SET_CLOSED, .max = UINT16_MAX, .fallback = 1080},
    [STREAM_SOCKS_VERSION] = {.kind = KIND_NUMBER, .settable = SET_CLOSED, .max = UINT8_MAX, .fallback = 5},
    [STREAM_SOCKS_USER] = {.kind = KIND_TEXT, .settable = SET_CLOSED},
    [STREAM_SOCKS_PASSWORD] = {.kind = KIND_TEXT, .settable = SET_CLOSED},
    [STREAM_PROXY_LOCAL_BYPASS] = {.kind = KIND_BOOL, .settable = SET_CLOSED},
    [STREAM_SOCKS_SERVER_VERSION] = FOUND(KIND_NUMBER, find_server_version),
    [STREAM_SECURITY] = {.kind = KIND_NUMBER, .settable = SET_PLAIN, .max = STREAM_SECURITY_TLSV1_3, .refuses = refuses_level, .changed = connection_start_tls},
    [STREAM_TLS_ALLOWS_EXPIRED_CERTIFICATES] = PLAIN_BOOL(false),
    [STREAM_TLS_ALLOWS_EXPIRED_ROOTS] = PLAIN_BOOL(false),
    [STREAM_TLS_ALLOWS_ANY_ROOT] = PLAIN_BOOL(false),
    [STREAM_TLS_VALIDATES_CHAIN] = PLAIN_BOOL(true),
    [STREAM_TLS_PEER_NAME] = {.kind = KIND_TEXT, .settable = SET_PLAIN, .may_be_null = true},
    [STREAM_TLS_CERTIFICATE] = PLAIN_TEXT,
    [STREAM_TLS_PRIVATE_KEY] = PLAIN_TEXT,
    [STREAM_TLS_AUTHORITY] = PLAIN_TEXT,
    [STREAM_TLS_REVOKE] = PLAIN_TEXT,
    [STREAM_TLS_CIPHERS] = PLAIN_TEXT,
    [STREAM_TLS_ALPN] = PLAIN_TEXT,
    [STREAM_TLS_IS_SERVER] = PLAIN_BOOL(false),
    [STREAM_IS_SECURE] = FOUND(KIND_BOOL, find_secure),
    [STREAM_TLS_VERSION] = FOUND(KIND_TEXT, find_version),
    [STREAM_TLS_SUITE] = FOUND(KIND_TEXT, find_suite),
    [STREAM_PEER_CERTIFICATES] = FOUND(KIND_TEXT, connection_copy_certificates),
};
/* clang-format on */

/* ---- inside the library */

int64_t connection_number(const struct connection *c, enum stream_property property)
{
    const struct row *row = &rows[property];
    struct stream_value value = {.number = row->fallback};

    if (c->is_set[property])
        return c->values[property].number;
    if (row->find)
        row->find(c, &value);
    return value.number;
}

const char *connection_text(const struct connection *c, enum stream_property property)
{
    return c->values[property].text;
}

/* Passwords are among them. */
static void free_value(struct stream_value *value)
{
    if (value->text)
        explicit_bzero(value->text, strlen(value->text));
    free(value->text);
    *value = (struct stream_value){0};
}

void connection_done_properties(struct connection *c)
{
    for (int i = 0; i < STREAM_PROPERTY_COUNT; i++)
        free_value(&c->values[i]);
}

/* ---- for the user */

static bool may_set(const struct connection *c, enum settable settable)
{
    bool is_open = c->pair.state == PAIR_CONNECTED || pair_is_opening(&c->pair);

    switch (settable) {
    case SET_ALWAYS:
        return true;
    case SET_CLOSED:
        return !is_open && c->socket < 0;
    case SET_PLAIN:
        return !pair_is_opening(&c->pair) && !(is_open && pair_find_layer(&c->pair, "tls"));
    case SET_NEVER:
        break;
    }
    return false;
}

static bool fits(struct connection *c, const struct row *row, const struct stream_value *value)
{
    const char *refusal;

    if (row->kind == KIND_TEXT)
        return value->text || row->may_be_null;
    if (value->number < 0 || value->number > (row->kind == KIND_BOOL ? 1 : row->max))
        return false;
    refusal = row->refuses ? row->refuses(value) : NULL;
    if (refusal)
        connection_set_why(c, refusal);
    return !refusal;
}

bool stream_set_property(struct stream *stream, enum stream_property property,
                         const struct stream_value *value)
{
    struct connection *c = stream->connection;
    const struct row *row;
    struct stream_value fresh = {0}, former;
    bool was_set;

    connection_set_why(c, NULL);
    if ((unsigned)property >= STREAM_PROPERTY_COUNT)
        return false;
    row = &rows[property];
    former = c->values[property];
    was_set = c->is_set[property];
    if (!may_set(c, row->settable) || (value && !fits(c, row, value)))
        return false;
    if (value && row->kind == KIND_TEXT && value->text && !copy_text(&fresh, value->text))
        return false;
    if (value && row->kind != KIND_TEXT)
        fresh.number = value->number;
    c->values[property] = fresh;
    c->is_set[property] = value;
    if (!row->changed || row->changed(c)) {
        free_value(&former);
        return true;
    }
    free_value(&fresh);
    c->values[property] = former;
    c->is_set[property] = was_set;
    return false;
}

bool stream_set_number(struct stream *stream, enum stream_property property, int64_t number)
{
    return stream_set_property(stream, property, &(struct stream_value){.number = number});
}

bool stream_set_text(struct stream *stream, enum stream_property property, const char *text)
{
    struct stream_value value = {.text = NULL};
    bool done;

    if (!text)
        return stream_set_property(stream, property, &value);
    value.text = strdup(text);
    done = value.text && stream_set_property(stream, property, &value);
    free_value(&value);
    return done;
}

bool stream_copy_property(const struct stream *stream, enum stream_property property,
                          struct stream_value *ret_value)
{
    const struct connection *c = stream->connection;
    const struct row *row;

    *ret_value = (struct stream_value){0};
    if ((unsigned)property >= STREAM_PROPERTY_COUNT)
        return false;
    row = &rows[property];
    *ret_value = (struct stream_value){.number = row->kind == KIND_TEXT ? 0 : row->fallback};
    if (c->is_set[property]) {
        ret_value->number = c->values[property].number;
        return row->kind != KIND_TEXT || copy_text(ret_value, c->values[property].text);
    }
    if (row->find)
        return row->find(c, ret_value);
    return row->kind != KIND_TEXT;
}
