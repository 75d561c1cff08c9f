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

void session_forward(struct session *s)
{
    const struct config_target *target = &s->listener->config->forward_to;
    struct handshake *h = s->handshake;
    size_t n = target->name ? strlen(target->name) : 0; /* a name that resolves: 255 at most */

    h->frontend = &frontend_forward;
    h->has_request = true;
    h->request = (struct socks_request){.command = SOCKS_CONNECT, .port = target->port};
    h->request.host.ip = target->ip;
    h->request.host.name_length = (uint8_t)n;
    if (n)
        memcpy(h->request.host.name, target->name, n + 1);
    s->protocol = frontend_forward.name;
    take_target(s);
    session_dial(s);
}

/* What the front end wants next. True: something changed, look again. */
static bool obey(struct session *s, enum frontend_step wanted, const struct answer *answer)
{
    switch (wanted) {
    case FRONTEND_MORE:
        session_say(s, answer);
        return answer->length > 0;
    case FRONTEND_BAD:
        session_refuse(s, s->handshake->error, answer);
        return true;
    case FRONTEND_DONE:
        session_dial(s);
        return true;
    case FRONTEND_PASSWORD:
        session_check_password(s);
        return true;
    case FRONTEND_IDENT:
        session_ask_ident(s);
        return true;
    }
    return false;
}

/* Lets the front end read what has come. */
static bool parse(struct session *s)
{
    struct handshake *h = s->handshake;
    struct cursor in = cursor_over(buffer_bytes(&s->up.waiting), buffer_waiting(&s->up.waiting));
    const uint8_t *start = in.at;
    struct answer answer = {.length = 0};
    enum frontend_step wanted;
    enum parse sniffed = PARSE_DONE;

    if (!h->frontend)
        sniffed = frontend_sniff(h, s->listener->config->protocols, &in,
                                 s->client.read_status == STREAM_AT_END);
    if (sniffed == PARSE_DONE)
        wanted = h->frontend->step(h, &in, &answer);
    else
        wanted = sniffed == PARSE_BAD ? FRONTEND_BAD : FRONTEND_MORE;
    s->protocol = h->protocol;
    if (in.at != start)
        buffer_consume(&s->up.waiting, s->worker->tools.pool, (size_t)(in.at - start));
    if (h->has_request)
        take_target(s);
    return obey(s, wanted, &answer);
}

/* Reads on in what has come already. */
static void parse_waiting(struct session *s)
{
    while (s->state == SESSION_HANDSHAKE && buffer_waiting(&s->up.waiting) && parse(s))
        ;
}

void session_judged(struct session *s, struct stream_error error)
{
    struct answer answer = {.length = 0};

    session_set_state(s, SESSION_HANDSHAKE);
    obey(s, s->handshake->frontend->judged(s->handshake, error, &answer), &answer);
    parse_waiting(s);
}

/* The client has ended its direction before its request was complete. */
static void cut(struct session *s)
{
    struct answer answer = {.length = 0};

    if (s->expects_proxy_header && buffer_waiting(&s->up.waiting)) {
        session_end(s, stream_error_of(ERROR_PROTOCOL_PROXY_BAD));
        return;
    }
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
        if (!s->expects_proxy_header || session_take_proxy_header(s))
            parse_waiting(s);
        return true;
    case IO_AGAIN:
        return false;
    case IO_EOF:
        if (!s->expects_proxy_header && !s->handshake->frontend && buffer_waiting(&s->up.waiting) &&
            parse(s))
            return true;
        cut(s);
        return true;
    case IO_ERROR:
        break;
    }
    session_end(s, session_client_error(s));
    return true;
}
