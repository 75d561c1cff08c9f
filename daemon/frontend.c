/* frontend.c - the table of front ends, and who else may be knocking. */
#include "daemon/frontend.h"

#include <string.h>

static const struct frontend *const frontends[] = {
    &frontend_socks4,
    &frontend_socks5,
    &frontend_http,
};

/* How other protocols begin: enough to name them to whoever reads the log. */
static const struct {
    const char *start;
    enum stream_error_id error;
} strangers[] = {
    {"\x16\x03", ERROR_PROTOCOL_LOOKS_LIKE_TLS}, /* a handshake record, RFC 8446, 5.1 */
    {"SSH-", ERROR_PROTOCOL_LOOKS_LIKE_SSH},     /* RFC 4253, 4.2 */
    {"GET ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},     {"HEAD ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},
    {"POST ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},    {"PUT ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},
    {"DELETE ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},  {"CONNECT ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},
    {"OPTIONS ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP}, {"TRACE ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},
    {"PATCH ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},   {"PRI ", ERROR_PROTOCOL_LOOKS_LIKE_HTTP},
};

static const struct frontend *find(unsigned protocols, uint8_t first)
{
    for (size_t i = 0; i < sizeof frontends / sizeof frontends[0]; i++)
        if ((protocols & frontends[i]->protocol) && frontends[i]->begins(first))
            return frontends[i];
    return NULL;
}

/* SSH begins with a letter as a method of HTTP does, and no method has a dash there. */
static bool may_be_ssh(const struct cursor *in)
{
    static const char start[] = "SSH-";
    size_t have = cursor_left(in), n = sizeof start - 1;

    return memcmp(in->at, start, have < n ? have : n) == 0;
}

static enum parse name_stranger(struct handshake *handshake, const struct cursor *in, bool at_end)
{
    size_t have = cursor_left(in);
    bool undecided = false;

    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        size_t n = strlen(strangers[i].start);

        if (memcmp(in->at, strangers[i].start, have < n ? have : n) != 0)
            continue;
        if (have >= n) {
            handshake->error = stream_error_of(strangers[i].error);
            return PARSE_BAD;
        }
        undecided = true;
    }
    if (undecided && !at_end)
        return PARSE_MORE;
    handshake->error = stream_error_of(ERROR_PROTOCOL_GREETING_BAD);
    return PARSE_BAD;
}

enum parse frontend_sniff(struct handshake *handshake, unsigned protocols, const struct cursor *in,
                          bool at_end)
{
    const struct frontend *frontend;

    if (cursor_left(in) == 0)
        return PARSE_MORE;
    frontend = find(protocols, in->at[0]);
    if (!frontend || may_be_ssh(in))
        return name_stranger(handshake, in, at_end);
    handshake->frontend = frontend;
    handshake->protocol = frontend->name;
    return PARSE_DONE;
}

bool frontend_serves(const struct handshake *handshake, struct stream_error *ret_error)
{
    switch (handshake->request.command) {
    case SOCKS_CONNECT:
        *ret_error = stream_error_of(ERROR_PROTOCOL_REQUEST_BAD);
        return handshake->request.port != 0;
    case SOCKS_BIND:
        *ret_error = stream_error_of(ERROR_PROTOCOL_COMMAND_UNSUPPORTED);
        return handshake->commands & COMMAND_BIND; /* of any port: a peer has many */
    default:
        *ret_error = stream_error_of(ERROR_PROTOCOL_COMMAND_UNSUPPORTED);
        return false;
    }
}
