/* test_upstream_pool.c - which server is next, and what becomes of one that fails. */
#include "daemon/upstream_pool.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(upstream_pool, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

enum { SERVERS = 3 };

static char pool_name[] = "pool", host_a[] = "a", host_b[] = "b", host_c[] = "c",
            service_name[] = "_p._tcp.example.org";
static struct config_target targets[SERVERS] = {
    {.name = host_a, .port = 1}, {.name = host_b, .port = 2}, {.name = host_c, .port = 3}};

static struct config_upstream upstream_of(int balance)
{
    return (struct config_upstream){
        .name = pool_name, .balance = balance, .servers = targets, .server_count = SERVERS};
}

static struct config_upstream service_of(int balance)
{
    return (struct config_upstream){.name = pool_name, .balance = balance, .service = service_name};
}

static struct upstream_pool *pool_of(int balance)
{
    struct config_upstream upstream = upstream_of(balance);
    struct upstream_pool *pool = upstream_pool_new(&upstream, NULL);

    cr_assert(pool);
    return pool;
}

static const struct ip_address nobody = {0};

/* The next server for who has tried these; it stays entered. */
static struct upstream_server *pick(struct upstream_pool *pool, uint64_t now,
                                    struct upstream_server *const *tried, unsigned count)
{
    struct upstream_choice choice = {
        .now = now, .client = &nobody, .tried = tried, .tried_count = count};

    return upstream_pool_pick(pool, &choice);
}

static void expect(struct upstream_pool *pool, uint64_t now, const char *text)
{
    struct upstream_server *server = pick(pool, now, NULL, 0);

    cr_assert(server);
    cr_assert_str_eq(server->text, text, "%s instead of %s at %d", server->text, text, (int)now);
    upstream_server_release(server);
}

static struct upstream_server *server_at(struct upstream_pool *pool, unsigned index)
{
    unsigned count;
    struct upstream_server **servers = upstream_pool_servers(pool, &count), *server;

    cr_assert(index < count);
    server = servers[index];
    for (unsigned i = 0; i < count; i++)
        upstream_server_unref(servers[i]); /* the pool has them */
    free(servers);
    return server;
}

Test(upstream_pool, first_is_the_first_that_can_be_used)
{
    struct upstream_pool *pool = pool_of(BALANCE_FIRST);

    for (int i = 0; i < 4; i++)
        expect(pool, 1000, "a:1");
    upstream_server_failed(server_at(pool, 0), 1000);
    expect(pool, 1000, "b:2");
    upstream_server_failed(server_at(pool, 1), 1000);
    expect(pool, 1000, "c:3");
    upstream_pool_free(pool);
}

Test(upstream_pool, everyone_is_tried_once_and_then_nobody_is_left)
{
    static const char *const order[] = {"a:1", "b:2", "c:3"};
    struct upstream_pool *pool = pool_of(BALANCE_FIRST);
    struct upstream_server *tried[SERVERS];

    for (unsigned i = 0; i < SERVERS; i++) {
        tried[i] = pick(pool, 1000, tried, i);
        cr_assert_str_eq(tried[i]->text, order[i]);
        upstream_server_failed(tried[i], 1000);
    }
    cr_assert_null(pick(pool, 1000, tried, SERVERS));
    for (unsigned i = 0; i < SERVERS; i++)
        upstream_server_release(tried[i]);
    upstream_pool_free(pool);
}

Test(upstream_pool, pause_grows_from_one_second_to_sixty_and_ends_with_a_success)
{
    static const uint64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct upstream_pool *pool = pool_of(BALANCE_FIRST);
    struct upstream_server *a = server_at(pool, 0);
    uint64_t now = 5;

    for (size_t i = 0; i < COUNT(pauses); i++) {
        upstream_server_failed(a, now);
        upstream_server_failed(a, now + 1); /* of those that were on their way */
        expect(pool, now + pauses[i] - 1, "b:2");
        cr_assert(upstream_server_is_usable(a, now + pauses[i]));
        now += pauses[i];
    }
    upstream_server_worked(a);
    expect(pool, now, "a:1");
    upstream_server_failed(a, now);
    expect(pool, now + 999, "b:2");
    expect(pool, now + 1000, "a:1");
    upstream_pool_free(pool);
}

