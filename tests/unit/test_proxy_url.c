/* test_proxy_url.c - the URLs of proxies, well written and not. */
#include "cli/proxy_url.h"
#include "streams/open_plan.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(proxy_url, .timeout = 10);

Test(proxy_url, every_scheme_is_known)
{
    static const struct {
        const char *scheme;
        enum open_kind kind;
        bool resolves_here;
    } schemes[] = {
        {"socks4", OPEN_SOCKS4, true}, {"socks4a", OPEN_SOCKS4A, false},
        {"socks5", OPEN_SOCKS5, true}, {"socks5h", OPEN_SOCKS5, false},
        {"http", OPEN_HTTP, false},    {"SOCKS5H", OPEN_SOCKS5, false},
    };

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        for (int tls = 0; tls < 2; tls++) {
            struct proxy_url url;
            char text[64], shown[80];

            snprintf(text, sizeof text, "%s%s://a.example:99", schemes[i].scheme,
                     tls ? "+tls" : "");
            cr_assert_null(proxy_url_parse(text, &url), "%s", text);
            cr_assert_eq(url.kind, schemes[i].kind);
            cr_assert_eq(url.resolves_here, schemes[i].resolves_here);
            cr_assert_eq(url.tls, tls);
            cr_assert_str_eq(url.host, "a.example");
            cr_assert_eq(url.port, 99);
            cr_assert_not(url.has_user);
            snprintf(shown, sizeof shown, "%s", text);
            cr_assert_str_eq(url.text, shown);
        }
    }
}

Test(proxy_url, hosts_ports_and_credentials)
{
    static const struct {
        const char *text, *host, *user, *password, *shown;
        unsigned port;
    } rows[] = {
        {"socks5://h", "h", "", "", "socks5://h:1080", 1080},
        {"socks5://h/", "h", "", "", "socks5://h:1080", 1080},
        {"socks5://[::1]", "::1", "", "", "socks5://[::1]:1080", 1080},
        {"socks5://[::1]:7/", "::1", "", "", "socks5://[::1]:7", 7},
        {"socks5://127.0.0.1:65535", "127.0.0.1", "", "", "socks5://127.0.0.1:65535", 65535},
        {"http+tls://u@h:1", "h", "u", "", "http+tls://h:1", 1},
        {"socks5://u:p@h:1", "h", "u", "p", "socks5://h:1", 1},
        {"socks5://u:@h:1", "h", "u", "", "socks5://h:1", 1},
        {"socks5://u:p:q@r@h:1", "h", "u", "p:q@r", "socks5://h:1", 1},
        {"socks5://%61%3A:%2f%40@h", "h", "a:", "/@", "socks5://h:1080", 1080},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy_url url;

        cr_assert_null(proxy_url_parse(rows[i].text, &url), "%s", rows[i].text);
        cr_assert_str_eq(url.host, rows[i].host);
        cr_assert_str_eq(url.user, rows[i].user);
        cr_assert_str_eq(url.password, rows[i].password);
        cr_assert_str_eq(url.text, rows[i].shown, "%s: %s", rows[i].text, url.text);
        cr_assert_eq(url.port, rows[i].port);
        cr_assert_eq(url.has_user, *rows[i].user != '\0');
        cr_assert_eq(url.ip.family != IP_NONE, strpbrk(rows[i].host, ":1") != NULL);
    }
}

Test(proxy_url, what_is_none_is_refused_and_leaves_nothing)
{
    static const char *const bad[] = {
        "",
        "h",
        "socks5",
        "socks5:",
        "socks5:/h",
        "socks5:///",
        "socks5://",
        "socks6://h",
        "tls://h",
        "+tls://h",
        "socks5+tls+tls://h",
        "https://h",
        "socks5://h:",
        "socks5://h:0",
        "socks5://h:65536",
        "socks5://h:1080x",
        "socks5://h:-1",
        "socks5://h:01",
        "socks5://::1",
        "socks5://::1:1080",
        "socks5://[::1",
        "socks5://[h]",
        "socks5://[127.0.0.1]:1",
        "socks5://127.1",
        "socks5://a b",
        "socks5://@h",
        "socks5://:p@h",
        "socks5://%@h",
        "socks5://%4@h",
        "socks5://%4g@h",
        "socks5://%00@h",
        "socks5://u:%00@h",
        "socks5://h//",
        "socks5://h/path",
        "http://a%3ab@h",
        "socks5://u@",
        " socks5://h",
        "socks5://h ",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct proxy_url url = {.port = 77};

        cr_assert(proxy_url_parse(bad[i], &url), "%s", bad[i]);
        cr_assert_eq(url.port, 77);
    }
}

Test(proxy_url, credentials_are_bounded)
{
    for (size_t n = 254; n <= 257; n++) {
        char text[1024] = "socks5://u:", *at = text + strlen(text);
        struct proxy_url url;

        memset(at, 'x', n);
        strcpy(at + n, "@h");
        cr_assert_eq(proxy_url_parse(text, &url) == NULL, n <= 255, "password of %zu", n);
        at = text + strlen("socks5://");
        memset(at, 'x', n);
        strcpy(at + n, ":p@h");
        cr_assert_eq(proxy_url_parse(text, &url) == NULL, n <= 255, "user of %zu", n);
        at = text + strlen("socks5://");
        memset(at, 'x', n);
        at[63] = at[127] = at[191] = '.';
        strcpy(at + n, ":1");
        cr_assert(n > 253 || proxy_url_parse(text, &url) == NULL, "host of %zu", n);
        cr_assert(n <= 253 || proxy_url_parse(text, &url), "host of %zu", n);
    }
}

Test(proxy_url, every_prefix_is_parsed_or_refused)
{
    static const char whole[] = "socks5h+tls://us%65r:pass@[2001:db8::1]:1080/";

    for (size_t n = 0; n < sizeof whole; n++) {
        char text[sizeof whole];
        struct proxy_url url;

        memcpy(text, whole, n);
        text[n] = '\0';
        if (!proxy_url_parse(text, &url))
            cr_assert(url.port != 0 && url.host[0]);
    }
}

Test(proxy_url, a_password_is_overwritten_and_nothing_else)
{
    static const struct {
        const char *text, *left;
    } rows[] = {
        {"socks5://u:secret@h:1", "socks5://u:******@h:1"},
        {"socks5://u:a@b@h", "socks5://u:***@h"},
        {"socks5://u@h:1", "socks5://u@h:1"},
        {"socks5://h:1", "socks5://h:1"},
        {"socks5://u:@h", "socks5://u:@h"},
        {"", ""},
        {"nonsense:x@y", "nonsense:x@y"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];

        strcpy(text, rows[i].text);
        proxy_url_hide_password(text);
        cr_assert_str_eq(text, rows[i].left);
    }
}
