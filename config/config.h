/* config.h - the configuration as an immutable, checked snapshot. Made by config_load() from a
 * file or by config_default() without one; read by everybody, changed by nobody; counted. Knows
 * no sockets and no network: what is written in a file is all that it depends on. */
#ifndef PAIRSOCKS_CONFIG_H
#define PAIRSOCKS_CONFIG_H

#include "streams/address.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_DEFAULT_FILE "/etc/pairsocks/pairsocks.ini"
#define CONFIG_WORKERS_MAX 256
#define CONFIG_WORKERS_AUTO 0

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* Bits of `protocols`. */
enum protocol { PROTOCOL_SOCKS4 = 1, PROTOCOL_SOCKS5 = 2 };

/* One entry of `listen`. */
struct config_address {
    struct ip_endpoint endpoint;
    bool optional; /* one of localhost: one that cannot be had is no error */
};

struct config_listener {
    char *name;
    struct config_address *addresses;
    unsigned address_count;
    unsigned protocols; /* enum protocol */
    int64_t queue;
    int64_t max_connections;
    /* Durations, all in milliseconds. */
    int64_t handshake_timeout;
    int64_t connect_timeout;
    int64_t write_timeout;
    int64_t idle_timeout;
    int64_t half_close_timeout;
    int64_t keepalive;
};

struct config {
    atomic_uint references;
    char *file;      /* NULL: the built-in default */
    int64_t workers; /* CONFIG_WORKERS_AUTO or a number */
    char *log_file;  /* NULL: stderr */
    enum log_level log_level;
    int log_format;    /* enum log_format of the daemon: 0 text, 1 json */
    char *nameservers; /* ADDRESS[:PORT],... ; NULL: the system's */
    bool search_domains;
    int64_t drain_timeout; /* ms */
    int64_t max_files;     /* 0: as many as the hard limit allows */
    struct config_listener *listeners;
    unsigned listener_count;
};

/* Reads and checks a file. NULL when anything is wrong: every error then stands in `errors`, one
 * a line, as `FILE:LINE: [section] key: what is wrong (what is accepted)`. Never uses the
 * network. */
struct config *config_load(const char *file, FILE *errors);

/* What is served without a file: 127.0.0.1:1080 and [::1]:1080. NULL only without memory. */
struct config *config_default(void);

struct config *config_ref(struct config *config);
void config_unref(struct config *config);

/* "error", "warning" ... */
const char *config_log_level_name(enum log_level level);

#endif
