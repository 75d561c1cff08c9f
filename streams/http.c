/* http.c - the head of a CONNECT request, line by line. Called by the daemon's HTTP front end. */
#include "streams/http.h"

#include <string.h>
#include <strings.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Part of a line. */
struct text {
    const char *at;
    size_t n;
};

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110, 5.6.2: methods and field names. */
static bool is_token_byte(char c)
{
    return is_alphanumeric(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* RFC 3986, 3.2.2: what may stand in a host's name, `%` for the encoded rest. */
static bool is_name_byte(char c)
{
    return is_alphanumeric(c) || (c && strchr("-._~!$&'()*+,;=%", c));
}

/* RFC 5234, B.1: VCHAR. */
static bool is_visible(char c)
{
    return c > ' ' && c < 0x7F;
}

/* RFC 9110, 5.5: no control character but the tab; bytes from 0x80 on are opaque. */
static bool is_field_byte(char c)
{
    uint8_t byte = (uint8_t)c;

    return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

static bool all_bytes(struct text text, bool (*is)(char c))
{
    for (size_t i = 0; i < text.n; i++)
        if (!is(text.at[i]))
            return false;
    return true;
}

bool http_is_name(const char *name, size_t n)
{
    return n > 0 && all_bytes((struct text){name, n}, is_name_byte);
}

static bool is_token(struct text text)
{
    return text.n > 0 && all_bytes(text, is_token_byte);
}

static bool same(struct text text, const char *word)
{
    return text.n == strlen(word) && memcmp(text.at, word, text.n) == 0;
}

static bool same_in_any_case(struct text text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.at, word, text.n) == 0;
}

/* Cuts off what stands before the first `end`, and `end`. */
static bool split(struct text *rest, char end, struct text *ret_head)
{
    const char *found = memchr(rest->at, end, rest->n);

    if (!found)
        return false;
    *ret_head = (struct text){rest->at, (size_t)(found - rest->at)};
    rest->n -= ret_head->n + 1;
    rest->at = found + 1;
    return true;
}

/* OWS (RFC 9110, 5.6.3) */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct text trimmed(struct text text)
{
    while (text.n > 0 && is_blank(text.at[0])) {
        text.at++;
        text.n--;
    }
    while (text.n > 0 && is_blank(text.at[text.n - 1]))
        text.n--;
    return text;
}

/* ---- Proxy-Authorization */

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* RFC 4648, 4, with its padding; the bits behind the last byte are 0, so that no bytes have two
 * spellings (3.5). False also for more than `max` bytes; `out` may be written to even then. */
static bool base64_decode(struct text in, size_t max, char *out, size_t *ret_n)
{
    unsigned bits = 0, have = 0; /* read and not written yet; how many */
    size_t n = 0, padding = 0;

    if (in.n % 4 != 0)
        return false;
    while (padding < 2 && in.n > 0 && in.at[in.n - 1] == '=') {
        padding++;
        in.n--;
    }
    for (size_t i = 0; i < in.n; i++) {
        int value = base64_value(in.at[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        have += 6;
        if (have < 8)
            continue;
        if (n == max)
            return false;
        have -= 8;
        out[n++] = (char)(bits >> have);
        bits &= (1U << have) - 1;
    }
    *ret_n = n;
    return bits == 0 && have == 2 * padding;
}

/* USER:PASSWORD; the user holds no colon, the password may (RFC 7617, 2). */
static bool take_pair(struct http_credentials *credentials, struct text pair)
{
    struct text user;

    if (!split(&pair, ':', &user) || user.n > HTTP_USER_MAX || pair.n > HTTP_PASSWORD_MAX)
        return false;
    credentials->user_length = (uint8_t)user.n;
    credentials->password_length = (uint8_t)pair.n;
    memcpy(credentials->user, user.at, user.n);
    memcpy(credentials->password, pair.at, pair.n);
    credentials->user[user.n] = '\0';
    credentials->password[pair.n] = '\0';
    return true;
}

static bool take_basic(struct http_credentials *credentials, struct text value)
{
    char pair[HTTP_USER_MAX + 1 + HTTP_PASSWORD_MAX];
    struct text scheme;
    size_t n;
    bool ok;

    if (!split(&value, ' ', &scheme) || !same_in_any_case(scheme, "Basic"))
        return false;
    ok = base64_decode(trimmed(value), sizeof pair, pair, &n) &&
         take_pair(credentials, (struct text){pair, n});
    explicit_bzero(pair, sizeof pair);
    return ok;
}

/* ---- fields */

/* One that makes no sense is no fault of the request: it is answered like a wrong password. */
static bool take_authorization(struct http_request *request, struct text value)
{
    if (request->credentials.present)
        return false;
    request->credentials.present = true;
    request->credentials.is_bad = !take_basic(&request->credentials, value);
    return true;
}

/* A CONNECT has no content (RFC 9110, 9.3.6); any other method is refused for what it is. */
static bool take_length(struct http_request *request, struct text value)
{
    return !request->is_connect || same(value, "0");
}

static bool take_encoding(struct http_request *request, struct text value)
{
    (void)value;
    return !request->is_connect;
}

/* The fields that are looked at; false = the request is bad. */
static const struct field {
    const char *name;
    bool (*take)(struct http_request *request, struct text value);
} fields[] = {
    {"Proxy-Authorization", take_authorization},
    {"Content-Length", take_length},
    {"Transfer-Encoding", take_encoding},
};

/* RFC 9112, 5: `name ":" OWS value OWS`. A line that goes on with the one before it (obs-fold)
 * starts with a blank, and no name does. */
static enum stream_error_id take_field(struct http_request *request, struct text line)
{
    struct text name, value = line;

    if (!split(&value, ':', &name) || !is_token(name) || !all_bytes(value, is_field_byte))
        return ERROR_PROTOCOL_REQUEST_BAD;
    for (size_t i = 0; i < COUNT(fields); i++)
        if (same_in_any_case(name, fields[i].name) && !fields[i].take(request, trimmed(value)))
            return ERROR_PROTOCOL_REQUEST_BAD;
    return ERROR_NONE;
}

/* ---- the request line */

static enum stream_error_id take_host(struct socks_host *host, struct text text, bool in_brackets)
{
    struct ip_address ip;
    bool is_address = ip_parse(text.at, text.n, &ip);

    if (is_address) {
        host->ip = ip;
        return ERROR_NONE;
    }
    if (in_brackets || !all_bytes(text, is_name_byte))
        return ERROR_PROTOCOL_REQUEST_BAD;
    if (text.n > HOST_NAME_LENGTH_MAX)
        return ERROR_RESOLVER_INVALID;
    host->name_length = (uint8_t)text.n;
    memcpy(host->name, text.at, text.n);
    host->name[text.n] = '\0';
    return ERROR_NONE;
}

/* RFC 9112, 3.2.3: authority-form. */
static enum stream_error_id take_authority(struct http_request *request, struct text target)
{
    struct text host;
    uint16_t port;

    if (target.at[0] == ':' && port_parse(target.at + 1, target.n - 1, &port) && port != 0)
        return ERROR_RESOLVER_EMPTY;
    if (!host_port_split(target.at, target.n, &host.at, &host.n, &port) || port == 0)
        return ERROR_PROTOCOL_REQUEST_BAD;
    request->port = port;
    return take_host(&request->host, host, target.at[0] == '[');
}

static bool is_http1(struct text version)
{
    static const char prefix[] = "HTTP/1.";
    const size_t n = sizeof prefix - 1;

    return version.n == n + 1 && memcmp(version.at, prefix, n) == 0 && version.at[n] >= '0' &&
           version.at[n] <= '9';
}

/* RFC 9112, 3: `method SP request-target SP HTTP-version`. */
static enum stream_error_id take_request_line(struct http_request *request, struct text line)
{
    struct text method, target, version = line;

    if (!split(&version, ' ', &method) || !split(&version, ' ', &target) || !is_token(method) ||
        target.n == 0 || !all_bytes(target, is_visible) || !is_http1(version))
        return ERROR_PROTOCOL_REQUEST_BAD;
    request->is_connect = same(method, "CONNECT");
    request->is_head = same(method, "HEAD");
    return request->is_connect ? take_authority(request, target) : ERROR_NONE;
}

/* ---- the head */

enum stage { STAGE_BEGIN, STAGE_REQUEST_LINE, STAGE_FIELDS };

static enum stream_error_id take_line(struct http_request *request, struct text line)
{
    if (request->stage == STAGE_FIELDS)
        return take_field(request, line);
    if (request->stage == STAGE_BEGIN && line.n == 0) {
        request->stage = STAGE_REQUEST_LINE;
        return ERROR_NONE;
    }
    request->stage = STAGE_FIELDS;
    return take_request_line(request, line);
}

static enum parse next_line(struct cursor *in, struct http_request *request, struct text *ret_line)
{
    size_t room = (size_t)(HTTP_HEAD_MAX - request->head_size);
    const uint8_t *start = in->at;
    enum parse parsed =
        cursor_line(in, room < HTTP_LINE_MAX ? room : HTTP_LINE_MAX, &ret_line->at, &ret_line->n);

    request->head_size += (uint16_t)(in->at - start);
    return parsed;
}

static enum parse bad(struct stream_error *ret_error, enum stream_error_id id)
{
    *ret_error = stream_error_of(id);
    return PARSE_BAD;
}

enum parse http_parse_request(struct cursor *in, struct http_request *request,
                              struct stream_error *ret_error)
{
    struct text line;

    for (;;) {
        enum stream_error_id fault;

        switch (next_line(in, request, &line)) {
        case PARSE_MORE:
            return PARSE_MORE;
        case PARSE_BAD:
            return bad(ret_error, ERROR_PROTOCOL_REQUEST_BAD);
        case PARSE_DONE:
            break;
        }
        if (request->stage == STAGE_FIELDS && line.n == 0)
            break;
        fault = take_line(request, line);
        if (fault != ERROR_NONE)
            return bad(ret_error, fault);
    }
    return request->is_connect ? PARSE_DONE : bad(ret_error, ERROR_PROTOCOL_COMMAND_UNSUPPORTED);
}
