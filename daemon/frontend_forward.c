/* frontend_forward.c - no protocol at all: the listener knows the target, and the client's bytes are
 * for it alone. Nothing is ever said to the client. */
#include "daemon/frontend.h"

static bool forward_begins(uint8_t first)
{
    (void)first;
    return false;
}

static enum frontend_step forward_step(struct handshake *handshake, struct cursor *in,
                                       struct answer *answer)
{
    (void)in;
    (void)answer;
    handshake->has_request = true;
    return FRONTEND_DONE;
}

static void forward_cut(struct handshake *handshake, struct answer *answer)
{
    (void)answer;
    handshake->error = stream_error_of(ERROR_CLIENT_GONE);
}

static void forward_reply(const struct handshake *handshake, const struct stream_error *error,
                          const struct ip_endpoint *bound, struct answer *answer)
{
    (void)handshake;
    (void)error;
    (void)bound;
    answer->length = 0;
}

const struct frontend frontend_forward = {
    .name = "forward",
    .protocol = PROTOCOL_FORWARD,
    .begins = forward_begins,
    .step = forward_step,
    .cut = forward_cut,
    .reply = forward_reply,
};
