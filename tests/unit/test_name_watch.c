/* test_name_watch.c - names that are watched, against a DNS server that answers what a test says
 * and runs on the same loop. */
#include "daemon/name_watch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(name_watch, .timeout = 10);

enum { HEADER = 12, A = 1, AAAA = 28, QUESTIONS_MAX = 400, PACKET_MAX = 512 };
enum { NO_ERROR = 0, SERVER_FAILED = 2, NOT_FOUND = 3 }; /* RCODE, RFC 1035, 4.1.1 */

struct question {
    uint8_t packet[PACKET_MAX];
    size_t length;
    struct sockaddr_in asker;
};

/* What it says to everybody; by family: the last byte of an address, 0 for none. */
struct server {
    ev_io io;
    char nameserver[32];
    int rcode[2];
    uint8_t last_byte[2];
    bool holds; /* the questions, until release() */
    unsigned asked;
    unsigned held, most_held;
    struct question questions[QUESTIONS_MAX];
};

/* What a watch told last, and how often. */
struct told {
    unsigned calls, count;
    bool is_whole;
    char name[64];
    char text[256]; /* the addresses, in order */
};

static struct server server;
static struct told told;

/* The question's type stands behind its name (RFC 1035, 4.1.2). */
static bool asks_for_aaaa(const struct question *q, size_t *ret_end)
{
    size_t at = HEADER;

    while (at < q->length && q->packet[at])
        at += q->packet[at] + 1U;
    cr_assert_leq(at + 5, q->length);
    *ret_end = at + 5;
    return q->packet[at + 2] == AAAA;
}

static void answer(struct question *q)
{
    size_t end;
    bool v6 = asks_for_aaaa(q, &end);
    size_t length = v6 ? 16 : 4;
    const uint8_t record[] = {0xc0, HEADER, 0, v6 ? AAAA : A, 0, 1, 0, 0, 0, 0, 0, (uint8_t)length};
    const uint8_t v4_address[4] = {192, 0, 2, server.last_byte[0]};
    const uint8_t v6_address[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = server.last_byte[1]};

    q->packet[2] |= 0x80; /* QR */
    q->packet[3] = (uint8_t)(0x80 | server.rcode[v6]);
    memset(q->packet + 6, 0, 6);
    if (server.last_byte[v6] && server.rcode[v6] == NO_ERROR) {
        q->packet[7] = 1;
        memcpy(q->packet + end, record, sizeof record);
        end += sizeof record;
        memcpy(q->packet + end, v6 ? v6_address : v4_address, length);
        end += length;
    }
    sendto(server.io.fd, q->packet, end, 0, (struct sockaddr *)&q->asker, sizeof q->asker);
}

static void on_question(struct ev_loop *loop, ev_io *w, int revents)
{
    struct question *q = &server.questions[server.held];
    socklen_t n = sizeof q->asker;
    ssize_t length =
        recvfrom(w->fd, q->packet, PACKET_MAX / 2, 0, (struct sockaddr *)&q->asker, &n);

    if (length < HEADER)
        return;
    q->length = (size_t)length;
    server.asked++;
    if (!server.holds) {
        answer(q);
        return;
    }
    server.held++;
    if (server.held > server.most_held)
        server.most_held = server.held;
    cr_assert_lt(server.held, QUESTIONS_MAX);
}

static void release(void)
{
    for (unsigned i = 0; i < server.held; i++)
        answer(&server.questions[i]);
    server.held = 0;
}

static void serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(server.nameserver, sizeof server.nameserver, "127.0.0.1:%u", ntohs(address.sin_port));
    ev_io_init(&server.io, on_question, fd, EV_READ);
    ev_io_start(ev_default_loop(EVFLAG_NOENV), &server.io);
}

static void on_told(void *context, const char *name, const struct ip_address *addresses,
                    unsigned count, bool is_whole)
{
    struct told *t = context;

    t->calls++;
    t->count = count;
    t->is_whole = is_whole;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->text[0] = '\0';
    for (unsigned i = 0; i < count && i < 4; i++) {
        size_t length = strlen(t->text);

        if (length)
            t->text[length++] = ' ';
        ip_format(&addresses[i], t->text + length);
    }
}

