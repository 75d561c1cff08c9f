/* client_hello.c - see client_hello.h. */
#include "streams/client_hello.h"

enum {
    RECORD_HANDSHAKE = 22,
    HANDSHAKE_CLIENT_HELLO = 1,
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_SUPPORTED_VERSIONS = 43,
    NAME_TYPE_HOST = 0,
    RECORD_MAX = 1 << 14,
    SSL_2 = 0x0002,
    TLS_1_2 = 0x0303,
    TLS_1_3 = 0x0304,
};

/* The content of the records, joined. DONE: the whole message is in `out`.
 *
 *   type(1)=22  version(2)  length(2)  | msg_type(1)=1  length(3)  body ... */
static enum parse join(struct cursor in, uint8_t *out, size_t *ret_n)
{
    size_t n = 0;

    for (;;) {
        const uint8_t *record;
        size_t length;

        if (n >= 4) {
            size_t message = 4 + ((size_t)out[1] << 16 | (size_t)out[2] << 8 | out[3]);

            if (message > CLIENT_HELLO_MAX)
                return PARSE_BAD;
            if (n >= message) {
                *ret_n = message;
                return PARSE_DONE;
            }
        }
        if (cursor_left(&in) && in.at[0] != RECORD_HANDSHAKE)
            return PARSE_BAD;
        if (cursor_left(&in) > 1 && in.at[1] != 3)
            return PARSE_BAD;
        if (cursor_left(&in) < 5)
            return PARSE_MORE;
        length = (size_t)in.at[3] << 8 | in.at[4];
        if (length == 0 || length > RECORD_MAX || length > CLIENT_HELLO_MAX - n)
            return PARSE_BAD;
        in.at += 5;
        record = in.at;
        if (cursor_left(&in) < length) { /* of the last record what there is */
            length = cursor_left(&in);
            if (n == 0 && length && record[0] != HANDSHAKE_CLIENT_HELLO)
                return PARSE_BAD;
            return PARSE_MORE;
        }
        if (n == 0 && record[0] != HANDSHAKE_CLIENT_HELLO)
            return PARSE_BAD;
        memcpy(out + n, record, length);
        n += length;
        in.at += length;
    }
}

/* The next so many bytes as a cursor of their own; short if they are not there. */
static struct cursor part(struct cursor *in, size_t n)
{
    const uint8_t *bytes = cursor_bytes(in, n);

    return cursor_over(bytes, bytes ? n : 0);
}

/* ServerNameList: list(2) { type(1) name(2) ... }. A name that is none is as good as no name. */
static bool read_server_name(struct cursor in, struct client_hello *hello)
{
    struct cursor list = part(&in, cursor_u16(&in));

    while (!cursor_short(&in) && cursor_left(&list)) {
        uint8_t type = cursor_u8(&list);
        struct cursor name = part(&list, cursor_u16(&list));
        size_t n = cursor_left(&name);
        struct ip_address ip;

        if (cursor_short(&list))
            return false;
        if (type != NAME_TYPE_HOST || hello->name[0] || n > HOST_NAME_LENGTH_MAX ||
            host_classify((const char *)name.at, n, &ip) != HOST_NAME)
            continue;
        memcpy(hello->name, name.at, n);
        hello->name[n] = '\0';
    }
    return !cursor_short(&in);
}

/* SupportedVersions: list(1) { version(2) ... }. Where it is there, nothing else counts. */
static bool read_versions(struct cursor in, struct client_hello *hello)
{
    struct cursor list = part(&in, cursor_u8(&in));

    hello->offers_1_2 = hello->offers_1_3 = false;
    while (!cursor_short(&in) && cursor_left(&list)) {
        uint16_t version = cursor_u16(&list);

        if (cursor_short(&list))
            return false;
        hello->offers_1_2 |= version == TLS_1_2;
        hello->offers_1_3 |= version == TLS_1_3;
    }
    return !cursor_short(&in);
}

/* version(2) random(32) session_id(1+) suites(2+) compression(1+) extensions(2+) */
static bool read_message(struct cursor in, struct client_hello *hello)
{
    struct cursor extensions;

    hello->version = cursor_u16(&in);
    hello->offers_1_2 = hello->version >= TLS_1_2; /* RFC 5246, E.1 */
    cursor_bytes(&in, 32);
    cursor_bytes(&in, cursor_u8(&in));
    cursor_bytes(&in, cursor_u16(&in));
    cursor_bytes(&in, cursor_u8(&in));
    if (cursor_short(&in))
        return false;
    if (!cursor_left(&in))
        return true; /* RFC 5246, 7.4.1.2: there may be no extensions */
    extensions = part(&in, cursor_u16(&in));
    if (cursor_short(&in))
        return false;
    while (cursor_left(&extensions)) {
        uint16_t type = cursor_u16(&extensions);
        struct cursor body = part(&extensions, cursor_u16(&extensions));

        if (cursor_short(&extensions) ||
            (type == EXTENSION_SERVER_NAME && !read_server_name(body, hello)) ||
            (type == EXTENSION_SUPPORTED_VERSIONS && !read_versions(body, hello)))
            return false;
    }
    return true;
}

/* length(2) with its first bit set | msg_type(1)=1  version(2)=2.0 or 3.x ... */
static enum parse read_ssl2(struct cursor in, struct client_hello *ret_hello)
{
    struct client_hello hello = {0};

    if (cursor_left(&in) > 2 && in.at[2] != HANDSHAKE_CLIENT_HELLO)
        return PARSE_BAD;
    cursor_bytes(&in, 3);
    hello.version = cursor_u16(&in);
    if (cursor_short(&in))
        return PARSE_MORE;
    if (hello.version != SSL_2 && hello.version >> 8 != 3)
        return PARSE_BAD;
    *ret_hello = hello;
    return PARSE_DONE;
}

enum parse client_hello_parse(const void *bytes, size_t n, struct client_hello *ret_hello)
{
    struct cursor in = cursor_over(bytes, n);
    struct client_hello hello = {0};
    uint8_t message[CLIENT_HELLO_MAX];
    size_t length;
    enum parse joined;

    if (n && in.at[0] & 0x80)
        return read_ssl2(in, ret_hello);
    joined = join(in, message, &length);
    if (joined != PARSE_DONE)
        return joined;
    if (!read_message(cursor_over(message + 4, length - 4), &hello))
        return PARSE_BAD;
    *ret_hello = hello;
    return PARSE_DONE;
}
