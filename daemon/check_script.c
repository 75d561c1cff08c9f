/* check_script.c - a list of texts in both directions, and what of the server's words is still to be
 * compared. */
#include "daemon/check_script.h"

#include "streams/socks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As long as a line of the file, which holds every text. */
enum { TEXT_MAX = 4096, SOCKS_STEPS_MAX = 4 };

struct line {
    bool is_sent;  /* else it is expected */
    bool is_exact; /* another answer is wrong at once */
    uint8_t *text; /* owned */
    size_t length;
};

struct check_script {
    unsigned count, at;
    size_t sent;         /* of the line under way */
    bool is_inside_line; /* what comes now is no beginning */
    size_t chatter;      /* bytes since the last match */
    size_t held_count;
    uint8_t held[TEXT_MAX]; /* the beginning of a line that is not complete */
    struct line lines[];
};

static bool add(struct check_script *script, bool is_sent, bool is_exact, const void *text,
                size_t n)
{
    struct line *line = &script->lines[script->count];

    *line = (struct line){is_sent, is_exact, malloc(n), n};
    if (!line->text)
        return false;
    memcpy(line->text, text, n);
    script->count++;
    return true;
}

static bool add_socks5(struct check_script *script, const struct config_upstream *upstream)
{
    const bool logs_in = upstream->user;
    const uint8_t method = logs_in ? SOCKS5_METHOD_USERPASS : SOCKS5_METHOD_NONE;
    uint8_t message[SOCKS5_USERPASS_MAX] = {0};
    struct socks5_userpass login = {0};
    bool good;

    good = add(script, true, false, message, socks5_write_greeting(&method, 1, message)) &&
           add(script, false, true, message, socks5_write_method(method, message));
    if (!good || !logs_in)
        return good;
    login.user_length = (uint8_t)strlen(upstream->user);
    login.password_length = (uint8_t)strlen(upstream->secret);
    memcpy(login.user, upstream->user, login.user_length);
    memcpy(login.password, upstream->secret, login.password_length);
    good = add(script, true, false, message, socks5_write_userpass(&login, message)) &&
           add(script, false, true, "\1\0", 2);
    explicit_bzero(&login, sizeof login);
    explicit_bzero(message, sizeof message);
    return good;
}

/* To nowhere: whoever answers, be it with a refusal, speaks SOCKS4. */
static bool add_socks4(struct check_script *script, const struct config_upstream *upstream)
{
    const struct socks_request nowhere = {.command = SOCKS_CONNECT, .host.ip = {.family = IP_V4}};
    uint8_t message[SOCKS4_REQUEST_MAX] = {0};
    const char *user = upstream->user ? upstream->user : "";

    return add(script, true, false, message, socks4_write_request(&nowhere, user, message)) &&
           add(script, false, true, "\0", 1);
}

static bool add_http(struct check_script *script, const struct config_upstream *upstream)
{
    static const char question[] = "OPTIONS * HTTP/1.1\r\nHost: check\r\nConnection: close\r\n\r\n";
    static const char answer[] = "HTTP/1.";

    (void)upstream;
    return add(script, true, false, question, sizeof question - 1) &&
           add(script, false, true, answer, sizeof answer - 1);
}

static bool add_step(struct check_script *script, const struct config_upstream *upstream,
                     const struct config_check *step)
{
    static bool (*const socks[])(struct check_script *, const struct config_upstream *) = {
        [UPSTREAM_SOCKS4] = add_socks4,
        [UPSTREAM_SOCKS4A] = add_socks4,
        [UPSTREAM_SOCKS5] = add_socks5,
        [UPSTREAM_HTTP] = add_http,
    };

    if (step->kind == CHECK_SOCKS)
        return socks[upstream->type](script, upstream);
    if (step->kind == CHECK_SEND || step->kind == CHECK_EXPECT)
        return add(script, step->kind == CHECK_SEND, false, step->text, step->length);
    return true;
}

