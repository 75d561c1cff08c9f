/* directive_status.c - where the status page is served, and under which names it answers. */
#include "config/directive_type.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool parse_path(struct config_address *address, const char *path,
                       struct directive_input *input)
{
    if (*path != '/') {
        input->wrong = "the path must begin with `/`";
        return false;
    }
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        input->wrong = "the path is too long for a unix socket (at most 107 bytes)";
        return false;
    }
    return (address->unix_path = strdup(path)) || directive_no_memory(input);
}

/* The field is a struct config_address. */
static bool parse_status(const struct directive *d, void *field, struct directive_input *input)
{
    static const struct ip_address loopback = {IP_V4, {127, 0, 0, 1}};
    const size_t n = strlen(input->text);
    struct config_address *address = field;
    struct ip_endpoint endpoint;
    const char *host;
    size_t length;
    uint16_t port;

    if (strncmp(input->text, "unix:", 5) == 0)
        return parse_path(address, input->text + 5, input);
    if (!host_port_split(input->text, n, &host, &length, &port))
        return false;
    if (input->text[0] != '[' && host_name_equal(host, length, "localhost", 9)) {
        address->endpoint = (struct ip_endpoint){loopback, port};
        return true;
    }
    if (!endpoint_parse(input->text, n, &endpoint)) {
        input->wrong = "the address is given as a number, or as localhost";
        return false;
    }
    endpoint.ip = ip_unmapped(&endpoint.ip);
    address->endpoint = endpoint;
    return true;
}

static void format_status(const struct directive *d, const void *field,
                          struct directive_output *output)
{
    const struct config_address *address = field;
    char text[ENDPOINT_TEXT_MAX];

    if (address->unix_path) {
        directive_put(output, "unix:%s", address->unix_path);
    } else if (address->endpoint.ip.family != IP_NONE) {
        endpoint_format(&address->endpoint, text);
        directive_put(output, "%s", text);
    }
}

static void visit_socket(const void *field, config_path_visit *visit, void *context)
{
    const struct config_address *address = field;

    if (address->unix_path)
        visit(context, PATH_BIND, address->unix_path);
}

const struct directive_type type_status = {
    .parse = parse_status,
    .format = format_status,
    .paths = visit_socket,
};

/* The field is one text of them all. */
static bool parse_host(const struct directive *d, void *field, struct directive_input *input)
{
    struct ip_address ip;

    if (host_classify(input->text, strlen(input->text), &ip) == HOST_INVALID) {
        input->wrong = "this is no host name, and no address";
        return false;
    }
    return directive_join_text(field, input->text, input);
}

const struct directive_type type_status_hosts = {
    .parse = parse_host,
    .format = directive_format_joined,
};
