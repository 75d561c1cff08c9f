/* session_handshake.c - reading what the client wants: the front end parses, the session carries
 * its bytes to and fro. */
#include "daemon/session_machine.h"

#include <stdlib.h>
#include <string.h>

static void take_target(struct session *s)
{
    const struct socks_request *request = &s->handshake->request;

    s->command = request->command;
    s->target_port = request->port;
    s->target_ip = request->host.ip;
    if (request->host.name_length) {
        s->target_name = malloc(request->host.name_length + 1u);
        if (!s->target_name)
            return;
        memcpy(s->target_name, request->host.name, request->host.name_length);
        s->target_name[request->host.name_length] = '\0';
        s->target_name_length = request->host.name_length;
    }
}

/* Lets the front end read what has come. True: something changed, look again. */
static bool parse(struct session *s)
{
    struct handshake *h = s->handshake;
    struct cursor in = cursor_over(buffer_bytes(&s->up.waiting), buffer_waiting(&s->up.waiting));
    const uint8_t *start = in.at;
    struct answer answer = {.length = 0};
    enum parse parsed = PARSE_DONE;

    if (!h->frontend)
        parsed = frontend_sniff(h, s->listener->config->protocols, &in,
                                s->client.read_status == STREAM_AT_END);
    if (parsed == PARSE_DONE)
        parsed = h->frontend->step(h, &in, &answer);
    s->protocol = h->protocol;
    if (in.at != start)
        buffer_consume(&s->up.waiting, s->worker->tools.pool, (size_t)(in.at - start));
    if (h->has_request)
        take_target(s);
    switch (parsed) {
    case PARSE_MORE:
        session_say(s, &answer);
        return answer.length > 0;
    case PARSE_BAD:
        session_refuse(s, h->error, &answer);
        return true;
    case PARSE_DONE:
        break;
    }
    session_dial(s);
    return true;
}

/* The client has ended its direction before its request was complete. */
static void cut(struct session *s)
{
    struct answer answer = {.length = 0};

    if (!s->handshake->frontend || (s->handshake->stage && !buffer_waiting(&s->up.waiting))) {
        session_end(s, stream_error_of(ERROR_CLIENT_GONE)); /* nothing was begun */
        return;
    }
    s->handshake->frontend->cut(s->handshake, &answer);
    session_refuse(s, s->handshake->error, &answer);
}

bool session_step_handshake(struct session *s)
{
    if (relay_wants_write(&s->down)) {
        if (relay_flush(&s->down, &s->worker->tools) == RELAY_WRITE_FAILED)
            session_end(s, stream_error_of(ERROR_CLIENT_GONE));
        if (relay_wants_write(&s->down))
            return false; /* who does not read our answers is not asked for more */
    }
    switch (session_read_early(s)) {
    case IO_OK:
        while (s->state == SESSION_HANDSHAKE && buffer_waiting(&s->up.waiting) && parse(s))
            ;
        return true;
    case IO_AGAIN:
        return false;
    case IO_EOF:
        if (!s->handshake->frontend && buffer_waiting(&s->up.waiting) && parse(s))
            return true;
        cut(s);
        return true;
    case IO_ERROR:
        break;
    }
    session_end(s, stream_error_of(ERROR_CLIENT_GONE));
    return true;
}
