/* datagram.c - UDP sockets, and the scratch that a thread's datagrams pass through. */
#include "streams/datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The slots begin at different places of a page, so that the first bytes of a batch do not meet in one
 * place of the cache. */
enum { SLOT = DATAGRAM_ROOM + DATAGRAM_MAX + 1 + 64 };

enum { ERRORS_A_DRAIN = 256 };

struct row {
    struct mmsghdr messages[DATAGRAM_BATCH];
    struct iovec bytes[DATAGRAM_BATCH];
    struct sockaddr_storage names[DATAGRAM_BATCH];
    size_t data[DATAGRAM_BATCH];
};

struct datagram_scratch {
    struct row in, out[DATAGRAM_QUEUES];
    uint8_t slots[DATAGRAM_BATCH + 1][SLOT]; /* the last is the spare one */
};

struct datagram_scratch *datagram_scratch_new(void)
{
    struct datagram_scratch *scratch =
        calloc(1, sizeof *scratch); /* large: pages as they are used */

    for (unsigned i = 0; scratch && i < DATAGRAM_BATCH; i++) {
        struct msghdr *message = &scratch->in.messages[i].msg_hdr;

        scratch->in.bytes[i] = (struct iovec){scratch->slots[i] + DATAGRAM_ROOM, DATAGRAM_MAX};
        message->msg_name = &scratch->in.names[i];
        message->msg_iov = &scratch->in.bytes[i];
        message->msg_iovlen = 1;
        for (unsigned r = 0; r < DATAGRAM_QUEUES; r++) {
            scratch->out[r].messages[i].msg_hdr.msg_iov = &scratch->out[r].bytes[i];
            scratch->out[r].messages[i].msg_hdr.msg_iovlen = 1;
        }
    }
    return scratch;
}

void datagram_scratch_free(struct datagram_scratch *scratch)
{
    free(scratch);
}

uint8_t *datagram_spare(struct datagram_scratch *scratch)
{
    return scratch->slots[DATAGRAM_BATCH] + DATAGRAM_ROOM;
}

/* ---- sockets */

static void keep_errors(int fd, bool is_v6)
{
    const int on = 1;

    if (is_v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    else
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
}

int datagram_open(const struct ip_address *ip, uint16_t port, bool tells_errors)
{
    struct ip_endpoint endpoint = {*ip, port};
    bool is_v6 = ip->family == IP_V6;
    struct sockaddr_storage sa;
    socklen_t n = endpoint_to_sockaddr(&endpoint, &sa);
    const int on = 1;
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (is_v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (tells_errors)
        keep_errors(fd, is_v6);
    if (bind(fd, (struct sockaddr *)&sa, n) != 0) {
        int error_number = errno;

        close(fd);
        errno = error_number;
        return -1;
    }
    return fd;
}

bool datagram_connect(int fd, const struct ip_endpoint *endpoint)
{
    struct sockaddr_storage sa;
    socklen_t n = endpoint_to_sockaddr(endpoint, &sa);

    return connect(fd, (struct sockaddr *)&sa, n) == 0;
}

struct ip_endpoint datagram_bound(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;

    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        return (struct ip_endpoint){0};
    return endpoint_from_sockaddr(&sa);
}

/* ---- reading */

int datagram_read(int fd, struct datagram_scratch *scratch, struct datagram *ret_datagrams)
{
    int count;

    for (unsigned i = 0; i < DATAGRAM_BATCH; i++) /* what the last read has set */
        scratch->in.messages[i].msg_hdr.msg_namelen = sizeof scratch->in.names[i];
    do
        count = recvmmsg(fd, scratch->in.messages, DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return errno == EAGAIN ? 0 : -1;
    for (int i = 0; i < count; i++) {
        struct datagram *d = &ret_datagrams[i];

        d->bytes = scratch->slots[i] + DATAGRAM_ROOM;
        d->n = scratch->in.messages[i].msg_len;
        d->from = (struct ip_endpoint){0};
        if (scratch->in.messages[i].msg_hdr.msg_namelen) {
            d->from = endpoint_from_sockaddr(&scratch->in.names[i]);
            d->from.ip = ip_unmapped(&d->from.ip);
        }
    }
    return count;
}

unsigned datagram_drain_errors(int fd)
{
    unsigned count = 0;
    uint8_t byte;

    while (count < ERRORS_A_DRAIN &&
           (recv(fd, &byte, sizeof byte, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0 || errno == EINTR))
        count++;
    return count;
}

/* ---- sending */

bool datagram_queue_add(struct datagram_queue *queue, struct datagram_scratch *scratch,
                        unsigned row, const void *bytes, size_t n, size_t data,
                        const struct ip_endpoint *to)
{
    struct row *out = &scratch->out[row];
    struct msghdr *message;

    if (queue->count == DATAGRAM_BATCH)
        return false;
    message = &out->messages[queue->count].msg_hdr;
    queue->scratch = scratch;
    queue->row = row;
    out->bytes[queue->count] = (struct iovec){(void *)(uintptr_t)bytes, n};
    out->data[queue->count] = data;
    message->msg_name = to ? &out->names[queue->count] : NULL;
    message->msg_namelen = to ? endpoint_to_sockaddr(to, &out->names[queue->count]) : 0;
    queue->count++;
    return true;
}

/* What ICMP said of an earlier one comes as the result of this call, whatever it sends. */
static bool may_be_older(int error_number)
{
    return error_number == ECONNREFUSED || error_number == EHOSTUNREACH ||
           error_number == ENETUNREACH || error_number == EMSGSIZE || error_number == EPROTO ||
           error_number == EOPNOTSUPP || error_number == EACCES || error_number == EINTR;
}

unsigned datagram_flush(int fd, struct datagram_queue *queue, datagram_failed *failed,
                        void *context)
{
    struct row *out = queue->count ? &queue->scratch->out[queue->row] : NULL;
    unsigned at = 0, sent = 0;
    bool again = true;

    while (at < queue->count) {
        int n = sendmmsg(fd, out->messages + at, queue->count - at, MSG_DONTWAIT);

        if (n > 0) {
            at += (unsigned)n;
            sent += (unsigned)n;
            again = true;
        } else if (again && may_be_older(errno)) {
            again = false; /* once: an error of its own comes back */
        } else {
            failed(context, at, out->data[at], errno);
            at++;
            again = true;
        }
    }
    queue->count = 0;
    return sent;
}
