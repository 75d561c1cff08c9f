/* test_straight_line.c - the rows of the socket abstraction of an agent: the same calls in straight
 * lines, each until a deadline, while others run. */
#include "streams/sync.h"
#include "tests/unit/stream_peer.h"
#include "tests/unit/tls_wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(straight_line, .timeout = 10);

#define DATA_MAX (512 * 1024)

/* What most tests have: somebody who listens, and how many functions have returned. */
struct scene {
    struct sync_socket *listening;
    unsigned done, handled;
    bool is_secure;
    char order[64];
};

static void note(struct scene *scene, char what)
{
    size_t n = strlen(scene->order);

    cr_assert_lt(n, sizeof scene->order - 1);
    scene->order[n] = what;
}

/* Answers each line's bytes until the peer ends, then ends. */
static void echo(struct sync_socket *socket, void *context)
{
    struct scene *scene = context;
    static char bytes[DATA_MAX];
    size_t n;

    while (sync_read(socket, bytes, sizeof bytes, &n, sync_in(10.)) == IO_OK)
        cr_assert_eq(sync_write(socket, bytes, n, NULL, sync_in(10.)), IO_OK);
    cr_assert(sync_is_at_end(socket));
    cr_assert_eq(sync_close(socket, sync_in(10.)), IO_OK);
    cr_assert(sync_is_closed(socket));
    sync_free(socket);
    scene->handled++;
}

static void listen_with(struct scene *scene, unsigned at_once, sync_handler *handler)
{
    *scene = (struct scene){.listening = sync_new(loop(), NULL)};
    cr_assert(sync_listen(scene->listening, "127.0.0.1", 0, at_once, handler, scene));
    cr_assert_neq(sync_port(scene->listening), 0);
}

static void end_scene(struct scene *scene)
{
    sync_free(scene->listening);
    run_a_little();
}

static void connect_and_talk(void *context)
{
    struct scene *scene = context;
    struct sync_socket *socket = sync_new(loop(), NULL);
    char bytes[16];
    size_t n;

    cr_assert(sync_is_closed(socket));
    cr_assert_eq(sync_connect(socket, "127.0.0.1", sync_port(scene->listening), sync_in(10.)),
                 IO_OK);
    cr_assert_not(sync_is_closed(socket));
    cr_assert_not(sync_is_secure(socket));
    cr_assert_eq(sync_write(socket, "hello", 5, &n, SYNC_FOREVER), IO_OK);
    cr_assert_eq(n, 5);
    cr_assert_eq(sync_read(socket, bytes, sizeof bytes, &n, SYNC_FOREVER), IO_OK);
    cr_assert_eq(n, 5);
    cr_assert_arr_eq(bytes, "hello", 5);
    cr_assert_not(sync_is_at_end(socket));
    cr_assert_eq(sync_end(socket, sync_in(10.)), IO_OK);
    cr_assert_eq(sync_read(socket, bytes, sizeof bytes, &n, sync_in(10.)), IO_EOF);
    cr_assert(sync_is_at_end(socket));
    cr_assert_eq(sync_close(socket, sync_in(10.)), IO_OK);
    cr_assert_eq(sync_close(socket, sync_in(10.)), IO_ERROR);
    cr_assert_eq(sync_connect(socket, "127.0.0.1", sync_port(scene->listening), sync_in(10.)),
                 IO_OK, "once more");
    sync_free(socket);
    scene->done++;
}

Test(straight_line, connect_listen_with_a_handler_read_write_close_free)
{
    struct scene scene;

    listen_with(&scene, 4, echo);
    cr_assert(sync_start(loop(), connect_and_talk, &scene));
    cr_assert_eq(scene.done, 0, "not from inside the call");
    RUN_UNTIL(scene.done == 1 && scene.handled == 2);
    end_scene(&scene);
}

