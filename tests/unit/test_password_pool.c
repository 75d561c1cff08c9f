/* test_password_pool.c - answers, turns, bounds and delays of the password pool. Hashes are of the
 * cheapest cost. */
#include "daemon/password_pool.h"

#include <criterion/criterion.h>
#include <crypt.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

TestSuite(password_pool, .timeout = 10);

static struct users *users;
static struct password_inbox inbox;
static sem_t answered;

static void on_answer(void *context)
{
    sem_post(context);
}

/* alice: secret; empty: "" cannot be said by RFC 1929; long: 255 times x */
static void set_up(void)
{
    struct crypt_data *data = calloc(1, sizeof *data);
    char text[2048], password[256], *at = text;
    FILE *in;

    memset(password, 'x', 255);
    password[255] = '\0';
    at += sprintf(at, "alice:%s\n", crypt_r("secret", "$5$rounds=1000$salt$", data));
    at += sprintf(at, "long:%s\n", crypt_r(password, "$5$rounds=1000$salt$", data));
    free(data);
    in = fmemopen(text, (size_t)(at - text), "r");
    users = users_read(in, "users", stderr);
    fclose(in);
    cr_assert(users);
    sem_init(&answered, 0, 0);
    password_inbox_init(&inbox, on_answer, &answered);
}

static void tear_down(void)
{
    password_inbox_done(&inbox);
    users_unref(users);
}

static struct password_question question_of(const char *host, const char *user,
                                            const char *password)
{
    struct password_question question = {
        .users = users,
        .user = user,
        .password = password,
        .user_length = (uint8_t)strlen(user),
        .password_length = (uint8_t)strlen(password),
    };

    question.login = login_digest_of(&(struct login_digest){{0}}, user, strlen(user), password,
                                     strlen(password));
    cr_assert(ip_parse(host, strlen(host), &question.host));
    return question;
}

/* Waits for the next answer. */
static struct password_check *answer(void)
{
    sem_wait(&answered);
    return password_inbox_next(&inbox);
}

#define MATCHES(user, password)                                                                    \
    password_matches(users, user, sizeof(user) - 1, password, sizeof(password) - 1)

Test(password_pool, only_the_whole_password_matches, .init = set_up, .fini = tear_down)
{
    char longest[255];

    cr_assert(MATCHES("alice", "secret"));
    cr_assert_not(MATCHES("alice", "secre"));
    cr_assert_not(MATCHES("alice", "secrets"));
    cr_assert_not(MATCHES("alice", "Secret"));
    cr_assert_not(MATCHES("alice", ""));
    cr_assert_not(MATCHES("alice", "secret\0"));
    cr_assert_not(MATCHES("alice", "secret\0junk"));
    cr_assert_not(MATCHES("alice", "\0secret"));
    cr_assert_not(MATCHES("alice\0", "secret"));
    cr_assert_not(MATCHES("Alice", "secret"));
    cr_assert_not(MATCHES("alic", "secret"));
    cr_assert_not(MATCHES("", "secret"));
    cr_assert_not(MATCHES("nobody", "secret"));
    memset(longest, 'x', sizeof longest);
    cr_assert(password_matches(users, "long", 4, longest, 255));
    cr_assert_not(password_matches(users, "long", 4, longest, 254));
}

Test(password_pool, every_check_is_answered_to_its_owner, .init = set_up, .fini = tear_down)
{
    struct password_pool *pool = password_pool_new(2);
    int right, wrong;
    struct password_question questions[] = {question_of("192.0.2.1", "alice", "secret"),
                                            question_of("192.0.2.2", "alice", "wrong")};
    unsigned matched = 0;

    cr_assert(password_pool_check(pool, &questions[0], &inbox, &right));
    cr_assert(password_pool_check(pool, &questions[1], &inbox, &wrong));
    for (int i = 0; i < 2; i++) {
        struct password_check *check = answer();

        cr_assert_eq(check->owner, check->matches ? &right : &wrong);
        cr_assert_eq(check->password[0], '\0');
        matched += check->matches;
        password_check_free(check);
    }
    cr_assert_eq(matched, 1);
    password_pool_free(pool);
}

Test(password_pool, one_host_fills_its_own_share_alone, .init = set_up, .fini = tear_down)
{
    struct password_pool *pool = password_pool_new(1);
    struct password_question greedy = question_of("192.0.2.1", "alice", "wrong"),
                             other = question_of("192.0.2.2", "alice", "secret");
    unsigned taken = 0;

    for (int i = 0; i < 1000; i++) {
        greedy.login.half[0]++; /* another password each time */
        if (!password_pool_check(pool, &greedy, &inbox, NULL))
            break;
        taken++;
    }
    cr_assert_geq(taken, PASSWORD_POOL_HOST_MAX);
    cr_assert_lt(taken, 1000);
    cr_assert(password_pool_check(pool, &other, &inbox, &other));
    for (;;) { /* it does not wait for all of the others */
        struct password_check *check = answer();
        bool is_other = check->owner == &other;

        if (is_other)
            cr_assert(check->matches);
        password_check_free(check);
        if (is_other)
            break;
        cr_assert(taken-- > 0);
    }
    cr_assert_gt(taken, 0);
    password_pool_free(pool); /* with checks that wait */
}