Test(upstream_pool, after_a_pause_one_finds_out_for_all)
{
    struct upstream_pool *pool = pool_of(BALANCE_FIRST);
    struct upstream_server *a = server_at(pool, 0);

    upstream_server_failed(a, 1000);
    expect(pool, 2000, "a:1");
    expect(pool, 2000, "b:2");
    expect(pool, 2999, "b:2");
    upstream_server_worked(a);
    expect(pool, 2999, "a:1");
    upstream_pool_free(pool);
}

Test(upstream_pool, when_all_are_set_aside_the_one_whose_pause_ends_first_is_asked)
{
    struct upstream_pool *pool = pool_of(BALANCE_FIRST);
    struct upstream_choice choice = {.now = 1200, .client = &nobody, .usable_only = true};

    upstream_server_failed(server_at(pool, 0), 1100);
    upstream_server_failed(server_at(pool, 1), 1000);
    upstream_server_failed(server_at(pool, 2), 1050);
    expect(pool, 1200, "b:2");
    cr_assert_null(upstream_pool_pick(pool, &choice));
    upstream_pool_free(pool);
}

Test(upstream_pool, round_robin_takes_turns_among_the_usable_ones)
{
    struct upstream_pool *pool = pool_of(BALANCE_ROUND_ROBIN);
    unsigned counts[SERVERS] = {0};

    for (int i = 0; i < 30; i++) {
        struct upstream_server *server = pick(pool, 1000, NULL, 0);

        counts[server->port - 1]++;
        upstream_server_release(server);
    }
    for (int i = 0; i < SERVERS; i++)
        cr_assert_eq(counts[i], 10);
    upstream_server_failed(server_at(pool, 1), 1000);
    for (int i = 0; i < 30; i++) {
        struct upstream_server *server = pick(pool, 1000, NULL, 0);

        counts[server->port - 1]++;
        upstream_server_release(server);
    }
    cr_assert(counts[0] == 25 && counts[1] == 10 && counts[2] == 25);
    upstream_pool_free(pool);
}

Test(upstream_pool, least_is_the_one_with_the_fewest_sessions)
{
    struct upstream_pool *pool = pool_of(BALANCE_LEAST);
    struct upstream_server *held[9], *freed;
    unsigned counts[SERVERS] = {0};

    for (int i = 0; i < 9; i++) {
        held[i] = pick(pool, 1000, NULL, 0);
        counts[held[i]->port - 1]++;
    }
    for (int i = 0; i < SERVERS; i++)
        cr_assert_eq(counts[i], 3);
    freed = held[4];
    upstream_server_leave(freed);
    held[4] = pick(pool, 1000, NULL, 0);
    cr_assert_eq(held[4], freed);
    upstream_server_unref(freed);
    for (int i = 0; i < 9; i++)
        upstream_server_release(held[i]);
    cr_assert_eq(atomic_load(&server_at(pool, 0)->sessions), 0);
    upstream_pool_free(pool);
}

static struct upstream_server *pick_for(struct upstream_pool *pool, uint8_t client)
{
    struct ip_address ip = {IP_V4, {192, 0, 2, client}};
    struct upstream_choice choice = {.now = 1000, .client = &ip};
    struct upstream_server *server = upstream_pool_pick(pool, &choice);

    upstream_server_release(server); /* the pool has it */
    return server;
}

