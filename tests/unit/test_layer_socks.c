/* test_layer_socks.c - the SOCKS client against a proxy that says what a script says. The script is
 * written down beforehand: the client reads no byte that is not its own. */
#include "streams/layer_socks.h"
#include "tests/unit/scripted_layer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(layer_socks, .timeout = 30);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define EARLY "SSH-2.0-early\r\n"

struct talk {
    struct stream_pair pair;
    struct scripted_layer script;
    struct layer *layer;
    enum setup_phase phases[8];
    size_t phase_count;
};

static void note_phase(void *context, enum setup_phase phase)
{
    struct talk *talk = context;

    talk->phases[talk->phase_count++] = phase;
}

static struct layer_socks_options to_ip(enum socks_client version, const char *user,
                                        const char *password)
{
    struct layer_socks_options options = {.version = version, .user = user, .password = password};

    options.request = (struct socks_request){.command = SOCKS_CONNECT, .port = 443};
    ip_parse("192.0.2.7", 9, &options.request.host.ip);
    return options;
}

static struct layer_socks_options to_name(enum socks_client version, const char *name)
{
    struct layer_socks_options options = {.version = version};

    options.request = (struct socks_request){.command = SOCKS_CONNECT, .port = 443};
    options.request.host.name_length = (uint8_t)strlen(name);
    memcpy(options.request.host.name, name, strlen(name));
    return options;
}

static struct layer_socks_options binding(struct layer_socks_options options)
{
    options.request.command = SOCKS_BIND;
    return options;
}

static struct talk *talk_new(struct layer_socks_options options, const void *in, size_t n)
{
    static struct talk talk;

    scripted_pair(&talk.pair, &talk.script);
    talk.phase_count = 0;
    talk.script.input = in;
    talk.script.input_length = n;
    talk.script.takes = SCRIPTED_MAX;
    options.observer = note_phase;
    options.context = &talk;
    talk.layer = layer_socks_new(&options);
    cr_assert(talk.layer);
    talk.layer->below = &talk.script.layer;
    talk.layer->error = &talk.pair.error;
    return &talk;
}

/* As after the first reply to a BIND. */
static struct talk *talk_second(enum socks_client version, const void *in, size_t n)
{
    struct talk *talk = talk_new((struct layer_socks_options){.version = version}, in, n);

    talk->layer->ops->done(talk->layer);
    talk->layer = layer_socks_second_reply_new(version, note_phase, talk);
    cr_assert(talk->layer);
    talk->layer->below = &talk->script.layer;
    talk->layer->error = &talk->pair.error;
    return talk;
}

/* Steps until nothing comes of it any more. */
static enum io run(struct talk *talk)
{
    enum io result = IO_AGAIN;

    for (unsigned quiet = 0; result == IO_AGAIN && quiet < 3;) {
        size_t before = talk->script.input_at + talk->script.output_length;

        result = talk->layer->ops->open(talk->layer);
        quiet = before == talk->script.input_at + talk->script.output_length ? quiet + 1 : 0;
    }
    return result;
}

static void finish(struct talk *talk)
{
    talk->layer->ops->done(talk->layer);
    pair_close(&talk->pair);
}

static const char *error_of(struct talk *talk)
{
    static char name[STREAM_ERROR_NAME_MAX];

    return stream_error_name(&talk->pair.error, name);
}

struct exchange {
    const char *what;
    struct layer_socks_options options;
    const char *heard, *said;
    size_t heard_n, said_n;
    const char *bound;
    enum setup_phase phases[5];
};

#define BYTES(text) text, sizeof text - 1
#define TALK(in, out) .heard = in, .heard_n = sizeof in - 1, .said = out, .said_n = sizeof out - 1
#define ASK5 "\5\1\0\1\xC0\0\2\7\1\xBB"

static struct exchange exchanges[10];

