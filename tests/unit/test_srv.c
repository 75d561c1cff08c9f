/* test_srv.c - answers with SRV records, good ones and what else may come. */
#include "streams/srv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(srv, .timeout = 10);

/* A message as it grows. */
struct packet {
    uint8_t bytes[8192];
    size_t n;
};

static void put(struct packet *p, const void *bytes, size_t n)
{
    cr_assert(p->n + n <= sizeof p->bytes);
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

static void put16(struct packet *p, unsigned value)
{
    put(p, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

/* "a.b" as labels; without the end, `pointer` (0: the root) follows. */
static void put_name(struct packet *p, const char *name, unsigned pointer)
{
    while (*name) {
        size_t n = strcspn(name, ".");

        put(p, (uint8_t[]){(uint8_t)n}, 1);
        put(p, name, n);
        name += n + (name[n] == '.');
    }
    if (pointer)
        put16(p, 0xC000 | pointer);
    else
        put(p, "", 1);
}

enum { QUESTION = 12, SRV = 33, CNAME = 5, A = 1, IN = 1 };

/* Header and the question "_a._tcp.b.c". */
static struct packet packet_of(unsigned flags, unsigned answers)
{
    struct packet p = {.n = 0};

    put16(&p, 0x1234);
    put16(&p, flags);
    put16(&p, 1);
    put16(&p, answers);
    put16(&p, 0);
    put16(&p, 0);
    put_name(&p, "_a._tcp.b.c", 0);
    put16(&p, SRV);
    put16(&p, IN);
    return p;
}

static void put_head(struct packet *p, unsigned type, unsigned class, unsigned ttl, size_t size)
{
    put_name(p, "", QUESTION);
    put16(p, type);
    put16(p, class);
    put16(p, ttl >> 16);
    put16(p, ttl & 0xFFFF);
    put16(p, (unsigned)size);
}

static void put_srv(struct packet *p, unsigned ttl, unsigned priority, unsigned weight,
                    unsigned port, const char *target, unsigned pointer)
{
    struct packet data = {.n = 0};

    put16(&data, priority);
    put16(&data, weight);
    put16(&data, port);
    put_name(&data, target, pointer);
    put_head(p, SRV, IN, ttl, data.n);
    put(p, data.bytes, data.n);
}

static bool parse(const struct packet *p, struct srv_answer *answer, struct stream_error *error)
{
    return srv_parse(p->bytes, p->n, answer, error);
}

static void expect_error(const struct packet *p, enum stream_error_id id)
{
    struct srv_answer answer;
    struct stream_error error = {0};

    cr_assert_not(parse(p, &answer, &error));
    cr_assert(stream_error_is(&error, id));
}

Test(srv, records_are_read_in_their_order_with_the_shortest_time_to_live)
{
    struct packet p = packet_of(0x8180, 4);
    struct srv_answer answer;
    struct stream_error error;

    put_head(&p, CNAME, IN, 50, 4);
    put(&p, "\1x\1y", 4); /* where it leads is of no interest */
    put_srv(&p, 300, 10, 60, 1080, "one.example", 0);
    put_srv(&p, 65536 * 3, 20, 0, 1081, "two", QUESTION + 8); /* two.b.c */
    put_srv(&p, 100, 0, 65535, 65535, "", QUESTION + 8);      /* b.c */
    cr_assert(parse(&p, &answer, &error));
    cr_assert_eq(answer.count, 3);
    cr_assert_eq(answer.ttl, 50);
    cr_assert_str_eq(answer.records[0].target, "one.example");
    cr_assert(answer.records[0].priority == 10 && answer.records[0].weight == 60 &&
              answer.records[0].port == 1080);
    cr_assert_str_eq(answer.records[1].target, "two.b.c");
    cr_assert_str_eq(answer.records[2].target, "b.c");
    cr_assert(answer.records[2].priority == 0 && answer.records[2].weight == 65535 &&
              answer.records[2].port == 65535);
}

Test(srv, time_to_live_with_the_highest_bit_is_none)
{
    struct packet p = packet_of(0x8180, 1);
    struct srv_answer answer;
    struct stream_error error;

    put_srv(&p, 0x80000001, 0, 0, 1, "a", 0);
    cr_assert(parse(&p, &answer, &error));
    cr_assert_eq(answer.ttl, 0);
}

Test(srv, what_is_of_no_use_is_passed_over)
{
    struct packet p = packet_of(0x8180, 7);
    size_t at;
    struct srv_answer answer;
    struct stream_error error;

    put_head(&p, A, IN, 1, 4);
    put(&p, "\x7f\0\0\1", 4);
    put_srv(&p, 9, 0, 0, 0, "a", 0);       /* no port */
    put_srv(&p, 9, 0, 0, 1, "1.2.3.4", 0); /* no name */
    put_srv(&p, 9, 0, 0, 1, "a b", 0);     /* nor this */
    put_srv(&p, 9, 0, 0, 1, "", 0);        /* the root */
    at = p.n;
    put_srv(&p, 9, 0, 0, 1, "n.test", 0); /* a NUL in a label */
    ((char *)memchr(p.bytes + at, 'n', p.n - at))[0] = '\0';
    put_srv(&p, 9, 0, 0, 2, "good.test", 0);
    cr_assert(parse(&p, &answer, &error));
    cr_assert_eq(answer.count, 1);
    cr_assert_str_eq(answer.records[0].target, "good.test");
}

Test(srv, more_records_than_are_kept_are_ignored)
{
    struct packet p = packet_of(0x8180, SRV_RECORDS_MAX + 5);
    struct srv_answer answer;
    struct stream_error error;

    for (int i = 0; i < SRV_RECORDS_MAX + 5; i++)
        put_srv(&p, 9, (unsigned)i, 0, 1, "x", QUESTION + 8);
    cr_assert(parse(&p, &answer, &error));
    cr_assert_eq(answer.count, SRV_RECORDS_MAX);
    cr_assert_eq(answer.records[SRV_RECORDS_MAX - 1].priority, SRV_RECORDS_MAX - 1);
}

Test(srv, of_more_records_than_are_kept_the_first_by_priority_are)
{
    struct packet p = packet_of(0x8180, SRV_RECORDS_MAX + 5);
    struct srv_answer answer;
    struct stream_error error;

    for (int i = SRV_RECORDS_MAX + 5; i > 0; i--)
        put_srv(&p, 9, (unsigned)i, 0, 1, "x", QUESTION + 8);
    cr_assert(parse(&p, &answer, &error));
    cr_assert_eq(answer.count, SRV_RECORDS_MAX);
    for (unsigned i = 0; i < answer.count; i++)
        cr_assert_leq(answer.records[i].priority, SRV_RECORDS_MAX);
}

Test(srv, answers_without_servers_say_why)
{
    struct packet p = packet_of(0x8183, 0);

    expect_error(&p, ERROR_RESOLVER_NOT_FOUND);
    p = packet_of(0x8182, 0);
    expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);
    p = packet_of(0x0100, 0); /* a question */
    expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);
    p = packet_of(0x8180, 0);
    expect_error(&p, ERROR_RESOLVER_NO_ADDRESS);
    p = packet_of(0x8180, 1);
    put_srv(&p, 9, 0, 0, 1, "", 0); /* RFC 2782: "decidedly not available" */
    expect_error(&p, ERROR_RESOLVER_NO_ADDRESS);
}

Test(srv, message_that_is_cut_anywhere_is_none)
{
    struct packet p = packet_of(0x8180, 2);
    struct srv_answer answer;
    struct stream_error error;

    put_srv(&p, 9, 1, 2, 3, "one.example", 0);
    put_srv(&p, 9, 1, 2, 3, "two", QUESTION);
    cr_assert(parse(&p, &answer, &error));
    while (p.n--)
        expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);
}

