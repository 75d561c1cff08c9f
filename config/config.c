/* config.c - the snapshot from its making to its end. */
#include "config/config.h"

#include "config/loader.h"
#include "config/out_of_reach.h"
#include "config/rules.h"
#include "config/secret_file.h"
#include "config/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes the reference. */
static struct config *compile(struct config *config, const char *name, FILE *errors)
{
    if (!config)
        return NULL;
    config->rules = rules_new(config->rules_in_order, config->rule_count);
    if (config->rules)
        return config;
    fprintf(errors, "%s: %s\n", name, strerror(ENOMEM));
    config_unref(config);
    return NULL;
}

const char *config_default_file(void)
{
    const bool is_there =
        access(CONFIG_DEFAULT_FILE, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);

    return is_there ? CONFIG_DEFAULT_FILE : NULL;
}

struct config *config_load(const char *file, const struct activation *activation, FILE *errors)
{
    FILE *in = fopen(file, "re");
    struct config *config;

    if (!in) {
        fprintf(errors, "%s: %s%s\n", file, strerror(errno), out_of_reach(file, errno, false));
        return NULL;
    }
    config = config_read(in, file, activation, errors);
    fclose(in);
    return config;
}

struct config *config_read(FILE *in, const char *file, const struct activation *activation,
                           FILE *errors)
{
    struct config *config = loader_run(in, file, activation, errors);

    if (config && !(config->file = strdup(file))) {
        fprintf(errors, "%s: %s\n", file, strerror(ENOMEM));
        config_unref(config);
        return NULL;
    }
    return compile(config, file, errors);
}

struct config *config_default(void)
{
    static const char name[] = "built-in default";
    char text[] = "[listener default]\nlisten = localhost:1080\n";
    FILE *in = fmemopen(text, sizeof text - 1, "r");
    struct config *config;

    if (!in)
        return NULL;
    config = loader_run(in, name, NULL, stderr);
    fclose(in);
    return compile(config, name, stderr);
}

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

bool config_status_is_exposed(const struct config *config)
{
    const struct config_address *status = &config->status;

    return !status->unix_path && status->endpoint.ip.family != IP_NONE &&
           !ip_is_loopback(&status->endpoint.ip);
}

bool config_resolves_remotely(const struct config_upstream *proxy)
{
    if (proxy->resolve == RESOLVE_AUTO)
        return proxy->type != UPSTREAM_SOCKS4;
    return proxy->resolve == RESOLVE_REMOTE;
}

const struct config_upstream *config_last_proxy(const struct config_upstream *route)
{
    return route && route->type == UPSTREAM_DIRECT ? route->via : route;
}

bool config_can_bind(const struct config_upstream *route)
{
    const struct config_upstream *proxy = config_last_proxy(route);

    if (proxy && proxy->type == UPSTREAM_HTTP)
        return false;
    return !route || route->type != UPSTREAM_DIRECT ||
           (route->tls.security == SECURITY_NONE && route->send_proxy == SEND_PROXY_NO);
}

bool config_can_associate(const struct config_upstream *route)
{
    for (const struct config_upstream *u = route; u; u = u->via) {
        if (u->type != UPSTREAM_SOCKS5 && (u->type != UPSTREAM_DIRECT || u != route))
            return false;
        if (u->tls.security != SECURITY_NONE || u->send_proxy != SEND_PROXY_NO)
            return false;
    }
    return true;
}

bool config_believes_proxy(const struct config_listener *listener, const struct ip_address *from)
{
    if (from->family == IP_NONE)
        return true;
    for (unsigned i = 0; i < listener->proxy_from_count; i++)
        if (ip_prefix_contains(&listener->proxy_from[i], from))
            return true;
    return false;
}

static void free_patterns(struct host_pattern *patterns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(patterns[i].name);
    free(patterns);
}

static void free_tls(struct config_tls *tls)
{
    free(tls->certificate);
    free(tls->private_key);
    free(tls->authority);
    free(tls->revoke);
    free(tls->ciphers);
    free(tls->alpn);
    free(tls->peer_name);
}

static void free_certificate(struct config_certificate *certificate)
{
    for (unsigned i = 0; i < certificate->name_count; i++)
        free(certificate->names[i]);
    free(certificate->names);
    free(certificate->certificate);
    free(certificate->private_key);
    free(certificate->authority);
    free(certificate->name);
}

static void free_upstream(struct config_upstream *upstream)
{
    for (unsigned i = 0; i < upstream->server_count; i++)
        free(upstream->servers[i].name);
    free(upstream->servers);
    for (unsigned i = 0; i < upstream->check_count; i++)
        free(upstream->checks[i].text);
    free(upstream->checks);
    free(upstream->service);
    free(upstream->user);
    secret_free(upstream->password);
    secret_free(upstream->secret);
    free(upstream->password_file);
    free_tls(&upstream->tls);
    free(upstream->name);
}

static void free_listener(struct config_listener *listener)
{
    for (unsigned i = 0; i < listener->address_count; i++) {
        free(listener->addresses[i].unix_path);
        free(listener->addresses[i].systemd_name);
    }
    free(listener->addresses);
    free_patterns(listener->allow, listener->allow_count);
    free_patterns(listener->deny, listener->deny_count);
    free(listener->forward_to.name);
    free_tls(&listener->tls);
    free(listener->certificates);
    free(listener->users_file);
    users_unref(listener->users);
    free(listener->proxy_from);
    free(listener->udp_ports);
    free(listener->bind_ports);
    free(listener->name);
}

static void free_rule(struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->user_count; i++)
        free(rule->users[i]);
    free(rule->users);
    free_patterns(rule->destinations, rule->destination_count);
    free(rule->listeners);
    free(rule->clients);
    free(rule->ports);
    free(rule->name);
}

void config_unref(struct config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) != 1)
        return;
    rules_free(config->rules);
    lines_done(&config->lines);
    for (unsigned i = 0; i < config->listener_count; i++)
        free_listener(&config->listeners[i]);
    free(config->listeners);
    for (unsigned i = 0; i < config->upstream_count; i++)
        free_upstream(&config->upstreams[i]);
    free(config->upstreams);
    for (unsigned i = 0; i < config->certificate_count; i++)
        free_certificate(&config->certificates[i]);
    free(config->certificates);
    for (unsigned i = 0; i < config->rule_count; i++)
        free_rule(&config->rules_in_order[i]);
    free(config->rules_in_order);
    free(config->user);
    free(config->group);
    free(config->chroot);
    free(config->nameservers);
    free(config->control);
    free(config->control_group);
    free(config->log_file);
    free(config->status.unix_path);
    free(config->status_hosts);
    free(config->status_token_file);
    secret_free(config->status_token);
    free(config->file);
    free(config);
}
