/* fuzz_address.c - any text as an address, a host, a port, HOST:PORT. The claims: each is taken
 * just when the C library's strict parser takes it, the liberal one takes no name for an address,
 * what is written is read back the same and in one spelling, and no result is touched by what is
 * refused. */
#include "tests/fuzz/fuzz.h"

#include "streams/address.h"

#include <arpa/inet.h>
#include <string.h>

enum { FILL = 0xA5 };

static bool is_filled(const void *what, size_t n)
{
    const uint8_t *bytes = what;

    while (n)
        if (bytes[--n] != FILL)
            return false;
    return true;
}

/* Written and read back: the same address, the same text, and as long as was said. */
static void check_format(const struct ip_address *ip)
{
    char text[IP_TEXT_MAX], again[IP_TEXT_MAX];
    struct ip_address back;
    size_t n = ip_format(ip, text);

    CLAIM(n < IP_TEXT_MAX && strlen(text) == n);
    CLAIM(ip_parse(text, n, &back) && ip_equal(ip, &back));
    CLAIM(ip_format(&back, again) == n && strcmp(text, again) == 0);
}

/* inet_pton() reads to a NUL, and no NUL is part of an address. */
static void check_ip(const char *text, size_t n)
{
    uint8_t v4[4], v6[16];
    struct ip_address ip;
    bool is_v4, is_v6, taken;

    memset(&ip, FILL, sizeof ip);
    taken = ip_parse(text, n, &ip);
    CLAIM(taken || is_filled(&ip, sizeof ip));
    if (strlen(text) != n) {
        CLAIM(!taken);
        return;
    }
    is_v4 = inet_pton(AF_INET, text, v4) == 1;
    is_v6 = inet_pton(AF_INET6, text, v6) == 1;
    CLAIM(taken == (is_v4 || is_v6));
    if (taken) {
        CLAIM(ip.family == (is_v4 ? IP_V4 : IP_V6));
        CLAIM(memcmp(ip.bytes, is_v4 ? v4 : v6, is_v4 ? 4 : 16) == 0);
        check_format(&ip);
    }
}

static void check_name(const char *text, size_t n)
{
    struct in_addr in;

    CLAIM(n > 0 && n <= 254 && strlen(text) == n);
    for (size_t i = 0; i < n; i++)
        CLAIM(text[i] > ' ' && text[i] < 0x7F && !strchr("/:@[]%\"\\=", text[i]));
    CLAIM(!inet_aton(text, &in));
    CLAIM(host_name_equal(text, n, text, n));
}

static void check_host(const char *text, size_t n)
{
    struct ip_address ip;
    enum host_kind kind;

    memset(&ip, FILL, sizeof ip);
    kind = host_classify(text, n, &ip);
    CLAIM((kind == HOST_ADDRESS) != is_filled(&ip, sizeof ip));
    if (kind == HOST_NAME)
        check_name(text, n);
    if (host_name_is_localhost(text, n))
        CLAIM(n >= strlen("localhost") && kind != HOST_ADDRESS);
}

static void check_port(const char *text, size_t n)
{
    char again[8];
    uint16_t port;

    if (port_parse(text, n, &port))
        CLAIM((size_t)snprintf(again, sizeof again, "%u", port) == n &&
              memcmp(again, text, n) == 0);
}

static void check_host_port(const char *text, size_t n)
{
    struct ip_endpoint endpoint, back;
    const char *host = NULL;
    size_t length = 0;
    uint16_t port = 0;
    bool split = host_port_split(text, n, &host, &length, &port);

    if (split)
        CLAIM(host >= text && length > 0 && host + length < text + n &&
              (text[0] == '[') == (host != text));
    else
        CLAIM(!host && !length && !port);
    memset(&endpoint, FILL, sizeof endpoint);
    if (endpoint_parse(text, n, &endpoint)) {
        struct sockaddr_storage sa;
        char formatted[ENDPOINT_TEXT_MAX];
        size_t formatted_n = endpoint_format(&endpoint, formatted);

        CLAIM(split && endpoint.port == port);
        CLAIM(formatted_n < ENDPOINT_TEXT_MAX && strlen(formatted) == formatted_n);
        CLAIM(endpoint_parse(formatted, formatted_n, &back) && endpoint_equal(&endpoint, &back));
        endpoint_to_sockaddr(&endpoint, &sa);
        back = endpoint_from_sockaddr(&sa);
        CLAIM(endpoint_equal(&endpoint, &back));
    } else {
        CLAIM(is_filled(&endpoint, sizeof endpoint));
    }
}

/* The bytes as an address in themselves. */
static void check_raw(const uint8_t *data, size_t size)
{
    struct ip_address v4 = {.family = IP_V4}, v6 = {.family = IP_V6}, unmapped;

    memcpy(v4.bytes, data, size < 4 ? size : 4);
    memcpy(v6.bytes, data, size < 16 ? size : 16);
    check_format(&v4);
    check_format(&v6);
    unmapped = ip_unmapped(&v6);
    check_format(&unmapped);
    CLAIM(!(ip_is_loopback(&v6) && ip_is_unspecified(&v6)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* With a NUL behind it for the C library, which none of ours may look for. */
    char *text = malloc(size + 1);

    CLAIM(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    check_ip(text, size);
    check_host(text, size);
    check_port(text, size);
    check_host_port(text, size);
    if (size)
        check_raw(data, size);
    free(text);
    return 0;
}