/* With `refresh` and `retry` in seconds; the one that must not matter is a great many. */
static struct name_watch *make(double refresh, double retry)
{
    struct name_watch_options options = {.refresh = refresh, .retry = retry};
    struct name_watch *watch;

    serve();
    options.resolver.nameservers = server.nameserver;
    watch = name_watch_new(ev_default_loop(0), &options, on_told, &told);
    cr_assert_not_null(watch);
    return watch;
}

static void finish(struct name_watch *watch)
{
    name_watch_free(watch);
    ev_io_stop(ev_default_loop(0), &server.io);
    close(server.io.fd);
}

static void watch_one(struct name_watch *watch, const char *name)
{
    cr_assert(name_watch_set(watch, &name, 1));
}

static void run_until_told(unsigned calls)
{
    while (told.calls < calls)
        ev_run(ev_default_loop(0), EVRUN_ONCE);
}

static void run_until_asked(unsigned times)
{
    while (server.asked < times)
        ev_run(ev_default_loop(0), EVRUN_ONCE);
}

/* Both families answer. */
static void say(uint8_t v4, uint8_t v6)
{
    server.last_byte[0] = v4;
    server.last_byte[1] = v6;
    server.rcode[0] = server.rcode[1] = NO_ERROR;
}

static const double never = 1000;

Test(name_watch, addresses_of_both_families_are_one_answer)
{
    struct name_watch *watch = make(never, never);

    say(1, 2);
    watch_one(watch, "a.test");
    cr_assert_eq(told.calls, 0);
    run_until_told(1);
    cr_assert_str_eq(told.name, "a.test");
    cr_assert_str_eq(told.text, "192.0.2.1 2001:db8::2");
    cr_assert(told.is_whole);
    finish(watch);
}

Test(name_watch, a_family_that_has_no_address_is_known)
{
    struct name_watch *watch = make(never, never);

    say(1, 0);
    watch_one(watch, "a.test");
    run_until_told(1);
    cr_assert_str_eq(told.text, "192.0.2.1");
    cr_assert(told.is_whole);
    finish(watch);
}

Test(name_watch, a_good_answer_is_asked_for_again_and_replaces_the_old_one)
{
    struct name_watch *watch = make(0.02, never);

    say(1, 2);
    watch_one(watch, "a.test");
    run_until_told(1);
    say(0, 3);
    run_until_told(told.calls + 2);
    cr_assert_str_eq(told.text, "2001:db8::3");
    finish(watch);
}

Test(name_watch, a_bad_answer_is_no_answer_and_is_asked_for_again_sooner)
{
    struct name_watch *watch = make(never, 0.02);

    server.rcode[0] = server.rcode[1] = SERVER_FAILED;
    watch_one(watch, "a.test");
    run_until_asked(10);
    server.rcode[0] = server.rcode[1] = NOT_FOUND;
    run_until_asked(20);
    say(0, 0);
    run_until_asked(30);
    cr_assert_eq(told.calls, 0);
    say(1, 0);
    run_until_told(1);
    cr_assert_str_eq(told.text, "192.0.2.1");
    finish(watch);
}

Test(name_watch, a_name_that_is_gone_keeps_its_answer)
{
    struct name_watch *watch = make(0.02, 0.02);
    const char *names[] = {"a.test", "b.test"};
    unsigned calls;

    say(1, 2);
    watch_one(watch, "a.test");
    run_until_told(2);
    server.rcode[0] = server.rcode[1] = NOT_FOUND;
    run_until_asked(server.asked + 4); /* what was on its way is there */
    calls = told.calls;
    run_until_asked(server.asked + 10);
    cr_assert_eq(told.calls, calls);
    cr_assert(name_watch_set(watch, names, 2));
    cr_assert_eq(told.calls, calls + 1, "what is known is told at once");
    cr_assert_str_eq(told.name, "a.test");
    cr_assert_str_eq(told.text, "192.0.2.1 2001:db8::2");
    finish(watch);
}