static void wait_in_vain(void *context)
{
    struct scene *scene = context;
    struct sync_socket *socket = sync_new(loop(), NULL);
    static char much[DATA_MAX];
    double began = sync_now();
    size_t n = 77;

    cr_assert_eq(sync_connect(socket, "127.0.0.1", sync_port(scene->listening), SYNC_FOREVER),
                 IO_OK);
    cr_assert_eq(sync_read(socket, much, sizeof much, &n, sync_in(.05)), IO_AGAIN);
    cr_assert_geq(sync_now() - began, .05);
    cr_assert_eq(n, 77, "untouched");
    cr_assert_eq(sync_read(socket, much, sizeof much, &n, sync_now() - 1.), IO_AGAIN,
                 "a deadline that has passed asks once");
    while (sync_write(socket, much, sizeof much, &n, sync_in(.05)) == IO_OK)
        ;
    cr_assert_lt(n, sizeof much);
    cr_assert_not(sync_is_closed(socket), "a deadline breaks nothing");
    sync_free(socket);
    scene->done++;
}

static void say_nothing(struct sync_socket *socket, void *context)
{
    struct scene *scene = context;

    while (scene->done == 0)
        sync_sleep(sync_in(.01));
    sync_free(socket);
    scene->handled++;
}

Test(straight_line, a_deadline_is_a_point_in_time_after_which_nobody_waits)
{
    struct scene scene;

    listen_with(&scene, 4, say_nothing);
    cr_assert(sync_start(loop(), wait_in_vain, &scene));
    RUN_UNTIL(scene.done && scene.handled);
    end_scene(&scene);
}

static void connect_to_nobody(void *context)
{
    struct scene *scene = context;
    struct sync_socket *ours = sync_new(loop(), NULL);
    struct ip_endpoint bound;
    struct stream_error error;
    struct sockaddr_storage sa;
    socklen_t length;
    int listening = peer_listen(&bound), fds[2];

    close(listening);
    cr_assert_eq(sync_connect(ours, "127.0.0.1", bound.port, sync_in(10.)), IO_ERROR);
    error = sync_error(ours);
    cr_assert(stream_error_is(&error, ERROR_SYSTEM_CONNECT_REFUSED));
    listening = peer_listen(&bound);
    cr_assert_eq(listen(listening, 0), 0);
    length = endpoint_to_sockaddr(&bound, &sa);
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&sa, length);
    }
    cr_assert_eq(sync_connect(ours, "127.0.0.1", bound.port, sync_in(.05)), IO_ERROR);
    error = sync_error(ours);
    cr_assert(stream_error_is(&error, ERROR_SYSTEM_CONNECT_TIMEOUT), "its deadline came");
    sync_free(ours);
    close(listening);
    close(fds[0]);
    close(fds[1]);
    scene->done++;
}

Test(straight_line, what_cannot_be_connected_is_an_error)
{
    struct scene scene = {0};

    cr_assert(sync_start(loop(), connect_to_nobody, &scene));
    RUN_UNTIL(scene.done);
}

static void sleep_twice(void *context)
{
    struct scene *scene = context;

    note(scene, 'a');
    cr_assert_eq(sync_sleep(sync_in(.02)), IO_AGAIN);
    note(scene, 'c');
    cr_assert_eq(sync_sleep(sync_in(.04)), IO_AGAIN);
    note(scene, 'e');
    scene->done++;
}

static void sleep_between(void *context)
{
    struct scene *scene = context;

    note(scene, 'b');
    cr_assert_eq(sync_sleep(sync_in(.04)), IO_AGAIN);
    note(scene, 'd');
    scene->done++;
}

Test(straight_line, waiting_lets_others_run)
{
    struct scene scene = {0};

    cr_assert(sync_start(loop(), sleep_twice, &scene));
    cr_assert(sync_start(loop(), sleep_between, &scene));
    RUN_UNTIL(scene.done == 2);
    cr_assert_str_eq(scene.order, "abcde");
}

/* ---- where waiting is forbidden */

static struct sync_socket *forbidden_socket;

