/* check.c - the file as a whole. */
#include "config/check.h"

#include "config/list.h"
#include "config/suggest.h"

#include <stdlib.h>
#include <string.h>

FILE *check_fault(const struct config *config, enum section section, unsigned record,
                  const char *key, struct faults *faults)
{
    char head[128];

    snprintf(head, sizeof head, "%s %s", section_kinds[section].word,
             section_record_name(config, section, record));
    return faults_begin(faults, lines_find(&config->lines, (int)section, record, key), head, key);
}

/* ---- references ---- */

/* The key that holds it. */
static const char *key_of(const struct reference *reference)
{
    if (reference->section != SECTION_UPSTREAM)
        return reference->section == SECTION_LISTENER ? "listener" : "certificates";
    if (reference->holder == SECTION_UPSTREAM)
        return "via";
    return reference->holder == SECTION_RULE ? "action" : "route";
}

static void tell_unknown(const struct config *config, const struct reference *reference,
                         struct faults *faults)
{
    const char *word = section_kinds[reference->section].word;
    struct suggestion suggestion = {.word = reference->name};
    char section[128];
    FILE *out;

    for (unsigned i = 0; i < section_records(config, reference->section); i++)
        suggestion_offer(&suggestion, section_record_name(config, reference->section, i));
    if (reference->head)
        snprintf(section, sizeof section, "%s", reference->head);
    else
        snprintf(section, sizeof section, "%s %s", section_kinds[reference->holder].word,
                 section_record_name(config, reference->holder, reference->record));
    out = faults_begin(faults, reference->line, section, key_of(reference));
    fprintf(out, "there is no [%s %s]", word, reference->name);
    if (suggestion.best)
        fprintf(out, "; did you mean `%s`?", suggestion.best);
}

static bool add(unsigned **list, unsigned *count, unsigned index)
{
    unsigned *item = list_grow(list, *count, sizeof *item);

    if (!item)
        return false;
    *item = index;
    (*count)++;
    return true;
}

/* False without memory. */
static bool store(struct config *config, const struct reference *reference, unsigned index)
{
    const unsigned record = reference->record;

    if (reference->section == SECTION_LISTENER)
        return add(&config->rules_in_order[record].listeners,
                   &config->rules_in_order[record].listener_count, index);
    if (reference->section == SECTION_CERTIFICATE)
        return add(&config->listeners[record].certificates,
                   &config->listeners[record].certificate_count, index);
    if (reference->holder == SECTION_RULE)
        config->rules_in_order[record].route = &config->upstreams[index];
    else if (reference->holder == SECTION_UPSTREAM)
        config->upstreams[record].via = &config->upstreams[index];
    else
        config->listeners[record].route = &config->upstreams[index];
    return true;
}

static void resolve(struct config *config, const struct reference *reference, struct faults *faults)
{
    int index = section_record_find(config, reference->section, reference->name);

    if (index < 0)
        tell_unknown(config, reference, faults);
    else if (!reference->head && !store(config, reference, (unsigned)index))
        faults->is_broken = true;
}

/* ---- who may use a listener ---- */

enum reach {
    REACH_LOCAL,
    REACH_UNKNOWN, /* a socket of systemd's that we have not been given */
    REACH_BEYOND
};

static enum reach reach_of_endpoint(const struct ip_endpoint *endpoint)
{
    return endpoint->ip.family == IP_NONE || ip_is_loopback(&endpoint->ip) ? REACH_LOCAL
                                                                           : REACH_BEYOND;
}

/* *ret_where: the one that is beyond. */
static enum reach reach_of_name(const struct activation *activation, const char *name,
                                struct ip_endpoint *ret_where)
{
    for (unsigned i = 0; activation && i < activation->count; i++) {
        const struct activation_socket *socket = &activation->sockets[i];

        if (strcmp(socket->name, name) == 0 &&
            reach_of_endpoint(&socket->endpoint) == REACH_BEYOND) {
            *ret_where = socket->endpoint;
            return REACH_BEYOND;
        }
    }
    return activation ? REACH_LOCAL : REACH_UNKNOWN;
}

/* From how far the listener is reached. BEYOND: *ret_where is the first address that others can reach. */
static enum reach reach_of(const struct config *config, const struct config_listener *listener,
                           struct ip_endpoint *ret_where)
{
    enum reach farthest = REACH_LOCAL;

    for (unsigned i = 0; i < listener->address_count && farthest != REACH_BEYOND; i++) {
        const struct config_address *address = &listener->addresses[i];
        enum reach reach = REACH_LOCAL;

        if (address->systemd_name)
            reach = reach_of_name(config->activation, address->systemd_name, ret_where);
        else if (!address->unix_path)
            reach = reach_of_endpoint(&address->endpoint);
        if (reach == REACH_BEYOND && !address->systemd_name)
            *ret_where = address->endpoint;
        if (reach > farthest)
            farthest = reach;
    }
    return farthest;
}

static int by_address(const void *a, const void *b)
{
    const struct ip_prefix *x = a, *y = b;

    return memcmp(x->ip.bytes, y->ip.bytes, sizeof x->ip.bytes);
}

