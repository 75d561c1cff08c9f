/* test_whitelist.c - who may come in: literals, names that have an answer and names that have
 * none yet, in both lists. */
#include "daemon/whitelist.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

TestSuite(whitelist, .timeout = 10);

enum { PATTERNS_MAX = 8 };

/* A listener with these lists: literals and names with blanks between them. */
struct made {
    struct config_listener config;
    struct host_pattern allow[PATTERNS_MAX], deny[PATTERNS_MAX];
    char text[2][256];
};

static unsigned fill(struct host_pattern *patterns, char *text, const char *words)
{
    unsigned n = 0;

    snprintf(text, sizeof((struct made *)NULL)->text[0], "%s", words);
    for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest)); n++) {
        cr_assert_lt(n, PATTERNS_MAX);
        patterns[n] = (struct host_pattern){.kind = PATTERN_PREFIX};
        if (!ip_prefix_parse(word, strlen(word), &patterns[n].prefix))
            patterns[n] = (struct host_pattern){.kind = PATTERN_NAME, .name = word};
    }
    return n;
}

static struct whitelist *make(const char *allow, const char *deny)
{
    struct made made = {.config = {.name = NULL}};
    struct whitelist *whitelist;

    made.config.allow = made.allow;
    made.config.deny = made.deny;
    made.config.allow_count = fill(made.allow, made.text[0], allow);
    made.config.deny_count = fill(made.deny, made.text[1], deny);
    whitelist = whitelist_new(&made.config);
    cr_assert_not_null(whitelist);
    memset(&made, 0xa5, sizeof made); /* nothing of it is used later */
    return whitelist;
}

static struct ip_address ip(const char *text)
{
    struct ip_address parsed = {0};

    cr_assert(ip_parse(text, strlen(text), &parsed), "%s", text);
    return parsed;
}

static bool allows(const struct whitelist *whitelist, const char *text)
{
    struct ip_address client = ip(text);

    return whitelist_allows(whitelist, &client);
}

/* One or two addresses. */
static void set_answer(struct whitelist *whitelist, const char *name, const char *first,
                       const char *second)
{
    struct ip_address addresses[2] = {ip(first)};

    if (second)
        addresses[1] = ip(second);
    cr_assert(whitelist_set_answer(whitelist, name, addresses, second ? 2 : 1, true));
}

Test(whitelist, without_lists_everybody_is_allowed)
{
    struct whitelist *w = make("", "");

    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "2001:db8::1"));
    cr_assert_null(whitelist_name(w, 0));
    whitelist_free(w);
    whitelist_free(NULL);
}

Test(whitelist, allow_is_all_who_may_come_in)
{
    struct whitelist *w = make("192.0.2.1 10.0.0.0/8 2001:db8::/32", "");

    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "10.255.0.1"));
    cr_assert(allows(w, "2001:db8:ffff::1"));
    cr_assert_not(allows(w, "192.0.2.2"));
    cr_assert_not(allows(w, "11.0.0.1"));
    cr_assert_not(allows(w, "2001:db9::1"));
    whitelist_free(w);
}

Test(whitelist, deny_wins)
{
    struct whitelist *w = make("10.0.0.0/8", "10.1.0.0/16 192.0.2.1"),
                     *any = make("", "10.1.0.0/16");

    cr_assert(allows(w, "10.0.0.1"));
    cr_assert_not(allows(w, "10.1.0.1"));
    cr_assert_not(allows(w, "192.0.2.1"));
    cr_assert(allows(any, "192.0.2.1"));
    cr_assert_not(allows(any, "10.1.0.1"));
    whitelist_free(any);
    whitelist_free(w);
}

Test(whitelist, deny_wins_over_a_narrower_allow)
{
    struct whitelist *w = make("10.1.1.1", "10.0.0.0/8");

    cr_assert_not(allows(w, "10.1.1.1"));
    whitelist_free(w);
}

Test(whitelist, a_mapped_client_is_ipv4)
{
    struct whitelist *w = make("10.0.0.0/8 a.test", "10.1.0.0/16");

    set_answer(w, "a.test", "::ffff:192.0.2.1", "192.0.2.2");
    cr_assert(allows(w, "::ffff:10.0.0.1"));
    cr_assert_not(allows(w, "::ffff:10.1.0.1"));
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "::ffff:192.0.2.2"));
    cr_assert_not(allows(w, "::ffff:192.0.2.3"));
    whitelist_free(w);
}

Test(whitelist, a_client_without_an_address_is_allowed)
{
    struct whitelist *w = make("192.0.2.1", "10.0.0.0/8 never.test");
    struct ip_address none = {0};

    cr_assert(whitelist_allows(w, &none));
    whitelist_free(w);
}

Test(whitelist, an_allowed_name_matches_its_addresses_and_nobody_before_it_has_any)
{
    struct whitelist *w = make("a.test 10.0.0.1", "");

    cr_assert_not(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "10.0.0.1"));
    set_answer(w, "a.test", "192.0.2.1", "2001:db8::1");
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "2001:db8::1"));
    cr_assert_not(allows(w, "2001:db8::2"), "a name is its addresses, not their /64");
    set_answer(w, "a.test", "192.0.2.1", "192.0.2.2");
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "192.0.2.2"));
    cr_assert_not(allows(w, "2001:db8::1"), "the old answer is gone");
    whitelist_free(w);
}

