/* test_cfstream_service.c - the row of CFStream about network services: a DNS server says where one is. */
#include "streams/resolver.h"
#include "tests/unit/stream_peer.h"

#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(cfstream_service, .timeout = 10);

/* A DNS server on our loop, which has two records for everything, the better one behind the other. */
struct name_server {
    ev_io io;
    uint16_t ports[2];
    unsigned asked;
    bool is_silent;
};

static size_t put(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return n;
}

static void on_question(struct ev_loop *l, ev_io *w, int revents)
{
    struct name_server *dns = (struct name_server *)w;
    uint8_t message[512];
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(w->fd, message, 256, 0, (struct sockaddr *)&from, &length);
    size_t n = (size_t)got;

    (void)l;
    (void)revents;
    dns->asked++;
    if (got < 12 || dns->is_silent)
        return;
    message[2] = 0x81; /* an answer, with two records */
    message[3] = 0x80;
    message[7] = 2;
    for (int i = 0; i < 2; i++) { /* name, SRV, IN, TTL, length; priority, weight, port, target */
        n += put(message + n, "\300\14\0\41\0\1\0\0\0\74\0\21\0", 13);
        message[n++] = !i;
        n += put(message + n, "\0\0", 2);
        message[n++] = (uint8_t)(dns->ports[i] >> 8);
        message[n++] = (uint8_t)dns->ports[i];
        n += put(message + n, "\11localhost\0", 11);
    }
    cr_assert_eq(sendto(w->fd, message, n, 0, (struct sockaddr *)&from, length), (ssize_t)n);
}

static struct resolver *start_dns(struct name_server *dns)
{
    struct ip_endpoint address = {{IP_V4, {127, 0, 0, 1}}, 0};
    struct resolver_options options = {0};
    struct sockaddr_storage sa;
    socklen_t length = endpoint_to_sockaddr(&address, &sa);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    char text[ENDPOINT_TEXT_MAX];

    cr_assert_eq(bind(fd, (struct sockaddr *)&sa, length), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&sa, &length), 0);
    address = endpoint_from_sockaddr(&sa);
    endpoint_format(&address, text);
    options.nameservers = text;
    ev_io_init(&dns->io, on_question, fd, EV_READ);
    ev_io_start(loop(), &dns->io);
    return resolver_new(loop(), &options);
}

static void stop_dns(struct name_server *dns, struct resolver *resolver)
{
    resolver_free(resolver);
    ev_io_stop(loop(), &dns->io);
    close(dns->io.fd);
}

Test(cfstream_service, a_pair_to_a_network_service_is_resolved_before_connecting)
{
    struct name_server dns = {0};
    struct resolver *resolver = start_dns(&dns);
    struct ip_endpoint closed, bound;
    struct stream *in, *out;
    struct stream_error error;
    struct seen seen = {0};
    int listening, peer;

    close(peer_listen(&closed));
    listening = peer_listen(&bound);
    dns.ports[0] = bound.port;
    dns.ports[1] = closed.port;
    cr_assert(stream_pair_to_service(loop(), resolver, "_imaps._tcp.far.test", &in, &out));
    cr_assert_str_eq(text_of(out, STREAM_REMOTE_SERVICE), "_imaps._tcp.far.test");
    stream_set_callback(in, SEE_ALL, see, &seen);
    cr_assert(stream_open(out, &error));
    cr_assert_eq(stream_status(in), STREAM_OPENING);
    cr_assert_not(stream_open(in, &error), "a bad state");
    RUN_UNTIL(seen.open || seen.error);
    cr_assert_eq(seen.open, 1, "%s", error_of(in));
    peer = peer_accept(listening);
    peer_send(peer, "x", 1);
    RUN_UNTIL(seen.bytes);
    cr_assert(stream_close(in) && stream_close(out));
    close(peer);

    close(listening);
    seen = (struct seen){0};
    cr_assert(stream_open(out, &error), "once more, and nobody is there");
    RUN_UNTIL(seen.open || seen.error);
    cr_assert_str_eq(error_of(in), "system.connect.refused");
    dns.is_silent = true;
    dns.asked = 0;
    cr_assert(stream_set_number(in, STREAM_CONNECT_TIMEOUT, 50));
    seen = (struct seen){0};
    cr_assert(stream_open(out, &error));
    RUN_UNTIL(seen.error);
    cr_assert_str_eq(error_of(in), "resolver.name.timeout");
    cr_assert(stream_open(out, &error));
    stream_free(in);
    stream_free(out);
    stop_dns(&dns, resolver);
}

/* The proxy is told the name of the server, and the certificate would have to be the domain's. */
Test(cfstream_service, a_service_is_reached_through_a_proxy)
{
    struct name_server dns = {.ports = {81, 80}};
    struct resolver *resolver = start_dns(&dns);
    struct ip_endpoint proxy;
    struct stream *in;
    struct stream_error error;
    struct seen seen = {0};
    int listening = peer_listen(&proxy), peer;

    cr_assert(stream_pair_to_service(loop(), resolver, "_imaps._tcp.far.test", &in, NULL));
    cr_assert(stream_set_text(in, STREAM_SOCKS_HOST, "127.0.0.1"));
    cr_assert(stream_set_number(in, STREAM_SOCKS_PORT, proxy.port));
    stream_set_callback(in, SEE_ALL, see, &seen);
    cr_assert(stream_open(in, &error));
    RUN_UNTIL(dns.asked);
    for (int i = 0; i < 2; i++) {
        fd_set ready;
        struct timeval now = {0};

        do {
            ev_run(loop(), EVRUN_NOWAIT);
            FD_ZERO(&ready);
            FD_SET(listening, &ready);
        } while (select(listening + 1, &ready, NULL, NULL, &now) != 1);
        peer = peer_accept(listening);
        peer_send(peer, i ? "\5\0\5\0\0\1\0\0\0\0\0\0" : "\5\0\5\5\0\1", i ? 12 : 6);
        while (recv(peer, (char[3]){0}, 3, MSG_PEEK | MSG_DONTWAIT) != 3)
            ev_run(loop(), EVRUN_NOWAIT);
        peer_expect(peer, "\5\1\0", 3);
        RUN_UNTIL(seen.open || recv(peer, (char[1]){0}, 1, MSG_PEEK | MSG_DONTWAIT) >= 0);
        peer_expect(peer, i ? "\5\1\0\3\11localhost\0\121" : "\5\1\0\3\11localhost\0\120", 16);
        if (!i)
            close(peer);
    }
    RUN_UNTIL(seen.open);
    stream_free(in);
    close(peer);
    close(listening);
    stop_dns(&dns, resolver);
}
