/* test_frontend.c - the front ends as a session drives them: who is recognised by its first
 * bytes, what each client is answered, that nothing depends on how its bytes arrive, and that
 * none beyond its request are taken. The protocols' own fields are in test_socks4.c and
 * test_socks5.c. */
#include "daemon/frontend.h"

#include "config/config.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(frontend, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

enum { BOTH = PROTOCOL_SOCKS4 | PROTOCOL_SOCKS5, ALL = BOTH | PROTOCOL_HTTP };

/* A client's side of a handshake, and all that it was told. */
struct dialog {
    struct handshake handshake;
    enum stream_error_id verdict; /* what is found out about it, if that is asked for */
    unsigned asked;               /* how often */
    enum frontend_step step;
    size_t consumed;
    uint8_t told[2048];
    size_t told_length;
};

static void tell(struct dialog *d, const struct answer *answer)
{
    cr_assert_leq(answer->length, FRONTEND_ANSWER_MAX);
    memcpy(d->told + d->told_length, answer->bytes, answer->length);
    d->told_length += answer->length;
}

static enum frontend_step sniff_or_step(struct dialog *d, unsigned protocols, struct cursor *in,
                                        struct answer *answer)
{
    enum parse sniffed = PARSE_DONE;

    if (!d->handshake.frontend)
        sniffed = frontend_sniff(&d->handshake, protocols, in, false);
    if (sniffed == PARSE_DONE)
        return d->handshake.frontend->step(&d->handshake, in, answer);
    return sniffed == PARSE_BAD ? FRONTEND_BAD : FRONTEND_MORE;
}

/* As a session does it: the first `n` bytes of `bytes` have come, go on as far as they lead. */
static void go_on(struct dialog *d, unsigned protocols, const uint8_t *bytes, size_t n)
{
    struct answer answer;

    do {
        struct cursor in = cursor_over(bytes + d->consumed, n - d->consumed);
        const uint8_t *start = in.at;

        answer.length = 0;
        d->step = sniff_or_step(d, protocols, &in, &answer);
        if (d->step != FRONTEND_BAD)
            d->consumed += (size_t)(in.at - start);
        if (d->step == FRONTEND_PASSWORD || d->step == FRONTEND_IDENT) {
            cr_assert_eq(answer.length, 0);
            d->asked++;
            d->step =
                d->handshake.frontend->judged(&d->handshake, stream_error_of(d->verdict), &answer);
        }
        tell(d, &answer);
    } while (d->step == FRONTEND_MORE && answer.length > 0);
}

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

/* What a client sends (until it is refused or connected), what it is told, and what the log will
 * say. `error` none: a complete request. */
