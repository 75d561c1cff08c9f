/* test_layer_http.c - the HTTP client over a script, where it reads byte by byte, and over a socket,
 * where it looks ahead. */
#include "streams/layer_http.h"
#include "tests/unit/scripted_layer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(layer_http, .timeout = 30);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define REQUEST "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"
#define HEAD "HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"
#define EARLY "220 hello\r\n"

static const struct layer_http_options to_name = {.host = {.name_length = 6, .name = "a.test"},
                                                  .port = 443};

static struct stream_pair pair;
static struct scripted_layer script;

static struct layer *over_script(const struct layer_http_options *options, const char *in, size_t n)
{
    struct layer *layer = layer_http_new(options);

    cr_assert(layer);
    scripted_pair(&pair, &script);
    script.input = (const uint8_t *)in;
    script.input_length = n;
    script.takes = SCRIPTED_MAX;
    layer->below = &script.layer;
    layer->error = &pair.error;
    return layer;
}

static enum io run(struct layer *layer)
{
    enum io result = IO_AGAIN;

    for (unsigned quiet = 0; result == IO_AGAIN && quiet < 3;) {
        size_t before = script.input_at;

        result = layer->ops->open(layer);
        quiet = before == script.input_at ? quiet + 1 : 0;
    }
    return result;
}

static const char *error_name(void)
{
    static char name[STREAM_ERROR_NAME_MAX];

    return stream_error_name(&pair.error, name);
}

static void finish(struct layer *layer)
{
    layer->ops->done(layer);
    pair_close(&pair);
}

Test(layer_http, a_head_that_comes_or_stops_at_any_byte)
{
    for (size_t n = 0; n < strlen(HEAD); n++) {
        struct layer *layer = over_script(&to_name, HEAD EARLY, n);

        script.again_between = n % 2;
        cr_assert_eq(run(layer), IO_AGAIN);
        cr_assert_eq(layer->open_waits, INTEREST_READ);
        cr_assert_eq(script.output_length, strlen(REQUEST));
        cr_assert_eq(memcmp(script.output, REQUEST, strlen(REQUEST)), 0);
        if (n % 3 == 0) {
            script.ends = true;
            cr_assert_eq(run(layer), IO_ERROR);
            cr_assert_str_eq(error_name(), "stream.end.early");
        } else if (n % 3 == 1) {
            script.fail_read = script.reads + 1;
            cr_assert_eq(run(layer), IO_ERROR);
            cr_assert_str_eq(error_name(), "system.read.reset");
        } else {
            script.input_length = strlen(HEAD EARLY);
            cr_assert_eq(run(layer), IO_OK);
            cr_assert_eq(layer->ops->open(layer), IO_OK, "again is harmless");
            cr_assert_eq(script.input_at, strlen(HEAD));
        }
        finish(layer);
    }
}

Test(layer_http, the_request_goes_out_whole_however_little_is_taken_at_once)
{
    struct layer *layer = over_script(&to_name, HEAD, strlen(HEAD));

    for (size_t sent = 0; sent < strlen(REQUEST); sent++) {
        script.takes = 0;
        cr_assert_eq(run(layer), IO_AGAIN);
        cr_assert_eq(layer->open_waits, INTEREST_WRITE);
        cr_assert_eq(script.reads, 0);
        script.takes = 1;
        run(layer);
    }
    cr_assert_eq(run(layer), IO_OK);
    cr_assert_eq(memcmp(script.output, REQUEST, strlen(REQUEST)), 0);
    finish(layer);
}