static size_t fill_exchanges(void)
{
    struct exchange all[] = {
        {.what = "4",
         .options = to_ip(SOCKS_CLIENT_4, "bob", NULL),
         .bound = "10.1.2.3:258",
         TALK("\0\x5A\1\2\x0A\1\2\3", "\4\1\1\xBB\xC0\0\2\7"
                                      "bob\0"),
         .phases = {SETUP_ASKED, SETUP_DONE}},
        {.what = "4a",
         .options = to_name(SOCKS_CLIENT_4A, "a.test"),
         .bound = "0.0.0.0:0",
         TALK("\0\x5A\0\0\0\0\0\0", "\4\1\1\xBB\0\0\0\1\0a.test\0"),
         .phases = {SETUP_ASKED, SETUP_DONE}},
        {.what = "5",
         .options = to_ip(SOCKS_CLIENT_5, NULL, NULL),
         .bound = "10.1.2.3:258",
         TALK("\5\0"
              "\5\0\0\1\x0A\1\2\3\1\2",
              "\5\1\0" ASK5),
         .phases = {SETUP_METHOD, SETUP_ASKED, SETUP_DONE}},
        {.what = "5, a name",
         .options = to_name(SOCKS_CLIENT_5, "a.test"),
         .bound = "[::1]:258",
         TALK("\5\0"
              "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\2",
              "\5\1\0"
              "\5\1\0\3\6a.test\1\xBB"),
         .phases = {SETUP_METHOD, SETUP_ASKED, SETUP_DONE}},
        {.what = "5, a password",
         .options = to_ip(SOCKS_CLIENT_5, "bob", "xy"),
         .bound = "b:258",
         TALK("\5\2"
              "\1\0"
              "\5\0\0\3\1b\1\2",
              "\5\2\0\2"
              "\1\3bob\2xy" ASK5),
         .phases = {SETUP_METHOD, SETUP_AUTHENTICATED, SETUP_ASKED, SETUP_DONE}},
        {.what = "5, an empty password",
         .options = to_ip(SOCKS_CLIENT_5, "bob", NULL),
         .bound = "0.0.0.0:0",
         TALK("\5\2"
              "\1\0"
              "\5\0\0\1\0\0\0\0\0\0",
              "\5\2\0\2"
              "\1\3bob\0" ASK5),
         .phases = {SETUP_METHOD, SETUP_AUTHENTICATED, SETUP_ASKED, SETUP_DONE}},
        {.what = "5, a password that is not wanted",
         .options = to_ip(SOCKS_CLIENT_5, "bob", "xy"),
         .bound = "0.0.0.0:0",
         TALK("\5\0"
              "\5\0\0\1\0\0\0\0\0\0",
              "\5\2\0\2" ASK5),
         .phases = {SETUP_METHOD, SETUP_ASKED, SETUP_DONE}},
        {.what = "4, a bind",
         .options = binding(to_ip(SOCKS_CLIENT_4, NULL, NULL)),
         .bound = "0.0.0.0:258",
         TALK("\0\x5A\1\2\0\0\0\0", "\4\2\1\xBB\xC0\0\2\7\0"),
         .phases = {SETUP_ASKED, SETUP_DONE}},
        {.what = "5, a bind for a name",
         .options = binding(to_name(SOCKS_CLIENT_5, "a.test")),
         .bound = "10.1.2.3:258",
         TALK("\5\0"
              "\5\0\0\1\x0A\1\2\3\1\2",
              "\5\1\0"
              "\5\2\0\3\6a.test\1\xBB"),
         .phases = {SETUP_METHOD, SETUP_ASKED, SETUP_DONE}},
    };

    memcpy(exchanges, all, sizeof all);
    return COUNT(all);
}

static void expect_bound(struct talk *talk, const struct exchange *e)
{
    struct socks_host host;
    uint16_t port;
    char text[HOST_NAME_LENGTH_MAX + ENDPOINT_TEXT_MAX];

    cr_assert(layer_socks_bound(talk->layer, &host, &port));
    if (host.name_length)
        snprintf(text, sizeof text, "%.*s:%u", host.name_length, host.name, (unsigned)port);
    else
        endpoint_format(&(struct ip_endpoint){.ip = host.ip, .port = port}, text);
    cr_assert_str_eq(text, e->bound, "%s", e->what);
}