static const struct {
    const uint8_t *bytes;
    size_t n;
    const uint8_t *told;
    size_t told_length;
    const char *protocol, *error;
} dialogs[] = {
    {BYTES("\4\1\0\x50\1\2\3\4\0"), BYTES(""), "socks4", "none"},
    {BYTES("\4\1\0\x50\1\2\3\4user\0"), BYTES(""), "socks4", "none"},
    {BYTES("\4\1\0\x50\0\0\0\0\0"), BYTES(""), "socks4", "none"},
    {BYTES("\4\1\0\x50\0\0\0\1\0example.com\0"), BYTES(""), "socks4a", "none"},
    {BYTES("\4\1\0\x50\0\0\0\xFFuser\0example.com\0"), BYTES(""), "socks4a", "none"},
    {BYTES("\4\1\0\0\1\2\3\4\0"), BYTES("\0\x5B\0\0\0\0\0\0"), "socks4", "protocol.request.bad"},
    {BYTES("\4\2\0\x50\1\2\3\4\0"), BYTES("\0\x5B\0\0\0\0\0\0"), "socks4",
     "protocol.command.unsupported"},
    {BYTES("\4\0\0\x50\1\2\3\4\0"), BYTES("\0\x5B\0\0\0\0\0\0"), "socks4",
     "protocol.command.unsupported"},
    {BYTES("\4\2\0\x50\0\0\0\1\0a\0"), BYTES("\0\x5B\0\0\0\0\0\0"), "socks4a",
     "protocol.command.unsupported"},
    {BYTES("\4\1\0\x50\0\0\0\1\0\0"), BYTES("\0\x5B\0\0\0\0\0\0"), "socks4",
     "protocol.request.bad"},
    {BYTES("\5\1\0\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0"), "socks5", "none"},
    {BYTES("\5\3\1\0\2\5\1\0\1\1\2\3\4\0\x50"), BYTES("\5\0"), "socks5", "none"},
    {BYTES("\5\1\0\5\1\0\3\1a\0\x50"), BYTES("\5\0"), "socks5", "none"},
    {BYTES("\5\1\0\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x50"), BYTES("\5\0"), "socks5",
     "none"},
    {BYTES("\5\1\0\5\1\0\1\1\2\3\4\0\0"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), "socks5",
     "protocol.request.bad"},
    {BYTES("\5\1\0\5\2\0\1\1\2\3\4\0\x50"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"), "socks5",
     "protocol.command.unsupported"},
    {BYTES("\5\1\0\5\3\0\1\0\0\0\0\0\0"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"), "socks5",
     "protocol.command.unsupported"},
    {BYTES("\5\1\0\5\xF0\0\3\1a\0\0"), BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"), "socks5",
     "protocol.command.unsupported"},
    {BYTES("\5\1\0\5\1\0\2"), BYTES("\5\0\5\x08\0\1\0\0\0\0\0\0"), "socks5",
     "protocol.address.unsupported"},
    {BYTES("\5\1\0\5\1\0\3\0"), BYTES("\5\0\5\x08\0\1\0\0\0\0\0\0"), "socks5",
     "resolver.name.invalid"},
    {BYTES("\5\1\0\5\1\1"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), "socks5", "protocol.request.bad"},
    {BYTES("\5\1\0\4"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), "socks5", "protocol.request.bad"},
    {BYTES("\5\0"), BYTES("\5\xFF"), "socks5", "protocol.greeting.bad"},
    {BYTES("\5\1\2"), BYTES("\5\xFF"), "socks5", "socks.socks5-method.none-acceptable"},
    {BYTES("\5\2\1\xFF"), BYTES("\5\xFF"), "socks5", "socks.socks5-method.none-acceptable"},
};

static void expect_outcome(const struct dialog *d, size_t i, const char *how)
{
    char name[STREAM_ERROR_NAME_MAX];

    cr_assert_eq(d->step, strcmp(dialogs[i].error, "none") == 0 ? FRONTEND_DONE : FRONTEND_BAD,
                 "row %zu, %s", i, how);
    cr_assert_str_eq(stream_error_name(&d->handshake.error, name), dialogs[i].error);
    cr_assert_str_eq(d->handshake.protocol, dialogs[i].protocol);
    cr_assert_eq(d->told_length, dialogs[i].told_length, "row %zu, %s", i, how);
    cr_assert_arr_eq(d->told, dialogs[i].told, d->told_length, "row %zu, %s", i, how);
    if (d->step == FRONTEND_DONE) {
        cr_assert(d->handshake.has_request);
        cr_assert_eq(d->consumed, dialogs[i].n, "row %zu, %s", i, how);
    }
}

Test(frontend, every_client_is_answered_as_its_protocol_has_it)
{
    for (size_t i = 0; i < COUNT(dialogs); i++) {
        struct dialog d = {.handshake.auth = AUTH_NONE};

        go_on(&d, BOTH, dialogs[i].bytes, dialogs[i].n);
        expect_outcome(&d, i, "at once");
    }
}

Test(frontend, every_dialog_is_the_same_byte_by_byte)
{
    for (size_t i = 0; i < COUNT(dialogs); i++) {
        struct dialog d = {.handshake.auth = AUTH_NONE};

        for (size_t n = 0; n < dialogs[i].n; n++) {
            go_on(&d, BOTH, dialogs[i].bytes, n);
            cr_assert_eq(d.step, FRONTEND_MORE, "row %zu at %zu", i, n);
            cr_assert_not(d.handshake.has_request);
            cr_assert_not(stream_error_set(&d.handshake.error));
        }
        go_on(&d, BOTH, dialogs[i].bytes, dialogs[i].n);
        expect_outcome(&d, i, "byte by byte");
    }
}

Test(frontend, every_dialog_is_the_same_at_every_split)
{
    for (size_t i = 0; i < COUNT(dialogs); i++) {
        for (size_t cut = 0; cut < dialogs[i].n; cut++) {
            struct dialog d = {.handshake.auth = AUTH_NONE};

            go_on(&d, BOTH, dialogs[i].bytes, cut);
            go_on(&d, BOTH, dialogs[i].bytes, dialogs[i].n);
            expect_outcome(&d, i, "in two");
        }
    }
}

/* They belong to the target. */
Test(frontend, bytes_sent_early_are_left_alone)
{
    for (size_t i = 0; i < COUNT(dialogs); i++) {
        struct dialog d = {.handshake.auth = AUTH_NONE};
        uint8_t bytes[128];

        memcpy(bytes, dialogs[i].bytes, dialogs[i].n);
        memcpy(bytes + dialogs[i].n, "\5\1\0\4\1\0early", 11);
        go_on(&d, BOTH, bytes, dialogs[i].n + 11);
        expect_outcome(&d, i, "with early bytes");
    }
}

/* The whole request is known even when it is refused: the log names the target. */
Test(frontend, request_that_is_whole_is_kept_whatever_becomes_of_it)
{
    static const uint8_t socks4[] = "\4\2\0\x50\0\0\0\1\0abc",
                         socks5[] = "\5\1\0\5\2\0\3\3abc\0\x50";
    static const struct {
        const uint8_t *bytes;
        size_t n;
    } sent[] = {{socks4, sizeof socks4}, {socks5, sizeof socks5 - 1}};

    for (size_t i = 0; i < COUNT(sent); i++) {
        struct dialog d = {.handshake.auth = AUTH_NONE};

        go_on(&d, BOTH, sent[i].bytes, sent[i].n);
        cr_assert_eq(d.step, FRONTEND_BAD);
        cr_assert(d.handshake.has_request);
        cr_assert_eq(d.handshake.request.command, SOCKS_BIND);
        cr_assert_eq(d.handshake.request.port, 80);
        cr_assert_str_eq(d.handshake.request.host.name, "abc");
    }
}

/* The client ended its direction in the middle of a message. */
Test(frontend, client_that_is_cut_short_gets_its_protocols_refusal)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
        const uint8_t *told;
        size_t told_length;
        const char *error;
    } cuts[] = {
        {BYTES("\4"), BYTES("\0\x5B\0\0\0\0\0\0"), "protocol.request.bad"},
        {BYTES("\4\1\0\x50\1\2\3\4user"), BYTES("\0\x5B\0\0\0\0\0\0"), "protocol.request.bad"},
        {BYTES("\4\1\0\x50\0\0\0\1\0name"), BYTES("\0\x5B\0\0\0\0\0\0"), "protocol.request.bad"},
        {BYTES("\5"), BYTES("\5\xFF"), "protocol.greeting.bad"},
        {BYTES("\5\2\0"), BYTES("\5\xFF"), "protocol.greeting.bad"},
        {BYTES("\5\1\0\5"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"), "protocol.request.bad"},
        {BYTES("\5\1\0\5\1\0\1\1\2\3\4\0"), BYTES("\5\0\5\1\0\1\0\0\0\0\0\0"),
         "protocol.request.bad"},
    };

    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct dialog d = {.handshake.auth = AUTH_NONE};
        struct answer answer = {.length = 0};
        char name[STREAM_ERROR_NAME_MAX];

        go_on(&d, BOTH, cuts[i].bytes, cuts[i].n);
        cr_assert_eq(d.step, FRONTEND_MORE);
        d.handshake.frontend->cut(&d.handshake, &answer);
        tell(&d, &answer);
        cr_assert_str_eq(stream_error_name(&d.handshake.error, name), cuts[i].error);
        cr_assert_eq(d.told_length, cuts[i].told_length);
        cr_assert_arr_eq(d.told, cuts[i].told, d.told_length);
    }
}

/* Endless input is refused by the time that the longest request could have come. */
Test(frontend, client_without_end_is_refused_in_bounds)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
    } starts[] = {{BYTES("\4\1\0\x50\1\2\3\4")},
                  {BYTES("\4\1\0\x50\0\0\0\1\0")},
                  {BYTES("\5\xFF")},
                  {BYTES("\5\1\0")}};

    for (size_t i = 0; i < COUNT(starts); i++) {
        struct dialog d = {.handshake.auth = AUTH_NONE};
        uint8_t bytes[SOCKS4_REQUEST_MAX + SOCKS5_GREETING_MAX];
        size_t n = starts[i].n;

        memset(bytes, 'x', sizeof bytes);
        memcpy(bytes, starts[i].bytes, n);
        do
            go_on(&d, BOTH, bytes, ++n);
        while (d.step == FRONTEND_MORE && n < sizeof bytes);
        cr_assert_eq(d.step, FRONTEND_BAD, "row %zu", i);
        cr_assert_leq(n, SOCKS4_REQUEST_MAX);
    }
}