Test(srv, names_that_do_not_end_are_none)
{
    struct packet p = packet_of(0x8180, 1);
    size_t self;

    self = p.n + 12 + 6; /* of the target's name */
    put_srv(&p, 9, 0, 0, 1, "", (unsigned)self);
    expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);

    p = packet_of(0x8180, 1);
    put_srv(&p, 9, 0, 0, 1, "x", (unsigned)self); /* x, and again x */
    expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);

    p = packet_of(0x8180, 1);
    put_srv(&p, 9, 0, 0, 1, "", 0x3FFF); /* behind the message */
    expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);
}

Test(srv, name_of_255_bytes_is_the_longest)
{
    struct packet p = packet_of(0x8180, 1);
    char label[64], name[512] = "";
    struct srv_answer answer;
    struct stream_error error;

    memset(label, 'x', 63);
    label[63] = '\0';
    snprintf(name, sizeof name, "%s.%s.%s.%.61s", label, label, label, label);
    put_srv(&p, 9, 0, 0, 1, name, 0);
    cr_assert(parse(&p, &answer, &error));
    cr_assert_str_eq(answer.records[0].target, name);

    p = packet_of(0x8180, 1);
    snprintf(name, sizeof name, "%s.%s.%s.%s.%s", label, label, label, label, label);
    put_srv(&p, 9, 0, 0, 1, name, 0);
    expect_error(&p, ERROR_RESOLVER_SERVER_FAILED);
}