static void expect_open(struct talk *talk, const struct exchange *e, size_t heard_n)
{
    size_t count = 0;

    cr_assert_eq(run(talk), IO_OK, "%s: %s", e->what, error_of(talk));
    cr_assert_eq(talk->layer->ops->open(talk->layer), IO_OK, "again is harmless");
    cr_assert_eq(talk->script.input_at, heard_n, "%s: what is early is not ours", e->what);
    cr_assert_eq(talk->script.output_length, e->said_n, "%s", e->what);
    cr_assert_eq(memcmp(talk->script.output, e->said, e->said_n), 0, "%s", e->what);
    while (e->phases[count] != SETUP_BEGUN)
        count++;
    cr_assert_eq(talk->phase_count, count, "%s", e->what);
    cr_assert_eq(memcmp(talk->phases, e->phases, count * sizeof e->phases[0]), 0, "%s", e->what);
    expect_bound(talk, e);
}

Test(layer_socks, every_exchange_is_the_same_in_portions_of_any_size_and_reads_nothing_more)
{
    size_t n = fill_exchanges();

    for (size_t i = 0; i < n; i++) {
        const struct exchange *e = &exchanges[i];
        char in[128];

        memcpy(in, e->heard, e->heard_n);
        memcpy(in + e->heard_n, EARLY, sizeof EARLY);
        for (size_t portion = 0; portion <= e->heard_n; portion++)
            for (int again = 0; again < 2; again++) {
                struct talk *talk = talk_new(e->options, in, e->heard_n + sizeof EARLY);

                talk->script.portion = portion;
                talk->script.again_between = again;
                expect_open(talk, e, e->heard_n);
                finish(talk);
            }
    }
}

/* At every byte of the answer: silence waits, an end and a reset have their names. */
Test(layer_socks, an_answer_that_stops_at_any_byte_is_waited_for_or_fails)
{
    size_t n = fill_exchanges();

    for (size_t i = 0; i < n; i++)
        for (size_t cut = 0; cut < exchanges[i].heard_n; cut++) {
            const struct exchange *e = &exchanges[i];
            struct talk *talk = talk_new(e->options, e->heard, cut);

            cr_assert_eq(run(talk), IO_AGAIN, "%s, %zu", e->what, cut);
            cr_assert_eq(talk->layer->open_waits, INTEREST_READ);
            cr_assert_not(stream_error_set(&talk->pair.error));
            talk->script.ends = true;
            cr_assert_eq(run(talk), IO_ERROR);
            cr_assert_str_eq(error_of(talk), "stream.end.early");
            finish(talk);
            talk = talk_new(e->options, e->heard, e->heard_n);
            talk->script.portion = 1;
            talk->script.fail_read = (unsigned)cut + 1;
            cr_assert_eq(run(talk), IO_ERROR);
            cr_assert_str_eq(error_of(talk), "system.read.reset");
            finish(talk);
        }
}

Test(layer_socks, what_is_said_goes_out_whole_however_little_is_taken_at_once)
{
    size_t n = fill_exchanges();

    for (size_t i = 0; i < n; i++) {
        const struct exchange *e = &exchanges[i];
        struct talk *talk = talk_new(e->options, e->heard, e->heard_n);

        for (size_t sent = 0; sent < e->said_n; sent++) {
            talk->script.takes = 0;
            cr_assert_eq(run(talk), IO_AGAIN, "%s, %zu", e->what, sent);
            cr_assert_eq(talk->layer->open_waits, INTEREST_WRITE);
            cr_assert_eq(talk->script.output_length, sent);
            talk->script.takes = 1;
            cr_assert_eq(talk->layer->ops->open(talk->layer),
                         sent + 1 < e->said_n ? IO_AGAIN : IO_OK);
        }
        expect_open(talk, e, e->heard_n);
        finish(talk);
        talk = talk_new(e->options, e->heard, e->heard_n);
        talk->script.fail_write = 1;
        cr_assert_eq(run(talk), IO_ERROR);
        cr_assert_str_eq(error_of(talk), "system.write.reset");
        finish(talk);
    }
}

