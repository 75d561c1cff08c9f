/* frontend.c - the table of front ends, and who else may be knocking. */
#include "daemon/frontend.h"

#include <string.h>

static const struct {
    unsigned bit;
    const struct frontend *frontend;
} frontends[] = {
    {PROTOCOL_SOCKS4, &frontend_socks4},
    {PROTOCOL_SOCKS5, &frontend_socks5},
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
    if (cursor_left(in) == 0)
        return PARSE_MORE;
    for (size_t i = 0; i < sizeof frontends / sizeof frontends[0]; i++) {
        if (!(protocols & frontends[i].bit) || in->at[0] != frontends[i].frontend->first_byte)
            continue;
        handshake->frontend = frontends[i].frontend;
        handshake->protocol = frontends[i].frontend->name;
        return PARSE_DONE;
    }
    return name_stranger(handshake, in, at_end);
}
