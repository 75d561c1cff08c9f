/* check_upstream.c - the keys of one [upstream] that need or exclude one another, its password file,
 * and the chains that `via` makes of several. */
#include "config/check.h"
#include "config/secret_file.h"

#include <string.h>

static bool is_proxy(const struct config_upstream *u)
{
    return u->type != UPSTREAM_DIRECT;
}

static bool is_socks4(const struct config_upstream *u)
{
    return u->type == UPSTREAM_SOCKS4 || u->type == UPSTREAM_SOCKS4A;
}

static bool lacks_servers(const struct config_upstream *u)
{
    return is_proxy(u) && !u->server_count && !u->service;
}

static bool has_servers_of_two_kinds(const struct config_upstream *u)
{
    return u->server_count && u->service;
}

static bool is_direct_with_servers(const struct config_upstream *u)
{
    return !is_proxy(u) && (u->server_count || u->service);
}

static bool is_direct_with_credentials(const struct config_upstream *u)
{
    return !is_proxy(u) && (u->user || u->password || u->password_file);
}

static bool is_direct_and_resolves(const struct config_upstream *u)
{
    return !is_proxy(u) && u->resolve != RESOLVE_AUTO;
}

static bool is_direct_and_checked(const struct config_upstream *u)
{
    return !is_proxy(u) && u->check_interval;
}

static bool names_for_socks4(const struct config_upstream *u)
{
    return u->type == UPSTREAM_SOCKS4 && u->resolve == RESOLVE_REMOTE;
}

static bool has_two_passwords(const struct config_upstream *u)
{
    return u->password && u->password_file;
}

static bool has_password_without_user(const struct config_upstream *u)
{
    return (u->password || u->password_file) && !u->user;
}

static bool has_user_without_password(const struct config_upstream *u)
{
    return (u->type == UPSTREAM_SOCKS5 || u->type == UPSTREAM_HTTP) && u->user && !u->password &&
           !u->password_file;
}

static bool has_password_for_socks4(const struct config_upstream *u)
{
    return is_socks4(u) && (u->password || u->password_file);
}

/* RFC 7617, 2: what follows the first colon is the password. */
static bool has_colon_for_http(const struct config_upstream *u)
{
    return u->type == UPSTREAM_HTTP && u->user && strchr(u->user, ':');
}

static bool is_secured(const struct config_upstream *u)
{
    return u->tls.security != SECURITY_NONE;
}

static bool has_idle_tls_keys(const struct config_upstream *u)
{
    return !is_secured(u) && check_tls_is_given(&u->tls);
}

static bool has_half_a_certificate(const struct config_upstream *u)
{
    return !u->tls.certificate != !u->tls.private_key;
}

static bool checks_out_of_order(const struct config_upstream *u)
{
    int last = CHECK_CONNECT;

    for (unsigned i = 0; i < u->check_count; i++) {
        int kind = u->checks[i].kind;

        if (kind == CHECK_EXPECT)
            kind = CHECK_SEND; /* these two in any order */
        if (kind < last || (i > 0 && kind == last && kind != CHECK_SEND))
            return true;
        last = kind;
    }
    return false;
}

static bool checks_tls_without_level(const struct config_upstream *u)
{
    for (unsigned i = 0; i < u->check_count; i++)
        if (u->checks[i].kind == CHECK_TLS && !is_secured(u))
            return true;
    return false;
}

/* Keys of one [upstream] that make no sense together. */
static const struct {
    const char *key;
    bool (*is_wrong)(const struct config_upstream *upstream);
    const char *what;
} demands[] = {
    {"server", lacks_servers, "a proxy needs it (add HOST:PORT, or `service`)"},
    {"service", has_servers_of_two_kinds, "the servers are listed already (remove `server`)"},
    {"server", is_direct_with_servers, "`type = direct` connects to the target itself"},
    {"user", is_direct_with_credentials, "`type = direct` has no proxy that would ask for it"},
    {"resolve", is_direct_and_resolves, "`type = direct` has no proxy that could resolve"},
    {"check_interval", is_direct_and_checked, "`type = direct` has no server to check"},
    {"resolve", names_for_socks4, "SOCKS4 knows no names (use `type = socks4a`)"},
    {"password_file", has_two_passwords, "the password is given already (remove `password`)"},
    {"user", has_password_without_user, "a password needs it"},
    {"password", has_user_without_password, "`user` needs it here (or `password_file`)"},
    {"password", has_password_for_socks4, "SOCKS4 knows no passwords"},
    {"user", has_colon_for_http, "HTTP takes no name with a colon"},
    {"security", has_idle_tls_keys, "without it other TLS keys mean nothing (add `security`)"},
    {"certificate", has_half_a_certificate, "`certificate` and `private_key` need each other"},
    {"check", checks_out_of_order,
     "the steps are out of order (connect, tls, socks, then send and expect)"},
    {"check", checks_tls_without_level, "`tls` needs a level (add `security`)"},
};

static FILE *begin(const struct config *config, const struct config_upstream *upstream,
                   const char *key, struct faults *faults)
{
    return check_fault(config, SECTION_UPSTREAM, (unsigned)(upstream - config->upstreams), key,
                       faults);
}

static void find_secret(const struct config *config, struct config_upstream *upstream,
                        struct faults *faults)
{
    const char *wrong, *hint;

    if (upstream->password) {
        upstream->secret = strdup(upstream->password);
        faults->is_broken |= !upstream->secret;
    } else if (upstream->password_file) {
        upstream->secret = secret_file_read(upstream->password_file, &wrong, &hint);
        if (!upstream->secret)
            fprintf(begin(config, upstream, "password_file", faults), "%s: %s%s",
                    upstream->password_file, wrong, hint);
    }
}

void check_upstream(struct config *config, unsigned index, struct faults *faults)
{
    struct config_upstream *upstream = &config->upstreams[index];

    for (size_t i = 0; i < sizeof demands / sizeof demands[0]; i++)
        if (demands[i].is_wrong(upstream))
            fputs(demands[i].what, begin(config, upstream, demands[i].key, faults));
    find_secret(config, upstream, faults);
}

/* ---- chains */

/* Whether the way from here comes back here, and this is the first of the file that it passes: each
 * loop is told once. */
static bool begins_loop(const struct config *config, const struct config_upstream *first)
{
    const struct config_upstream *u = first->via;

    for (unsigned steps = 0; u && u != first && steps < config->upstream_count; steps++) {
        if (u < first)
            return false;
        u = u->via;
    }
    return u == first;
}

static void tell_loop(const struct config *config, const struct config_upstream *first,
                      struct faults *faults)
{
    const struct config_upstream *u = first;
    FILE *out = begin(config, first, "via", faults);

    fputs("the chain comes back to where it began: ", out);
    do {
        fprintf(out, "%s -> ", u->name);
        u = u->via;
    } while (u != first);
    fputs(first->name, out);
}

void check_chains(struct config *config, const struct check_place *upstreams, struct faults *faults)
{
    for (unsigned i = 0; i < config->upstream_count; i++) {
        struct config_upstream *u = &config->upstreams[i];

        if (begins_loop(config, u)) {
            tell_loop(config, u, faults);
            u->via = NULL;
        } else if (u->via && !is_proxy(u->via) &&
                   !upstreams[u->via - config->upstreams].is_doubtful) {
            fprintf(begin(config, u, "via", faults),
                    "`%s` is of type direct: there is no proxy to go through", u->via->name);
        }
    }
}
