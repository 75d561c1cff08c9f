/* advice.c - the table of what errors mean. */
#include "cli/advice.h"

#include <string.h>

static const struct advice rows[] = {
    {"", ADVICE_OTHER, "Something else went wrong.", "Look into the log of the proxy."},

    {"resolver.name.not-found", ADVICE_RESOLVE, "There is no such name.",
     "See whether it is spelt right, and known to the DNS server of this host."},
    {"resolver.name.no-address", ADVICE_RESOLVE, "The name has no address that can be used here.",
     "Use a proxy that takes names (socks5h, socks4a, http), or one that can do IPv6."},
    {"resolver.name.timeout", ADVICE_RESOLVE, "The DNS server did not answer in time.",
     "See whether the servers in /etc/resolv.conf can be reached."},
    {"resolver.name.invalid", ADVICE_RESOLVE, "This is not a host name.",
     "Write a name, or an address with four decimal numbers or in IPv6 form."},
    {"resolver.", ADVICE_RESOLVE, "The DNS server failed.",
     "Try again, or another server in /etc/resolv.conf."},

    {"system.connect.refused", ADVICE_CONNECT,
     "The host is there, but nothing listens on the port.",
     "See whether the server runs, and listens on this address and port."},
    {"system.connect.network-unreachable", ADVICE_CONNECT,
     "This host has no route to that network.",
     "Look at the routes, and for IPv6 at the addresses."},
    {"system.connect.host-unreachable", ADVICE_CONNECT, "The host cannot be reached.",
     "See whether it is up, and whether a firewall refuses."},
    {"system.connect.timeout", ADVICE_CONNECT, "No answer came in time.",
     "See whether the host is up, whether a firewall drops, and whether the proxy is one."},
    {"system.connect.", ADVICE_CONNECT, "The system could not connect.",
     "Look at the name of the system's error."},
    {"system.read.", ADVICE_BROKEN, "The peer reset the connection.",
     "Look into the log of the host that is named last."},
    {"system.write.", ADVICE_BROKEN, "The peer takes no more.",
     "Look into the log of the host that is named last."},
    {"stream.end.", ADVICE_PROXY, "The proxy hung up in the middle of its answer.",
     "See whether the scheme of its URL is right (TLS or not, SOCKS or HTTP), and into its log."},
    {"stream.", ADVICE_OTHER, "This cannot be asked of such a proxy.",
     "Use a user and a password of 1 to 255 bytes."},
    {"protocol.address.", ADVICE_PROXY, "SOCKS4 knows no IPv6 address, and without 4a no name.",
     "Use socks5, socks5h or http."},

    {"socks.none.bad-response-address", ADVICE_PROXY, "The proxy's answer holds no address.",
     "It does not speak SOCKS as RFC 1928 has it."},
    {"socks.none.", ADVICE_PROXY, "The proxy was not spoken to.", "Use another scheme."},
    {"socks.version.", ADVICE_PROXY, "What answers speaks another version of SOCKS, or none.",
     "Try socks4, socks5, http, or the scheme with +tls."},
    {"socks.socks4-response.request-failed", ADVICE_PROXY,
     "The proxy refused, or could not connect; SOCKS4 does not say more.",
     "Try socks5, which says why, or look into the log of the proxy."},
    {"socks.socks4-response.identd-failed", ADVICE_LOGIN,
     "The proxy asked this host's identd and got no answer.", "Run an identd here, or use socks5."},
    {"socks.socks4-response.id-conflict", ADVICE_LOGIN,
     "This host's identd names another user than the URL.", "Put the user's name into the URL."},
    {"socks.socks4-response.", ADVICE_PROXY, "The proxy answered with a code that nobody knows.",
     "Look into the log of the proxy."},
    {"socks.socks5-method.none-acceptable", ADVICE_LOGIN,
     "The proxy takes none of the ways to log in that were offered.",
     "Give a user and a password in the URL; the proxy may also not let this host in."},
    {"socks.socks5-method.", ADVICE_LOGIN,
     "The proxy demands a way to log in that was not offered.",
     "Give a user and a password in the URL; other ways are not known here."},
    {"socks.socks5-userpass.", ADVICE_LOGIN, "The proxy does not know this user and password.",
     "See whether they are right; %HH stands for odd bytes in the URL."},
    {"socks.socks5-response.not-allowed", ADVICE_PROXY, "The proxy's rules forbid this target.",
     "Ask who runs the proxy; of pairsocks, `pairsocks explain` names the rule."},
    {"socks.socks5-response.network-unreachable", ADVICE_PROXY,
     "The proxy has no route to the target's network.", "See whether the target is right."},
    {"socks.socks5-response.host-unreachable", ADVICE_PROXY,
     "The proxy cannot resolve or reach the target's host.", "See whether the name is right."},
    {"socks.socks5-response.connection-refused", ADVICE_PROXY,
     "The target is there, but nothing listens on the port.",
     "See whether the server runs, and listens on this port."},
    {"socks.socks5-response.ttl-expired", ADVICE_PROXY,
     "The target did not answer the proxy in time.",
     "See whether the target is up, and whether a firewall drops."},
    {"socks.socks5-response.command-not-supported", ADVICE_PROXY, "The proxy does not do CONNECT.",
     "Look into its configuration."},
    {"socks.socks5-response.address-type-not-supported", ADVICE_PROXY,
     "The proxy does not take this kind of address.",
     "Try socks5 for socks5h, or the other address family."},
    {"socks.socks5-response.", ADVICE_PROXY, "The proxy failed and does not say why.",
     "Look into the log of the proxy."},

    {"http.status.407", ADVICE_LOGIN, "The proxy wants another user or password.",
     "Give them in the URL; of its ways to log in only Basic is known here."},
    {"http.status.403", ADVICE_PROXY, "The proxy forbids this target.", "Ask who runs the proxy."},
    {"http.status.5", ADVICE_PROXY, "The proxy could not reach the target.",
     "See whether the target is right; 504 says that it did not answer in time."},
    {"http.status.", ADVICE_PROXY, "The proxy refused.",
     "See whether it is a proxy, and allows CONNECT to this port."},
    {"http.", ADVICE_PROXY, "What answers does not speak HTTP.",
     "Try socks5h, or the scheme with +tls."},

    {"tls.handshake.timeout", ADVICE_TLS, "The TLS handshake did not end in time.",
     "See whether the server speaks TLS on this port."},
    {"tls.handshake.protocol", ADVICE_TLS, "What answers does not speak TLS, or hung up.",
     "See whether the server speaks TLS on this port; try without it."},
    {"tls.handshake.", ADVICE_TLS, "Both ends have no version, suite or protocol in common.",
     "The server has to have TLS 1.2 or 1.3 with forward secrecy."},
    {"tls.certificate.expired", ADVICE_TLS, "A certificate of the chain has expired.",
     "Renew it; see the dates, and the clock of this host."},
    {"tls.certificate.not-yet-valid", ADVICE_TLS, "A certificate of the chain is not valid yet.",
     "See the dates, and the clock of this host."},
    {"tls.certificate.unknown-root", ADVICE_TLS,
     "Nobody who is believed here signed the certificate.",
     "Name the bundle with its root (--authority FILE)."},
    {"tls.certificate.name-mismatch", ADVICE_TLS, "The certificate is for another name.",
     "Use a name that stands in the certificate (--peer-name NAME)."},
    {"tls.certificate.", ADVICE_TLS, "The certificate is refused.",
     "Look at the chain that was shown."},
    {"tls.alert.", ADVICE_TLS, "The server refused with this alert.",
     "Look into its log; it may want a client's certificate."},
    {"tls.", ADVICE_BROKEN, "The TLS stream was broken off or changed on its way.",
     "Look into the log of the host that is named last."},
};

const struct advice *advice_find(const struct stream_error *error)
{
    const struct advice *best = &rows[0];
    char name[STREAM_ERROR_NAME_MAX];

    stream_error_name(error, name);
    for (size_t i = 1; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].prefix);

        if (n > strlen(best->prefix) && strncmp(name, rows[i].prefix, n) == 0)
            best = &rows[i];
    }
    return best;
}