Test(whitelist, an_address_of_two_names_stays_while_one_has_it)
{
    struct whitelist *w = make("a.test b.test", "");

    set_answer(w, "a.test", "192.0.2.1", "192.0.2.1");
    set_answer(w, "b.test", "192.0.2.1", NULL);
    set_answer(w, "a.test", "192.0.2.2", NULL);
    cr_assert(allows(w, "192.0.2.1"));
    set_answer(w, "b.test", "192.0.2.3", NULL);
    cr_assert_not(allows(w, "192.0.2.1"));
    whitelist_free(w);
}

Test(whitelist, a_denied_name_without_an_answer_denies_all_but_allowed_literals)
{
    struct whitelist *w = make("10.0.0.0/8 a.test", "b.test c.test 10.1.0.0/16");

    set_answer(w, "a.test", "192.0.2.1", NULL);
    set_answer(w, "b.test", "192.0.2.2", NULL);
    cr_assert(allows(w, "10.0.0.1"));
    cr_assert_not(allows(w, "10.1.0.1"), "a denied literal still wins");
    cr_assert_not(allows(w, "192.0.2.1"), "it may be c.test");
    set_answer(w, "c.test", "192.0.2.3", "10.0.0.3");
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(allows(w, "10.0.0.1"));
    cr_assert_not(allows(w, "10.0.0.3"), "a denied name wins, too");
    whitelist_free(w);
}

Test(whitelist, a_denied_name_without_an_answer_denies_all_when_any_are_allowed)
{
    struct whitelist *w = make("", "b.test");

    cr_assert_not(allows(w, "192.0.2.1"));
    set_answer(w, "b.test", "192.0.2.2", NULL);
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert_not(allows(w, "192.0.2.2"));
    whitelist_free(w);
}

Test(whitelist, an_answer_that_is_not_whole_admits_and_denies_but_makes_no_name_known)
{
    struct whitelist *w = make("10.0.0.0/8 a.test", "b.test");
    struct ip_address a = ip("192.0.2.1"), b = ip("10.0.0.2");

    cr_assert(whitelist_set_answer(w, "a.test", &a, 1, false));
    cr_assert(whitelist_set_answer(w, "b.test", &b, 1, false));
    cr_assert_not(allows(w, "10.0.0.2"));
    cr_assert_not(allows(w, "192.0.2.1"), "b.test may have this address, too");
    cr_assert(whitelist_set_answer(w, "b.test", &b, 1, true));
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert(whitelist_set_answer(w, "b.test", &b, 1, false));
    cr_assert(allows(w, "192.0.2.1"), "what was known stays known");
    whitelist_free(w);
}

Test(whitelist, names_are_told_once_each_and_in_order)
{
    struct whitelist *w = make("b.test 10.0.0.1 a.test b.test", "b.test c.test c.test");

    cr_assert_str_eq(whitelist_name(w, 0), "a.test");
    cr_assert_str_eq(whitelist_name(w, 1), "b.test");
    cr_assert_str_eq(whitelist_name(w, 2), "c.test");
    cr_assert_null(whitelist_name(w, 3));
    set_answer(w, "b.test", "192.0.2.2", NULL);
    set_answer(w, "c.test", "192.0.2.3", NULL);
    set_answer(w, "a.test", "192.0.2.1", NULL);
    set_answer(w, "stranger.test", "192.0.2.4", NULL);
    cr_assert(allows(w, "192.0.2.1"));
    cr_assert_not(allows(w, "192.0.2.2"), "allowed and denied");
    cr_assert_not(allows(w, "192.0.2.4"));
    whitelist_free(w);
}

enum { ANSWERS = 20000 };

struct readers {
    struct whitelist *whitelist;
    atomic_bool done;
    atomic_uint wrong;
};

/* Never a moment in which the first is allowed or the second is not. */
static void *look(void *context)
{
    struct readers *r = context;

    while (!atomic_load(&r->done))
        if (allows(r->whitelist, "10.0.0.1") || !allows(r->whitelist, "10.0.0.2"))
            atomic_fetch_add(&r->wrong, 1);
    return NULL;
}

Test(whitelist, workers_may_look_while_answers_change)
{
    struct readers r = {.whitelist = make("a.test 10.0.0.0/24", "b.test")};
    const char *others[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    pthread_t threads[2];

    set_answer(r.whitelist, "b.test", "10.0.0.1", NULL);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, look, &r), 0);
    for (int i = 0; i < ANSWERS; i++) {
        set_answer(r.whitelist, "a.test", "10.0.0.2", others[i % 3]);
        set_answer(r.whitelist, "b.test", others[i % 3], "10.0.0.1");
    }
    atomic_store(&r.done, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(r.wrong, 0);
    whitelist_free(r.whitelist);
}
