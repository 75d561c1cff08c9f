/* config.h - the configuration as an immutable, checked snapshot. Made by config_load() from a
 * file or by config_default() without one; read by everybody, changed by nobody; counted. Knows
 * no sockets and no network: what is written in a file is all that it depends on. */
#ifndef PAIRSOCKS_CONFIG_H
#define PAIRSOCKS_CONFIG_H

#include "config/activation.h"
#include "config/lines.h"
#include "streams/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_DEFAULT_FILE "/etc/pairsocks/pairsocks.ini"
#define CONFIG_DEFAULT_CONTROL "/run/pairsocks/control"
#define CONFIG_WORKERS_MAX 256
#define CONFIG_WORKERS_AUTO 0
#define CONFIG_RATE_MAX (INT64_C(1) << 40) /* bytes a second: of no line that there is */

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* Bits of `protocols`. */
enum protocol {
    PROTOCOL_SOCKS4 = 1,
    PROTOCOL_SOCKS5 = 2,
    PROTOCOL_HTTP = 4,
    PROTOCOL_FORWARD = 8 /* alone: every connection goes to `forward_to` */
};

/* Bits of `auth`: any one suffices. */
enum auth { AUTH_NONE = 1, AUTH_PASSWORD = 2, AUTH_IDENT = 4, AUTH_CERTIFICATE = 8 };

/* Bits of a rule's `command`, and of what a listener serves. */
enum command { COMMAND_CONNECT = 1, COMMAND_BIND = 2, COMMAND_UDP = 4 };

enum rule_action { RULE_ALLOW, RULE_DENY, RULE_ROUTE };

enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_JOURNAL, LOG_TARGET_FILE };

/* Whether the daemon confines itself. AUTO: with what the kernel and the build have. */
enum sandbox { SANDBOX_AUTO, SANDBOX_NO, SANDBOX_YES };

enum guard { GUARD_AUTO, GUARD_NO, GUARD_YES };

/* Whether associations are served. AUTO: to clients that come by plain TCP, with nobody between. */
enum udp { UDP_AUTO, UDP_NO, UDP_YES };
enum bind { BIND_AUTO, BIND_NO, BIND_YES };

struct port_range {
    uint16_t first, last;
};

enum host_pattern_kind {
    PATTERN_NAME,   /* this name */
    PATTERN_SUFFIX, /* every name below it, not itself */
    PATTERN_PREFIX, /* an address or a CIDR */
};

/* One entry of `destination`, `allow` or `deny`. */
struct host_pattern {
    enum host_pattern_kind kind;
    char *name; /* owned; lower case, no trailing dot, of a suffix without the `*.` */
    struct ip_prefix prefix;
};

enum upstream_type {
    UPSTREAM_DIRECT, /* no proxy: the target itself */
    UPSTREAM_SOCKS4,
    UPSTREAM_SOCKS4A,
    UPSTREAM_SOCKS5,
    UPSTREAM_HTTP
};

/* Which of an upstream's servers is tried first. */
enum balance { BALANCE_FIRST, BALANCE_ROUND_ROBIN, BALANCE_LEAST, BALANCE_SOURCE };

/* What a proxy is given of a target that has a name. AUTO is REMOTE, of socks4 LOCAL. */
enum resolve { RESOLVE_AUTO, RESOLVE_REMOTE, RESOLVE_LOCAL };

enum send_proxy { SEND_PROXY_NO, SEND_PROXY_V1, SEND_PROXY_V2 };

/* The key `security`. NEGOTIATED is the highest that both ends have, 1.2 at least. */
enum security { SECURITY_NONE, SECURITY_NEGOTIATED, SECURITY_TLS_1_2, SECURITY_TLS_1_3 };

/* The TLS keys of a listener or an upstream. Texts are owned; NULL: not given. */
struct config_tls {
    int security;                                         /* enum security */
    char *certificate, *private_key, *authority, *revoke; /* files */
    char *ciphers;                                        /* names between `:` */
    char *alpn;                                           /* names between `,` */
    char *peer_name; /* of upstreams; NULL: what was dialed, "none": no check */
    bool skip_chain; /* validate_chain = no */
    bool allow_expired_certificates, allow_expired_roots, allow_any_root;
};

/* [certificate NAME]: of a listener, for clients that ask for one of the names. */
struct config_certificate {
    char *name;
    char **names; /* host names, and `*.suffix` for all below */
    unsigned name_count;
    char *certificate, *private_key, *authority;
};

