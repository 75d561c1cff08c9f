/* directive_address.c - addresses, networks, names and ports: who a client is and where it goes.
 * All spellings are judged by streams/address.h. */
#include "config/directive_type.h"

#include <stdlib.h>
#include <string.h>

/* IPv4 in IPv6's clothes is IPv4, here and wherever it is compared with. */
static bool parse_address(const struct directive *d, void *field, struct directive_input *input)
{
    struct ip_address ip;

    if (!ip_parse(input->text, strlen(input->text), &ip))
        return false;
    *(struct ip_address *)field = ip_unmapped(&ip);
    return true;
}

static void format_address(const struct directive *d, const void *field,
                           struct directive_output *output)
{
    const struct ip_address *ip = field;
    char text[IP_TEXT_MAX];

    if (ip->family == IP_NONE)
        return;
    ip_format(ip, text);
    directive_put(output, "%s", text);
}

const struct directive_type type_address = {
    .parse = parse_address,
    .format = format_address,
};

static bool parse_prefix(const struct directive *d, void *field, struct directive_input *input)
{
    return ip_prefix_parse(input->text, strlen(input->text), field);
}

static void format_prefix(const struct directive *d, const void *field,
                          struct directive_output *output)
{
    char text[IP_PREFIX_TEXT_MAX];

    ip_prefix_format(field, text);
    directive_put(output, "%s", text);
}

/* HOST:PORT; a name is resolved when it is connected to. */
bool directive_parse_target(const struct directive *d, void *field, struct directive_input *input)
{
    struct config_target target = {0};
    const char *host;
    size_t n;

    if (!host_port_split(input->text, strlen(input->text), &host, &n, &target.port) || !target.port)
        return false;
    switch (host_classify(host, n, &target.ip)) {
    case HOST_INVALID:
        input->wrong = "this is no address and no name";
        return false;
    case HOST_NAME:
        target.name = strndup(host, n);
        if (!target.name)
            return directive_no_memory(input);
        break;
    case HOST_ADDRESS:
        break;
    }
    *(struct config_target *)field = target;
    return true;
}

void directive_format_target(const struct directive *d, const void *field,
                             struct directive_output *output)
{
    const struct config_target *target = field;
    char text[ENDPOINT_TEXT_MAX];

    if (target->name) {
        directive_put(output, "%s:%u", target->name, target->port);
    } else if (target->port) {
        endpoint_format(&(struct ip_endpoint){target->ip, target->port}, text);
        directive_put(output, "%s", text);
    }
}

const struct directive_type type_target = {
    .parse = directive_parse_target,
    .format = directive_format_target,
};

const struct directive_type type_prefixes = {
    .item = sizeof(struct ip_prefix),
    .parse = parse_prefix,
    .format = format_prefix,
};

static bool store_name(struct host_pattern *pattern, enum host_pattern_kind kind, const char *name,
                       size_t n, struct directive_input *input)
{
    char *copy = strndup(name, name[n - 1] == '.' ? n - 1 : n);

    if (!copy)
        return directive_no_memory(input);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    *pattern = (struct host_pattern){.kind = kind, .name = copy};
    return true;
}

/* A host that is called so would be mistaken for the word. */
static bool is_reserved(const char *name, size_t n)
{
    return host_name_equal(name, n, "any", 3) || host_name_equal(name, n, "none", 4);
}

/* ADDRESS, ADDRESS/BITS or NAME. */
static bool parse_host(struct host_pattern *pattern, struct directive_input *input)
{
    const size_t n = strlen(input->text);
    struct ip_address ip;

    if (ip_prefix_parse(input->text, n, &pattern->prefix)) {
        pattern->kind = PATTERN_PREFIX;
        return true;
    }
    if (host_classify(input->text, n, &ip) != HOST_NAME) {
        input->wrong = "this is no address, no network and no name";
        return false;
    }
    if (is_reserved(input->text, n)) {
        input->wrong = "this word means nothing here";
        return false;
    }
    return store_name(pattern, PATTERN_NAME, input->text, n, input);
}

static bool parse_client(const struct directive *d, void *field, struct directive_input *input)
{
    if (strncmp(input->text, "*.", 2) == 0) {
        input->wrong = "a client's name is resolved, and a suffix has no address";
        return false;
    }
    return parse_host(field, input);
}

static bool parse_destination(const struct directive *d, void *field, struct directive_input *input)
{
    const char *suffix = input->text + 2;
    struct ip_address ip;

    if (!strchr(input->text, '*'))
        return parse_host(field, input);
    if (strncmp(input->text, "*.", 2) == 0 &&
        host_classify(suffix, strlen(suffix), &ip) == HOST_NAME)
        return store_name(field, PATTERN_SUFFIX, suffix, strlen(suffix), input);
    input->wrong = "a `*` stands only for what is before the dot of a *.SUFFIX";
    return false;
}

static void format_pattern(const struct directive *d, const void *field,
                           struct directive_output *output)
{
    const struct host_pattern *pattern = field;

    if (pattern->kind == PATTERN_PREFIX)
        format_prefix(d, &pattern->prefix, output);
    else
        directive_put(output, "%s%s", pattern->kind == PATTERN_SUFFIX ? "*." : "", pattern->name);
}

const struct directive_type type_clients = {
    .item = sizeof(struct host_pattern),
    .parse = parse_client,
    .format = format_pattern,
};

const struct directive_type type_destinations = {
    .item = sizeof(struct host_pattern),
    .parse = parse_destination,
    .format = format_pattern,
};

static bool parse_ports(const struct directive *d, void *field, struct directive_input *input)
{
    const char *dash = strchr(input->text, '-');
    const char *last = dash ? dash + 1 : input->text;
    const size_t first_length = dash ? (size_t)(dash - input->text) : strlen(input->text);
    struct port_range range;

    if (!port_parse(input->text, first_length, &range.first) ||
        !port_parse(last, strlen(last), &range.last))
        return false;
    if (range.first == 0) {
        input->wrong = "there is no port 0";
        return false;
    }
    if (range.last < range.first) {
        input->wrong = "the range ends before it begins";
        return false;
    }
    *(struct port_range *)field = range;
    return true;
}

static void format_ports(const struct directive *d, const void *field,
                         struct directive_output *output)
{
    const struct port_range *range = field;

    if (range->first == range->last)
        directive_put(output, "%u", range->first);
    else
        directive_put(output, "%u-%u", range->first, range->last);
}

const struct directive_type type_ports = {
    .item = sizeof(struct port_range),
    .parse = parse_ports,
    .format = format_ports,
};
