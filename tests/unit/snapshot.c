/* snapshot.c - field by field, by hand: what the tables leave out must show. */
#include "tests/unit/snapshot.h"

#include <string.h>

#define SAME(field)                                                                                \
    do {                                                                                           \
        if (a->field != b->field)                                                                  \
            return #field;                                                                         \
    } while (0)

#define SAME_TEXT(field)                                                                           \
    do {                                                                                           \
        if (!same_text(a->field, b->field))                                                        \
            return #field;                                                                         \
    } while (0)

/* Lists whose items are compared by `same`. */
#define SAME_ITEMS(list, length, same)                                                             \
    do {                                                                                           \
        SAME(length);                                                                              \
        for (unsigned i = 0; i < a->length; i++)                                                   \
            if (!same(&a->list[i], &b->list[i]))                                                   \
                return #list;                                                                      \
    } while (0)

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_name(char *const *a, char *const *b)
{
    return same_text(*a, *b);
}

static bool same_index(const unsigned *a, const unsigned *b)
{
    return *a == *b;
}

static bool same_prefix(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return a->bits == b->bits && ip_equal(&a->ip, &b->ip);
}

static bool same_pattern(const struct host_pattern *a, const struct host_pattern *b)
{
    return a->kind == b->kind && same_text(a->name, b->name) &&
           (a->kind != PATTERN_PREFIX || same_prefix(&a->prefix, &b->prefix));
}

static bool same_range(const struct port_range *a, const struct port_range *b)
{
    return a->first == b->first && a->last == b->last;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return same_text(a->unix_path, b->unix_path) && same_text(a->systemd_name, b->systemd_name) &&
           a->optional == b->optional && endpoint_equal(&a->endpoint, &b->endpoint);
}

static bool same_route(const struct config_upstream *a, const struct config_upstream *b)
{
    return a && b ? strcmp(a->name, b->name) == 0 : a == b;
}

static const char *tls_difference(const struct config_tls *a, const struct config_tls *b)
{
    SAME(security);
    SAME_TEXT(certificate);
    SAME_TEXT(private_key);
    SAME_TEXT(authority);
    SAME_TEXT(revoke);
    SAME_TEXT(ciphers);
    SAME_TEXT(alpn);
    SAME_TEXT(peer_name);
    SAME(skip_chain);
    SAME(allow_expired_certificates);
    SAME(allow_expired_roots);
    SAME(allow_any_root);
    return NULL;
}

static const char *certificate_difference(const struct config_certificate *a,
                                          const struct config_certificate *b)
{
    SAME_TEXT(name);
    SAME_ITEMS(names, name_count, same_name);
    SAME_TEXT(certificate);
    SAME_TEXT(private_key);
    SAME_TEXT(authority);
    return NULL;
}

static bool same_target(const struct config_target *a, const struct config_target *b)
{
    return same_text(a->name, b->name) && ip_equal(&a->ip, &b->ip) && a->port == b->port;
}

