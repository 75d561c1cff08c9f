/* ident.c - the query and the reply of the Identification Protocol. Called by the daemon when a
 * rule wants to know a client's user. What comes in is a claim of the asked host. */
#include "streams/ident.h"

#include "streams/address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

size_t ident_write_query(uint16_t their_port, uint16_t our_port, char *out)
{
    return (size_t)snprintf(out, IDENT_QUERY_MAX, "%u , %u\r\n", (unsigned)their_port,
                            (unsigned)our_port);
}

/* Part of the line. */
struct text {
    const char *at;
    size_t n;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct text *text)
{
    while (text->n > 0 && is_blank(text->at[0])) {
        text->at++;
        text->n--;
    }
}

/* What stands before the first `end`, without the blanks around it; `rest` goes on behind. */
static bool take(struct text *rest, char end, struct text *ret_part)
{
    const char *found = memchr(rest->at, end, rest->n);
    struct text part;

    if (!found)
        return false;
    part = (struct text){rest->at, (size_t)(found - rest->at)};
    rest->n -= part.n + 1;
    rest->at = found + 1;
    skip_blanks(&part);
    while (part.n > 0 && is_blank(part.at[part.n - 1]))
        part.n--;
    *ret_part = part;
    return true;
}

static bool take_port(struct text *rest, char end, uint16_t expected)
{
    struct text part;
    uint16_t port;

    return take(rest, end, &part) && port_parse(part.at, part.n, &port) && port == expected;
}

static bool take_word(struct text *rest, const char *word)
{
    struct text part;

    return take(rest, ':', &part) && part.n == strlen(word) &&
           strncasecmp(part.at, word, part.n) == 0;
}

/* RFC 1413, 6: `their port "," our port ":" "USERID" ":" opsys [ "," charset ] ":" user`, blanks
 * between them. Everything behind the last colon is the user, colons included. */
static bool take_reply(struct text line, uint16_t their_port, uint16_t our_port,
                       struct text *ret_user)
{
    struct text opsys;

    if (memchr(line.at, '\0', line.n) || memchr(line.at, '\r', line.n))
        return false;
    if (!take_port(&line, ',', their_port) || !take_port(&line, ':', our_port) ||
        !take_word(&line, "USERID") || !take(&line, ':', &opsys) || opsys.n == 0)
        return false;
    skip_blanks(&line);
    *ret_user = line;
    return line.n > 0 && line.n <= IDENT_USER_MAX;
}

enum parse ident_parse_reply(struct cursor *in, uint16_t their_port, uint16_t our_port,
                             struct ident_user *ret_user, struct stream_error *ret_error)
{
    struct cursor at = *in;
    struct text line, user;
    enum parse parsed = cursor_line(&at, IDENT_REPLY_MAX, &line.at, &line.n);

    if (parsed == PARSE_MORE)
        return PARSE_MORE;
    if (parsed == PARSE_BAD || !take_reply(line, their_port, our_port, &user)) {
        *ret_error = stream_error_of(ERROR_AUTH_IDENT_NO_ANSWER);
        return PARSE_BAD;
    }
    ret_user->length = (uint8_t)user.n;
    memcpy(ret_user->name, user.at, user.n);
    ret_user->name[user.n] = '\0';
    *in = at;
    return PARSE_DONE;
}
