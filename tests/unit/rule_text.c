/* rule_text.c - rules and requests from text. */
#include "tests/unit/rule_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* One KEY=VALUE,VALUE... or one VALUE of these, cut out of a line. */
struct piece {
    const char *at;
    size_t n;
};

static bool next_piece(struct piece *rest, char separator, struct piece *ret_piece)
{
    const char *end;

    while (rest->n && *rest->at == separator) {
        rest->at++;
        rest->n--;
    }
    if (!rest->n)
        return false;
    end = memchr(rest->at, separator, rest->n);
    *ret_piece = (struct piece){rest->at, end ? (size_t)(end - rest->at) : rest->n};
    rest->at += ret_piece->n;
    rest->n -= ret_piece->n;
    return true;
}

static struct piece key_of(struct piece *pair)
{
    const char *equals = memchr(pair->at, '=', pair->n);
    struct piece key = {pair->at, 0};

    cr_assert(equals, "%.*s: no =", (int)pair->n, pair->at);
    key.n = (size_t)(equals - pair->at);
    *pair = (struct piece){equals + 1, pair->n - key.n - 1};
    return key;
}

static bool is(struct piece piece, const char *text)
{
    return piece.n == strlen(text) && memcmp(piece.at, text, piece.n) == 0;
}

/* One more element of `size` bytes behind *count others, zeroed. */
static void *append(void *array, unsigned *count, size_t size)
{
    char *grown = realloc(array, (*count + 1) * size);

    cr_assert(grown);
    memset(grown + *count * size, 0, size);
    ++*count;
    return grown;
}

#define APPEND(array, count)                                                                       \
    (*((array) = append(array, &(count), sizeof *(array)), &(array)[(count)-1]))

static uint16_t port_of(struct piece value)
{
    uint16_t port = 0;

    cr_assert(port_parse(value.at, value.n, &port), "port %.*s", (int)value.n, value.at);
    return port;
}

static struct ip_prefix prefix_of(struct piece value)
{
    struct ip_prefix prefix = {.bits = 0};

    cr_assert(ip_prefix_parse(value.at, value.n, &prefix), "prefix %.*s", (int)value.n, value.at);
    return prefix;
}

static struct port_range range_of(struct piece value)
{
    const char *dash = memchr(value.at, '-', value.n);
    size_t n = dash ? (size_t)(dash - value.at) : value.n;
    struct port_range range = {.first = port_of((struct piece){value.at, n})};

    range.last = dash ? port_of((struct piece){dash + 1, value.n - n - 1}) : range.first;
    return range;
}

static struct host_pattern pattern_of(struct piece value)
{
    struct host_pattern pattern = {.kind = PATTERN_NAME};

    if (ip_prefix_parse(value.at, value.n, &pattern.prefix)) {
        pattern.kind = PATTERN_PREFIX;
        return pattern;
    }
    if (value.n > 2 && memcmp(value.at, "*.", 2) == 0) {
        pattern.kind = PATTERN_SUFFIX;
        value = (struct piece){value.at + 2, value.n - 2};
    }
    pattern.name = strndup(value.at, value.n);
    return pattern;
}

static unsigned command_of(struct piece value)
{
    static const char *const names[] = {"connect", "bind", "udp"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is(value, names[i]))
            return 1U << i;
    cr_assert_fail("command %.*s", (int)value.n, value.at);
    return 0;
}

static enum rule_action action_of(struct piece value)
{
    if (is(value, "deny"))
        return RULE_DENY;
    return is(value, "route") ? RULE_ROUTE : RULE_ALLOW;
}

static void set_condition(struct config_rule *rule, struct piece key, struct piece value)
{
    if (is(key, "listener"))
        APPEND(rule->listeners, rule->listener_count) = port_of(value);
    else if (is(key, "client"))
        APPEND(rule->clients, rule->client_count) = prefix_of(value);
    else if (is(key, "user"))
        APPEND(rule->users, rule->user_count) = strndup(value.at, value.n);
    else if (is(key, "destination"))
        APPEND(rule->destinations, rule->destination_count) = pattern_of(value);
    else if (is(key, "port"))
        APPEND(rule->ports, rule->port_count) = range_of(value);
    else if (is(key, "command"))
        rule->commands |= command_of(value);
    else if (is(key, "action"))
        rule->action = action_of(value);
    else
        cr_assert_fail("key %.*s", (int)key.n, key.at);
}

void rule_list_add(struct rule_list *list, const char *text)
{
    struct piece rest = {text, strlen(text)}, pair, value;
    struct config_rule rule = {.action = RULE_ALLOW};

    while (next_piece(&rest, ' ', &pair)) {
        struct piece key = key_of(&pair);

        while (next_piece(&pair, ',', &value))
            set_condition(&rule, key, value);
    }
    APPEND(list->rules, list->count) = rule;
}

static void rule_done(struct config_rule *rule)
{
    for (unsigned i = 0; i < rule->user_count; i++)
        free(rule->users[i]);
    for (unsigned i = 0; i < rule->destination_count; i++)
        free(rule->destinations[i].name);
    free(rule->listeners);
    free(rule->clients);
    free(rule->users);
    free(rule->destinations);
    free(rule->ports);
}

void rule_list_done(struct rule_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        rule_done(&list->rules[i]);
    free(list->rules);
    *list = (struct rule_list){0};
}

struct rules_request request_from_text(const char *text)
{
    static char user[64];
    struct rules_request request = {.port = 80, .command = COMMAND_CONNECT};
    struct piece rest = {text, strlen(text)}, value;

    while (next_piece(&rest, ' ', &value)) {
        struct piece key = key_of(&value);

        if (is(key, "listener")) {
            request.listener = port_of(value);
        } else if (is(key, "client")) {
            cr_assert(ip_parse(value.at, value.n, &request.client), "%s", text);
        } else if (is(key, "user")) {
            cr_assert_lt(value.n, sizeof user);
            memcpy(user, value.at, value.n);
            user[value.n] = '\0';
            request.user = user;
        } else if (is(key, "name")) {
            request.name = value.at;
            request.name_length = value.n;
        } else if (is(key, "address")) {
            cr_assert(ip_parse(value.at, value.n, &request.address), "%s", text);
        } else if (is(key, "port")) {
            request.port = port_of(value);
        } else if (is(key, "command")) {
            request.command = command_of(value);
        } else {
            cr_assert_fail("%s", text);
        }
    }
    return request;
}
