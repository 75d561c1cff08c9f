/* session_auth.c - finding out who the client is, when the front end asks: a password by the cache of
 * good logins or the pool, a connection's holder by the client's identd. */
#include "daemon/ident_query.h"
#include "daemon/log.h"
#include "daemon/session_machine.h"

#include <stdlib.h>
#include <string.h>

/* An identd that is there answers at once; the client is still to be told in time. */
enum { IDENT_TIMEOUT_MS = 5000 };

static const struct stream_error no_error;

/* ---- the result ---- */

/* For fail2ban and its like: at once, and with the client's name for itself. */
static void log_failure(const struct session *s, const struct stream_error *error)
{
    const struct socks5_userpass *login = &s->handshake->login;
    char name[STREAM_ERROR_NAME_MAX];
    struct log_record record;

    if (!log_wants(LOG_LEVEL_WARNING))
        return;
    log_begin(&record, LOG_LEVEL_WARNING, "auth_failed");
    log_record_string(&record, "listener", s->listener->config->name);
    session_log_client(&record, s);
    log_record_bytes(&record, "user", login->user, login->user_length);
    log_record_string(&record, "protocol", s->protocol);
    log_record_string(&record, "error", stream_error_name(error, name));
    log_commit(&record);
}

static void fail(struct session *s, enum stream_error_id id)
{
    struct stream_error error = stream_error_of(id);

    log_failure(s, &error);
    session_judged(s, error);
}

/* Who is known by a certificate may still show a password, and is that user then. */
static void forget_user(struct session *s)
{
    if (s->user_counted)
        gate_leave_user(s->listener->gate, s->user);
    s->user_counted = false;
    free(s->user);
    s->user = NULL;
}

/* It is this user: `prefix` says how that is known. */
static void accept_as(struct session *s, const char *prefix, const char *user, size_t n)
{
    forget_user(s);
    s->user = malloc(strlen(prefix) + n + 1);
    if (!s->user) {
        session_judged(s, stream_error_connect(ENOMEM));
        return;
    }
    *(char *)mempcpy(stpcpy(s->user, prefix), user, n) = '\0';
    if (!gate_enter_user(s->listener->gate, s->user, &s->user_counted)) {
        gate_count(s->listener->gate, GATE_USER);
        session_judged(s, stream_error_of(ERROR_POLICY_LIMIT_USER));
        return;
    }
    session_judged(s, no_error);
}

/* ---- passwords ---- */

/* The users as they are now: the session may have begun before a reload. */
static const struct snapshot_listener *users_of(const struct session *s)
{
    const struct snapshot_listener *now =
        snapshot_find_gate(s->worker->snapshot, s->listener->gate);

    return now && now->config->users ? now : s->listener;
}

static struct login_digest digest_of(const struct session *s)
{
    const struct socks5_userpass *login = &s->handshake->login;

    return login_digest_of(&users_of(s)->users_digest, login->user, login->user_length,
                           login->password, login->password_length);
}

static void accept_login(struct session *s)
{
    struct socks5_userpass *login = &s->handshake->login;

    explicit_bzero(login->password, sizeof login->password);
    s->by_password = true;
    accept_as(s, "", login->user, login->user_length);
}

void session_check_password(struct session *s)
{
    const struct snapshot_listener *listener = users_of(s);
    const struct socks5_userpass *login = &s->handshake->login;
    struct login_digest digest = digest_of(s);
    struct password_question question = {
        .users = listener->config->users,
        .login = digest,
        .user = login->user,
        .user_length = login->user_length,
        .password = login->password,
        .password_length = login->password_length,
        .host = s->peer.ip,
    };

    session_set_state(s, SESSION_JUDGING);
    if (s->worker->snapshot->config->auth_cache > 0 && /* a reload may have switched it off */
        login_cache_knows(s->worker->all->logins, &digest, session_now(s))) {
        accept_login(s);
        return;
    }
    s->check = password_pool_check(s->worker->all->passwords, &question, &s->worker->checked, s);
    if (!s->check)
        session_judged(s, stream_error_of(ERROR_AUTH_PASSWORD_BUSY));
}