/* HOST:PORT. */
struct config_target {
    char *name; /* owned; NULL: `ip` */
    struct ip_address ip;
    uint16_t port; /* 0: nothing is set */
};

enum check_kind { CHECK_CONNECT, CHECK_TLS, CHECK_SOCKS, CHECK_SEND, CHECK_EXPECT };

/* One step of a health check. */
struct config_check {
    int kind;      /* enum check_kind */
    uint8_t *text; /* of SEND and EXPECT: bytes of any kind, at least one; owned */
    unsigned length;
};

#define CONFIG_CREDENTIAL_MAX 255 /* bytes; RFC 1929, 2 */
#define CONFIG_TOKEN_MIN 16       /* bytes of a status_token_file */

/* [upstream NAME]. */
struct config_upstream {
    char *name;
    int type;                      /* enum upstream_type */
    struct config_target *servers; /* none of a direct one, nor beside `service` */
    unsigned server_count;
    char *service;                     /* the name of SRV records; NULL: `servers` */
    int balance;                       /* enum balance */
    char *user, *password;             /* NULL: none. At most CONFIG_CREDENTIAL_MAX bytes */
    char *password_file;               /* NULL: none */
    char *secret;                      /* the password, wherever it stood; NULL: none; wiped */
    int resolve;                       /* enum resolve */
    const struct config_upstream *via; /* a proxy; NULL: none. There are no loops */
    bool local_bypass;                 /* near targets go direct */
    struct ip_address bind_address;    /* IP_NONE: what the listener says */
    int64_t check_interval;            /* ms; 0: no checks */
    struct config_check *checks;       /* in order */
    unsigned check_count;
    int send_proxy;          /* enum send_proxy */
    int64_t connect_timeout; /* ms; of one try */
    struct config_tls tls;
};

/* [rule NAME]. A condition with no entries matches everything. */
struct config_rule {
    char *name;
    unsigned *listeners; /* indices of config->listeners */
    unsigned listener_count;
    struct ip_prefix *clients;
    unsigned client_count;
    char **users;
    unsigned user_count;
    struct host_pattern *destinations;
    unsigned destination_count;
    struct port_range *ports;
    unsigned port_count;
    unsigned commands; /* bits of enum command; 0: any */
    enum rule_action action;
    const struct config_upstream *route; /* of RULE_ROUTE; NULL: direct */
    int64_t rate; /* bytes a second, each way; 0: no limit, as of RULE_DENY */
};

/* One entry of `listen`. */
struct config_address {
    char *unix_path;    /* owned; NULL: the next */
    char *systemd_name; /* owned: of sockets that the service manager passes; NULL: `endpoint` */
    struct ip_endpoint endpoint;
    bool optional; /* one of localhost: one that cannot be had is no error */
};

struct config_listener {
    char *name;
    struct config_address *addresses;
    unsigned address_count;
    unsigned protocols;                  /* enum protocol */
    struct config_target forward_to;     /* with PROTOCOL_FORWARD */
    const struct config_upstream *route; /* NULL: direct */
    int64_t queue;
    int64_t max_connections;
    int64_t max_per_host; /* 0: no bound */
    int64_t max_per_user; /* likewise */
    int64_t unix_mode;
    struct host_pattern *allow, *deny; /* of clients; no suffixes */
    unsigned allow_count, deny_count;
    unsigned auth;         /* enum auth */
    char *users_file;      /* NULL: none, and no AUTH_PASSWORD */
    struct users *users;   /* a reference; what the file held (users.h) */
    bool close_on_removal; /* of a user from the file */
    bool proxy_protocol;   /* first comes a PROXY header, from one of these alone */
    struct ip_prefix *proxy_from;
    unsigned proxy_from_count;
    struct config_tls tls;
    unsigned *certificates; /* indices of config->certificates, beside tls.certificate */
    unsigned certificate_count;
    bool tls_cut_ends; /* a cut stream is passed on as an end; else as a reset */
    bool open_proxy;
    bool is_undecided; /* whether it is an open proxy depends on sockets that are not known here */
    int guard;         /* enum guard */
    bool is_guarded;   /* what `guard` means here; never with PROTOCOL_FORWARD */
    bool default_deny;
    bool resolve_for_rules;
    struct ip_address bind_address; /* IP_NONE: the kernel's choice */
    unsigned commands;              /* enum command: what clients may ask for here */
    int udp;                        /* enum udp */
    struct port_range *udp_ports;   /* on our side towards clients; none: any */
    unsigned udp_port_count;
    struct ip_address udp_advertise; /* IP_NONE: the address that the client has reached */
    int64_t udp_max_targets;         /* of one association */
    int64_t udp_rate;                /* datagrams a second, each way; 0: no bound */
    bool udp_by_address;             /* udp_filter: who was written to may answer from any port */
    int bind;                        /* enum bind */
    struct port_range *bind_ports;   /* none: any */
    unsigned bind_port_count;
    /* Durations, all in milliseconds. */
    int64_t handshake_timeout;
    int64_t connect_timeout;
    int64_t write_timeout;
    int64_t idle_timeout;
    int64_t half_close_timeout;
    int64_t bind_timeout;
    int64_t keepalive;
};

