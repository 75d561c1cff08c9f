/* session_bind.c - BIND: the target comes to us. A port is opened for it (or the last proxy opens one), the
 * client is told which, and again when somebody has come; from then on it is a session like any other. Only
 * the peer that the client has named is taken. What it takes beside the session lives with the handshake, so
 * that sessions without a BIND are no larger for it. */
#include "daemon/bind_socket.h"
#include "daemon/session_machine.h"
#include "streams/layer_socks.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct session_bind {
    struct session *session; /* borrowed: the owner */
    ev_io io;                /* io.fd is owned; -1: no port is open */
    bool has_knocked;        /* somebody is at the port, or was */
    bool by_proxy;
    uint64_t since; /* ms; when the client was told the port */
    struct ip_address peers[CONNECTOR_ADDRESSES_MAX];
    unsigned peer_count;
    bool takes_any;          /* whoever the rules allow, the client has named nobody */
    struct ip_endpoint came; /* by proxy */
};

/* ---- from its making to its end */

static void on_knock(struct ev_loop *loop, ev_io *w, int revents)
{
    struct session_bind *b = w->data;

    (void)loop;
    (void)revents;
    b->has_knocked = true;
    session_run(b->session);
}

static void note(struct session_bind *b, const struct ip_address *ip)
{
    if (b->peer_count < CONNECTOR_ADDRESSES_MAX)
        b->peers[b->peer_count++] = *ip;
}

bool session_prepare_bind(struct session *s)
{
    struct session_bind *b = calloc(1, sizeof *b);

    if (!b)
        return false;
    b->session = s;
    ev_init(&b->io, on_knock);
    b->io.fd = -1;
    b->io.data = b;
    b->takes_any = ip_is_unspecified(&s->asked_ip);
    if (s->asked_ip.family != IP_NONE)
        note(b, &s->asked_ip);
    s->handshake->bind = b;
    return true;
}

static void close_port(struct session_bind *b)
{
    if (b->io.fd < 0)
        return;
    ev_io_stop(b->session->worker->loop, &b->io);
    close(b->io.fd);
    b->io.fd = -1;
}

void session_stop_bind(struct session *s)
{
    if (!s->handshake->bind)
        return;
    close_port(s->handshake->bind);
    free(s->handshake->bind);
    s->handshake->bind = NULL;
}

bool session_note_peer(void *target, const struct ip_endpoint *address,
                       struct stream_error *ret_error)
{
    struct session *s = SESSION_OF(target, target);

    if (!session_judge_address(target, address, ret_error))
        return false;
    note(s->handshake->bind, &address->ip);
    *ret_error = stream_error_of(ERROR_RESOLVER_NO_ADDRESS); /* of no interest: there is a peer */
    return false;
}

/* ---- the port is opened */

/* The first of two replies. */
static void tell_port(struct session *s, const struct ip_endpoint *bound)
{
    static const struct stream_error none;
    struct answer answer = {.length = 0};

    s->handshake->bind->since = session_now(s);
    s->handshake->frontend->reply(s->handshake, &none, bound, &answer);
    session_set_state(s, SESSION_BINDING);
    session_say(s, &answer);
}

/* Who has named nobody may be found where it has found us. */
static struct ip_address own_address_for_any(const struct session *s, const struct ip_address *any)
{
    static const struct ip_address loopback_v4 = {IP_V4, {127, 0, 0, 1}},
                                   loopback_v6 = {IP_V6, {[15] = 1}};
    struct ip_endpoint reached = pair_local_address(&s->client);

    reached.ip = ip_unmapped(&reached.ip);
    if (reached.ip.family == IP_V4 ||
        (reached.ip.family == IP_V6 && !s->handshake->frontend->ipv4_only))
        return reached.ip;
    return any->family == IP_V4 ? loopback_v4 : loopback_v6;
}

/* Of several addresses of a peer the first that there is a way to says where it will come. */
static bool choose_own_address(const struct session *s, struct ip_address *ret_own,
                               struct stream_error *ret_error)
{
    const struct session_bind *b = s->handshake->bind;
    struct ip_address source = session_source(s);
    bool is_found = false;

    if (b->takes_any && source.family == IP_NONE) {
        *ret_own = own_address_for_any(s, &b->peers[0]);
        return true;
    }
    if (b->takes_any && !s->handshake->frontend->ipv4_only) {
        *ret_own = source;
        return true;
    }
    for (unsigned i = 0; i < b->peer_count && !is_found; i++) {
        if (source.family == IP_NONE) {
            is_found = bind_socket_facing(&b->peers[i], ret_own, ret_error);
        } else {
            is_found = source.family == b->peers[i].family;
            *ret_own = source;
            *ret_error = stream_error_connect(ENETUNREACH); /* as for a connection from it */
        }
    }
    return is_found;
}

