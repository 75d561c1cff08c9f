/* frontend_socks4.c - SOCKS4 and 4a as a server (Ying-Da Lee's note): one request, one reply. */
#include "daemon/frontend.h"

static void socks4_reply(const struct handshake *handshake, const struct stream_error *error,
                         const struct ip_endpoint *bound, struct answer *answer)
{
    uint8_t code = stream_error_reply(error).socks4;

    (void)handshake;
    answer->length = code ? socks4_write_reply(code, bound, answer->bytes) : 0;
}

static enum parse refuse(struct handshake *handshake, struct stream_error error,
                         struct answer *answer)
{
    handshake->error = error;
    socks4_reply(handshake, &error, NULL, answer);
    return PARSE_BAD;
}

static enum parse socks4_step(struct handshake *handshake, struct cursor *in, struct answer *answer)
{
    struct stream_error error;

    switch (socks4_parse_request(in, &handshake->request, NULL, &error)) {
    case PARSE_MORE:
        return PARSE_MORE;
    case PARSE_BAD:
        return refuse(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    handshake->has_request = true;
    if (handshake->request.host.name_length)
        handshake->protocol = "socks4a";
    if (handshake->request.command != SOCKS_CONNECT)
        return refuse(handshake, stream_error_of(ERROR_PROTOCOL_COMMAND_UNSUPPORTED), answer);
    if (handshake->request.port == 0)
        return refuse(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
    return PARSE_DONE;
}

static void socks4_cut(struct handshake *handshake, struct answer *answer)
{
    refuse(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
}

const struct frontend frontend_socks4 = {
    .name = "socks4",
    .first_byte = 4,
    .step = socks4_step,
    .cut = socks4_cut,
    .reply = socks4_reply,
};