static bool same_check(const struct config_check *a, const struct config_check *b)
{
    return a->kind == b->kind && a->length == b->length &&
           (a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
}

static const char *upstream_difference(const struct config_upstream *a,
                                       const struct config_upstream *b)
{
    SAME_TEXT(name);
    SAME(type);
    SAME_ITEMS(servers, server_count, same_target);
    SAME_TEXT(service);
    SAME(balance);
    SAME_TEXT(user);
    SAME_TEXT(password);
    SAME_TEXT(password_file);
    SAME_TEXT(secret);
    SAME(resolve);
    if (!same_route(a->via, b->via))
        return "via";
    SAME(local_bypass);
    SAME(check_interval);
    SAME_ITEMS(checks, check_count, same_check);
    SAME(send_proxy);
    if (!ip_equal(&a->bind_address, &b->bind_address))
        return "bind_address";
    SAME(connect_timeout);
    return tls_difference(&a->tls, &b->tls);
}

static const char *listener_difference(const struct config_listener *a,
                                       const struct config_listener *b)
{
    SAME_TEXT(name);
    SAME_ITEMS(addresses, address_count, same_address);
    SAME(protocols);
    SAME_TEXT(forward_to.name);
    SAME(forward_to.port);
    if (!ip_equal(&a->forward_to.ip, &b->forward_to.ip))
        return "forward_to";
    if (!same_route(a->route, b->route))
        return "route";
    SAME(auth);
    SAME_TEXT(users_file);
    SAME(close_on_removal);
    SAME_ITEMS(certificates, certificate_count, same_index);
    SAME(tls_cut_ends);
    SAME(proxy_protocol);
    SAME_ITEMS(proxy_from, proxy_from_count, same_prefix);
    SAME(queue);
    SAME(max_connections);
    SAME(max_per_host);
    SAME(max_per_user);
    SAME(unix_mode);
    SAME_ITEMS(allow, allow_count, same_pattern);
    SAME_ITEMS(deny, deny_count, same_pattern);
    SAME(open_proxy);
    SAME(is_undecided);
    SAME(guard);
    SAME(is_guarded);
    SAME(default_deny);
    SAME(resolve_for_rules);
    if (!ip_equal(&a->bind_address, &b->bind_address))
        return "bind_address";
    SAME(commands);
    SAME(udp);
    SAME_ITEMS(udp_ports, udp_port_count, same_range);
    if (!ip_equal(&a->udp_advertise, &b->udp_advertise))
        return "udp_advertise";
    SAME(udp_max_targets);
    SAME(udp_rate);
    SAME(udp_by_address);
    SAME(bind);
    SAME_ITEMS(bind_ports, bind_port_count, same_range);
    SAME(bind_timeout);
    SAME(handshake_timeout);
    SAME(connect_timeout);
    SAME(write_timeout);
    SAME(idle_timeout);
    SAME(half_close_timeout);
    SAME(keepalive);
    return tls_difference(&a->tls, &b->tls);
}

static const char *rule_difference(const struct config_rule *a, const struct config_rule *b)
{
    SAME_TEXT(name);
    SAME_ITEMS(listeners, listener_count, same_index);
    SAME_ITEMS(clients, client_count, same_prefix);
    SAME_ITEMS(users, user_count, same_name);
    SAME_ITEMS(destinations, destination_count, same_pattern);
    SAME_ITEMS(ports, port_count, same_range);
    SAME(commands);
    SAME(action);
    SAME(rate);
    if (!same_route(a->route, b->route))
        return "route";
    return NULL;
}

const char *snapshot_difference(const struct config *a, const struct config *b)
{
    const char *difference = NULL;

    SAME(workers);
    SAME_TEXT(user);
    SAME_TEXT(group);
    SAME_TEXT(chroot);
    SAME(sandbox);
    SAME(log_target);
    SAME_TEXT(log_file);
    SAME(log_level);
    SAME(log_format);
    SAME_TEXT(nameservers);
    SAME(search_domains);
    SAME(drain_timeout);
    SAME(max_files);
    SAME(auth_cache);
    if (!same_address(&a->status, &b->status))
        return "status";
    SAME_TEXT(status_hosts);
    SAME_TEXT(status_token_file);
    SAME_TEXT(status_token);
    SAME(pac);
    SAME(certificate_count);
    for (unsigned i = 0; !difference && i < a->certificate_count; i++)
        difference = certificate_difference(&a->certificates[i], &b->certificates[i]);
    SAME(upstream_count);
    for (unsigned i = 0; !difference && i < a->upstream_count; i++)
        difference = upstream_difference(&a->upstreams[i], &b->upstreams[i]);
    SAME(listener_count);
    for (unsigned i = 0; !difference && i < a->listener_count; i++)
        difference = listener_difference(&a->listeners[i], &b->listeners[i]);
    SAME(rule_count);
    for (unsigned i = 0; !difference && i < a->rule_count; i++)
        difference = rule_difference(&a->rules_in_order[i], &b->rules_in_order[i]);
    return difference;
}
