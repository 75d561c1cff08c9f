/* session_proxy.c - the PROXY header in front of everything: from there on the client is the one that
 * it names. */
#include "daemon/session_machine.h"
#include "streams/proxy_protocol.h"

/* The place in the queue, which was the load balancer's, becomes the client's. */
static bool requeue(struct session *s)
{
    if (!session_leave_queue(s)) {
        session_end_with_reset(s, stream_error_of(ERROR_POLICY_LIMIT_QUEUE));
        return false;
    }
    session_enter_queue(s);
    return true;
}

static bool take_client(struct session *s, const struct proxy_header *header)
{
    if (!header->is_local) {
        s->peer = header->source;
        s->peer.ip = ip_unmapped(&s->peer.ip);
    }
    if (!whitelist_allows(s->listener->whitelist, &s->peer.ip)) {
        gate_count(s->listener->gate, GATE_WHITELIST);
        session_end(s, stream_error_of(ERROR_POLICY_WHITELIST_DENIED));
        return false;
    }
    if (!requeue(s) || !session_enter_host(s))
        return false;
    session_begin(s);
    return true;
}

bool session_take_proxy_header(struct session *s)
{
    struct cursor in = cursor_over(buffer_bytes(&s->up.waiting), buffer_waiting(&s->up.waiting));
    const uint8_t *start = in.at;
    struct proxy_header header;
    struct stream_error error;

    switch (proxy_parse_header(&in, &header, &error)) {
    case PARSE_MORE:
        return false;
    case PARSE_BAD:
        session_end(s, error);
        return false;
    case PARSE_DONE:
        break;
    }
    s->expects_proxy_header = false;
    buffer_consume(&s->up.waiting, s->worker->tools.pool, (size_t)(in.at - start));
    return take_client(s, &header);
}
