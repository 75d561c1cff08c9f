/* directive_type.h - the types of directives: how a value's text becomes a field and how the field
 * becomes text again that parses to the same. Used by the table (directive.c) alone; each group
 * of types has a file of its own. */
#ifndef PAIRSOCKS_DIRECTIVE_TYPE_H
#define PAIRSOCKS_DIRECTIVE_TYPE_H

#include "config/directive.h"
#include "config/paths.h"

struct directive_output;

struct directive_type {
    size_t item; /* the size of an item of a list that is an array (`offset` names its pointer,
                    `count` its length, `field` is then the item); 0: `field` is what `offset`
                    names, and takes every item */

    /* The field is zero, or holds the items so far. On false nothing was added that is owned. */
    bool (*parse)(const struct directive *directive, void *field, struct directive_input *input);

    /* Calls directive_put() for every line. */
    void (*format)(const struct directive *directive, const void *field,
                   struct directive_output *output);

    /* Without the row's own `accepts`. */
    void (*accepts)(const struct directive *directive, FILE *out);

    /* Of what names files: calls `visit` for each. NULL: a field names none. */
    void (*paths)(const void *field, config_path_visit *visit, void *context);
};

/* One line `key = value`. */
void directive_put(struct directive_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The snapshot that is written. */
const struct config *directive_config(const struct directive_output *output);

/* Answers "no memory" through the input. */
bool directive_no_memory(struct directive_input *input);

/* What types share. A char * field: one text (stored as a copy), or several that are joined by commas,
 * and are written a line each. An int field of the row's words. */
bool directive_store_text(void *field, struct directive_input *input);
void directive_format_text(const struct directive *directive, const void *field,
                           struct directive_output *output);
bool directive_join_text(void *field, const char *item, struct directive_input *input);
void directive_format_joined(const struct directive *directive, const void *field,
                             struct directive_output *output);
void directive_format_word(const struct directive *directive, const void *field,
                           struct directive_output *output);
void directive_accept_words(const struct directive *directive, FILE *out);

/* directive_number.c: int64_t fields */
extern const struct directive_type type_number, type_duration, type_size, type_mode;

/* directive_word.c: fields that are bool, int, bits of an unsigned */
extern const struct directive_type type_bool, type_word, type_bits;

/* directive_text.c: char * fields and arrays of them */
extern const struct directive_type type_account, type_path, type_folder, type_user;

/* directive_tls.c: what only TLS has */
extern const struct directive_type type_security, type_ciphers, type_alpn, type_names,
    type_peer_name;

/* directive_address.c: struct ip_address and config_target, and arrays of struct ip_prefix,
 * host_pattern, port_range */
extern const struct directive_type type_address, type_prefixes, type_clients, type_destinations,
    type_ports, type_target;

/* What type_target does, for arrays of them. */
bool directive_parse_target(const struct directive *directive, void *field,
                            struct directive_input *input);
void directive_format_target(const struct directive *directive, const void *field,
                             struct directive_output *output);

/* directive_listen.c: the addresses of a listener */
extern const struct directive_type type_listen;

/* directive_daemon.c: what only [daemon] has */
extern const struct directive_type type_log_target, type_nameservers, type_control;

/* directive_status.c: a struct config_address, and a char * of names */
extern const struct directive_type type_status, type_status_hosts;

/* directive_upstream.c: what only upstreams have */
extern const struct directive_type type_servers, type_service, type_credential, type_check;

/* directive_reference.c: listeners of a rule, routes, proxies on the way, a rule's action */
extern const struct directive_type type_listeners, type_certificates, type_route, type_via,
    type_action;

#endif
