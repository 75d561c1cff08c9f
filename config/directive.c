/* directive.c - the rows, and how each type of value is parsed. */
#include "config/directive.h"

#include "config/value.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static bool within(const struct directive *d, int64_t value)
{
    return value >= d->min && value <= d->max;
}

static bool parse_number(const struct directive *d, void *field, const char *value,
                         const char **ret_wrong)
{
    int64_t number;

    if (!value_number(value, &number))
        return false;
    *ret_wrong = "the number is out of range";
    if (!within(d, number))
        return false;
    *(int64_t *)field = number;
    return true;
}

static bool parse_duration(const struct directive *d, void *field, const char *value,
                           const char **ret_wrong)
{
    int64_t ms;

    if (!value_duration(value, &ms))
        return false;
    *ret_wrong = "the duration is out of range";
    if (!within(d, ms))
        return false;
    *(int64_t *)field = ms;
    return true;
}

static bool parse_bool(const struct directive *d, void *field, const char *value,
                       const char **ret_wrong)
{
    (void)d;
    (void)ret_wrong;
    return value_bool(value, field);
}

static bool parse_workers(const struct directive *d, void *field, const char *value,
                          const char **ret_wrong)
{
    if (strcasecmp(value, "auto") == 0) {
        *(int64_t *)field = CONFIG_WORKERS_AUTO;
        return true;
    }
    return parse_number(d, field, value, ret_wrong);
}

static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

static bool parse_log_level(const struct directive *d, void *field, const char *value,
                            const char **ret_wrong)
{
    int index;

    (void)d;
    (void)ret_wrong;
    if (!value_word(value, log_levels, &index))
        return false;
    *(enum log_level *)field = (enum log_level)index;
    return true;
}

static bool parse_log_format(const struct directive *d, void *field, const char *value,
                             const char **ret_wrong)
{
    (void)d;
    (void)ret_wrong;
    return value_word(value, log_formats, field);
}

/* The field is the configuration itself: offset 0. */
static bool parse_log_target(const struct directive *d, void *field, const char *value,
                             const char **ret_wrong)
{
    static const char *const words[] = {"stderr", "syslog", "journal", NULL}; /* enum log_target */
    struct config *config = field;

    (void)d;
    if (value_word(value, words, &config->log_target))
        return true;
    if (strncmp(value, "file:", 5) != 0)
        return false;
    *ret_wrong = "the path must begin with `/`";
    if (value[5] != '/')
        return false;
    config->log_target = LOG_TARGET_FILE;
    config->log_file = strdup(value + 5);
    return config->log_file != NULL;
}

/* One server in the form that c-ares takes: without blanks, with brackets only where a port follows. */
static bool server_format(const char *item, size_t n, char *out)
{
    struct ip_endpoint endpoint;

    if (ip_parse(item, n, &endpoint.ip)) {
        ip_format(&endpoint.ip, out);
        return true;
    }
    if (!endpoint_parse(item, n, &endpoint) || endpoint.port == 0)
        return false;
    endpoint_format(&endpoint, out);
    return true;
}

static bool parse_nameservers(const struct directive *d, void *field, const char *value,
                              const char **ret_wrong)
{
    char **servers = field, *joined, server[ENDPOINT_TEXT_MAX];
    const char *at = value, *item;
    size_t n;

    (void)d;
    if (strcmp(value, "system") == 0)
        return true;
    while (value_list_next(&at, &item, &n)) {
        *ret_wrong = "this is no address";
        if (!server_format(item, n, server))
            return false;
        if (asprintf(&joined, "%s%s%s", *servers ? *servers : "", *servers ? "," : "", server) < 0)
            return false;
        free(*servers);
        *servers = joined;
    }
    return true;
}

static bool add_address(struct config_listener *listener, const struct ip_address *ip,
                        uint16_t port, bool optional, const char **ret_wrong)
{
    struct config_address address = {.endpoint = {*ip, port}, .optional = optional}, *more;

    *ret_wrong = "this address is listed twice";
    for (unsigned i = 0; i < listener->address_count; i++)
        if (port && endpoint_equal(&listener->addresses[i].endpoint, &address.endpoint))
            return false;
    *ret_wrong = "there is no memory for it";
    more = realloc(listener->addresses, (listener->address_count + 1) * sizeof *more);
    if (!more)
        return false;
    listener->addresses = more;
    more[listener->address_count++] = address;
    return true;
}

