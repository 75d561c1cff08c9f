/* test_layer_tcp.c - what a socket's layer makes of its calls, on the loopback. */
#include "streams/layer_tcp.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(layer_tcp, .timeout = 30);

/* Both ends of a connection. */
static void connect_ends(int fds[2])
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof sa;
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(listening, (struct sockaddr *)&sa, sizeof sa), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)&sa, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fds[0], (struct sockaddr *)&sa, sizeof sa), 0);
    fds[1] = accept(listening, NULL, NULL);
    cr_assert_geq(fds[1], 0);
    close(listening);
}

static unsigned segments_out(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;

    cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_segs_out;
}

Test(layer_tcp, bytes_that_the_end_follows_are_one_packet_with_it)
{
    for (int follows = 0; follows < 2; follows++) {
        struct stream_error error = {0};
        struct layer_tcp tcp;
        char got[8];
        unsigned before;
        int fds[2];
        size_t n;

        connect_ends(fds);
        layer_tcp_init(&tcp, fds[0], false, &error);
        before = segments_out(fds[0]);
        tcp.layer.more_follows = follows;
        cr_assert_eq(tcp.layer.ops->write(&tcp.layer, "hello", 5, &n), IO_OK);
        cr_assert_eq(n, 5);
        tcp.layer.more_follows = false;
        cr_assert_eq(tcp.layer.ops->end(&tcp.layer), IO_OK);
        cr_assert_eq(recv(fds[1], got, sizeof got, 0), 5);
        cr_assert_eq(memcmp(got, "hello", 5), 0);
        cr_assert_eq(recv(fds[1], got, sizeof got, 0), 0);
        cr_assert_eq(segments_out(fds[0]) - before, follows ? 1 : 2);
        close(fds[0]);
        close(fds[1]);
    }
}
