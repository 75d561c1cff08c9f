/* frontend_forward.c - no protocol at all: the listener knows the target, and the client's bytes are
 * for it alone. Never sniffed and never stepped: session_forward() has the request. Nothing is ever
 * said to the client. */
#include "daemon/frontend.h"

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
    .is_silent = true,
    .reply = forward_reply,
};