static void try_to_wait(struct ev_loop *l, ev_timer *timer, int revents)
{
    struct stream_error error;
    char byte;
    size_t n;

    (void)l;
    (void)revents;
    cr_assert_eq(sync_sleep(SYNC_FOREVER), IO_ERROR);
    cr_assert_eq(sync_read(forbidden_socket, &byte, 1, &n, SYNC_FOREVER), IO_ERROR);
    error = sync_error(forbidden_socket);
    cr_assert(stream_error_is(&error, ERROR_STREAM_BAD_STATE));
    cr_assert_eq(sync_write(forbidden_socket, "x", 1, NULL, SYNC_FOREVER), IO_ERROR);
    cr_assert_eq(sync_connect(forbidden_socket, "127.0.0.1", 1, SYNC_FOREVER), IO_ERROR);
    cr_assert_eq(sync_secure(forbidden_socket, SYNC_FOREVER), IO_ERROR);
    cr_assert_eq(sync_close(forbidden_socket, SYNC_FOREVER), IO_ERROR);
    ++*(unsigned *)timer->data;
}

static void run_a_callback(unsigned *calls)
{
    ev_timer timer;

    ev_timer_init(&timer, try_to_wait, 0., 0.);
    timer.data = calls;
    ev_timer_start(loop(), &timer);
    while (*calls == 0)
        ev_run(loop(), EVRUN_ONCE);
}

static void run_a_loop_inside(void *context)
{
    struct scene *scene = context;
    unsigned calls = 0;

    run_a_callback(&calls);
    cr_assert_eq(sync_sleep(sync_in(.001)), IO_AGAIN, "behind it we may wait again");
    scene->done++;
}

Test(straight_line,
     waiting_is_a_bad_state_in_a_callback_also_in_one_of_a_loop_that_a_coroutine_runs)
{
    struct scene scene = {0};
    unsigned calls = 0;

    forbidden_socket = sync_new(loop(), NULL);
    run_a_callback(&calls);
    cr_assert(sync_start(loop(), run_a_loop_inside, &scene));
    RUN_UNTIL(scene.done);
    sync_free(forbidden_socket);
}

/* ---- handlers */

static void count_at_once(struct sync_socket *socket, void *context)
{
    struct scene *scene = context;

    scene->handled++;
    note(scene, '(');
    sync_sleep(sync_in(.02));
    note(scene, ')');
    sync_free(socket);
    scene->done++;
}

Test(straight_line, no_more_handlers_run_at_once_than_were_asked_for)
{
    struct scene scene;
    struct stream *in[4];
    unsigned depth = 0, most = 0;

    listen_with(&scene, 2, count_at_once);
    for (int i = 0; i < 4; i++) {
        stream_pair_to_host(loop(), NULL, "127.0.0.1", sync_port(scene.listening), &in[i], NULL);
        cr_assert(stream_open(in[i], &(struct stream_error){0}));
    }
    RUN_UNTIL(scene.done == 4);
    for (const char *at = scene.order; *at; at++) {
        depth += *at == '(' ? 1 : -1;
        most = depth > most ? depth : most;
    }
    cr_assert_eq(most, 2, "%s", scene.order);
    for (int i = 0; i < 4; i++)
        stream_free(in[i]);
    end_scene(&scene);
}

static void read_forever(void *context)
{
    struct scene *scene = context;
    char byte;
    size_t n;

    cr_assert_eq(
        sync_connect(forbidden_socket, "127.0.0.1", sync_port(scene->listening), SYNC_FOREVER),
        IO_OK);
    scene->done++;
    cr_assert_eq(sync_read(forbidden_socket, &byte, 1, &n, SYNC_FOREVER), IO_ERROR);
    scene->done++;
}

static void read_too(void *context)
{
    struct scene *scene = context;
    char byte;
    size_t n;

    while (!scene->done)
        sync_sleep(sync_in(.001));
    sync_sleep(sync_in(.001));
    cr_assert_eq(sync_read(forbidden_socket, &byte, 1, &n, SYNC_FOREVER), IO_ERROR,
                 "one waits already");
    sync_free(forbidden_socket);
    scene->done++;
}

