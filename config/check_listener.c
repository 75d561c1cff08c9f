/* check_listener.c - the keys of one [listener] that need or exclude one another, and users files. */
#include "config/check.h"
#include "config/users.h"

#include <stdlib.h>
#include <string.h>

bool check_tls_is_given(const struct config_tls *tls)
{
    return tls->certificate || tls->private_key || tls->authority || tls->revoke || tls->ciphers ||
           tls->alpn || tls->peer_name || tls->skip_chain || tls->allow_expired_certificates ||
           tls->allow_expired_roots || tls->allow_any_root;
}

static bool lacks_users(const struct config_listener *l)
{
    return (l->auth & AUTH_PASSWORD) && !l->users_file;
}

static bool ignores_users(const struct config_listener *l)
{
    return l->users_file && !(l->auth & AUTH_PASSWORD);
}

static bool believes_nobody(const struct config_listener *l)
{
    return l->proxy_protocol && l->proxy_from_count == 0;
}

static bool expects_no_header(const struct config_listener *l)
{
    return !l->proxy_protocol && l->proxy_from_count > 0;
}

static bool asks_the_proxy(const struct config_listener *l)
{
    return l->proxy_protocol && (l->auth & AUTH_IDENT);
}

static bool forwards_nowhere(const struct config_listener *l)
{
    return (l->protocols & PROTOCOL_FORWARD) && !l->forward_to.port;
}

static bool ignores_target(const struct config_listener *l)
{
    return l->forward_to.port && !(l->protocols & PROTOCOL_FORWARD);
}

static bool forwards_and_negotiates(const struct config_listener *l)
{
    return (l->protocols & PROTOCOL_FORWARD) && l->protocols != PROTOCOL_FORWARD;
}

static bool forwards_who_is_asked(const struct config_listener *l)
{
    return l->protocols == PROTOCOL_FORWARD && (l->auth & (AUTH_PASSWORD | AUTH_IDENT));
}

static bool is_secured(const struct config_listener *l)
{
    return l->tls.security != SECURITY_NONE;
}

static bool secured_without_certificate(const struct config_listener *l)
{
    return is_secured(l) && (!l->tls.certificate || !l->tls.private_key);
}

static bool has_idle_tls_keys(const struct config_listener *l)
{
    return !is_secured(l) && (check_tls_is_given(&l->tls) || l->certificate_count);
}

static bool asks_for_no_certificate(const struct config_listener *l)
{
    return (l->auth & AUTH_CERTIFICATE) && !l->tls.authority;
}

static bool associates_behind_a_proxy(const struct config_listener *l)
{
    return l->udp == UDP_YES && l->proxy_protocol;
}

static bool associates_without_socks5(const struct config_listener *l)
{
    return l->udp == UDP_YES && !(l->protocols & PROTOCOL_SOCKS5);
}

static bool associates_by_unix_alone(const struct config_listener *l)
{
    for (unsigned i = 0; i < l->address_count; i++)
        if (!l->addresses[i].unix_path)
            return false;
    return l->udp == UDP_YES && l->address_count > 0;
}

static bool binds_without_socks(const struct config_listener *l)
{
    return l->bind == BIND_YES && !(l->protocols & (PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5));
}

static bool has_idle_bind_ports(const struct config_listener *l)
{
    return l->bind_port_count && !(l->commands & COMMAND_BIND);
}

/* Keys of one [listener] that make no sense together. */
static const struct {
    const char *key;
    bool (*is_wrong)(const struct config_listener *listener);
    const char *what;
} demands[] = {
    {"users_file", lacks_users, "`auth = password` needs it (add the file's path)"},
    {"users_file", ignores_users, "nobody is asked for a password (add `auth = password`)"},
    {"proxy_protocol_from", believes_nobody,
     "`proxy_protocol = require` needs it (add the addresses of your load balancers)"},
    {"proxy_protocol_from", expects_no_header,
     "no header is read (add `proxy_protocol = require`)"},
    {"protocols", forwards_and_negotiates, "`forward` stands alone"},
    {"forward_to", forwards_nowhere, "`protocols = forward` needs it (add HOST:PORT)"},
    {"forward_to", ignores_target, "clients choose their targets (add `protocols = forward`)"},
    {"certificate", secured_without_certificate,
     "`security` needs it, and `private_key` (add the paths of PEM files)"},
    {"security", has_idle_tls_keys, "without it other TLS keys mean nothing (add `security`)"},
    {"auth", asks_for_no_certificate,
     "`certificate` needs an authority (add `authority`: the CA of your clients)"},
    {"auth", forwards_who_is_asked, "`protocols = forward` asks nobody (use `allow`, or rules)"},
    {"udp", associates_behind_a_proxy,
     "a load balancer passes no datagrams on, and theirs is not the address that its header names "
     "(leave out `proxy_protocol` or `udp`)"},
    {"udp", associates_without_socks5, "only SOCKS5 has UDP ASSOCIATE (add `protocols = socks5`)"},
    {"udp", associates_by_unix_alone,
     "clients of a unix socket have no address that their datagrams could be known by (add a TCP "
     "address to `listen`)"},
    {"bind", binds_without_socks, "no protocol here has BIND (add `socks4` or `socks5`)"},
    {"bind_ports", has_idle_bind_ports, "nobody may bind here (add `bind = yes`)"},
    {"auth", asks_the_proxy,
     "`ident` cannot be asked behind `proxy_protocol`: the connection is the load balancer's"},
};

static void tell_file(const char *text, const struct config *config, unsigned index,
                      struct faults *faults)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        fprintf(check_fault(config, SECTION_LISTENER, index, "users_file", faults), "%.*s", (int)n,
                text);
        text += n + (text[n] == '\n');
    }
}

static struct users *load(const struct config *config, unsigned index, struct faults *faults)
{
    char *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);
    struct users *users = NULL;

    if (!errors) {
        faults->is_broken = true;
        return NULL;
    }
    users = users_load(config->listeners[index].users_file, errors);
    fclose(errors);
    if (!users)
        tell_file(text, config, index, faults);
    free(text);
    return users;
}

/* A file that another listener has, too, is read once: both have the same users then. */
static struct users *find_loaded(const struct config *config, unsigned before, const char *file)
{
    for (unsigned i = 0; i < before; i++)
        if (config->listeners[i].users && strcmp(config->listeners[i].users_file, file) == 0)
            return users_ref(config->listeners[i].users);
    return NULL;
}

void check_listener(struct config *config, unsigned index, const struct check_place *place,
                    struct faults *faults)
{
    struct config_listener *listener = &config->listeners[index];

    for (size_t i = 0; i < sizeof demands / sizeof demands[0] && !place->is_doubtful; i++)
        if (demands[i].is_wrong(listener))
            fputs(demands[i].what,
                  check_fault(config, SECTION_LISTENER, index, demands[i].key, faults));
    if (!listener->users_file)
        return;
    listener->users = find_loaded(config, index, listener->users_file);
    if (!listener->users)
        listener->users = load(config, index, faults);
}