static bool add_localhost(struct config_listener *listener, uint16_t port, const char **ret_wrong)
{
    static const struct ip_address v4 = {IP_V4, {127, 0, 0, 1}}, v6 = {IP_V6, {[15] = 1}};

    return add_address(listener, &v4, port, true, ret_wrong) &&
           add_address(listener, &v6, port, true, ret_wrong);
}

static bool parse_listen_item(struct config_listener *listener, const char *item, size_t n,
                              const char **ret_wrong)
{
    struct ip_endpoint endpoint;
    const char *host;
    size_t length;
    uint16_t port;

    if (n > 5 && memcmp(item, "unix:", 5) == 0) {
        *ret_wrong = "unix sockets are not available in this version yet";
        return false;
    }
    if (n > 8 && memcmp(item, "systemd:", 8) == 0) {
        *ret_wrong = "systemd's sockets are not available in this version yet";
        return false;
    }
    *ret_wrong = NULL;
    if (!host_port_split(item, n, &host, &length, &port))
        return false;
    if (item[0] != '[' && host_name_equal(host, length, "localhost", 9))
        return add_localhost(listener, port, ret_wrong);
    *ret_wrong = "a listening address is given as a number, or as localhost";
    if (!endpoint_parse(item, n, &endpoint))
        return false;
    return add_address(listener, &endpoint.ip, endpoint.port, false, ret_wrong);
}

/* The field is the listener itself: offset 0. */
static bool parse_listen(const struct directive *d, void *field, const char *value,
                         const char **ret_wrong)
{
    const char *at = value, *item;
    size_t n;

    (void)d;
    while (value_list_next(&at, &item, &n))
        if (!parse_listen_item(field, item, n, ret_wrong))
            return false;
    return true;
}

static bool parse_protocols(const struct directive *d, void *field, const char *value,
                            const char **ret_wrong)
{
    const char *at = value, *item;
    unsigned *protocols = field;
    size_t n;

    (void)d;
    while (value_list_next(&at, &item, &n)) {
        if (n == 6 && memcmp(item, "socks4", 6) == 0) {
            *protocols |= PROTOCOL_SOCKS4;
        } else if (n == 6 && memcmp(item, "socks5", 6) == 0) {
            *protocols |= PROTOCOL_SOCKS5;
        } else {
            if ((n == 4 && memcmp(item, "http", 4) == 0) ||
                (n == 7 && memcmp(item, "forward", 7) == 0))
                *ret_wrong = "this protocol is not available in this version yet";
            return false;
        }
    }
    return true;
}

#define DAEMON(field) SECTION_DAEMON, #field, .offset = offsetof(struct config, field)
#define LISTENER(field) SECTION_LISTENER, #field, .offset = offsetof(struct config_listener, field)
#define LATER(section_, key_)                                                                      \
    {                                                                                              \
        .section = section_, .key = key_                                                           \
    }
#define ANY_DURATION "a duration such as 500ms, 10s, 5m, 2h"

