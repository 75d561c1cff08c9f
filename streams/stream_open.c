/* stream_open.c - the way of a pair to its host: which address is connected, and through what the
 * connection passes then (open_plan.h): a SOCKS proxy, TLS. */
#include "streams/open_plan.h"
#include "streams/stream_private.h"
#include "streams/tls_context.h"

#include <string.h>

const char *connection_host(const struct connection *c)
{
    const struct srv_record *server = connection_server(c);

    return server ? server->target : connection_text(c, STREAM_REMOTE_HOST);
}

uint16_t connection_port(const struct connection *c)
{
    const struct srv_record *server = connection_server(c);

    return server ? server->port : (uint16_t)connection_number(c, STREAM_REMOTE_PORT);
}

/* ---- proxies */

/* As `local_bypass` of an upstream has it. */
static bool is_near(const char *host)
{
    struct ip_address ip;
    size_t n = strlen(host);

    return ip_parse(host, n, &ip) ? ip_is_near(&ip) : host_name_is_near(host, n);
}

static bool has_proxy(const struct connection *c)
{
    if (c->socket >= 0 || !connection_text(c, STREAM_SOCKS_HOST))
        return false;
    return !connection_number(c, STREAM_PROXY_LOCAL_BYPASS) || !is_near(connection_host(c));
}

static bool copy_host(const char *text, struct socks_host *ret_host)
{
    size_t n = strlen(text);

    *ret_host = (struct socks_host){0};
    if (ip_parse(text, n, &ret_host->ip))
        return true;
    if (n == 0 || n > HOST_NAME_LENGTH_MAX)
        return false;
    memcpy(ret_host->name, text, n);
    ret_host->name_length = (uint8_t)n;
    return true;
}

static bool add_proxy(struct connection *c, struct stream_error *ret_error)
{
    struct open_step step = {
        .kind = OPEN_SOCKS5,
        .port = connection_port(c),
        .user = connection_text(c, STREAM_SOCKS_USER),
        .password = connection_text(c, STREAM_SOCKS_PASSWORD),
    };

    if (!copy_host(connection_host(c), &step.host)) {
        *ret_error = stream_error_of(ERROR_RESOLVER_INVALID);
        return false;
    }
    switch (connection_number(c, STREAM_SOCKS_VERSION)) {
    case 4:
        step.kind = step.host.name_length ? OPEN_SOCKS4A : OPEN_SOCKS4;
        break;
    case 5:
        break;
    default:
        *ret_error = stream_error_of(ERROR_SOCKS_UNKNOWN_CLIENT_VERSION);
        return false;
    }
    if (open_plan_add(c->plan, &step, ret_error))
        return true;
    /* The sources have a number for it among the errors of SOCKS. */
    if (stream_error_is(ret_error, ERROR_STREAM_BAD_STATE))
        *ret_error = stream_error_of(ERROR_SOCKS_BAD_STATE);
    return false;
}

/* ---- what is passed through */

static bool add_tls(struct connection *c, struct stream_error *ret_error)
{
    struct tls_context *context = connection_tls_context(c);
    struct open_step step = {
        .kind = OPEN_TLS,
        .context = context,
        .peer_name = connection_peer_name(c),
        .keeps_chain = true,
    };
    bool added = false;

    if (context)
        added = open_plan_add(c->plan, &step, ret_error);
    else
        *ret_error = stream_error_of(ERROR_STREAM_BAD_SETTINGS);
    tls_context_unref(context);
    return added;
}

bool connection_prepare(struct connection *c, struct stream_error *ret_error)
{
    connection_drop_plan(c);
    c->plan = open_plan_new(&c->pool);
    if (!c->plan) {
        *ret_error = stream_error_connect(ENOMEM);
        return false;
    }
    if (!connection_host(c) && c->socket < 0)
        return true; /* of a service: when its servers are known */
    if ((!has_proxy(c) || add_proxy(c, ret_error)) &&
        (connection_security(c) == STREAM_SECURITY_NONE || add_tls(c, ret_error)))
        return true;
    connection_drop_plan(c);
    return false;
}

void connection_drop_plan(struct connection *c)
{
    open_plan_free(c->plan);
    c->plan = NULL;
}

bool connection_pass(struct connection *c)
{
    if (!pair_open_plan(&c->pair, c->plan))
        return false;
    c->plan = NULL;
    return true;
}

/* ---- what is connected */

static bool open_socket(struct connection *c)
{
    static const struct ip_endpoint unknown;

    return pair_adopt(&c->pair, c->socket, &unknown, false);
}

static bool open_host(struct connection *c)
{
    bool is_proxied = has_proxy(c);
    const char *host = is_proxied ? connection_text(c, STREAM_SOCKS_HOST) : connection_host(c);
    int64_t port = is_proxied ? connection_number(c, STREAM_SOCKS_PORT) : connection_port(c);
    struct connector_options options = {.resolver = c->resolver};
    struct ip_address literal = {0};

    host_classify(host, strlen(host), &literal);
    return pair_connect(&c->pair, &options, &literal, host, (uint16_t)port);
}

bool connection_connect(struct connection *c)
{
    if (c->socket >= 0)
        return open_socket(c);
    return connection_host(c) ? open_host(c) : connection_look_up(c);
}
