/* directive.c - the rows, and what is done with any row. */
#include "config/directive.h"

#include "config/directive_type.h"
#include "config/list.h"

#include <stdarg.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

#define DAEMON(key_, field)                                                                        \
    .section = SECTION_DAEMON, .key = key_, .offset = offsetof(struct config, field)
#define LISTENER(key_, field)                                                                      \
    .section = SECTION_LISTENER, .key = key_, .offset = offsetof(struct config_listener, field)
#define UPSTREAM(key_, field)                                                                      \
    .section = SECTION_UPSTREAM, .key = key_, .offset = offsetof(struct config_upstream, field)
#define CERTIFICATE(key_, field)                                                                   \
    .section = SECTION_CERTIFICATE, .key = key_,                                                   \
    .offset = offsetof(struct config_certificate, field)
#define RULE(key_, field)                                                                          \
    .section = SECTION_RULE, .key = key_, .offset = offsetof(struct config_rule, field)

/* The whole record is the field. */
#define RECORD(section_, key_) .section = section_, .key = key_

#define ARRAY(record, length) .is_list = true, .count = offsetof(struct record, length)
#define RANGE(min_, max_) .min = min_, .max = max_
#define LATER(section_, key_)                                                                      \
    {                                                                                              \
        .section = section_, .key = key_                                                           \
    }

/* clang-format off */
/* Of listeners and of upstreams. */
#define TLS_KEYS(IN) \
    {IN("security", tls.security), .type = &type_security, .words = words_security, .by_default = "none", .is_access = true}, \
    {IN("certificate", tls.certificate), .type = &type_path, .unset = "none", .is_access = true}, \
    {IN("private_key", tls.private_key), .type = &type_path, .unset = "none", .is_access = true}, \
    {IN("authority", tls.authority), .type = &type_path, .unset = "none", .is_access = true}, \
    {IN("revoke", tls.revoke), .type = &type_path, .unset = "none", .is_access = true}, \
    {IN("ciphers", tls.ciphers), .type = &type_ciphers, .unset = "built-in"}, \
    {IN("validate_chain", tls.skip_chain), .type = &type_bool, .words = words_validate_chain, .by_default = "yes"}, \
    {IN("allow_expired_certificates", tls.allow_expired_certificates), .type = &type_bool, .words = words_bool, \
     .by_default = "no"}, \
    {IN("allow_expired_roots", tls.allow_expired_roots), .type = &type_bool, .words = words_bool, .by_default = "no"}, \
    {IN("allow_any_root", tls.allow_any_root), .type = &type_bool, .words = words_bool, .by_default = "no"}, \
    {IN("alpn", tls.alpn), .type = &type_alpn, .is_list = true, .unset = "none", .accepts = "protocol names"}

