/* frontend_socks4.c - SOCKS4 and 4a as a server (Ying-Da Lee's note): one request, one reply. It has
 * no password: where one is required, it is refused. */
#include "daemon/frontend.h"

#include <string.h>

enum { USERID_OFFSET = 8 };

static bool socks4_begins(uint8_t first)
{
    return first == 4;
}

static void socks4_reply(const struct handshake *handshake, const struct stream_error *error,
                         const struct ip_endpoint *bound, struct answer *answer)
{
    uint8_t code = stream_error_reply(error).socks4;

    (void)handshake;
    answer->length = code ? socks4_write_reply(code, bound, answer->bytes) : 0;
}

static enum frontend_step refuse(struct handshake *handshake, struct stream_error error,
                                 struct answer *answer)
{
    handshake->error = error;
    socks4_reply(handshake, &error, NULL, answer);
    return FRONTEND_BAD;
}

static void take_claim(struct handshake *handshake, const uint8_t *userid, size_t n)
{
    handshake->has_claim = true;
    handshake->login.user_length = (uint8_t)n; /* SOCKS4_USERID_MAX at most */
    memcpy(handshake->login.user, userid, n);
}

static enum frontend_step socks4_step(struct handshake *handshake, struct cursor *in,
                                      struct answer *answer)
{
    const uint8_t *message = in->at;
    struct stream_error error;
    size_t userid_length;

    switch (socks4_parse_request(in, &handshake->request, &userid_length, &error)) {
    case PARSE_MORE:
        return FRONTEND_MORE;
    case PARSE_BAD:
        return refuse(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    handshake->has_request = true;
    if (handshake->request.host.name_length)
        handshake->protocol = "socks4a";
    if (!frontend_serves(handshake, &error))
        return refuse(handshake, error, answer);
    if (handshake->auth & AUTH_IDENT) {
        take_claim(handshake, message + USERID_OFFSET, userid_length);
        return FRONTEND_IDENT;
    }
    if (handshake->auth & AUTH_NONE)
        return FRONTEND_DONE;
    return refuse(handshake, stream_error_of(ERROR_AUTH_PASSWORD_FAILED), answer);
}

static enum frontend_step socks4_judged(struct handshake *handshake, struct stream_error error,
                                        struct answer *answer)
{
    return stream_error_set(&error) ? refuse(handshake, error, answer) : FRONTEND_DONE;
}

static void socks4_cut(struct handshake *handshake, struct answer *answer)
{
    refuse(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
}

const struct frontend frontend_socks4 = {
    .name = "socks4",
    .protocol = PROTOCOL_SOCKS4,
    .ipv4_only = true,
    .tells_bound = true,
    .begins = socks4_begins,
    .step = socks4_step,
    .judged = socks4_judged,
    .cut = socks4_cut,
    .reply = socks4_reply,
};