Test(upstream_pool, source_keeps_a_client_at_its_server_and_moves_only_who_loses_it)
{
    struct upstream_pool *pool = pool_of(BALANCE_SOURCE);
    struct upstream_server *before[200] = {NULL}, *lost = server_at(pool, 1);
    unsigned counts[SERVERS] = {0};

    for (unsigned i = 0; i < COUNT(before); i++) {
        before[i] = pick_for(pool, (uint8_t)i);
        counts[before[i]->port - 1]++;
        cr_assert_eq(pick_for(pool, (uint8_t)i), before[i]);
    }
    for (int i = 0; i < SERVERS; i++)
        cr_assert(counts[i] > 30, "%u of 200", counts[i]);
    upstream_server_failed(lost, 1000);
    for (unsigned i = 0; i < COUNT(before); i++) {
        struct upstream_server *now = pick_for(pool, (uint8_t)i);

        cr_assert(before[i] == lost ? now != lost : now == before[i]);
    }
    upstream_pool_free(pool);
}

Test(upstream_pool, check_that_fails_keeps_away_and_one_that_is_good_ends_a_pause)
{
    struct upstream_pool *pool = pool_of(BALANCE_FIRST);
    struct upstream_server *a = server_at(pool, 0);

    cr_assert_not(upstream_server_checked(a, true), "no news");
    cr_assert(upstream_server_checked(a, false));
    cr_assert_not(upstream_server_checked(a, false));
    expect(pool, 1000, "b:2");
    upstream_server_failed(a, 1000);
    cr_assert(upstream_server_checked(a, true));
    expect(pool, 1000, "a:1");
    upstream_pool_free(pool);
}

Test(upstream_pool, reload_keeps_what_is_known_of_servers_that_stay)
{
    struct upstream_pool *pool = pool_of(BALANCE_FIRST), *next;
    struct config_upstream upstream = upstream_of(BALANCE_FIRST);
    struct upstream_server *b = server_at(pool, 1);

    upstream_server_failed(server_at(pool, 0), 1000);
    upstream.servers = targets + 1;
    upstream.server_count = 2;
    next = upstream_pool_new(&upstream, pool);
    cr_assert_eq(server_at(next, 0), b);
    upstream_pool_free(pool);
    upstream_server_failed(b, 1000);
    upstream.servers = targets;
    upstream.server_count = 3;
    pool = upstream_pool_new(&upstream, next);
    upstream_pool_free(next);
    expect(pool, 1000, "a:1"); /* it is new again */
    cr_assert_eq(server_at(pool, 1), b);
    cr_assert_not(upstream_server_is_usable(b, 1000));
    upstream_pool_free(pool);
}

Test(upstream_pool, server_that_is_written_twice_is_one)
{
    struct config_target twice[] = {targets[0], targets[1], targets[0]};
    struct config_upstream upstream = upstream_of(BALANCE_FIRST);
    struct upstream_pool *pool;
    unsigned count;
    struct upstream_server **servers;

    upstream.servers = twice;
    pool = upstream_pool_new(&upstream, NULL);
    servers = upstream_pool_servers(pool, &count);
    cr_assert_eq(count, 2);
    for (unsigned i = 0; i < count; i++)
        upstream_server_unref(servers[i]);
    free(servers);
    upstream_pool_free(pool);
}

/* ---- SRV */

static const struct upstream_record records[] = {
    {"x", 1, 10, 0}, {"y", 2, 0, 90}, {"z", 3, 0, 10}, {"y", 2, 0, 90}};

Test(upstream_pool, service_is_pending_until_it_is_known)
{
    struct config_upstream service = service_of(BALANCE_FIRST);
    struct upstream_pool *pool = upstream_pool_new(&service, NULL), *next;
    struct stream_error error;

    cr_assert(upstream_pool_is_pending(pool));
    cr_assert_null(pick(pool, 1000, NULL, 0));
    upstream_pool_set_error(pool, stream_error_of(ERROR_RESOLVER_TIMEOUT));
    cr_assert_not(upstream_pool_is_pending(pool));
    error = upstream_pool_error(pool);
    cr_assert(stream_error_is(&error, ERROR_RESOLVER_TIMEOUT));
    cr_assert(upstream_pool_set(pool, records, 1));
    expect(pool, 1000, "x:1");
    upstream_pool_set_error(pool, stream_error_of(ERROR_RESOLVER_TIMEOUT));
    expect(pool, 1000, "x:1"); /* what was good is kept */
    error = upstream_pool_error(pool);
    cr_assert_not(stream_error_set(&error));
    next = upstream_pool_new(&service, pool);
    cr_assert_not(upstream_pool_is_pending(next));
    expect(next, 1000, "x:1");
    upstream_pool_free(pool);
    upstream_pool_free(next);
}

