/* http_client.c - the request for a tunnel, and the head that answers it. The head is read byte by
 * byte, and nothing of it is kept: no field of it means anything to a tunnel. */
#include "streams/http_client.h"

#include <stdio.h>
#include <string.h>

/* ---- the request */

/* RFC 4648, 4, of two texts with a colon between them. */
static char *put_basic(const char *user, const char *password, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t pair[HTTP_USER_MAX + 1 + HTTP_PASSWORD_MAX + 2] = {0}; /* 2: read behind, as 0 */
    size_t user_n = strlen(user), n = user_n + 1 + strlen(password);

    memcpy(pair, user, user_n);
    pair[user_n] = ':';
    memcpy(pair + user_n + 1, password, n - user_n - 1);
    for (size_t i = 0; i < n; i += 3) {
        unsigned bits = (unsigned)pair[i] << 16 | (unsigned)pair[i + 1] << 8 | pair[i + 2];

        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[bits & 63] : '=';
    }
    explicit_bzero(pair, sizeof pair);
    return out;
}

static char *put_authority(const struct socks_host *host, uint16_t port, char *out)
{
    char text[HOST_NAME_LENGTH_MAX + 1];

    if (host->ip.family != IP_NONE) {
        ip_format(&host->ip, text);
    } else {
        memcpy(text, host->name, host->name_length);
        text[host->name_length] = '\0';
    }
    return out + sprintf(out, host->ip.family == IP_V6 ? "[%s]:%u" : "%s:%u", text, (unsigned)port);
}

size_t http_write_connect(const struct socks_host *host, uint16_t port, const char *user,
                          const char *password, uint8_t *out)
{
    char *begin = (char *)out, *at = stpcpy(begin, "CONNECT ");

    at = put_authority(host, port, at);
    at = stpcpy(at, " HTTP/1.1\r\nHost: "); /* required even here: RFC 9112, 3.2 */
    at = put_authority(host, port, at);
    if (user) {
        at = stpcpy(at, "\r\nProxy-Authorization: Basic ");
        at = put_basic(user, password ? password : "", at);
    }
    return (size_t)(stpcpy(at, "\r\n\r\n") - begin);
}

/* ---- the response */

enum stage {
    STAGE_STATUS_LINE, /* `at` bytes of it are there */
    STAGE_STATUS_END,
    STAGE_REASON,
    STAGE_LINE_BEGIN,
    STAGE_NAME,
    STAGE_VALUE,
    STAGE_LINE_FEED, /* has to come after CR */
    STAGE_OVER,
};

/* RFC 9110, 5.6.2. */
static bool is_token_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* RFC 9112, 4, and RFC 9110, 5.5: text. */
static bool is_text_byte(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7F);
}

/* The fixed width of `HTTP/1.x NNN`; false: it is not that. */
static bool take_status_byte(struct http_response *r, uint8_t c)
{
    static const char first[] = "HTTP/1.0 100", last[] = "HTTP/1.9 999";

    if (c < (uint8_t)first[r->at] || c > (uint8_t)last[r->at])
        return false;
    if (r->at > strlen("HTTP/1.0"))
        r->status = (uint16_t)(r->status * 10 + (c - '0'));
    if (++r->at == sizeof first - 1)
        r->stage = STAGE_STATUS_END;
    return true;
}

static bool is_interim(const struct http_response *r)
{
    return r->status < 200 && r->status != 101;
}

/* The digits of another status are over: there may be no more to come. */
static bool is_refusal(const struct http_response *r, uint8_t c)
{
    return r->stage == STAGE_STATUS_END && (c == ' ' || c == '\r' || c == '\n') &&
           r->status / 100 != 2 && !is_interim(r);
}

/* Whether a line may end here: not within the status or a name. */
static bool may_end_line(struct http_response *r)
{
    r->head_over |= r->stage == STAGE_LINE_BEGIN;
    return r->stage == STAGE_STATUS_END || r->stage == STAGE_REASON || r->stage == STAGE_VALUE ||
           r->stage == STAGE_LINE_BEGIN;
}

static void end_line(struct http_response *r)
{
    r->stage = STAGE_LINE_BEGIN;
    if (!r->head_over)
        return;
    r->stage = STAGE_OVER;
    if (!is_interim(r))
        return;
    r->stage = STAGE_STATUS_LINE;
    r->head_over = false;
    r->status = r->at = 0;
}

static bool take_byte(struct http_response *r, uint8_t c)
{
    if (c == '\n') {
        if (r->stage != STAGE_LINE_FEED && !may_end_line(r))
            return false;
        end_line(r);
        return true;
    }
    if (c == '\r') {
        bool may = may_end_line(r);

        r->stage = STAGE_LINE_FEED;
        return may;
    }
    switch ((enum stage)r->stage) {
    case STAGE_STATUS_LINE:
        return take_status_byte(r, c);
    case STAGE_STATUS_END:
        r->stage = STAGE_REASON;
        return c == ' ';
    case STAGE_LINE_BEGIN:
        if (c == ' ' || c == '\t') {
            r->stage = STAGE_VALUE;
            return true;
        }
        r->stage = STAGE_NAME;
        return is_token_byte(c);
    case STAGE_NAME:
        if (c == ':')
            r->stage = STAGE_VALUE;
        return c == ':' || is_token_byte(c);
    case STAGE_REASON:
    case STAGE_VALUE:
        return is_text_byte(c);
    case STAGE_LINE_FEED:
    case STAGE_OVER:
        break;
    }
    return false;
}

enum parse http_parse_response(struct cursor *in, struct http_response *r,
                               struct stream_error *ret_error)
{
    while (cursor_left(in)) {
        uint8_t c = *in->at++;

        if (is_refusal(r, c)) {
            *ret_error = stream_error_code(ERROR_HTTP_STATUS, r->status);
            return PARSE_BAD;
        }
        if (!take_byte(r, c) || (++r->head_size == HTTP_HEAD_MAX && r->stage != STAGE_OVER)) {
            *ret_error = stream_error_of(ERROR_HTTP_RESPONSE_BAD);
            return PARSE_BAD;
        }
        if (r->stage == STAGE_OVER)
            return PARSE_DONE;
    }
    return PARSE_MORE;
}
