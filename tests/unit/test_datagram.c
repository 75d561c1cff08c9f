/* test_datagram.c - UDP sockets and batches, on the loopback interface. */
#include "streams/datagram.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(datagram, .timeout = 10);

static const struct ip_address v4 = {IP_V4, {127, 0, 0, 1}}, v6 = {IP_V6, {[15] = 1}};

static struct ip_endpoint opened(const struct ip_address *ip, int *ret_fd)
{
    *ret_fd = datagram_open(ip, 0, true);
    cr_assert(*ret_fd >= 0);
    return datagram_bound(*ret_fd);
}

static void wait_for(int fd)
{
    cr_assert_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000), 1);
}

static unsigned failures;
static int last_error;
static size_t last_data;

static void on_failed(void *context, unsigned place, size_t data, int error_number)
{
    (void)context;
    (void)place;
    failures++;
    last_error = error_number;
    last_data = data;
}

Test(datagram, batches_arrive_whole_with_their_senders)
{
    const struct ip_address *const ips[] = {&v4, &v6};
    struct datagram_scratch *scratch = datagram_scratch_new();
    static uint8_t bytes[DATAGRAM_BATCH][100];

    for (unsigned f = 0; f < 2; f++) {
        struct datagram_queue queue = {0};
        struct datagram got[DATAGRAM_BATCH];
        int from_fd, to_fd, count = 0;
        struct ip_endpoint from = opened(ips[f], &from_fd), to = opened(ips[f], &to_fd);

        cr_assert_eq(datagram_read(to_fd, scratch, got), 0);
        for (unsigned i = 0; i < DATAGRAM_BATCH; i++) {
            memset(bytes[i], (int)i, i);
            cr_assert(datagram_queue_add(&queue, scratch, 1, bytes[i], i, i, &to));
        }
        cr_assert_not(datagram_queue_add(&queue, scratch, 1, bytes[0], 1, 1, &to));
        cr_assert_eq(datagram_flush(from_fd, &queue, on_failed, NULL), DATAGRAM_BATCH);
        cr_assert_eq(queue.count, 0);
        wait_for(to_fd);
        count = datagram_read(to_fd, scratch, got);
        cr_assert_eq(count, DATAGRAM_BATCH);
        for (unsigned i = 0; i < DATAGRAM_BATCH; i++) {
            cr_assert_eq(got[i].n, i);
            cr_assert_eq(memcmp(got[i].bytes, bytes[i], i), 0);
            cr_assert(endpoint_equal(&got[i].from, &from));
            memset(got[i].bytes - DATAGRAM_ROOM, 0, DATAGRAM_ROOM); /* is the reader's to write */
        }
        close(from_fd);
        close(to_fd);
    }
    datagram_scratch_free(scratch);
}

/* One that is too large and one without a way are told of; those around them go. */
Test(datagram, who_cannot_be_sent_is_told_of_and_the_others_go)
{
    static uint8_t large[70000];
    struct datagram_scratch *scratch = datagram_scratch_new();
    struct datagram_queue queue = {0};
    struct datagram got[DATAGRAM_BATCH];
    struct ip_endpoint broadcast = {{IP_V4, {255, 255, 255, 255}}, 9}, to;
    int from_fd, to_fd;

    opened(&v4, &from_fd);
    to = opened(&v4, &to_fd);
    datagram_queue_add(&queue, scratch, 0, large, 1, 1, &to);
    datagram_queue_add(&queue, scratch, 0, large, sizeof large, 7, &to);
    datagram_queue_add(&queue, scratch, 0, large, 2, 2, &to);
    cr_assert_eq(datagram_flush(from_fd, &queue, on_failed, NULL), 2);
    cr_assert(failures == 1 && last_error == EMSGSIZE && last_data == 7);
    datagram_queue_add(&queue, scratch, 0, large, 3, 3, &broadcast);
    datagram_queue_add(&queue, scratch, 0, large, 4, 4, &to);
    cr_assert_eq(datagram_flush(from_fd, &queue, on_failed, NULL), 1);
    cr_assert(failures == 2 && last_data == 3);
    wait_for(to_fd);
    cr_assert_eq(datagram_read(to_fd, scratch, got), 3);
    cr_assert(got[0].n == 1 && got[1].n == 2 && got[2].n == 4);
    close(from_fd);
    close(to_fd);
    datagram_scratch_free(scratch);
}

/* What ICMP says of one that was sent fails no later one, and is counted. */
Test(datagram, an_icmp_error_fails_nobody_else)
{
    struct datagram_scratch *scratch = datagram_scratch_new();
    struct datagram_queue queue = {0};
    struct datagram got[DATAGRAM_BATCH];
    struct ip_endpoint nobody, to;
    int fd, gone_fd, to_fd, count;
    unsigned errors = 0;

    opened(&v4, &fd);
    nobody = opened(&v4, &gone_fd);
    close(gone_fd);
    to = opened(&v4, &to_fd);
    for (unsigned i = 0; i < 3; i++) {
        datagram_queue_add(&queue, scratch, 0, "x", 1, 1, &nobody);
        datagram_queue_add(&queue, scratch, 0, "y", 1, 1, &to);
        cr_assert_eq(datagram_flush(fd, &queue, on_failed, NULL), 2);
    }
    cr_assert_eq(failures, 0);
    wait_for(to_fd);
    cr_assert_eq(datagram_read(to_fd, scratch, got), 3);
    count = datagram_read(fd, scratch, got);
    cr_assert(count <= 0);
    errors = datagram_drain_errors(fd);
    cr_assert_eq(errors, 3, "%u", errors);
    cr_assert_eq(datagram_read(fd, scratch, got), 0);
    close(fd);
    close(to_fd);
    datagram_scratch_free(scratch);
}

Test(datagram, connected_socket_hears_nobody_else)
{
    struct datagram_scratch *scratch = datagram_scratch_new();
    struct datagram_queue queue = {0};
    struct datagram got[DATAGRAM_BATCH];
    int fd, peer_fd, other_fd;
    struct ip_endpoint mine = opened(&v4, &fd), peer = opened(&v4, &peer_fd);

    opened(&v4, &other_fd);
    cr_assert(datagram_connect(fd, &peer));
    datagram_queue_add(&queue, scratch, 0, "no", 2, 2, &mine);
    datagram_flush(other_fd, &queue, on_failed, NULL);
    datagram_queue_add(&queue, scratch, 0, "yes", 3, 3, &mine);
    cr_assert_eq(datagram_flush(peer_fd, &queue, on_failed, NULL), 1);
    wait_for(fd);
    cr_assert_eq(datagram_read(fd, scratch, got), 1);
    cr_assert_eq(got[0].n, 3);
    datagram_queue_add(&queue, scratch, 0, "back", 4, 4, NULL);
    cr_assert_eq(datagram_flush(fd, &queue, on_failed, NULL), 1);
    wait_for(peer_fd);
    cr_assert_eq(datagram_read(peer_fd, scratch, got), 1);
    cr_assert(endpoint_equal(&got[0].from, &mine));
    close(fd);
    close(peer_fd);
    close(other_fd);
    datagram_scratch_free(scratch);
}

Test(datagram, port_that_is_taken_is_said_so)
{
    int fd;
    struct ip_endpoint bound = opened(&v4, &fd);

    cr_assert_eq(datagram_open(&v4, bound.port, false), -1);
    cr_assert_eq(errno, EADDRINUSE);
    close(fd);
}
