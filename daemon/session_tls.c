/* session_tls.c - TLS on either side of a session, as its listener and its route want it. */
#include "daemon/session_machine.h"
#include "streams/layer_tls.h"

#include <stdlib.h>
#include <string.h>

/* No protocol is spoken yet that has a word for it; TLS ends as it should. */
static void close_in_order(struct session *s, enum stream_error_id id)
{
    static const struct answer silence = {.length = 0};

    session_refuse(s, stream_error_of(id), &silence);
}

/* A verified certificate is an identity; where certificates are enough, nobody is asked for more. Who
 * has none is left to the other ways, if there are any. */
static void take_certificate(struct session *s)
{
    struct layer *layer = pair_find_layer(&s->client, layer_tls_name);
    const char *name = layer ? layer_tls_peer_common_name(layer) : NULL;

    if (!(s->handshake->auth & AUTH_CERTIFICATE))
        return;
    if (!name) {
        if (!(s->handshake->auth & (AUTH_NONE | AUTH_PASSWORD | AUTH_IDENT)))
            close_in_order(s, ERROR_AUTH_CERTIFICATE_MISSING);
        return;
    }
    s->handshake->auth &= ~(unsigned)AUTH_IDENT; /* it says less */
    s->handshake->auth |= AUTH_NONE;
    if (asprintf(&s->user, "cert:%s", name) < 0) {
        s->user = NULL;
        session_end(s, stream_error_connect(ENOMEM));
        return;
    }
    if (gate_enter_user(s->listener->gate, s->user, &s->user_counted))
        return;
    gate_count(s->listener->gate, GATE_USER);
    close_in_order(s, ERROR_POLICY_LIMIT_USER);
}

void session_secure_client(struct session *s)
{
    struct layer_tls_options options = {
        .names = s->listener->tls,
        .pool = s->worker->tools.pool,
        .early = buffer_bytes(&s->up.waiting),
        .early_length = buffer_waiting(&s->up.waiting),
    };
    struct layer *layer = layer_tls_new(&options);

    s->client_secured = true;
    buffer_clear(&s->up.waiting, s->worker->tools.pool);
    session_set_state(s, SESSION_SECURING);
    if (!layer || !pair_open_layer(&s->client, layer))
        session_end(s, stream_error_connect(ENOMEM));
}

struct stream_error session_client_error(const struct session *s)
{
    const struct stream_error *error = &s->client.error;

    if ((error->domain == ERROR_DOMAIN_TLS && !stream_error_is(error, ERROR_TLS_CUT)) ||
        error->code == ENOMEM)
        return *error;
    return stream_error_of(ERROR_CLIENT_GONE);
}

bool session_step_securing(struct session *s)
{
    if (pair_is_opening(&s->client))
        return false;
    session_count_client_secured(s);
    if (s->client.state != PAIR_CONNECTED) {
        session_end(s, session_client_error(s));
        return true;
    }
    session_set_state(s, SESSION_HANDSHAKE);
    take_certificate(s);
    if (s->state == SESSION_HANDSHAKE)
        session_begin(s);
    return true;
}

bool session_secure_target(struct session *s)
{
    struct tls_context *context = snapshot_route_tls(s->listener->snapshot, s->route);
    struct dial_peer target = {s->asked_ip.family == IP_NONE ? s->target_name : NULL, s->asked_ip,
                               s->target_port};
    struct stream_error error = stream_error_connect(ENOMEM);
    struct ip_endpoint reached;
    struct dial_client client;
    struct open_plan *plan;

    if (s->target_secured || !s->route || (!context && s->route->send_proxy == SEND_PROXY_NO))
        return false;
    s->target_secured = true;
    reached = pair_local_address(&s->client);
    client = dial_client_of(&s->peer, &reached);
    plan = open_plan_new(s->worker->tools.pool);
    if (plan && dial_plan_add_connection(plan, 0, s->route, context, &target, &client, &error) &&
        pair_open_plan(&s->target, plan))
        return true;
    open_plan_free(plan);
    session_end_with_reset(s, error);
    return true;
}