/* clang-format off */
const struct directive directives[] = {
    {DAEMON(workers), .parse = parse_workers, .min = 1, .max = CONFIG_WORKERS_MAX, .by_default = "auto",
     .accepts = "auto, or a number from 1 to 256"},
    {SECTION_DAEMON, "log_target", .parse = parse_log_target,
     .by_default = "stderr", .accepts = "stderr, syslog, journal, file:/PATH"},
    {DAEMON(log_level), .parse = parse_log_level, .by_default = "info",
     .accepts = "error, warning, notice, info, debug"},
    {DAEMON(log_format), .parse = parse_log_format, .by_default = "text", .accepts = "text, json"},
    {SECTION_DAEMON, "nameserver", .parse = parse_nameservers, .offset = offsetof(struct config, nameservers),
     .by_default = "system", .is_list = true, .accepts = "system, or a list of ADDRESS, ADDRESS:PORT, [V6]:PORT"},
    {DAEMON(search_domains), .parse = parse_bool, .by_default = "no", .accepts = "yes, no, on, off, true, false"},
    {DAEMON(drain_timeout), .parse = parse_duration, .min = 0, .max = DAY, .by_default = "30s",
     .accepts = ANY_DURATION ", at most 24h"},
    {DAEMON(max_files), .parse = parse_number, .min = 64, .max = INT32_MAX,
     .accepts = "a number of at least 64"},
    LATER(SECTION_DAEMON, "user"), LATER(SECTION_DAEMON, "group"), LATER(SECTION_DAEMON, "chroot"),
    LATER(SECTION_DAEMON, "control"), LATER(SECTION_DAEMON, "control_group"), LATER(SECTION_DAEMON, "status"),
    LATER(SECTION_DAEMON, "status_hosts"), LATER(SECTION_DAEMON, "status_token_file"), LATER(SECTION_DAEMON, "pac"),
    LATER(SECTION_DAEMON, "auth_cache"),

    {SECTION_LISTENER, "listen", .parse = parse_listen, .is_list = true, .is_required = true,
     .accepts = "a list of ADDRESS:PORT, [V6]:PORT, localhost:PORT"},
    {LISTENER(protocols), .parse = parse_protocols, .is_list = true, .by_default = "socks4, socks5",
     .accepts = "a list of socks4, socks5"},
    {LISTENER(queue), .parse = parse_number, .min = 1, .max = 1000000, .by_default = "1024",
     .accepts = "a number from 1 to 1000000"},
    {LISTENER(max_connections), .parse = parse_number, .min = 1, .max = 10000000, .by_default = "10000",
     .accepts = "a number from 1 to 10000000"},
    {LISTENER(handshake_timeout), .parse = parse_duration, .min = 1, .max = HOUR, .by_default = "10s",
     .accepts = ANY_DURATION ", from 1ms to 1h"},
    {LISTENER(connect_timeout), .parse = parse_duration, .min = 1, .max = HOUR, .by_default = "30s",
     .accepts = ANY_DURATION ", from 1ms to 1h"},
    {LISTENER(write_timeout), .parse = parse_duration, .min = 1, .max = DAY, .by_default = "60s",
     .accepts = ANY_DURATION ", from 1ms to 24h"},
    {LISTENER(idle_timeout), .parse = parse_duration, .min = 1, .max = 30LL * DAY, .by_default = "2h",
     .accepts = ANY_DURATION ", from 1ms to 720h"},
    {LISTENER(half_close_timeout), .parse = parse_duration, .min = 1, .max = DAY, .by_default = "5m",
     .accepts = ANY_DURATION ", from 1ms to 24h"},
    {LISTENER(keepalive), .parse = parse_duration, .min = 0, .max = 9 * HOUR, .by_default = "60s",
     .accepts = ANY_DURATION ", at most 9h; 0 = off"},
    LATER(SECTION_LISTENER, "unix_mode"), LATER(SECTION_LISTENER, "forward_to"), LATER(SECTION_LISTENER, "max_per_host"),
    LATER(SECTION_LISTENER, "max_per_user"), LATER(SECTION_LISTENER, "allow"), LATER(SECTION_LISTENER, "deny"),
    LATER(SECTION_LISTENER, "auth"), LATER(SECTION_LISTENER, "users_file"), LATER(SECTION_LISTENER, "route"),
    LATER(SECTION_LISTENER, "open_proxy"), LATER(SECTION_LISTENER, "guard"), LATER(SECTION_LISTENER, "proxy_protocol"),
    LATER(SECTION_LISTENER, "proxy_protocol_from"), LATER(SECTION_LISTENER, "bind_address"),
    LATER(SECTION_LISTENER, "resolve_for_rules"), LATER(SECTION_LISTENER, "tls_cut"), LATER(SECTION_LISTENER, "default"),
    LATER(SECTION_LISTENER, "security"), LATER(SECTION_LISTENER, "certificate"), LATER(SECTION_LISTENER, "private_key"),
    LATER(SECTION_LISTENER, "certificates"), LATER(SECTION_LISTENER, "authority"), LATER(SECTION_LISTENER, "revoke"),
    LATER(SECTION_LISTENER, "ciphers"), LATER(SECTION_LISTENER, "peer_name"), LATER(SECTION_LISTENER, "validate_chain"),
    LATER(SECTION_LISTENER, "allow_expired_certificates"), LATER(SECTION_LISTENER, "allow_expired_roots"),
    LATER(SECTION_LISTENER, "allow_any_root"), LATER(SECTION_LISTENER, "alpn"),
};
/* clang-format on */

const unsigned directive_count = sizeof directives / sizeof directives[0];

_Static_assert(sizeof directives / sizeof directives[0] <= DIRECTIVES_MAX, "raise DIRECTIVES_MAX");

int directive_find(enum section section, const char *key)
{
    for (unsigned i = 0; i < directive_count; i++)
        if (directives[i].section == section && strcmp(directives[i].key, key) == 0)
            return (int)i;
    return -1;
}

const char *config_log_level_name(enum log_level level)
{
    return log_levels[level];
}