/* The bytes of an answer as a template: `at` is the byte that is varied. */
static void expect_error(struct layer_socks_options options, const char *heard, size_t n,
                         const char *name, const char *what, int code)
{
    for (size_t portion = 0; portion < 2; portion++) {
        struct talk *talk = talk_new(options, heard, n);
        struct socks_host host;
        uint16_t port;

        talk->script.portion = portion;
        talk->script.ends = true;
        cr_assert_eq(run(talk), IO_ERROR, "%s %d", what, code);
        cr_assert_str_eq(error_of(talk), name, "%s %d: %s", what, code, error_of(talk));
        cr_assert_not(layer_socks_bound(talk->layer, &host, &port));
        finish(talk);
    }
}

static const char *socks4_names[256] = {
    [91] = "request-failed", [92] = "identd-failed", [93] = "id-conflict"};
static const char *socks5_names[256] = {
    [1] = "general-failure",       [2] = "not-allowed",
    [3] = "network-unreachable",   [4] = "host-unreachable",
    [5] = "connection-refused",    [6] = "ttl-expired",
    [7] = "command-not-supported", [8] = "address-type-not-supported"};
static const char *method_names[256] = {[255] = "none-acceptable"};

/* Everything that one byte of a proxy can say, whole and cut short behind it. */
static const struct family {
    const char *what, *prefix;
    const char *const *names; /* NULL: numbers alone */
    enum socks_client version;
    const char *user;
    const char *heard;
    size_t n, at;
    int good, also_good; /* -1: none */
} families[] = {
    {"reply of 4", "socks.socks4-response.", socks4_names, SOCKS_CLIENT_4, NULL,
     BYTES("\0?\0\0\0\0\0\0"), 1, 90, -1},
    {"version of 4", "socks.version.", NULL, SOCKS_CLIENT_4A, NULL, BYTES("?\x5A\0\0\0\0\0\0"), 0,
     0, -1},
    {"version of 5", "socks.version.", NULL, SOCKS_CLIENT_5, NULL, BYTES("?\0"), 0, 5, -1},
    {"method", "socks.socks5-method.", method_names, SOCKS_CLIENT_5, NULL, BYTES("\5?"), 1, 0, -1},
    {"method with a user", "socks.socks5-method.", method_names, SOCKS_CLIENT_5, "bob",
     BYTES("\5?"), 1, 0, 2},
    {"version of 1929", "socks.version.", NULL, SOCKS_CLIENT_5, "bob", BYTES("\5\2?\0"), 2, 1, -1},
    {"status", "socks.socks5-userpass.", NULL, SOCKS_CLIENT_5, "bob", BYTES("\5\2\1?"), 3, 0, -1},
    {"version of the reply", "socks.version.", NULL, SOCKS_CLIENT_5, NULL,
     BYTES("\5\0?\0\0\1\0\0\0\0\0\0"), 2, 5, -1},
    {"reply of 5", "socks.socks5-response.", socks5_names, SOCKS_CLIENT_5, NULL,
     BYTES("\5\0\5?\0\1\0\0\0\0\0\0"), 3, 0, -1},
};

Test(layer_socks, every_byte_by_which_a_proxy_refuses_has_its_name)
{
    for (size_t i = 0; i < COUNT(families); i++)
        for (int code = 0; code < 256; code++) {
            const struct family *f = &families[i];
            char heard[16], name[STREAM_ERROR_NAME_MAX];

            if (code == f->good || code == f->also_good)
                continue;
            memcpy(heard, f->heard, f->n);
            heard[f->at] = (char)code;
            if (f->names && f->names[code])
                snprintf(name, sizeof name, "%s%s", f->prefix, f->names[code]);
            else
                snprintf(name, sizeof name, "%s%d", f->prefix, code);
            expect_error(to_ip(f->version, f->user, "pw"), heard, f->n, name, f->what, code);
            expect_error(to_ip(f->version, f->user, "pw"), heard, f->at + 1, name, f->what, code);
        }
}

Test(layer_socks, a_bound_address_of_no_known_type_is_bad)
{
    for (int type = 0; type < 256; type++) {
        char heard[] = "\5\0\5\0\0?\0\0\0\0\0\0";

        heard[5] = (char)type;
        if (type != 1 && type != 4) /* of type 3 this is a name of no bytes */
            expect_error(to_ip(SOCKS_CLIENT_5, NULL, NULL), heard, sizeof heard - 1,
                         "socks.none.bad-response-address", "type", type);
    }
}