/* ---- who the client is: `auth` of the listener, the client's bytes, what is found out, and what
 * becomes of it */

#define SOCKS4_IS(code) "\0" code "\0\0\0\0\0\0"
#define CONNECT_TO_A "CONNECT a:443 HTTP/1.1\r\n"
#define AS_AB "Proxy-Authorization: Basic YTpi\r\n" /* a:b */

static const struct {
    unsigned auth;
    const uint8_t *bytes;
    size_t n;
    enum stream_error_id verdict;
    unsigned asked;
    const uint8_t *told; /* of HTTP the status line's begin */
    size_t told_length;
    const char *error;
} logins[] = {
    /* SOCKS4 has no password */
    {AUTH_PASSWORD, BYTES("\4\1\0\x50\1\2\3\4a\0"), ERROR_NONE, 0, BYTES(SOCKS4_IS("\x5D")),
     "auth.password.failed"},
    {AUTH_PASSWORD | AUTH_NONE, BYTES("\4\1\0\x50\1\2\3\4a\0"), ERROR_NONE, 0, BYTES(""), "none"},
    {AUTH_IDENT, BYTES("\4\1\0\x50\1\2\3\4a\0"), ERROR_NONE, 1, BYTES(""), "none"},
    {AUTH_IDENT | AUTH_PASSWORD, BYTES("\4\1\0\x50\1\2\3\4\0"), ERROR_NONE, 1, BYTES(""), "none"},
    {AUTH_IDENT, BYTES("\4\1\0\x50\1\2\3\4a\0"), ERROR_AUTH_IDENT_NO_ANSWER, 1,
     BYTES(SOCKS4_IS("\x5C")), "auth.ident.no-answer"},
    {AUTH_IDENT, BYTES("\4\1\0\x50\0\0\0\1a\0b\0"), ERROR_AUTH_IDENT_OTHER_USER, 1,
     BYTES(SOCKS4_IS("\x5D")), "auth.ident.other-user"},
    {AUTH_IDENT, BYTES("\4\2\0\x50\1\2\3\4a\0"), ERROR_NONE, 0, BYTES(SOCKS4_IS("\x5B")),
     "protocol.command.unsupported"},
    /* SOCKS5: a method that was not offered is never chosen, a password that was is asked for */
    {AUTH_PASSWORD, BYTES("\5\1\0"), ERROR_NONE, 0, BYTES("\5\xFF"),
     "socks.socks5-method.none-acceptable"},
    {AUTH_PASSWORD, BYTES("\5\2\0\2\1\1a\1b\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 1,
     BYTES("\5\2\1\0"), "none"},
    {AUTH_PASSWORD | AUTH_NONE, BYTES("\5\2\0\2\1\1a\1b\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 1,
     BYTES("\5\2\1\0"), "none"},
    {AUTH_PASSWORD | AUTH_NONE, BYTES("\5\1\0\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 0, BYTES("\5\0"),
     "none"},
    {AUTH_PASSWORD | AUTH_NONE, BYTES("\5\2\0\2\1\1a\1b"), ERROR_AUTH_PASSWORD_FAILED, 1,
     BYTES("\5\2\1\1"), "auth.password.failed"},
    {AUTH_NONE, BYTES("\5\2\0\2\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 0, BYTES("\5\0"), "none"},
    {AUTH_NONE, BYTES("\5\1\2"), ERROR_NONE, 0, BYTES("\5\xFF"),
     "socks.socks5-method.none-acceptable"},
    {AUTH_PASSWORD, BYTES("\5\1\2\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 0, BYTES("\5\2\1\1"),
     "protocol.request.bad"}, /* the sub-negotiation was skipped */
    {AUTH_PASSWORD, BYTES("\5\1\2\1\0\1b"), ERROR_NONE, 0, BYTES("\5\2\1\1"),
     "protocol.request.bad"},
    {AUTH_PASSWORD, BYTES("\5\1\2\1\1a\0"), ERROR_NONE, 0, BYTES("\5\2\1\1"),
     "protocol.request.bad"},
    {AUTH_PASSWORD, BYTES("\5\1\2\1\1a\1b"), ERROR_AUTH_PASSWORD_BUSY, 1, BYTES("\5\2\1\1"),
     "auth.password.busy"},
    {AUTH_IDENT, BYTES("\5\1\0\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 1, BYTES("\5\0"), "none"},
    {AUTH_IDENT, BYTES("\5\1\2"), ERROR_NONE, 0, BYTES("\5\xFF"),
     "socks.socks5-method.none-acceptable"},
    {AUTH_IDENT, BYTES("\5\1\0"), ERROR_AUTH_IDENT_NO_ANSWER, 1, BYTES("\5\xFF"),
     "auth.ident.no-answer"},
    {AUTH_IDENT | AUTH_PASSWORD, BYTES("\5\1\0"), ERROR_AUTH_IDENT_OTHER_USER, 1, BYTES("\5\xFF"),
     "auth.ident.other-user"},
    {AUTH_IDENT | AUTH_PASSWORD, BYTES("\5\2\2\0\1\1a\1b\5\1\0\1\1\2\3\4\0\x50"), ERROR_NONE, 1,
     BYTES("\5\2\1\0"), "none"},
    /* HTTP */
    {AUTH_NONE, BYTES(CONNECT_TO_A "\r\n"), ERROR_NONE, 0, BYTES(""), "none"},
    {AUTH_NONE, BYTES(CONNECT_TO_A AS_AB "\r\n"), ERROR_NONE, 0, BYTES(""), "none"},
    {AUTH_PASSWORD, BYTES(CONNECT_TO_A "\r\n"), ERROR_NONE, 0, BYTES("HTTP/1.1 407 "),
     "auth.password.failed"},
    {AUTH_PASSWORD, BYTES(CONNECT_TO_A AS_AB "\r\n"), ERROR_NONE, 1, BYTES(""), "none"},
    {AUTH_PASSWORD, BYTES(CONNECT_TO_A AS_AB "\r\n"), ERROR_AUTH_PASSWORD_FAILED, 1,
     BYTES("HTTP/1.1 407 "), "auth.password.failed"},
    {AUTH_PASSWORD, BYTES(CONNECT_TO_A AS_AB "\r\n"), ERROR_AUTH_PASSWORD_BUSY, 1,
     BYTES("HTTP/1.1 503 "), "auth.password.busy"},
    {AUTH_PASSWORD, BYTES(CONNECT_TO_A "Proxy-Authorization: Basic YQ==\r\n\r\n"), ERROR_NONE, 0,
     BYTES("HTTP/1.1 407 "), "auth.password.failed"},
    {AUTH_PASSWORD | AUTH_NONE, BYTES(CONNECT_TO_A "Proxy-Authorization: Basic YQ==\r\n\r\n"),
     ERROR_NONE, 0, BYTES("HTTP/1.1 407 "), "auth.password.failed"},
    {AUTH_PASSWORD | AUTH_NONE, BYTES(CONNECT_TO_A "\r\n"), ERROR_NONE, 0, BYTES(""), "none"},
    {AUTH_IDENT, BYTES(CONNECT_TO_A AS_AB "\r\n"), ERROR_NONE, 1, BYTES(""), "none"},
    {AUTH_IDENT, BYTES(CONNECT_TO_A "\r\n"), ERROR_AUTH_IDENT_NO_ANSWER, 1, BYTES("HTTP/1.1 403 "),
     "auth.ident.no-answer"},
    {AUTH_PASSWORD, BYTES("GET / HTTP/1.1\r\n\r\n"), ERROR_NONE, 0, BYTES("HTTP/1.1 405 "),
     "protocol.command.unsupported"},
};

static void expect_login(const struct dialog *d, size_t i)
{
    bool prefix_only = d->handshake.frontend == &frontend_http && logins[i].told_length;
    char name[STREAM_ERROR_NAME_MAX];

    cr_assert_str_eq(stream_error_name(&d->handshake.error, name), logins[i].error, "row %zu: %s",
                     i, name);
    cr_assert_eq(d->step, strcmp(logins[i].error, "none") == 0 ? FRONTEND_DONE : FRONTEND_BAD,
                 "row %zu", i);
    cr_assert_eq(d->asked, logins[i].asked, "row %zu", i);
    if (!prefix_only)
        cr_assert_eq(d->told_length, logins[i].told_length, "row %zu", i);
    cr_assert_arr_eq(d->told, logins[i].told, logins[i].told_length, "row %zu", i);
    if (d->step == FRONTEND_DONE)
        cr_assert(d->handshake.has_request);
}

Test(frontend, every_login_is_asked_for_and_answered)
{
    for (size_t i = 0; i < COUNT(logins); i++) {
        struct dialog d = {.handshake.auth = logins[i].auth, .verdict = logins[i].verdict};

        go_on(&d, ALL, logins[i].bytes, logins[i].n);
        expect_login(&d, i);
    }
}

Test(frontend, every_login_is_the_same_byte_by_byte)
{
    for (size_t i = 0; i < COUNT(logins); i++) {
        struct dialog d = {
            .handshake.auth = logins[i].auth, .verdict = logins[i].verdict, .step = FRONTEND_MORE};

        for (size_t n = 1; n <= logins[i].n && d.step == FRONTEND_MORE; n++)
            go_on(&d, ALL, logins[i].bytes, n);
        expect_login(&d, i);
    }
}

Test(frontend, the_login_is_what_the_client_said)
{
    static const struct {
        unsigned auth;
        const uint8_t *bytes;
        size_t n;
        const char *user, *password;
    } said[] = {
        {AUTH_PASSWORD, BYTES("\5\1\2\1\2al\3bob"), "al", "bob"},
        {AUTH_PASSWORD, BYTES(CONNECT_TO_A AS_AB "\r\n"), "a", "b"},
        {AUTH_IDENT, BYTES("\4\1\0\x50\1\2\3\4alice\0"), "alice", ""},
    };

    for (size_t i = 0; i < COUNT(said); i++) {
        struct dialog d = {.handshake.auth = said[i].auth, .verdict = ERROR_AUTH_PASSWORD_FAILED};
        const struct socks5_userpass *login = &d.handshake.login;

        go_on(&d, ALL, said[i].bytes, said[i].n);
        cr_assert_eq(login->user_length, strlen(said[i].user));
        cr_assert_arr_eq(login->user, said[i].user, login->user_length);
        cr_assert_eq(login->password_length, strlen(said[i].password));
        cr_assert_arr_eq(login->password, said[i].password, login->password_length);
    }
}

static const struct {
    const uint8_t *bytes;
    size_t n;
    const char *error;
} strangers[] = {
    {BYTES("GET / HTTP/1.1\r\n"), "protocol.looks-like.http"},
    {BYTES("HEAD "), "protocol.looks-like.http"},
    {BYTES("POST "), "protocol.looks-like.http"},
    {BYTES("PUT "), "protocol.looks-like.http"},
    {BYTES("DELETE "), "protocol.looks-like.http"},
    {BYTES("CONNECT a:443 HTTP/1.1"), "protocol.looks-like.http"},
    {BYTES("OPTIONS "), "protocol.looks-like.http"},
    {BYTES("TRACE "), "protocol.looks-like.http"},
    {BYTES("PATCH "), "protocol.looks-like.http"},
    {BYTES("PRI * HTTP/2.0"), "protocol.looks-like.http"},
    {BYTES("\x16\3\1\2\0\1\0"), "protocol.looks-like.tls"},
    {BYTES("SSH-2.0-OpenSSH_9.2\r\n"), "protocol.looks-like.ssh"},
    {BYTES("GETS"), "protocol.greeting.bad"},
    {BYTES("get / HTTP/1.1"), "protocol.greeting.bad"},
    {BYTES("PUTT"), "protocol.greeting.bad"},
    {BYTES("SSH_"), "protocol.greeting.bad"},
    {BYTES("\x16\2"), "protocol.greeting.bad"},
    {BYTES("\0"), "protocol.greeting.bad"},
    {BYTES("\1"), "protocol.greeting.bad"},
    {BYTES("\6"), "protocol.greeting.bad"},
    {BYTES("EHLO a\r\n"), "protocol.greeting.bad"},
    {BYTES("\xFF\xFF"), "protocol.greeting.bad"},
};

static enum parse sniff(struct handshake *handshake, unsigned protocols, const uint8_t *bytes,
                        size_t n, bool at_end)
{
    struct cursor in = cursor_over(bytes, n), before = in;
    enum parse parsed;

    *handshake = (struct handshake){.stage = 0};
    parsed = frontend_sniff(handshake, protocols, &in, at_end);
    cr_assert_eq(in.at, before.at);
    return parsed;
}

Test(frontend, strangers_are_named_as_soon_as_it_is_clear_who_they_are)
{
    for (size_t i = 0; i < COUNT(strangers); i++) {
        char name[STREAM_ERROR_NAME_MAX];
        struct handshake handshake;
        size_t n = 1;

        while (n < strangers[i].n &&
               sniff(&handshake, BOTH, strangers[i].bytes, n, false) == PARSE_MORE)
            n++;
        cr_assert_leq(n, strlen("CONNECT "));
        for (; n <= strangers[i].n; n++) {
            cr_assert_eq(sniff(&handshake, BOTH, strangers[i].bytes, n, false), PARSE_BAD);
            cr_assert_str_eq(stream_error_name(&handshake.error, name), strangers[i].error);
            cr_assert_null(handshake.frontend);
        }
    }
}

Test(frontend, stranger_that_ends_early_is_decided_at_its_end)
{
    for (size_t i = 0; i < COUNT(strangers); i++) {
        for (size_t n = 1; n <= strangers[i].n; n++) {
            struct handshake handshake;
            bool undecided = sniff(&handshake, BOTH, strangers[i].bytes, n, false) == PARSE_MORE;

            cr_assert_eq(sniff(&handshake, BOTH, strangers[i].bytes, n, true), PARSE_BAD);
            if (undecided)
                cr_assert(stream_error_is(&handshake.error, ERROR_PROTOCOL_GREETING_BAD));
        }
    }
}

/* One byte tells who speaks, and only those that are asked for are spoken with. */
Test(frontend, only_the_listeners_protocols_are_recognised)
{
    for (unsigned protocols = 0; protocols <= ALL; protocols++) {
        for (int first = 0; first < 256; first++) {
            const struct frontend *expected =
                first == 4 && protocols & PROTOCOL_SOCKS4   ? &frontend_socks4
                : first == 5 && protocols & PROTOCOL_SOCKS5 ? &frontend_socks5
                : ((first >= 'A' && first <= 'Z' && first != 'S') || first == '\r' ||
                   first == '\n') &&
                        protocols & PROTOCOL_HTTP
                    ? &frontend_http
                    : NULL; /* an S alone may become SSH */
            struct handshake handshake;
            uint8_t byte = (uint8_t)first;
            enum parse parsed = sniff(&handshake, protocols, &byte, 1, false);

            cr_assert_eq(handshake.frontend, expected);
            cr_assert_eq(parsed == PARSE_DONE, expected != NULL);
            if (expected)
                cr_assert_str_eq(handshake.protocol, expected->name);
        }
    }
}

Test(frontend, ssh_is_no_http)
{
    struct handshake handshake;

    cr_assert_eq(sniff(&handshake, ALL, BYTES("SSH"), false), PARSE_MORE);
    cr_assert_eq(sniff(&handshake, ALL, BYTES("SSH-2.0-x\r\n"), false), PARSE_BAD);
    cr_assert(stream_error_is(&handshake.error, ERROR_PROTOCOL_LOOKS_LIKE_SSH));
    cr_assert_eq(sniff(&handshake, ALL, BYTES("SE"), false), PARSE_DONE);
    cr_assert_eq(handshake.frontend, &frontend_http);
}

Test(frontend, nothing_at_all_waits_for_more)
{
    struct handshake handshake;

    cr_assert_eq(sniff(&handshake, BOTH, NULL, 0, false), PARSE_MORE);
    cr_assert_null(handshake.frontend);
}

/* The tables of errors and of replies together. */
Test(frontend, every_error_is_replied_to_by_its_code_or_not_at_all)
{
    struct ip_endpoint bound = {{IP_V4, {192, 0, 2, 1}}, 4242};
    struct handshake handshake = {.stage = 0};

    for (int id = 0; id < ERROR_ID_COUNT; id++) {
        struct stream_error error = stream_error_of((enum stream_error_id)id);
        struct stream_error_reply reply = stream_error_reply(&error);
        struct answer answer = {.length = 0};

        frontend_socks4.reply(&handshake, &error, &bound, &answer);
        cr_assert_eq(answer.length, reply.socks4 ? SOCKS4_REPLY_SIZE : 0);
        if (reply.socks4)
            cr_assert(answer.bytes[0] == 0 && answer.bytes[1] == reply.socks4);
        frontend_socks5.reply(&handshake, &error, &bound, &answer);
        cr_assert_eq(answer.length, reply.socks5 || id == ERROR_NONE ? 10 : 0);
        if (answer.length)
            cr_assert(answer.bytes[0] == 5 && answer.bytes[1] == reply.socks5);
    }
}

Test(frontend, success_carries_the_address_that_is_bound)
{
    struct ip_endpoint v4 = {{IP_V4, {192, 0, 2, 1}}, 0x1234};
    struct ip_endpoint v6 = {{IP_V6, {0x20, 1, 0xD, 0xB8, [15] = 1}}, 0x1234};
    struct handshake handshake = {.stage = 0};
    struct stream_error none = {0};
    struct answer answer;

    frontend_socks4.reply(&handshake, &none, &v4, &answer);
    cr_assert_eq(answer.length, 8);
    cr_assert_arr_eq(answer.bytes, "\0\x5A\x12\x34\xC0\0\2\1", 8);
    frontend_socks4.reply(&handshake, &none, &v6, &answer);
    cr_assert_eq(answer.length, 8);
    cr_assert_arr_eq(answer.bytes, "\0\x5A\x12\x34\0\0\0\0", 8);
    frontend_socks5.reply(&handshake, &none, &v4, &answer);
    cr_assert_eq(answer.length, 10);
    cr_assert_arr_eq(answer.bytes, "\5\0\0\1\xC0\0\2\1\x12\x34", 10);
    frontend_socks5.reply(&handshake, &none, &v6, &answer);
    cr_assert_eq(answer.length, 22);
    cr_assert_arr_eq(answer.bytes, "\5\0\0\4\x20\1\xD\xB8\0\0\0\0\0\0\0\0\0\0\0\1\x12\x34", 22);
}

Test(frontend, a_bind_is_served_where_the_listener_has_it_from_any_port_and_never_a_connect_to_none)
{
    static const struct {
        uint8_t command;
        unsigned commands;
        uint16_t port;
        enum stream_error_id error;
    } cases[] = {
        {SOCKS_CONNECT, 0, 80, ERROR_NONE},
        {SOCKS_CONNECT, COMMAND_BIND, 0, ERROR_PROTOCOL_REQUEST_BAD},
        {SOCKS_BIND, COMMAND_BIND, 80, ERROR_NONE},
        {SOCKS_BIND, COMMAND_CONNECT | COMMAND_BIND, 0, ERROR_NONE},
        {SOCKS_BIND, COMMAND_CONNECT, 80, ERROR_PROTOCOL_COMMAND_UNSUPPORTED},
        {0, COMMAND_BIND, 80, ERROR_PROTOCOL_COMMAND_UNSUPPORTED},
        {9, COMMAND_BIND, 80, ERROR_PROTOCOL_COMMAND_UNSUPPORTED},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct handshake h = {
            .commands = cases[i].commands,
            .request = {.command = cases[i].command, .port = cases[i].port},
        };
        struct stream_error error;

        cr_assert_eq(frontend_serves(&h, &error), cases[i].error == ERROR_NONE, "%zu", i);
        if (cases[i].error != ERROR_NONE)
            cr_assert(stream_error_is(&error, cases[i].error), "%zu", i);
    }
}