struct config {
    atomic_uint references;
    char *file;         /* NULL: the built-in default */
    int64_t workers;    /* CONFIG_WORKERS_AUTO or a number */
    char *user, *group; /* NULL: stays who it is */
    char *chroot;       /* NULL: none */
    int sandbox;        /* enum sandbox */
    int log_target;     /* enum log_target */
    char *log_file;     /* of LOG_TARGET_FILE */
    enum log_level log_level;
    int log_format;    /* enum log_format of the daemon: 0 text, 1 json */
    char *nameservers; /* ADDRESS[:PORT],... ; NULL: the system's */
    bool search_domains;
    int64_t drain_timeout; /* ms */
    int64_t max_files;     /* 0: as many as the hard limit allows */
    int64_t auth_cache;    /* ms; how long a good login is remembered */
    char *control;         /* NULL: CONFIG_DEFAULT_CONTROL, if it can be had; "": none */
    char *control_group;   /* NULL: that of the daemon */
    const struct activation *activation; /* borrowed; NULL: not known */
    struct config_address status; /* of the status page; no path and IP_NONE: there is none */
    char *status_hosts;           /* NAME,...: what it answers to beside its own address; or NULL */
    char *status_token_file;      /* NULL: none */
    char *status_token;           /* what that held; wiped */
    bool pac;
    struct config_listener *listeners;
    unsigned listener_count;
    struct config_certificate *certificates;
    unsigned certificate_count;
    struct config_upstream *upstreams;
    unsigned upstream_count;
    struct config_rule *rules_in_order;
    unsigned rule_count;
    struct rules *rules; /* the same, compiled (rules.h) */
    struct lines lines;  /* of all but the rules */
};

/* Reads and checks a file. NULL when anything is wrong: every error then stands in `errors`, one
 * a line, as `FILE:LINE: [section] key: what is wrong (what is accepted)`. Never uses the
 * network. `activation` (borrowed for as long as the configuration lives) says where sockets of systemd are;
 * NULL: who asks has none and cannot know. They are guarded like any beyond loopback then, and whether they
 * make an open proxy stays undecided. */
struct config *config_load(const char *file, const struct activation *activation, FILE *errors);

/* The same from an open file; `file` is its name in messages. */
struct config *config_read(FILE *in, const char *file, const struct activation *activation,
                           FILE *errors);

/* What is served without a file: 127.0.0.1:1080 and [::1]:1080. NULL only without memory. */
struct config *config_default(void);

struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* Whether this proxy gets names, and resolves them. Not of a direct one. Pure. */
bool config_resolves_remotely(const struct config_upstream *proxy);

/* The proxy that speaks to the targets of this route (or NULL: direct): itself, or behind a direct one
 * the one that it goes through. NULL: we do. Pure. */
const struct config_upstream *config_last_proxy(const struct config_upstream *route);

/* Whether a peer can come to us by this route (or NULL: direct): its proxy speaks SOCKS, and nothing is to
 * be said to the target first. Pure. */
bool config_can_bind(const struct config_upstream *route);

/* Whether datagrams can go by this route (or NULL: direct): straight, or by proxies that are all SOCKS5, in
 * plain and told nobody else's address. Pure. */
bool config_can_associate(const struct config_upstream *route);

/* Whether a PROXY header from this address is believed. Who comes by a unix socket (IP_NONE) is: its
 * mode says who may. Pure. */
bool config_believes_proxy(const struct config_listener *listener, const struct ip_address *from);

/* Whether others than this host can reach the status page. Pure. */
bool config_status_is_exposed(const struct config *config);

/* "error", "warning" ... */
const char *config_log_level_name(enum log_level level);

#endif