Test(layer_http, what_a_proxy_refuses_or_cannot_say_has_its_name)
{
    static const struct {
        const char *head, *name;
    } rows[] = {
        {"HTTP/1.1 407 Who\r\nContent-Length: 3\r\n\r\nwho", "http.status.407"},
        {"HTTP/1.0 403 No\r\n", "http.status.403"},
        {"HTTP/1.1 502 ", "http.status.502"},
        {"SSH-2.0-x\r\n", "http.response.bad"},
        {"\5\xFF", "http.response.bad"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layer *layer = over_script(&to_name, rows[i].head, strlen(rows[i].head));

        script.ends = true;
        cr_assert_eq(run(layer), IO_ERROR);
        cr_assert_str_eq(error_name(), rows[i].name);
        cr_assert_eq(layer->ops->expired, ERROR_SYSTEM_CONNECT_TIMEOUT);
        finish(layer);
    }
}

Test(layer_http, what_cannot_be_asked_for_fails_before_anything_is_sent)
{
    static char long_text[257];
    struct {
        struct layer_http_options options;
        const char *name;
    } rows[] = {
        {{.port = 1}, "resolver.name.invalid"},
        {{.host = {.name_length = 3, .name = "a b"}}, "resolver.name.invalid"},
        {{.host = {.name_length = 5, .name = "a\r\nb:"}}, "resolver.name.invalid"},
        {{.host = {.name_length = 3, .name = "a\0b"}}, "resolver.name.invalid"},
        {{.host = {.name_length = 3, .name = "::1"}}, "resolver.name.invalid"},
        {{.host = to_name.host, .user = "a:b"}, "stream.state.bad-state"},
        {{.host = to_name.host, .user = long_text}, "stream.state.bad-state"},
        {{.host = to_name.host, .user = "a", .password = long_text}, "stream.state.bad-state"},
    };

    memset(long_text, 'x', 256);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layer *layer = over_script(&rows[i].options, HEAD, strlen(HEAD));
        struct stream_error error;

        cr_assert_eq(run(layer), IO_ERROR, "row %zu", i);
        cr_assert_str_eq(error_name(), rows[i].name, "row %zu: %s", i, error_name());
        cr_assert_eq(script.writes + script.reads, 0);
        cr_assert_not(layer_http_check(&rows[i].options, &error));
        finish(layer);
    }
}

static int events;

static void count_event(struct stream_pair *changed)
{
    (void)changed;
    events++;
}

/* A pair over a socket that is asked to open the layer; the other end is the proxy's. */
static int over_socket(void)
{
    static const struct ip_endpoint nobody;
    int fds[2];

    events = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair_init(&pair, ev_default_loop(EVFLAG_NOENV), count_event);
    cr_assert(pair_adopt(&pair, fds[0], &nobody, true));
    cr_assert(pair_open_layer(&pair, layer_http_new(&to_name)));
    return fds[1];
}

Test(layer_http, over_a_socket_the_tunnel_begins_right_behind_the_head)
{
    static const char all[] = HEAD EARLY;

    for (size_t cut = 0; cut <= strlen(all); cut++) {
        int proxy = over_socket();
        char out[64];
        size_t n = 0;

        cr_assert(write(proxy, all, cut) == (ssize_t)cut);
        ev_run(pair.loop, EVRUN_NOWAIT);
        cr_assert_eq(pair_is_opening(&pair), cut < strlen(HEAD));
        cr_assert(write(proxy, all + cut, strlen(all) - cut) == (ssize_t)(strlen(all) - cut));
        if (pair_is_opening(&pair))
            ev_run(pair.loop, EVRUN_ONCE);
        cr_assert_eq(pair.state, PAIR_CONNECTED, "%zu: %s", cut, error_name());
        cr_assert_eq(events, 1);
        cr_assert(pair_can_splice(&pair), "the layer is gone");
        cr_assert_null(pair_find_layer(&pair, layer_http_name));
        cr_assert_eq(pair_read(&pair, out, sizeof out, &n), IO_OK);
        cr_assert_eq(n, strlen(EARLY));
        cr_assert_eq(memcmp(out, EARLY, n), 0);
        pair_close(&pair);
        close(proxy);
    }
}

Test(layer_http, over_a_socket_a_head_longer_than_a_look_and_one_without_end)
{
    char line[1000];
    int proxy = over_socket();

    memset(line, 'x', sizeof line);
    memcpy(line, "\nA: ", 4);
    cr_assert_eq(write(proxy, "HTTP/1.1 200 OK", 15), 15);
    for (int i = 0; i < 7; i++)
        cr_assert_eq(write(proxy, line, sizeof line), (ssize_t)sizeof line);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert(pair_is_opening(&pair));
    cr_assert_eq(write(proxy, "\n\n", 2), 2);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert_eq(pair.state, PAIR_CONNECTED, "%s", error_name());
    pair_close(&pair);
    close(proxy);
    proxy = over_socket();
    cr_assert_eq(write(proxy, "HTTP/1.1 200 OK", 15), 15);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(write(proxy, line, sizeof line), (ssize_t)sizeof line);
    ev_run(pair.loop, EVRUN_ONCE);
    cr_assert_eq(pair.state, PAIR_ERROR);
    cr_assert_str_eq(error_name(), "http.response.bad");
    pair_close(&pair);
    close(proxy);
}
