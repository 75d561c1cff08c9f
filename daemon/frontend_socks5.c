/* frontend_socks5.c - SOCKS5 as a server (RFC 1928): greeting, method, request, reply. */
#include "daemon/frontend.h"

enum stage { STAGE_GREETING, STAGE_REQUEST };

static void socks5_reply(const struct handshake *handshake, const struct stream_error *error,
                         const struct ip_endpoint *bound, struct answer *answer)
{
    uint8_t code = stream_error_reply(error).socks5;

    (void)handshake;
    /* 0 is success for an error of none, and "closed without a reply" for all others. */
    if (code == 0 && stream_error_set(error))
        answer->length = 0;
    else
        answer->length = socks5_write_reply(code, bound, answer->bytes);
}

static enum parse refuse_method(struct handshake *handshake, struct stream_error error,
                                struct answer *answer)
{
    handshake->error = error;
    answer->length = socks5_write_method(SOCKS5_METHOD_NONE_ACCEPTABLE, answer->bytes);
    return PARSE_BAD;
}

static enum parse refuse_request(struct handshake *handshake, struct stream_error error,
                                 struct answer *answer)
{
    handshake->error = error;
    socks5_reply(handshake, &error, NULL, answer);
    return PARSE_BAD;
}

static enum parse greeting(struct handshake *handshake, struct cursor *in, struct answer *answer)
{
    struct socks5_greeting message;
    struct stream_error error;

    switch (socks5_parse_greeting(in, &message, &error)) {
    case PARSE_MORE:
        return PARSE_MORE;
    case PARSE_BAD:
        return refuse_method(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    /* A method that was not offered is never chosen (RFC 1928, 3). */
    if (!socks5_greeting_offers(&message, SOCKS5_METHOD_NONE))
        return refuse_method(handshake, stream_error_of(ERROR_SOCKS5_NONE_ACCEPTABLE), answer);
    answer->length = socks5_write_method(SOCKS5_METHOD_NONE, answer->bytes);
    handshake->stage = STAGE_REQUEST;
    return PARSE_MORE;
}

static enum parse request(struct handshake *handshake, struct cursor *in, struct answer *answer)
{
    struct stream_error error;

    switch (socks5_parse_request(in, &handshake->request, &error)) {
    case PARSE_MORE:
        return PARSE_MORE;
    case PARSE_BAD:
        return refuse_request(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    handshake->has_request = true;
    if (handshake->request.command != SOCKS_CONNECT)
        return refuse_request(handshake, stream_error_of(ERROR_PROTOCOL_COMMAND_UNSUPPORTED),
                              answer);
    if (handshake->request.port == 0)
        return refuse_request(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
    return PARSE_DONE;
}

static enum parse socks5_step(struct handshake *handshake, struct cursor *in, struct answer *answer)
{
    return handshake->stage == STAGE_GREETING ? greeting(handshake, in, answer)
                                              : request(handshake, in, answer);
}

static void socks5_cut(struct handshake *handshake, struct answer *answer)
{
    if (handshake->stage == STAGE_GREETING)
        refuse_method(handshake, stream_error_of(ERROR_PROTOCOL_GREETING_BAD), answer);
    else
        refuse_request(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
}

const struct frontend frontend_socks5 = {
    .name = "socks5",
    .first_byte = 5,
    .step = socks5_step,
    .cut = socks5_cut,
    .reply = socks5_reply,
};