Test(name_watch, a_family_that_could_not_be_learned_keeps_what_it_had)
{
    struct name_watch *watch = make(0.02, 0.02);

    say(1, 2);
    watch_one(watch, "a.test");
    run_until_told(1);
    server.rcode[1] = SERVER_FAILED;
    server.last_byte[0] = 3;
    run_until_told(told.calls + 2);
    cr_assert_str_eq(told.text, "192.0.2.3 2001:db8::2");
    cr_assert(told.is_whole, "known from before");
    finish(watch);
}

Test(name_watch, an_answer_of_which_a_family_was_never_learned_is_not_whole)
{
    struct name_watch *watch = make(never, 0.02);

    say(1, 2);
    server.rcode[1] = SERVER_FAILED;
    watch_one(watch, "a.test");
    run_until_told(1);
    cr_assert_str_eq(told.text, "192.0.2.1");
    cr_assert_not(told.is_whole);
    say(1, 0);
    while (!told.is_whole)
        run_until_told(told.calls + 1);
    cr_assert_str_eq(told.text, "192.0.2.1");
    finish(watch);
}

/* c-ares asks again what is not answered: the questions are few, whoever counts them. */
Test(name_watch, few_questions_are_open_at_a_time)
{
    enum { NAMES = 100 };
    struct name_watch *watch = make(never, never);
    char texts[NAMES][16];
    const char *names[NAMES];

    for (int i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof texts[i], "n%d.test", i);
        names[i] = texts[i];
    }
    say(1, 0);
    server.holds = true;
    cr_assert(name_watch_set(watch, names, NAMES));
    run_until_asked(NAME_WATCH_LOOKUPS_MAX);
    for (int i = 0; i < 3; i++) {
        ev_sleep(0.01);
        ev_run(ev_default_loop(0), EVRUN_NOWAIT);
    }
    cr_assert_eq(server.asked, NAME_WATCH_LOOKUPS_MAX);
    while (told.calls < NAMES) {
        release();
        ev_run(ev_default_loop(0), EVRUN_ONCE);
    }
    cr_assert_leq(server.most_held, NAME_WATCH_LOOKUPS_MAX);
    finish(watch);
}

Test(name_watch, names_that_go_are_dropped_while_they_are_asked_for_or_wait)
{
    enum { NAMES = 40 };
    struct name_watch *watch = make(never, never);
    char texts[NAMES][16];
    const char *names[NAMES];

    for (int i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof texts[i], "n%02d.test", i);
        names[i] = texts[i];
    }
    say(1, 0);
    server.holds = true;
    cr_assert(name_watch_set(watch, names, NAMES));
    run_until_asked(2);
    cr_assert(name_watch_set(watch, names + NAMES - 1, 1)); /* the last in line */
    run_until_asked(NAME_WATCH_LOOKUPS_MAX + 2);
    release();
    run_until_told(1);
    cr_assert_str_eq(told.name, "n39.test");
    cr_assert(name_watch_set(watch, NULL, 0));
    cr_assert(name_watch_set(watch, names, 1));
    run_until_asked(server.asked + 2);
    cr_assert_eq(told.calls, 1);
    finish(watch);
}

Test(name_watch, a_name_given_twice_is_one)
{
    struct name_watch *watch = make(never, never);
    const char *names[] = {"b.test", "a.test", "b.test", "b.test"};

    say(1, 0);
    cr_assert(name_watch_set(watch, names, 4));
    run_until_told(2);
    cr_assert_eq(server.asked, 4);
    cr_assert(name_watch_set(watch, names, 4));
    cr_assert_eq(told.calls, 4);
    finish(watch);
}

Test(name_watch, other_nameservers_are_asked_what_is_open)
{
    struct name_watch *watch = make(never, never);
    struct resolver_options options = {.nameservers = server.nameserver}, bad = {"rubbish", false};

    say(1, 0);
    server.holds = true;
    watch_one(watch, "a.test");
    run_until_asked(2);
    server.held = 0;
    server.holds = false;
    cr_assert_not(name_watch_set_resolver(watch, &bad));
    cr_assert(name_watch_set_resolver(watch, &options));
    run_until_told(1);
    cr_assert_eq(server.asked, 4);
    finish(watch);
}