const struct directive directives[] = {
    {DAEMON("workers", workers), .type = &type_number, RANGE(1, CONFIG_WORKERS_MAX), .unset = "auto"},
    {DAEMON("user", user), .type = &type_account, .unset = "none"},
    {DAEMON("group", group), .type = &type_account, .unset = "none"},
    {DAEMON("chroot", chroot), .type = &type_folder, .unset = "none"},
    {DAEMON("sandbox", sandbox), .type = &type_word, .words = words_sandbox, .by_default = "auto"},
    {RECORD(SECTION_DAEMON, "log_target"), .type = &type_log_target, .words = words_log_target,
     .by_default = "stderr", .accepts = "stderr, syslog, journal, file:/PATH"},
    {DAEMON("log_level", log_level), .type = &type_word, .words = words_log_level, .by_default = "info"},
    {DAEMON("log_format", log_format), .type = &type_word, .words = words_log_format, .by_default = "text"},
    {DAEMON("nameserver", nameservers), .type = &type_nameservers, .is_list = true, .unset = "system",
     .accepts = "ADDRESS, ADDRESS:PORT, [V6]:PORT"},
    {DAEMON("search_domains", search_domains), .type = &type_bool, .words = words_bool, .by_default = "no"},
    {DAEMON("drain_timeout", drain_timeout), .type = &type_duration, RANGE(0, DAY), .by_default = "30s"},
    {DAEMON("max_files", max_files), .type = &type_number, RANGE(64, INT32_MAX), .unset = "auto"},
    {DAEMON("auth_cache", auth_cache), .type = &type_duration, RANGE(0, DAY), .by_default = "60s"},
    {DAEMON("control", control), .type = &type_control, .unset = CONFIG_DEFAULT_CONTROL, .accepts = "none, an absolute path"},
    {DAEMON("control_group", control_group), .type = &type_account, .unset = "none", .accepts = "a group's name or number"},
    {DAEMON("status", status), .type = &type_status, .unset = "none",
     .accepts = "ADDRESS:PORT, [V6]:PORT, localhost:PORT, unix:/PATH"},
    {DAEMON("status_hosts", status_hosts), .type = &type_status_hosts, .is_list = true, .unset = "none",
     .by_default = "localhost", .accepts = "NAME, ADDRESS"},
    {DAEMON("status_token_file", status_token_file), .type = &type_path, .unset = "none"},
    {DAEMON("pac", pac), .type = &type_bool, .words = words_bool, .by_default = "no"},

    {RECORD(SECTION_LISTENER, "listen"), .type = &type_listen, .is_list = true, .is_required = true,
     .accepts = "ADDRESS:PORT, [V6]:PORT, localhost:PORT, unix:/PATH, systemd:NAME"},
    {LISTENER("unix_mode", unix_mode), .type = &type_mode, RANGE(0, 0777), .by_default = "0660"},
    {LISTENER("protocols", protocols), .type = &type_bits, .words = words_protocol, .is_list = true,
     .by_default = "socks4, socks5, http", .is_access = true},
    {LISTENER("queue", queue), .type = &type_number, RANGE(1, 1000000), .by_default = "1024"},
    {LISTENER("max_connections", max_connections), .type = &type_number, RANGE(1, 10000000), .by_default = "10000"},
    {LISTENER("max_per_host", max_per_host), .type = &type_number, RANGE(0, 10000000), .by_default = "0"},
    {LISTENER("max_per_user", max_per_user), .type = &type_number, RANGE(0, 10000000), .by_default = "0"},
    {LISTENER("allow", allow), .type = &type_clients, ARRAY(config_listener, allow_count), .unset = "any",
     .accepts = "ADDRESS, ADDRESS/BITS, NAME", .is_access = true},
    {LISTENER("deny", deny), .type = &type_clients, ARRAY(config_listener, deny_count), .unset = "none",
     .accepts = "ADDRESS, ADDRESS/BITS, NAME"},
    {LISTENER("open_proxy", open_proxy), .type = &type_bool, .words = words_bool, .by_default = "no", .is_access = true},
    {LISTENER("guard", guard), .type = &type_word, .words = words_guard, .by_default = "auto"},
    {LISTENER("default", default_deny), .type = &type_bool, .words = words_default, .by_default = "allow",
     .is_access = true},
    {LISTENER("bind_address", bind_address), .type = &type_address, .unset = "none", .accepts = "an address"},
    {LISTENER("udp", udp), .type = &type_word, .words = words_udp, .by_default = "auto"},
    {LISTENER("udp_ports", udp_ports), .type = &type_ports, ARRAY(config_listener, udp_port_count), .unset = "any",
     .accepts = "PORT, FIRST-LAST, from 1 to 65535"},
    {LISTENER("udp_advertise", udp_advertise), .type = &type_address, .unset = "none", .accepts = "an address"},
    {LISTENER("udp_max_targets", udp_max_targets), .type = &type_number, RANGE(1, 65536), .by_default = "1024"},
    {LISTENER("udp_rate", udp_rate), .type = &type_number, RANGE(0, 100000000), .by_default = "0"},
    {LISTENER("udp_filter", udp_by_address), .type = &type_bool, .words = words_udp_filter, .by_default = "endpoint"},
    {LISTENER("bind", bind), .type = &type_word, .words = words_bind, .by_default = "auto"},
    {LISTENER("bind_ports", bind_ports), .type = &type_ports, ARRAY(config_listener, bind_port_count), .unset = "any",
     .accepts = "PORT, FIRST-LAST, from 1 to 65535"},
    {LISTENER("bind_timeout", bind_timeout), .type = &type_duration, RANGE(1, DAY), .by_default = "2m"},
    {LISTENER("resolve_for_rules", resolve_for_rules), .type = &type_bool, .words = words_bool, .by_default = "no"},
    {LISTENER("handshake_timeout", handshake_timeout), .type = &type_duration, RANGE(1, HOUR), .by_default = "10s"},
    {LISTENER("connect_timeout", connect_timeout), .type = &type_duration, RANGE(1, HOUR), .by_default = "30s"},
    {LISTENER("write_timeout", write_timeout), .type = &type_duration, RANGE(1, DAY), .by_default = "60s"},
    {LISTENER("idle_timeout", idle_timeout), .type = &type_duration, RANGE(1, 30LL * DAY), .by_default = "2h"},
    {LISTENER("half_close_timeout", half_close_timeout), .type = &type_duration, RANGE(1, DAY), .by_default = "5m"},
    {LISTENER("keepalive", keepalive), .type = &type_duration, RANGE(0, 9 * HOUR), .by_default = "60s"},
    {LISTENER("auth", auth), .type = &type_bits, .words = words_auth, .is_list = true, .by_default = "none",
     .is_access = true},
    {LISTENER("users_file", users_file), .type = &type_path, .unset = "none", .is_access = true},
    {LISTENER("close_on_removal", close_on_removal), .type = &type_bool, .words = words_bool, .by_default = "yes"},
    {LISTENER("proxy_protocol", proxy_protocol), .type = &type_bool, .words = words_proxy_protocol,
     .by_default = "no", .is_access = true},
    {LISTENER("proxy_protocol_from", proxy_from), .type = &type_prefixes, ARRAY(config_listener, proxy_from_count),
     .unset = "none", .accepts = "ADDRESS, ADDRESS/BITS", .is_access = true},
    {LISTENER("forward_to", forward_to), .type = &type_target, .unset = "none", .accepts = "HOST:PORT, [V6]:PORT",
     .is_access = true},
    {LISTENER("route", route), .type = &type_route, .unset = "direct", .accepts = "the name of an [upstream] section"},
    {LISTENER("tls_cut", tls_cut_ends), .type = &type_bool, .words = words_tls_cut, .by_default = "reset"},
    TLS_KEYS(LISTENER),
    {RECORD(SECTION_LISTENER, "certificates"), .type = &type_certificates, .is_list = true, .unset = "none",
     .accepts = "names of [certificate] sections", .is_access = true},
    LATER(SECTION_LISTENER, "peer_name"),

    {CERTIFICATE("names", names), .type = &type_names, ARRAY(config_certificate, name_count), .is_required = true,
     .accepts = "NAME, *.SUFFIX"},
    {CERTIFICATE("certificate", certificate), .type = &type_path, .is_required = true},
    {CERTIFICATE("private_key", private_key), .type = &type_path, .is_required = true},
    {CERTIFICATE("authority", authority), .type = &type_path, .unset = "none"},

    {UPSTREAM("type", type), .type = &type_word, .words = words_upstream_type, .is_required = true,
     .is_access = true},
    {UPSTREAM("server", servers), .type = &type_servers, ARRAY(config_upstream, server_count), .unset = "none",
     .accepts = "HOST:PORT, [V6]:PORT", .is_access = true},
    {UPSTREAM("service", service), .type = &type_service, .unset = "none", .accepts = "_SERVICE._tcp.DOMAIN",
     .is_access = true},
    {UPSTREAM("balance", balance), .type = &type_word, .words = words_balance, .by_default = "first"},
    {UPSTREAM("user", user), .type = &type_credential, .unset = "none", .accepts = "at most 255 bytes",
     .is_access = true},
    {UPSTREAM("password", password), .type = &type_credential, .accepts = "at most 255 bytes",
     .is_access = true, .is_secret = true},
    {UPSTREAM("password_file", password_file), .type = &type_path, .unset = "none", .is_access = true},
    {UPSTREAM("resolve", resolve), .type = &type_word, .words = words_resolve, .by_default = "auto"},
    {UPSTREAM("via", via), .type = &type_via, .unset = "none", .accepts = "the name of an [upstream] section"},
    {UPSTREAM("local_bypass", local_bypass), .type = &type_bool, .words = words_bool, .by_default = "no"},
    {UPSTREAM("bind_address", bind_address), .type = &type_address, .unset = "none", .accepts = "an address"},
    {UPSTREAM("check_interval", check_interval), .type = &type_duration, RANGE(0, DAY), .by_default = "0"},
    {UPSTREAM("check", checks), .type = &type_check, ARRAY(config_upstream, check_count), .is_whole = true,
     .words = words_check, .by_default = "connect", .accepts = "connect, tls, socks, send TEXT, expect TEXT",
     .is_access = true},
    {UPSTREAM("send_proxy", send_proxy), .type = &type_word, .words = words_send_proxy, .by_default = "no"},
    {UPSTREAM("connect_timeout", connect_timeout), .type = &type_duration, RANGE(1, HOUR), .by_default = "10s"},
    TLS_KEYS(UPSTREAM),
    {UPSTREAM("peer_name", tls.peer_name), .type = &type_peer_name, .unset = "auto",
     .accepts = "none, a name, an address"},

    {RECORD(SECTION_RULE, "listener"), .type = &type_listeners, .is_list = true, .unset = "any",
     .accepts = "names of [listener] sections"},
    {RULE("client", clients), .type = &type_prefixes, ARRAY(config_rule, client_count), .unset = "any",
     .accepts = "ADDRESS, ADDRESS/BITS"},
    {RULE("user", users), .type = &type_user, ARRAY(config_rule, user_count), .unset = "any",
     .accepts = "NAME, ident:NAME, cert:NAME"},
    {RULE("destination", destinations), .type = &type_destinations, ARRAY(config_rule, destination_count), .unset = "any",
     .accepts = "NAME, *.SUFFIX, ADDRESS, ADDRESS/BITS"},
    {RULE("port", ports), .type = &type_ports, ARRAY(config_rule, port_count), .unset = "any",
     .accepts = "PORT, FIRST-LAST, from 1 to 65535"},
    {RULE("command", commands), .type = &type_bits, .words = words_command, .is_list = true, .unset = "any"},
    {RECORD(SECTION_RULE, "action"), .type = &type_action, .words = words_action, .is_required = true,
     .accepts = "allow, deny, route UPSTREAM"},
    {RULE("rate", rate), .type = &type_size, RANGE(0, CONFIG_RATE_MAX), .by_default = "0"},
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

/* ---- text to field ---- */

bool directive_no_memory(struct directive_input *input)
{
    input->wrong = "there is no memory for it";
    return false;
}

static bool parse_item(const struct directive *d, void *record, struct directive_input *input)
{
    unsigned *count = (unsigned *)((char *)record + d->count);
    void *item = list_grow((char *)record + d->offset, *count, d->type->item);

    if (!item)
        return directive_no_memory(input);
    if (!d->type->parse(d, item, input))
        return false;
    (*count)++;
    return true;
}

bool directive_parse(const struct directive *d, void *record, struct directive_input *input)
{
    input->wrong = NULL;
    if (d->type->item)
        return parse_item(d, record, input);
    return d->type->parse(d, (char *)record + d->offset, input);
}

/* ---- field to text ---- */

struct directive_output {
    FILE *file;
    const struct config *config;
    const char *key;
    unsigned lines;
};

void directive_put(struct directive_output *output, const char *format, ...)
{
    va_list args;

    fprintf(output->file, "%s = ", output->key);
    va_start(args, format);
    vfprintf(output->file, format, args);
    va_end(args);
    fputc('\n', output->file);
    output->lines++;
}

const struct config *directive_config(const struct directive_output *output)
{
    return output->config;
}

static void format_items(const struct directive *d, const void *record,
                         struct directive_output *output)
{
    const unsigned count = *(const unsigned *)((const char *)record + d->count);

    for (unsigned i = 0; i < count; i++)
        d->type->format(d, list_item((const char *)record + d->offset, i, d->type->item), output);
}

void directive_format(const struct directive *d, const struct config *config, const void *record,
                      FILE *out)
{
    struct directive_output output = {.file = out, .config = config, .key = d->key};

    if (!d->type)
        return;
    if (d->type->item)
        format_items(d, record, &output);
    else
        d->type->format(d, (const char *)record + d->offset, &output);
    if (output.lines == 0 && d->unset)
        directive_put(&output, "%s", d->unset);
}

/* ---- messages ---- */

void directive_accepts(const struct directive *d, FILE *out)
{
    if (d->unset)
        fprintf(out, "%s, or ", d->unset);
    if (d->is_whole)
        fputs("once for each step, ", out);
    else if (d->is_list)
        fputs("a list of ", out);
    if (d->accepts)
        fputs(d->accepts, out);
    else
        d->type->accepts(d, out);
}
