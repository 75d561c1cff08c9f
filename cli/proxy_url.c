/* proxy_url.c - the parser of proxies' URLs. */
#include "cli/proxy_url.h"

#include "streams/open_plan.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum open_kind kind;
    bool resolves_here;
} schemes[] = {
    {"socks4", OPEN_SOCKS4, true}, {"socks4a", OPEN_SOCKS4A, false},
    {"socks5", OPEN_SOCKS5, true}, {"socks5h", OPEN_SOCKS5, false},
    {"http", OPEN_HTTP, false},
};

static bool is_word(const char *text, size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(text, word, n) == 0;
}

static bool parse_scheme(const char *text, size_t n, struct proxy_url *url)
{
    static const char suffix[] = "+tls";
    size_t suffix_n = sizeof suffix - 1;

    url->tls = n > suffix_n && is_word(text + n - suffix_n, suffix_n, suffix);
    if (url->tls)
        n -= suffix_n;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!is_word(text, n, schemes[i].name))
            continue;
        url->kind = (uint8_t)schemes[i].kind;
        url->resolves_here = schemes[i].resolves_here;
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* `out` has PROXY_URL_CREDENTIAL_MAX bytes and one for the NUL. */
static bool decode(const char *text, size_t n, char *out)
{
    size_t length = 0;

    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)text[i];

        if (c == '%') {
            int high = i + 2 < n ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

            if (low < 0 || (high == 0 && low == 0))
                return false;
            c = high << 4 | low;
            i += 2;
        }
        if (length == PROXY_URL_CREDENTIAL_MAX)
            return false;
        out[length++] = (char)c;
    }
    out[length] = '\0';
    return true;
}

static bool parse_credentials(const char *text, size_t n, struct proxy_url *url)
{
    const char *colon = memchr(text, ':', n);
    size_t user_n = colon ? (size_t)(colon - text) : n;

    url->has_user = user_n > 0;
    return user_n > 0 && decode(text, user_n, url->user) &&
           (!colon || decode(colon + 1, n - user_n - 1, url->password));
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static bool parse_server(const char *text, size_t n, struct proxy_url *url)
{
    const char *host = text;
    size_t host_n = n;
    bool has_brackets = n > 0 && text[0] == '[';

    url->port = PROXY_URL_PORT;
    if (has_brackets && n >= 2 && text[n - 1] == ']') {
        host = text + 1;
        host_n = n - 2;
    } else if (memchr(text, ':', n) && !host_port_split(text, n, &host, &host_n, &url->port)) {
        return false;
    }
    if (host_n > HOST_NAME_LENGTH_MAX || url->port == 0)
        return false;
    switch (host_classify(host, host_n, &url->ip)) {
    case HOST_INVALID:
        return false;
    case HOST_NAME:
        if (has_brackets)
            return false;
        break;
    case HOST_ADDRESS:
        if (has_brackets != (url->ip.family == IP_V6))
            return false;
        break;
    }
    memcpy(url->host, host, host_n);
    return true;
}

static void write_text(const char *scheme, size_t n, struct proxy_url *url)
{
    const char *open = url->ip.family == IP_V6 ? "[" : "", *close = *open ? "]" : "";

    snprintf(url->text, sizeof url->text, "%.*s://%s%s%s:%u", (int)n, scheme, open, url->host,
             close, (unsigned)url->port);
}

const char *proxy_url_parse(const char *text, struct proxy_url *ret_url)
{
    const char *rest = strstr(text, "://"), *at;
    struct proxy_url url = {.port = 0};
    const char *wrong = NULL;
    size_t n;

    if (!rest || !parse_scheme(text, (size_t)(rest - text), &url))
        return "the scheme is socks4, socks4a, socks5, socks5h or http, each also with +tls";
    rest += 3;
    n = strlen(rest);
    at = memrchr(rest, '@', n);
    if (at && !parse_credentials(rest, (size_t)(at - rest), &url))
        wrong = "the user or the password is empty, too long, or no text (%HH for odd bytes)";
    if (at) {
        n -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    if (n && rest[n - 1] == '/')
        n--;
    if (!wrong && !parse_server(rest, n, &url))
        wrong = "the server is HOST, HOST:PORT or [V6]:PORT";
    if (!wrong && url.kind == OPEN_HTTP && strchr(url.user, ':'))
        wrong = "no user of an HTTP proxy has a colon (RFC 7617, 2)";
    if (!wrong) {
        write_text(text, (size_t)(strstr(text, "://") - text), &url);
        *ret_url = url;
    }
    proxy_url_wipe(&url);
    return wrong;
}

void proxy_url_hide_password(char *text)
{
    char *rest = strstr(text, "://");
    char *at = rest ? strrchr(rest, '@') : NULL;
    char *colon = at ? memchr(rest + 3, ':', (size_t)(at - rest - 3)) : NULL;

    if (colon)
        memset(colon + 1, '*', (size_t)(at - colon - 1));
}

void proxy_url_wipe(struct proxy_url *url)
{
    explicit_bzero(url, sizeof *url);
}