struct check_script *check_script_new(const struct config_upstream *upstream)
{
    struct check_script *script =
        calloc(1, sizeof *script + (upstream->check_count + SOCKS_STEPS_MAX) * sizeof(struct line));

    for (unsigned i = 0; script && i < upstream->check_count; i++) {
        if (add_step(script, upstream, &upstream->checks[i]))
            continue;
        check_script_free(script);
        return NULL;
    }
    return script;
}

void check_script_free(struct check_script *script)
{
    for (unsigned i = 0; script && i < script->count; i++) {
        explicit_bzero(script->lines[i].text, script->lines[i].length);
        free(script->lines[i].text);
    }
    free(script);
}

bool check_script_is_over(const struct check_script *script)
{
    return script->at == script->count;
}

const uint8_t *check_script_next(const struct check_script *script, size_t *ret_n)
{
    const struct line *line = &script->lines[script->at];

    if (check_script_is_over(script) || !line->is_sent)
        return NULL;
    *ret_n = line->length - script->sent;
    return line->text + script->sent;
}

static void drop_held(struct check_script *script, size_t n)
{
    script->held_count -= n;
    memmove(script->held, script->held + n, script->held_count);
}

static void matched(struct check_script *script, size_t n)
{
    drop_held(script, n);
    script->is_inside_line = false; /* what follows directly counts, too */
    script->chatter = 0;
    script->at++;
}

/* Passes over the rest of a line that is another one. False: its end has not come. */
static bool skip_line(struct check_script *script)
{
    const uint8_t *end = memchr(script->held, '\n', script->held_count);

    if (!end) {
        script->held_count = 0;
        script->is_inside_line = true;
        return false;
    }
    drop_held(script, (size_t)(end - script->held) + 1);
    script->is_inside_line = false;
    return true;
}

/* Compares what is held. False: it is wrong. */
static bool compare(struct check_script *script)
{
    while (!check_script_is_over(script) && !script->lines[script->at].is_sent &&
           script->held_count) {
        const struct line *line = &script->lines[script->at];
        size_t n = script->held_count < line->length ? script->held_count : line->length;
        bool is_same = !script->is_inside_line && memcmp(script->held, line->text, n) == 0;

        if (is_same && n < line->length)
            return true; /* so far */
        if (is_same)
            matched(script, n);
        else if (line->is_exact)
            return false;
        else if (!skip_line(script))
            return true;
    }
    return true;
}

void check_script_sent(struct check_script *script, size_t n)
{
    script->sent += n;
    if (script->sent < script->lines[script->at].length)
        return;
    script->sent = 0;
    script->at++;
    compare(script); /* it may have said already what is expected now */
}

bool check_script_hear(struct check_script *script, const uint8_t *bytes, size_t n)
{
    while (n) {
        size_t room, part;

        if (script->held_count == sizeof script->held)
            skip_line(script); /* it talks while it is our turn */
        room = sizeof script->held - script->held_count;
        part = n < room ? n : room;
        script->chatter += part;
        if (script->chatter > CHECK_CHATTER_MAX)
            return false;
        memcpy(script->held + script->held_count, bytes, part);
        script->held_count += part;
        bytes += part;
        n -= part;
        if (!compare(script))
            return false;
    }
    return true;
}

void check_script_describe(const struct check_script *script, char *out, size_t size)
{
    const struct line *line = &script->lines[script->at];
    size_t n = 0;

    out[0] = '\0';
    if (check_script_is_over(script))
        return;
    if (line->is_exact || line->is_sent) {
        snprintf(out, size, line->is_exact ? "socks" : "send"); /* a password may be sent */
        return;
    }
    n = (size_t)snprintf(out, size, "expect ");
    for (size_t i = 0; i < line->length && n + 2 < size; i++) {
        out[n++] = line->text[i] >= ' ' && line->text[i] <= '~' ? (char)line->text[i] : '.';
        out[n] = '\0';
    }
}