/* The address behind the last one of the prefix; false when that was the last of all. */
static bool next_behind(const struct ip_prefix *prefix, struct ip_address *ret_next)
{
    unsigned at = prefix->bits;

    *ret_next = prefix->ip;
    while (at > 0) {
        uint8_t bit = (uint8_t)(0x80 >> (at - 1) % 8), *byte = &ret_next->bytes[(at - 1) / 8];

        *byte ^= bit;
        if (*byte & bit)
            return true; /* else it was set, and is carried */
        at--;
    }
    return false;
}

/* The prefixes are of one family and in order. `next` is the first address that none of those
 * before holds. */
static bool covers(const struct ip_prefix *prefixes, unsigned count)
{
    struct ip_address next = {0}, behind;

    for (unsigned i = 0; i < count; i++) {
        if (memcmp(prefixes[i].ip.bytes, next.bytes, sizeof next.bytes) > 0)
            return false;
        if (!next_behind(&prefixes[i], &behind))
            return true;
        if (memcmp(behind.bytes, next.bytes, sizeof next.bytes) > 0)
            next = behind;
    }
    return false;
}

bool check_covers_family(const struct host_pattern *patterns, unsigned count, bool *ret_covers)
{
    static const uint8_t families[] = {IP_V4, IP_V6};
    struct ip_prefix *prefixes = malloc((count + 1) * sizeof *prefixes);
    bool any = false;

    if (!prefixes)
        return false;
    for (size_t f = 0; f < sizeof families; f++) {
        unsigned n = 0;

        for (unsigned i = 0; i < count; i++)
            if (patterns[i].kind == PATTERN_PREFIX && patterns[i].prefix.ip.family == families[f])
                prefixes[n++] = patterns[i].prefix;
        qsort(prefixes, n, sizeof *prefixes, by_address);
        any = any || covers(prefixes, n);
    }
    free(prefixes);
    *ret_covers = any;
    return true;
}

/* config.md, "open_proxy". Each protocol that is served lets the client choose a target; what an
 * identd says proves nothing, for it is the stranger's own. */
static void judge_openness(const struct config *config, struct config_listener *listener,
                           const struct check_place *place, struct faults *faults)
{
    struct ip_endpoint open = {0};
    enum reach reach = reach_of(config, listener, &open);
    bool anybody = listener->allow_count == 0;
    char section[128], text[ENDPOINT_TEXT_MAX];
    FILE *out;

    if (!(listener->auth & (AUTH_NONE | AUTH_IDENT)) || listener->protocols == PROTOCOL_FORWARD)
        return;
    if (reach == REACH_LOCAL || listener->open_proxy || listener->default_deny ||
        place->is_doubtful)
        return;
    if (!anybody && !check_covers_family(listener->allow, listener->allow_count, &anybody))
        faults->is_broken = true;
    if (!anybody)
        return;
    listener->is_undecided = reach == REACH_UNKNOWN;
    if (listener->is_undecided)
        return;
    snprintf(section, sizeof section, "listener %s", listener->name);
    endpoint_format(&open, text);
    out = faults_begin(faults, place->line, section, "open_proxy");
    fprintf(out,
            "strangers could reach any target through %s (add `allow` with the addresses of your "
            "clients, or `auth = password`, or `default = deny` and rules that allow; or say "
            "`open_proxy = yes`)",
            text);
}

/* What is not known to be near is taken to be far. */
static bool is_far(const struct config *config, const struct config_listener *listener)
{
    struct ip_endpoint where;

    return reach_of(config, listener, &where) != REACH_LOCAL;
}

static bool is_guarded(const struct config *config, const struct config_listener *listener)
{
    return listener->guard == GUARD_AUTO ? is_far(config, listener) : listener->guard == GUARD_YES;
}

/* Datagrams are not secured, and are known by their address: behind TLS only who asks for it has them, a
 * client of a unix socket never. */
static bool may_associate(const struct config_listener *listener)
{
    if (!(listener->protocols & PROTOCOL_SOCKS5) || listener->udp == UDP_NO)
        return false;
    if (listener->udp == UDP_YES)
        return true;
    return listener->tls.security == SECURITY_NONE && !listener->proxy_protocol;
}

/* A port that a client has opened is one more that strangers can reach. */
static bool may_bind(const struct config *config, const struct config_listener *listener)
{
    if (!(listener->protocols & (PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5)))
        return false;
    return listener->bind == BIND_AUTO ? !is_far(config, listener) : listener->bind == BIND_YES;
}

void check_config(struct config *config, const struct references *references,
                  const struct check_place *places, const struct check_place *upstreams,
                  struct faults *faults)
{
    for (unsigned i = 0; i < references->count; i++)
        resolve(config, &references->items[i], faults);
    for (unsigned i = 0; i < config->upstream_count; i++)
        if (!upstreams[i].is_doubtful)
            check_upstream(config, i, faults);
    check_chains(config, upstreams, faults);
    check_status(config, faults);
    for (unsigned i = 0; i < config->listener_count; i++) {
        struct config_listener *listener = &config->listeners[i];

        listener->is_guarded =
            listener->protocols != PROTOCOL_FORWARD && is_guarded(config, listener);
        listener->commands = COMMAND_CONNECT | (may_bind(config, listener) ? COMMAND_BIND : 0) |
                             (may_associate(listener) ? COMMAND_UDP : 0);
        check_listener(config, i, &places[i], faults);
        judge_openness(config, listener, &places[i], faults);
    }
}