static void judge_password(struct session *s, bool matches)
{
    int64_t ttl = s->worker->snapshot->config->auth_cache;
    struct login_digest digest;

    if (!matches) {
        fail(s, ERROR_AUTH_PASSWORD_FAILED);
        return;
    }
    if (ttl > 0) {
        digest = digest_of(s);
        login_cache_remember(s->worker->all->logins, &digest, session_now(s) + (uint64_t)ttl);
    }
    accept_login(s);
}

void session_password_checked(struct password_check *check)
{
    struct session *s = check->owner;
    bool matches = check->matches;

    /* For another file than it would be asked now, the answer means nothing. */
    if (s && users_of(s)->config->users != check->users) {
        s->check = NULL;
        password_check_free(check);
        session_check_password(s);
        session_run(s);
        return;
    }
    password_check_free(check);
    if (!s)
        return;
    s->check = NULL;
    judge_password(s, matches);
    session_run(s);
}

/* ---- ident ---- */

/* Where nothing is required, an identity is welcome and its lack no fault; nor is it before a
 * password was asked for. */
static void no_ident(struct session *s, enum stream_error_id id)
{
    if (s->handshake->auth & AUTH_NONE)
        session_judged(s, no_error);
    else if (s->handshake->can_login)
        session_judged(s, stream_error_of(ERROR_AUTH_PASSWORD_FAILED));
    else
        fail(s, id);
}

static void on_ident(void *context, const struct ident_user *user)
{
    struct session *s = context;
    const struct handshake *h = s->handshake;

    if (!user)
        no_ident(s, ERROR_AUTH_IDENT_NO_ANSWER);
    else if (h->has_claim && (user->length != h->login.user_length ||
                              memcmp(user->name, h->login.user, user->length) != 0))
        no_ident(s, ERROR_AUTH_IDENT_OTHER_USER);
    else
        accept_as(s, "ident:", user->name, user->length);
    ident_query_free(s->ident);
    s->ident = NULL;
    session_run(s);
}

/* Half of what is left of the handshake's time: the client is still to be told. */
static uint64_t ident_timeout(const struct session *s)
{
    uint64_t due = s->started + (uint64_t)s->listener->config->handshake_timeout;
    uint64_t half = due > session_now(s) ? (due - session_now(s)) / 2 : 0;

    return half < IDENT_TIMEOUT_MS ? half : IDENT_TIMEOUT_MS;
}

void session_ask_ident(struct session *s)
{
    struct ip_endpoint local = pair_local_address(&s->client);

    session_set_state(s, SESSION_JUDGING);
    if (s->peer.ip.family != IP_NONE)
        s->ident =
            ident_query_start(s->worker->loop, &s->peer, &local, ident_timeout(s), on_ident, s);
    if (!s->ident) /* a unix socket's client has no identd */
        no_ident(s, ERROR_AUTH_IDENT_NO_ANSWER);
}

/* ---- the end ---- */

void session_stop_judging(struct session *s)
{
    if (s->check)
        password_check_cancel(s->check);
    s->check = NULL;
    ident_query_free(s->ident);
    s->ident = NULL;
}

static bool is_removed(const struct session *s)
{
    const struct snapshot_listener *now =
        snapshot_find_gate(s->worker->snapshot, s->listener->gate);

    return now && now->config->close_on_removal && now->config->users && s->user &&
           s->by_password && !users_find(now->config->users, s->user, strlen(s->user));
}

bool session_follow_users(struct session *s)
{
    bool removed = is_removed(s);

    if (removed)
        session_abort(s, stream_error_of(ERROR_DAEMON_CLOSED_BY_ADMIN));
    return removed;
}