Test(upstream_pool, higher_priorities_come_first_and_weights_share_one)
{
    struct config_upstream service = service_of(BALANCE_FIRST);
    struct upstream_pool *pool = upstream_pool_new(&service, NULL);
    unsigned counts[4] = {0};

    cr_assert(upstream_pool_set(pool, records, COUNT(records)));
    for (int i = 0; i < 2000; i++) {
        struct upstream_server *server = pick(pool, 1000, NULL, 0);

        counts[server->port]++;
        upstream_server_release(server);
    }
    cr_assert_eq(counts[1], 0);
    cr_assert(counts[2] > 1600 && counts[2] < 1960, "%u of 2,000", counts[2]);
    upstream_server_failed(server_at(pool, 1), 1000);
    expect(pool, 1000, "z:3");
    upstream_server_failed(server_at(pool, 2), 1000);
    expect(pool, 1000, "x:1");
    upstream_pool_free(pool);
}

Test(upstream_pool, new_list_keeps_what_is_known_of_servers_that_stay)
{
    struct config_upstream service = service_of(BALANCE_ROUND_ROBIN);
    struct upstream_pool *pool = upstream_pool_new(&service, NULL);
    struct upstream_server *y;

    cr_assert(upstream_pool_set(pool, records, 3));
    y = server_at(pool, 1);
    upstream_server_failed(y, 1000);
    cr_assert(upstream_pool_set(pool, records + 1, 2));
    cr_assert_eq(server_at(pool, 0), y);
    for (int i = 0; i < 5; i++)
        expect(pool, 1000, "z:3");
    cr_assert(upstream_pool_set(pool, NULL, 0));
    cr_assert_null(pick(pool, 1000, NULL, 0));
    upstream_pool_free(pool);
}

Test(upstream_pool, servers_of_no_weight_have_equal_chances_among_themselves)
{
    static const struct upstream_record equal[] = {{"x", 0, 5, 0}, {"y", 1, 5, 0}, {"z", 2, 5, 0}};
    struct config_upstream service = service_of(BALANCE_FIRST);
    struct upstream_pool *pool = upstream_pool_new(&service, NULL);
    unsigned counts[3] = {0};

    cr_assert(upstream_pool_set(pool, equal, COUNT(equal)));
    for (int i = 0; i < 900; i++) {
        struct upstream_server *server = pick(pool, 1000, NULL, 0);

        counts[server->port]++;
        upstream_server_release(server);
    }
    for (int i = 0; i < 3; i++)
        cr_assert(counts[i] > 200, "%u of 900", counts[i]);
    upstream_pool_free(pool);
}

Test(upstream_pool, last_error_of_a_server_is_kept)
{
    struct upstream_server *server = upstream_server_new("u", "proxy.example", NULL, 1080);
    struct stream_error error = stream_error_of(ERROR_SYSTEM_CONNECT_REFUSED), told;
    int64_t at;

    cr_assert_not(upstream_server_last_error(server, &told, &at));
    upstream_server_note_error(server, error, 1700000000);
    upstream_server_worked(server);
    cr_assert(upstream_server_last_error(server, &told, &at));
    cr_assert(stream_error_is(&told, ERROR_SYSTEM_CONNECT_REFUSED));
    cr_assert_eq(at, 1700000000);
    upstream_server_unref(server);
}