Test(password_pool, who_is_cancelled_is_not_asked_for, .init = set_up, .fini = tear_down)
{
    struct password_pool *pool = password_pool_new(1);
    struct password_question question = question_of("192.0.2.1", "alice", "secret");
    struct password_check *checks[8];

    for (int i = 0; i < 8; i++) {
        question.login.half[0]++;
        cr_assert(checks[i] = password_pool_check(pool, &question, &inbox, &question));
    }
    for (int i = 1; i < 8; i++)
        password_check_cancel(checks[i]);
    for (int i = 0; i < 8; i++) {
        struct password_check *check = answer();

        cr_assert((check->owner != NULL) == (check == checks[0]));
        password_check_free(check);
    }
    password_pool_free(pool);
}

/* A browser opens many connections at once. */
Test(password_pool, who_asks_the_same_shares_the_answer, .init = set_up, .fini = tear_down)
{
    enum { MANY = 500 };
    struct password_pool *pool = password_pool_new(1);
    struct password_question right = question_of("192.0.2.1", "alice", "secret"),
                             wrong = question_of("192.0.2.1", "alice", "wrong");
    struct password_check *checks[MANY];

    for (int i = 0; i < MANY; i++) {
        checks[i] = password_pool_check(pool, i % 2 ? &right : &wrong, &inbox,
                                        i % 2 ? (void *)&right : (void *)&wrong);
        cr_assert(checks[i]);
    }
    for (int i = 0; i < 4; i++) /* leaders among them */
        password_check_cancel(checks[i]);
    for (int i = 0; i < MANY; i++) {
        struct password_check *check = answer();

        if (check->owner)
            cr_assert_eq(check->matches, check->owner == &right);
        password_check_free(check);
    }
    password_pool_free(pool);
}

Test(password_pool, another_host_asks_for_itself, .init = set_up, .fini = tear_down)
{
    struct password_pool *pool = password_pool_new(1);
    struct password_question one = question_of("192.0.2.1", "alice", "secret"),
                             other = question_of("192.0.2.2", "alice", "secret");

    for (int i = 0; i < 10; i++)
        cr_assert(password_pool_check(pool, i % 2 ? &one : &other, &inbox, &one));
    password_pool_free(pool);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One check after the other: how long each takes. */
static uint64_t time_of(struct password_pool *pool, const char *host, const char *password)
{
    struct password_question question = question_of(host, "alice", password);
    uint64_t start = now_ms();

    cr_assert(password_pool_check(pool, &question, &inbox, NULL));
    password_check_free(answer());
    return now_ms() - start;
}

Test(password_pool, who_keeps_failing_waits_and_nobody_else, .init = set_up, .fini = tear_down)
{
    struct password_pool *pool = password_pool_new(1);

    for (int i = 0; i < 3; i++)
        time_of(pool, "192.0.2.1", "wrong");
    cr_assert_geq(time_of(pool, "192.0.2.1", "wrong"), password_pool_delay(3) - 20);
    cr_assert_lt(time_of(pool, "192.0.2.2", "secret"), password_pool_delay(4));
    cr_assert_geq(time_of(pool, "192.0.2.1", "secret"), password_pool_delay(4) - 100);
    password_pool_free(pool);
}

Test(password_pool, delays_grow_up_to_their_bound)
{
    uint64_t before = 0;

    cr_assert_eq(password_pool_delay(0), 0);
    cr_assert_eq(password_pool_delay(2), 0);
    cr_assert_gt(password_pool_delay(3), 0);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_geq(password_pool_delay(i), before);
        before = password_pool_delay(i);
    }
    cr_assert_eq(password_pool_delay(UINT32_MAX), before);
    cr_assert_leq(before, 5000);
}

/* More hosts than are remembered: the oldest are forgotten, nothing breaks. */
Test(password_pool, a_crowd_of_failing_hosts_is_bounded, .init = set_up, .fini = tear_down)
{
    struct password_pool *pool = password_pool_new(2);
    unsigned sent = 0, got = 0;

    for (unsigned i = 0; i < PASSWORD_POOL_HOSTS_MAX + 200; i++) {
        struct password_question question = question_of("10.0.0.0", "nobody", "wrong");

        question.host.bytes[1] = (uint8_t)(i >> 16);
        question.host.bytes[2] = (uint8_t)(i >> 8);
        question.host.bytes[3] = (uint8_t)i;
        cr_assert(password_pool_check(pool, &question, &inbox, NULL));
        for (sent++; sent - got > 100; got++)
            password_check_free(answer());
    }
    for (; got < sent; got++)
        password_check_free(answer());
    password_pool_free(pool);
}