void session_listen(struct session *s)
{
    struct session_bind *b = s->handshake->bind;
    struct stream_error error = s->target.error; /* of a name that led to nobody */
    struct ip_endpoint bound;
    struct ip_address own;
    int fd;

    if (b->peer_count == 0 || !choose_own_address(s, &own, &error)) {
        session_reply_failure(s, error);
        return;
    }
    fd = bind_socket_open(&own, s->listener->config, &bound, &error);
    if (fd < 0) {
        session_reply_failure(s, error);
        return;
    }
    pair_close(&s->target); /* what resolving left */
    ev_io_set(&b->io, fd, EV_READ);
    ev_io_start(s->worker->loop, &b->io);
    tell_port(s, &bound);
}

/* ---- a proxy does it */

static enum socks_client version_of(const struct config_upstream *proxy)
{
    switch (proxy->type) {
    case UPSTREAM_SOCKS4:
        return SOCKS_CLIENT_4;
    case UPSTREAM_SOCKS4A:
        return SOCKS_CLIENT_4A;
    default:
        return SOCKS_CLIENT_5;
    }
}

/* Its second reply is there. */
static void on_second_reply(void *context, enum setup_phase phase)
{
    struct session *s = context;
    struct session_bind *b = s->handshake->bind;
    struct socks_host host;

    if (phase == SETUP_DONE &&
        layer_socks_bound(pair_find_layer(&s->target, layer_socks_name), &host, &b->came.port))
        b->came.ip = ip_unmapped(&host.ip);
}

void session_listen_by_proxy(struct session *s)
{
    struct ip_endpoint bound = dial_bound(s->dial);
    struct layer *layer =
        layer_socks_second_reply_new(version_of(config_last_proxy(s->route)), on_second_reply, s);

    if (bound.ip.family == IP_NONE)
        bound.ip.family = IP_V4; /* 0.0.0.0 with the port, which is all that is known */
    session_free_dial(s);
    if (!layer) {
        session_reply_failure(s, stream_error_connect(ENOMEM));
        return;
    }
    s->handshake->bind->by_proxy = true;
    tell_port(s, &bound);
    if (s->state == SESSION_BINDING && pair_open_layer(&s->target, layer))
        return;
    layer->ops->done(layer);
    session_end(s, stream_error_of(ERROR_STREAM_BAD_STATE));
}

/* ---- somebody comes */

static bool is_named(const struct session_bind *b, const struct ip_address *ip)
{
    for (unsigned i = 0; i < b->peer_count; i++)
        if (ip_equal(&b->peers[i], ip))
            return true;
    return false;
}

/* Of one that came by proxy the proxy has judged, but if the client has named nobody the rules here have
 * not. */
static bool may_come(struct session *s, const struct ip_endpoint *came,
                     struct stream_error *ret_error)
{
    const struct session_bind *b = s->handshake->bind;
    bool is_judged = b->takes_any || (s->asked_ip.family == IP_NONE && !b->by_proxy);

    *ret_error = stream_error_of(ERROR_POLICY_BIND_OTHER_PEER);
    if (!b->takes_any && !b->by_proxy && !is_named(b, &came->ip))
        return false;
    return !is_judged || session_judge_peer(s, &came->ip, ret_error);
}

static bool step_port(struct session *s)
{
    struct session_bind *b = s->handshake->bind;
    struct stream_error error = {0};
    struct ip_endpoint came;
    int fd;

    if (!b->has_knocked)
        return false;
    b->has_knocked = false;
    fd = bind_socket_accept(b->io.fd, &came, &error);
    if (fd < 0 && !stream_error_set(&error))
        return false;
    close_port(b);
    if (fd < 0) {
        session_reply_failure(s, error);
        return true;
    }
    s->address = came;
    if (!may_come(s, &came, &error)) {
        close(fd);
        session_reply_failure(s, error);
        return true;
    }
    pair_adopt(&s->target, fd, &came, true);
    pair_inherited_no_delay(&s->target);
    session_reply_success(s, &came);
    return true;
}

static bool step_proxy(struct session *s)
{
    struct ip_endpoint came = s->handshake->bind->came;
    struct stream_error error;

    if (pair_is_opening(&s->target))
        return false;
    s->address = came;
    if (s->target.state != PAIR_CONNECTED)
        session_reply_failure(s, s->target.error);
    else if (!may_come(s, &came, &error))
        session_reply_failure(s, error);
    else
        session_reply_success(s, &came);
    return true;
}

bool session_step_binding(struct session *s)
{
    if (relay_wants_write(&s->down) &&
        relay_flush(&s->down, &s->worker->tools) == RELAY_WRITE_FAILED) {
        session_end(s, session_client_error(s));
        return true;
    }
    if (!session_keep_early(s))
        return true;
    /* An end and a close look alike, and a port is kept open: who has nothing to say is taken to have
     * left, as is one whose TLS was cut. */
    if ((s->up.state != RELAY_OPEN && !buffer_waiting(&s->up.waiting)) ||
        stream_error_set(&s->client.error)) {
        session_end(s, session_client_error(s));
        return true;
    }
    return s->handshake->bind->by_proxy ? step_proxy(s) : step_port(s);
}

uint64_t session_bind_due(const struct session *s)
{
    return s->handshake->bind->since + (uint64_t)s->listener->config->bind_timeout;
}