Test(straight_line, who_waits_on_a_socket_that_is_freed_is_told)
{
    struct scene scene;

    listen_with(&scene, 4, echo);
    forbidden_socket = sync_new(loop(), NULL);
    cr_assert(sync_start(loop(), read_forever, &scene));
    cr_assert(sync_start(loop(), read_too, &scene));
    RUN_UNTIL(scene.done == 3 && scene.handled == 1);
    end_scene(&scene);
}

/* ---- certificates */

static void be_server(struct sync_socket *socket)
{
    cr_assert(sync_set_number(socket, STREAM_TLS_IS_SERVER, true));
    cr_assert(sync_set_text(socket, STREAM_TLS_PRIVATE_KEY, tls_test_path("server.key")));
    cr_assert(sync_set_text(socket, STREAM_TLS_CERTIFICATE, tls_test_path("server.pem")));
    cr_assert(sync_set_text(socket, STREAM_TLS_CIPHERS, "TLS13-AES256-GCM-SHA384"));
}

static void echo_in_tls(struct sync_socket *socket, void *context)
{
    struct scene *scene = context;

    be_server(socket);
    if (sync_secure(socket, sync_in(10.)) == IO_OK) {
        cr_assert(sync_is_secure(socket));
        scene->is_secure = true;
        echo(socket, context);
        return;
    }
    sync_free(socket);
    scene->handled++;
}

static struct sync_socket *tls_client(const char *authority, const char *revoke)
{
    struct sync_socket *socket = sync_new(loop(), NULL);

    cr_assert(sync_set_text(socket, STREAM_TLS_AUTHORITY, tls_test_path(authority)));
    cr_assert(sync_set_text(socket, STREAM_TLS_PEER_NAME, "server.test"));
    if (revoke)
        cr_assert(sync_set_text(socket, STREAM_TLS_REVOKE, tls_test_path(revoke)));
    return socket;
}

static void talk_in_tls(void *context)
{
    struct scene *scene = context;
    uint16_t port = sync_port(scene->listening);
    struct sync_socket *socket = tls_client("root.pem", "root.crl");
    static char sent[DATA_MAX / 2], got[DATA_MAX];
    struct stream_value suite;
    struct stream_error error;
    size_t n, all = 0;

    memset(sent, 'x', sizeof sent);
    cr_assert_eq(sync_connect(socket, "127.0.0.1", port, sync_in(10.)), IO_OK);
    cr_assert(sync_is_secure(socket));
    cr_assert(sync_copy_property(socket, STREAM_TLS_SUITE, &suite));
    cr_assert(strstr(suite.text, "AES256-GCM"), "%s", suite.text);
    free(suite.text);
    cr_assert_eq(sync_write(socket, sent, sizeof sent, NULL, sync_in(10.)), IO_OK);
    while (all < sizeof sent) {
        cr_assert_eq(sync_read(socket, got, sizeof got, &n, sync_in(10.)), IO_OK);
        all += n;
    }
    cr_assert_eq(sync_close(socket, sync_in(10.)), IO_OK);
    sync_free(socket);

    socket = tls_client("other-root.pem", NULL);
    cr_assert_eq(sync_connect(socket, "127.0.0.1", port, sync_in(10.)), IO_ERROR);
    error = sync_error(socket);
    cr_assert(stream_error_is(&error, ERROR_TLS_CERTIFICATE_UNKNOWN_ROOT));
    cr_assert(sync_set_number(socket, STREAM_TLS_ALLOWS_ANY_ROOT, true), "verify the issuer: no");
    cr_assert_eq(sync_connect(socket, "127.0.0.1", port, sync_in(10.)), IO_OK);
    sync_free(socket);
    scene->done++;
}

Test(straight_line, certificates_key_authority_revocation_list_ciphers_and_who_is_verified)
{
    struct scene scene;

    listen_with(&scene, 4, echo_in_tls);
    cr_assert(sync_start(loop(), talk_in_tls, &scene));
    RUN_UNTIL(scene.done && scene.handled == 3);
    cr_assert(scene.is_secure);
    end_scene(&scene);
}
