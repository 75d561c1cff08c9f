/* test_listener.c - accepting in batches, stopping when told, and living through the end of
 * descriptors. */
#include "streams/listener.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

TestSuite(listener, .timeout = 10);

static const struct ip_endpoint any_port = {{IP_V4, {127, 0, 0, 1}}, 0};

struct server {
    struct listener listener;
    struct ip_endpoint bound;
    int accepted[256], dialed[256];
    int accepted_count, dialed_count;
    int places;
    int unadmitted;
    int refused;
};

static bool on_admit(struct listener *listener)
{
    struct server *server = listener->context;

    if (server->places == 0)
        return false;
    server->places--;
    return true;
}

static void on_unadmit(struct listener *listener)
{
    struct server *server = listener->context;

    server->places++;
    server->unadmitted++;
}

static void on_refused(struct listener *listener)
{
    struct server *server = listener->context;

    server->refused++;
}

static void on_accepted(struct listener *listener, int fd, const struct ip_endpoint *peer)
{
    struct server *server = listener->context;

    cr_assert_eq(peer->ip.family, IP_V4);
    cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    server->accepted[server->accepted_count++] = fd;
}

static const struct listener_callbacks callbacks = {on_admit, on_unadmit, on_refused, on_accepted};

static void serve(struct server *server, int places)
{
    struct stream_error error;
    int fd = listener_open_socket(&any_port, 256, false, true, &server->bound, &error);

    cr_assert_geq(fd, 0);
    server->places = places;
    listener_start(&server->listener, ev_default_loop(EVFLAG_NOENV), fd, &callbacks, server);
}

static void dial(struct server *server)
{
    struct sockaddr_storage sa;
    socklen_t length = endpoint_to_sockaddr(&server->bound, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&sa, length), 0);
    server->dialed[server->dialed_count++] = fd;
}

static void turn(void)
{
    ev_run(ev_default_loop(0), EVRUN_NOWAIT);
}

Test(listener, one_turn_takes_a_batch)
{
    struct server server = {0};

    serve(&server, 1000);
    for (int i = 0; i < 20; i++)
        dial(&server);
    turn();
    cr_assert_eq(server.accepted_count, 20);
    cr_assert_eq(server.places, 1000 - 20, "places that found no connection come back");
    listener_close(&server.listener);
}

Test(listener, stops_when_there_is_no_place_and_goes_on_when_resumed)
{
    struct server server = {0};

    serve(&server, 3);
    for (int i = 0; i < 5; i++)
        dial(&server);
    turn();
    turn();
    cr_assert_eq(server.accepted_count, 3);
    server.places = 10;
    turn();
    cr_assert_eq(server.accepted_count, 3, "not before it is told");
    listener_resume(&server.listener);
    turn();
    cr_assert_eq(server.accepted_count, 5);
    listener_close(&server.listener);
}

Test(listener, draining_takes_what_waits_and_closes)
{
    struct server server = {0};

    serve(&server, 1000);
    for (int i = 0; i < 100; i++)
        dial(&server);
    listener_drain(&server.listener);
    cr_assert_eq(server.accepted_count, 100);
    cr_assert_eq(server.listener.io.fd, -1);
    listener_drain(&server.listener); /* harmless */
    listener_close(&server.listener);
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void stop_loop(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void run_for(double seconds)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_timer timer;

    ev_timer_init(&timer, stop_loop, seconds, 0.);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
}

Test(listener, survives_the_end_of_descriptors_without_spinning)
{
    struct server server = {0};
    struct rlimit limit;
    int filler, before;
    double cpu;

    serve(&server, 1000);
    for (int i = 0; i < 40; i++)
        dial(&server);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    filler = dup(0);
    limit.rlim_cur = (rlim_t)filler + 1; /* not one more */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_lt(dup(0), 0);

    cpu = cpu_seconds();
    run_for(0.5);
    cr_assert_lt(cpu_seconds() - cpu, 0.1, "it spins");
    cr_assert_eq(server.accepted_count, 0);
    cr_assert_gt(server.refused, 0, "nobody was told");
    cr_assert_lt(server.refused, 40, "everybody was refused");
    cr_assert_eq(server.places, 1000);

    for (int i = 0; i < 40; i++)
        close(server.dialed[i]);
    close(filler);
    before = server.accepted_count;
    dial(&server);
    for (int i = 0; i < 50 && server.accepted_count == before; i++)
        run_for(0.1);
    cr_assert_gt(server.accepted_count, before, "it is dead");
    listener_close(&server.listener);
}

Test(listener, an_address_in_use_is_told)
{
    struct ip_endpoint bound, again;
    struct stream_error error;
    int fd = listener_open_socket(&any_port, 8, true, true, &bound, &error);

    cr_assert_geq(fd, 0);
    cr_assert(!listener_probe(&bound, true, &error));
    cr_assert(stream_error_is(&error, ERROR_SYSTEM_LISTEN_ADDRESS_IN_USE));
    cr_assert_lt(listener_open_socket(&bound, 8, false, true, &again, &error), 0);
    cr_assert(stream_error_is(&error, ERROR_SYSTEM_LISTEN_ADDRESS_IN_USE));
    close(fd);
}

Test(listener, workers_share_an_address_once_it_was_probed)
{
    struct ip_endpoint bound, second;
    struct stream_error error;
    int a = listener_open_socket(&any_port, 8, true, true, &bound, &error);
    int b = listener_open_socket(&bound, 8, true, true, &second, &error);

    cr_assert_geq(a, 0);
    cr_assert_geq(b, 0);
    cr_assert(endpoint_equal(&bound, &second));
    close(a);
    close(b);
}