Test(layer_socks, what_a_version_cannot_say_fails_before_anything_is_sent)
{
    static char long_text[257];
    struct layer_socks_options v6 = to_ip(SOCKS_CLIENT_4A, NULL, NULL),
                               zero = to_ip(SOCKS_CLIENT_4, NULL, NULL),
                               nul = to_name(SOCKS_CLIENT_4A, "a?b"),
                               version = to_ip((enum socks_client)3, NULL, NULL);

    ip_parse("2001:db8::1", 11, &v6.request.host.ip);
    ip_parse("0.0.0.5", 7, &zero.request.host.ip);
    nul.request.host.name[1] = '\0';
    memset(long_text, 'x', 256);
    struct {
        struct layer_socks_options options;
        const char *name;
    } rows[] = {
        {to_name(SOCKS_CLIENT_4, "a.test"), "protocol.address.unsupported"},
        {v6, "protocol.address.unsupported"},
        {zero, "protocol.address.unsupported"},
        {nul, "resolver.name.invalid"},
        {to_name(SOCKS_CLIENT_4A, ""), "resolver.name.invalid"},
        {to_name(SOCKS_CLIENT_5, ""), "resolver.name.invalid"},
        {version, "socks.none.unknown-client-version"},
        {to_ip(SOCKS_CLIENT_4, long_text, NULL), "stream.state.bad-state"},
        {to_ip(SOCKS_CLIENT_5, long_text, NULL), "stream.state.bad-state"},
        {to_ip(SOCKS_CLIENT_5, "bob", long_text), "stream.state.bad-state"},
        {to_ip(SOCKS_CLIENT_5, "", NULL), "stream.state.bad-state"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct talk *talk = talk_new(rows[i].options, BYTES("\5\0"));
        struct stream_error error;
        char name[STREAM_ERROR_NAME_MAX];

        cr_assert_eq(run(talk), IO_ERROR, "row %zu", i);
        cr_assert_str_eq(error_of(talk), rows[i].name, "row %zu: %s", i, error_of(talk));
        cr_assert_eq(talk->script.writes + talk->script.reads, 0);
        cr_assert_not(layer_socks_check(&rows[i].options, &error));
        cr_assert_str_eq(stream_error_name(&error, name), rows[i].name);
        finish(talk);
    }
}

Test(layer_socks, the_longest_of_everything_fits)
{
    static char text[256];
    struct layer_socks_options options;
    struct talk *talk;

    memset(text, 'x', 255);
    options = to_name(SOCKS_CLIENT_5, text);
    options.user = options.password = text;
    talk = talk_new(options, BYTES("\5\2\1\0\5\0\0\1\0\0\0\0\0\0"));
    cr_assert_eq(run(talk), IO_OK);
    cr_assert_eq(talk->script.output_length, 4 + 513 + 262);
    finish(talk);
    options = to_name(SOCKS_CLIENT_4A, text);
    options.user = text;
    talk = talk_new(options, BYTES("\0\x5A\0\0\0\0\0\0"));
    cr_assert_eq(run(talk), IO_OK);
    cr_assert_eq(talk->script.output_length, 8 + 256 + 256);
    finish(talk);
    talk = talk_new(to_ip(SOCKS_CLIENT_5, NULL, NULL), NULL, 0);
    cr_assert_eq(talk->layer->ops->expired, ERROR_SYSTEM_CONNECT_TIMEOUT);
    finish(talk);
}

static const struct {
    enum socks_client version;
    const char *heard;
    size_t n;
    const char *bound, *error; /* one of them */
} seconds[] = {
    {SOCKS_CLIENT_4, BYTES("\0\x5A\1\2\xC0\0\2\7"), "192.0.2.7:258", NULL},
    {SOCKS_CLIENT_4A, BYTES("\0\x5A\1\2\xC0\0\2\7"), "192.0.2.7:258", NULL},
    {SOCKS_CLIENT_4, BYTES("\0\x5B\0\0\0\0\0\0"), NULL, "socks.socks4-response.request-failed"},
    {SOCKS_CLIENT_4, BYTES("\5\x5A\0\0\0\0\0\0"), NULL, "socks.version.5"},
    {SOCKS_CLIENT_5, BYTES("\5\0\0\1\xC0\0\2\7\1\2"), "192.0.2.7:258", NULL},
    {SOCKS_CLIENT_5, BYTES("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\2"), "[::1]:258", NULL},
    {SOCKS_CLIENT_5, BYTES("\5\0\0\3\1b\1\2"), "b:258", NULL},
    {SOCKS_CLIENT_5, BYTES("\5\2\0\1\0\0\0\0\0\0"), NULL, "socks.socks5-response.not-allowed"},
    {SOCKS_CLIENT_5, BYTES("\4\0\0\1\0\0\0\0\0\0"), NULL, "socks.version.4"},
};

Test(layer_socks, the_second_reply_to_a_bind_is_waited_for_and_what_follows_it_is_the_peers)
{
    for (size_t i = 0; i < COUNT(seconds); i++)
        for (size_t portion = 0; portion < 4; portion++) {
            char in[128];
            struct talk *talk;

            memcpy(in, seconds[i].heard, seconds[i].n);
            memcpy(in + seconds[i].n, EARLY, sizeof EARLY - 1);
            talk = talk_second(seconds[i].version, in, seconds[i].n + sizeof EARLY - 1);
            talk->script.portion = portion;
            talk->script.again_between = portion > 1;
            if (seconds[i].bound) {
                struct exchange e = {.what = seconds[i].bound,
                                     .bound = seconds[i].bound,
                                     .said = "",
                                     .phases = {SETUP_DONE}};

                expect_open(talk, &e, seconds[i].n);
            } else {
                cr_assert_eq(run(talk), IO_ERROR);
                cr_assert_str_eq(error_of(talk), seconds[i].error);
            }
            finish(talk);
        }
}

Test(layer_socks, a_second_reply_that_stops_at_any_byte_is_waited_for_or_fails)
{
    for (size_t i = 0; i < COUNT(seconds); i++)
        for (size_t cut = 0; seconds[i].bound && cut < seconds[i].n; cut++) {
            struct talk *talk = talk_second(seconds[i].version, seconds[i].heard, cut);

            cr_assert_eq(run(talk), IO_AGAIN);
            cr_assert_eq(talk->layer->open_waits, INTEREST_READ);
            talk->script.ends = true;
            cr_assert_eq(run(talk), IO_ERROR);
            cr_assert_str_eq(error_of(talk), "stream.end.early");
            finish(talk);
        }
}

/* ---- a layer that takes everything and hands it down when it is flushed */

static unsigned flushes_left;

static enum io holding_write(struct layer *layer, const void *bytes, size_t n, size_t *ret_n)
{
    (void)bytes;
    layer->flush_waits = INTEREST_WRITE;
    *ret_n = n;
    return IO_OK;
}

static enum io holding_flush(struct layer *layer)
{
    if (flushes_left && flushes_left--)
        return IO_AGAIN;
    layer->flush_waits = INTEREST_NONE;
    return IO_OK;
}

static enum io holding_read(struct layer *layer, void *out, size_t n, size_t *ret_n)
{
    return layer->below->ops->read(layer->below, out, n, ret_n);
}

Test(layer_socks, what_a_layer_below_still_holds_is_not_sent_yet)
{
    static const struct layer_ops ops = {
        .name = "holding", .read = holding_read, .write = holding_write, .flush = holding_flush};
    struct talk *talk = talk_new(to_ip(SOCKS_CLIENT_4, NULL, NULL), BYTES("\0\x5A\0\0\0\0\0\0"));
    struct layer holding = {.ops = &ops, .below = &talk->script.layer};

    talk->layer->below = &holding;
    flushes_left = 3;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(talk->layer->ops->open(talk->layer), IO_AGAIN);
        cr_assert_eq(talk->layer->open_waits, INTEREST_NONE, "flush_waits says it");
        cr_assert_eq(talk->phase_count + talk->script.reads, 0);
    }
    cr_assert_eq(talk->layer->ops->open(talk->layer), IO_OK);
    cr_assert_eq(talk->phases[0], SETUP_ASKED);
    finish(talk);
}
