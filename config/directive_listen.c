/* directive_listen.c - `listen`: ADDRESS:PORT, [V6]:PORT, localhost:PORT, unix:/PATH, systemd:NAME. No two
 * of a file are the same, in whichever listener they stand. */
#include "config/directive_type.h"

#include "config/list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool same(const struct config_address *a, const struct config_address *b)
{
    if (a->unix_path || b->unix_path)
        return a->unix_path && b->unix_path && strcmp(a->unix_path, b->unix_path) == 0;
    if (a->systemd_name || b->systemd_name)
        return a->systemd_name && b->systemd_name && strcmp(a->systemd_name, b->systemd_name) == 0;
    return a->endpoint.port && endpoint_equal(&a->endpoint, &b->endpoint); /* 0: any free one */
}

static bool is_taken(const struct config_listener *listener, const struct config_address *address,
                     struct directive_input *input)
{
    const struct config *config = input->config;

    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *other = &config->listeners[i];

        for (unsigned j = 0; j < other->address_count; j++) {
            if (!same(&other->addresses[j], address))
                continue;
            input->wrong = other == listener ? "this address is listed twice"
                                             : "another listener has this address";
            return true;
        }
    }
    return false;
}

/* Owns the texts of `address` only when it succeeds. */
static bool add(struct config_listener *listener, const struct config_address *address,
                struct directive_input *input)
{
    struct config_address *item;

    if (is_taken(listener, address, input))
        return false;
    item = list_grow(&listener->addresses, listener->address_count, sizeof *item);
    if (!item)
        return directive_no_memory(input);
    *item = *address;
    listener->address_count++;
    return true;
}

/* Two entries, in this order, which format_listen() makes one of. */
static bool add_localhost(struct config_listener *listener, uint16_t port,
                          struct directive_input *input)
{
    static const struct ip_address v4 = {IP_V4, {127, 0, 0, 1}}, v6 = {IP_V6, {[15] = 1}};

    return add(listener, &(struct config_address){.endpoint = {v4, port}, .optional = true},
               input) &&
           add(listener, &(struct config_address){.endpoint = {v6, port}, .optional = true}, input);
}

static bool add_unix(struct config_listener *listener, const char *path,
                     struct directive_input *input)
{
    struct config_address address = {0};

    if (*path != '/') {
        input->wrong = "the path must begin with `/`";
        return false;
    }
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        input->wrong = "the path is too long for a unix socket (at most 107 bytes)";
        return false;
    }
    if (!(address.unix_path = strdup(path)))
        return directive_no_memory(input);
    if (add(listener, &address, input))
        return true;
    free(address.unix_path);
    return false;
}

/* As systemd takes them for FileDescriptorName=: printable, no colon; and no comma, which ends our item. */
static bool is_systemd_name(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == ':')
            return false;
    return n > 0 && n <= ACTIVATION_NAME_MAX;
}

static bool add_systemd(struct config_listener *listener, const char *name,
                        struct directive_input *input)
{
    struct config_address address = {0};

    if (!is_systemd_name(name)) {
        input->wrong = "this can be no name of a socket (FileDescriptorName=)";
        return false;
    }
    if (!(address.systemd_name = strdup(name)))
        return directive_no_memory(input);
    if (add(listener, &address, input))
        return true;
    free(address.systemd_name);
    return false;
}

/* The field is the listener itself. */
static bool parse_listen(const struct directive *d, void *field, struct directive_input *input)
{
    const size_t n = strlen(input->text);
    struct config_address address = {0};
    const char *host;
    size_t length;
    uint16_t port;

    if (strncmp(input->text, "unix:", 5) == 0)
        return add_unix(field, input->text + 5, input);
    if (strncmp(input->text, "systemd:", 8) == 0)
        return add_systemd(field, input->text + 8, input);
    if (!host_port_split(input->text, n, &host, &length, &port))
        return false;
    if (input->text[0] != '[' && host_name_equal(host, length, "localhost", 9))
        return add_localhost(field, port, input);
    if (!endpoint_parse(input->text, n, &address.endpoint)) {
        input->wrong = "a listening address is given as a number, or as localhost";
        return false;
    }
    address.endpoint.ip = ip_unmapped(&address.endpoint.ip);
    return add(field, &address, input);
}

static void format_listen(const struct directive *d, const void *field,
                          struct directive_output *output)
{
    const struct config_listener *listener = field;
    char text[ENDPOINT_TEXT_MAX];

    for (unsigned i = 0; i < listener->address_count; i++) {
        const struct config_address *address = &listener->addresses[i];

        if (address->unix_path) {
            directive_put(output, "unix:%s", address->unix_path);
        } else if (address->systemd_name) {
            directive_put(output, "systemd:%s", address->systemd_name);
        } else if (address->optional) {
            directive_put(output, "localhost:%u", address->endpoint.port);
            i++; /* the other half of it */
        } else {
            endpoint_format(&address->endpoint, text);
            directive_put(output, "%s", text);
        }
    }
}

static void visit_sockets(const void *field, config_path_visit *visit, void *context)
{
    const struct config_listener *listener = field;

    for (unsigned i = 0; i < listener->address_count; i++)
        if (listener->addresses[i].unix_path)
            visit(context, PATH_BIND, listener->addresses[i].unix_path);
}

const struct directive_type type_listen = {
    .parse = parse_listen,
    .format = format_listen,
    .paths = visit_sockets,
};
