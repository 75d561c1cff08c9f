/* frontend_socks5.c - SOCKS5 as a server (RFC 1928): greeting, method, user and password (RFC 1929),
 * request, reply. */
#include "daemon/frontend.h"

enum stage { STAGE_GREETING, STAGE_USERPASS, STAGE_REQUEST };

static bool socks5_begins(uint8_t first)
{
    return first == 5;
}

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

static enum frontend_step refuse_method(struct handshake *handshake, struct stream_error error,
                                        struct answer *answer)
{
    handshake->error = error;
    answer->length = socks5_write_method(SOCKS5_METHOD_NONE_ACCEPTABLE, answer->bytes);
    return FRONTEND_BAD;
}

/* RFC 1929, 2: any status but 0 is a failure. */
static enum frontend_step refuse_login(struct handshake *handshake, struct stream_error error,
                                       struct answer *answer)
{
    handshake->error = error;
    answer->length = socks5_write_status(1, answer->bytes);
    return FRONTEND_BAD;
}

static enum frontend_step refuse_request(struct handshake *handshake, struct stream_error error,
                                         struct answer *answer)
{
    handshake->error = error;
    socks5_reply(handshake, &error, NULL, answer);
    return FRONTEND_BAD;
}

static enum frontend_step accept_method(struct handshake *handshake, uint8_t method,
                                        enum stage next, struct answer *answer)
{
    answer->length = socks5_write_method(method, answer->bytes);
    handshake->stage = (uint8_t)next;
    return FRONTEND_MORE;
}

/* A method that was not offered is never chosen (RFC 1928, 3). Who can show a password is asked for
 * it, also where none is needed: rules go by users. */
static enum frontend_step choose_method(struct handshake *handshake,
                                        const struct socks5_greeting *offered,
                                        struct answer *answer)
{
    if ((handshake->auth & AUTH_PASSWORD) &&
        socks5_greeting_offers(offered, SOCKS5_METHOD_USERPASS))
        return accept_method(handshake, SOCKS5_METHOD_USERPASS, STAGE_USERPASS, answer);
    if (socks5_greeting_offers(offered, SOCKS5_METHOD_NONE)) {
        if (handshake->auth & AUTH_IDENT)
            return FRONTEND_IDENT;
        if (handshake->auth & AUTH_NONE)
            return accept_method(handshake, SOCKS5_METHOD_NONE, STAGE_REQUEST, answer);
    }
    return refuse_method(handshake, stream_error_of(ERROR_SOCKS5_NONE_ACCEPTABLE), answer);
}

static enum frontend_step greeting(struct handshake *handshake, struct cursor *in,
                                   struct answer *answer)
{
    struct socks5_greeting message;
    struct stream_error error;

    switch (socks5_parse_greeting(in, &message, &error)) {
    case PARSE_MORE:
        return FRONTEND_MORE;
    case PARSE_BAD:
        return refuse_method(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    return choose_method(handshake, &message, answer);
}

static enum frontend_step userpass(struct handshake *handshake, struct cursor *in,
                                   struct answer *answer)
{
    struct stream_error error;

    switch (socks5_parse_userpass(in, &handshake->login, &error)) {
    case PARSE_MORE:
        return FRONTEND_MORE;
    case PARSE_BAD:
        return refuse_login(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    return FRONTEND_PASSWORD;
}

static enum frontend_step request(struct handshake *handshake, struct cursor *in,
                                  struct answer *answer)
{
    struct stream_error error;

    switch (socks5_parse_request(in, &handshake->request, &error)) {
    case PARSE_MORE:
        return FRONTEND_MORE;
    case PARSE_BAD:
        return refuse_request(handshake, error, answer);
    case PARSE_DONE:
        break;
    }
    handshake->has_request = true;
    if (!frontend_serves(handshake, &error))
        return refuse_request(handshake, error, answer);
    return FRONTEND_DONE;
}

static enum frontend_step socks5_step(struct handshake *handshake, struct cursor *in,
                                      struct answer *answer)
{
    switch (handshake->stage) {
    case STAGE_GREETING:
        return greeting(handshake, in, answer);
    case STAGE_USERPASS:
        return userpass(handshake, in, answer);
    default:
        return request(handshake, in, answer);
    }
}

static enum frontend_step socks5_judged(struct handshake *handshake, struct stream_error error,
                                        struct answer *answer)
{
    if (handshake->stage == STAGE_GREETING)
        return stream_error_set(&error)
                   ? refuse_method(handshake, error, answer)
                   : accept_method(handshake, SOCKS5_METHOD_NONE, STAGE_REQUEST, answer);
    if (stream_error_set(&error))
        return refuse_login(handshake, error, answer);
    answer->length = socks5_write_status(0, answer->bytes);
    handshake->stage = STAGE_REQUEST;
    return FRONTEND_MORE;
}

static void socks5_cut(struct handshake *handshake, struct answer *answer)
{
    switch (handshake->stage) {
    case STAGE_GREETING:
        refuse_method(handshake, stream_error_of(ERROR_PROTOCOL_GREETING_BAD), answer);
        break;
    case STAGE_USERPASS:
        refuse_login(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
        break;
    default:
        refuse_request(handshake, stream_error_of(ERROR_PROTOCOL_REQUEST_BAD), answer);
    }
}

const struct frontend frontend_socks5 = {
    .name = "socks5",
    .protocol = PROTOCOL_SOCKS5,
    .tells_bound = true,
    .begins = socks5_begins,
    .step = socks5_step,
    .judged = socks5_judged,
    .cut = socks5_cut,
    .reply = socks5_reply,
};
