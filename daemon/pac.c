/* pac.c - sockets, as a browser can use them. What goes to this host or has no dot stays direct; nothing
 * else does while there is a proxy. The script resolves no names: that is the proxy's. */
#include "daemon/pac.h"

#include <stdlib.h>
#include <string.h>

static const char head[] =
    "function FindProxyForURL(url, host) {\n"
    "  if (isPlainHostName(host) || host === \"127.0.0.1\" || host === \"::1\" ||\n"
    "      host === \"[::1]\" || shExpMatch(host, \"*.localhost\"))\n"
    "    return \"DIRECT\";\n"
    "  return \"";
static const char tail[] = "\";\n}\n";

static struct ip_address loopback_of(uint8_t family)
{
    static const struct ip_address v4 = {IP_V4, {127, 0, 0, 1}}, v6 = {IP_V6, {[15] = 1}};

    return family == IP_V6 ? v6 : v4;
}

bool pac_address(const struct ip_endpoint *bound, const struct pac_asker *asker,
                 struct ip_endpoint *ret_address)
{
    struct ip_address local = ip_unmapped(&asker->local);
    bool is_here = local.family == IP_NONE || ip_is_loopback(&local);

    if (bound->ip.family == IP_NONE)
        return false;
    *ret_address = *bound;
    if (!ip_is_unspecified(&bound->ip))
        return is_here || !ip_is_loopback(&bound->ip);
    if (is_here)
        ret_address->ip = loopback_of(bound->ip.family);
    else if (bound->ip.family == IP_V4 && local.family == IP_V6)
        return false; /* by which address of IPv4 it could come is not known */
    else
        ret_address->ip = local;
    return true;
}

static void add_way(char out[PAC_WAYS_MAX], const char *word, const char *address)
{
    size_t n = strlen(out);

    snprintf(out + n, PAC_WAYS_MAX - n, "%s%s %s", n ? "; " : "", word, address);
}

/* A browser has no way to show a SOCKS proxy a password, nor TLS. */
void pac_ways(const struct config_listener *listener, const struct ip_endpoint *address,
              char out[PAC_WAYS_MAX])
{
    bool is_secure = listener->tls.security != SECURITY_NONE;
    bool asks_nobody = listener->auth & (AUTH_NONE | AUTH_IDENT);
    unsigned protocols = listener->proxy_protocol ? 0 : listener->protocols;
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(address, text);
    *out = '\0';
    if ((protocols & PROTOCOL_SOCKS5) && asks_nobody && !is_secure)
        add_way(out, "SOCKS5", text);
    if ((protocols & PROTOCOL_SOCKS4) && asks_nobody && !is_secure)
        add_way(out, "SOCKS", text);
    if (protocols & PROTOCOL_HTTP)
        add_way(out, is_secure ? "HTTPS" : "PROXY", text);
}

/* Writes what leads to this socket. True: something does. */
static bool write_socket(FILE *out, const struct serving *serving, const struct socket_set *set,
                         const struct pac_asker *asker, bool is_first)
{
    const struct snapshot_listener *listener = &serving->snapshot->listeners[set->listener];
    struct ip_endpoint address;
    char ways[PAC_WAYS_MAX];

    if (set->unix_path || !pac_address(&set->bound, asker, &address))
        return false;
    if (asker->peer.family != IP_NONE && !whitelist_allows(listener->whitelist, &asker->peer))
        return false;
    pac_ways(listener->config, &address, ways);
    if (*ways)
        fprintf(out, "%s%s", is_first ? "" : "; ", ways);
    return *ways;
}

char *pac_write(const struct serving *serving, const struct pac_asker *asker, size_t *ret_length)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    bool any = false, good;

    if (!out)
        return NULL;
    fputs(head, out);
    for (unsigned i = 0; i < serving->sockets.count; i++)
        any |= write_socket(out, serving, &serving->sockets.sets[i], asker, !any);
    fputs(any ? tail : "DIRECT\";\n}\n", out);
    good = !ferror(out);
    if (fclose(out) != 0 || !good) {
        free(text);
        return NULL;
    }
    *ret_length = length;
    return text;
}
