/* frontend_http.c - HTTP CONNECT as a server (RFC 9110, 9.3.6): one request, one reply, and Basic
 * authentication (RFC 7617) against the same users as SOCKS5 has. */
#include "daemon/frontend.h"

#include <string.h>

/* A method is a token (RFC 9110, 9.1), and all that exist begin with a capital letter. An empty line
 * may stand before it (RFC 9112, 2.2). */
static bool http_begins(uint8_t first)
{
    return (first >= 'A' && first <= 'Z') || first == '\r' || first == '\n';
}

static void drop_body(struct answer *answer)
{
    const uint8_t *end = memmem(answer->bytes, answer->length, "\r\n\r\n", 4);

    if (end)
        answer->length = (size_t)(end + 4 - answer->bytes);
}

static void http_reply(const struct handshake *handshake, const struct stream_error *error,
                       const struct ip_endpoint *bound, struct answer *answer)
{
    (void)bound;
    answer->length = http_write_reply(error, (char *)answer->bytes);
    if (handshake->http.is_head)
        drop_body(answer);
}

static enum frontend_step refuse(struct handshake *handshake, struct stream_error error,
                                 struct answer *answer)
{
    handshake->error = error;
    http_reply(handshake, &error, NULL, answer);
    return FRONTEND_BAD;
}

static void take_login(struct handshake *handshake)
{
    struct http_credentials *from = &handshake->http.credentials;
    struct socks5_userpass *to = &handshake->login;

    to->user_length = from->user_length;
    to->password_length = from->password_length;
    memcpy(to->user, from->user, from->user_length);
    memcpy(to->password, from->password, from->password_length);
    explicit_bzero(from, sizeof *from);
}

static enum frontend_step authenticate(struct handshake *handshake, struct answer *answer)
{
    const struct http_credentials *credentials = &handshake->http.credentials;

    if ((handshake->auth & AUTH_PASSWORD) && credentials->present) {
        if (credentials->is_bad)
            return refuse(handshake, stream_error_of(ERROR_AUTH_PASSWORD_FAILED), answer);
        take_login(handshake);
        return FRONTEND_PASSWORD;
    }
    handshake->can_login = handshake->auth & AUTH_PASSWORD; /* browsers wait until they are asked */
    if (handshake->auth & AUTH_IDENT)
        return FRONTEND_IDENT;
    if (handshake->auth & AUTH_NONE)
        return FRONTEND_DONE;
    return refuse(handshake, stream_error_of(ERROR_AUTH_PASSWORD_FAILED), answer);
}

static enum frontend_step http_step(struct handshake *handshake, struct cursor *in,
                                    struct answer *answer)
{
    struct stream_error error;

    switch (http_parse_request(in, &handshake->http, &error)) {
    case PARSE_MORE:
        return FRONTEND_MORE;
    case PARSE_BAD:
        return refuse(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    handshake->request = (struct socks_request){
        .command = SOCKS_CONNECT, .port = handshake->http.port, .host = handshake->http.host};
    handshake->has_request = true;
    return authenticate(handshake, answer);
}

static enum frontend_step http_judged(struct handshake *handshake, struct stream_error error,
                                      struct answer *answer)
{
    return stream_error_set(&error) ? refuse(handshake, error, answer) : FRONTEND_DONE;
}

static void http_cut(struct handshake *handshake, struct answer *answer)
{
    refuse(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
}

const struct frontend frontend_http = {
    .name = "http",
    .protocol = PROTOCOL_HTTP,
    .begins = http_begins,
    .step = http_step,
    .judged = http_judged,
    .cut = http_cut,
    .reply = http_reply,
};
