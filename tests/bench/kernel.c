/* kernel.c - says what of the experiments (EXPERIMENTS.md) this kernel has and allows to who asks:
 * a line for each, its name and "yes", or why not. Run by `tests/bench/run experiments` first,
 * which leaves out what is not there. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int try_sockmap(void)
{
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_SOCKHASH, .key_size = 16, .value_size = 4, .max_entries = 1};

    return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static int try_io_uring(void)
{
    struct io_uring_params params = {0};

    return (int)syscall(SYS_io_uring_setup, 1, &params);
}

static int try_zerocopy(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &(int){1}, sizeof(int)) < 0 ? -1 : fd;
}

/* A socket must be connected before it gets an upper layer: this one to itself. */
static int try_ktls(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) < 0 ||
        connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return -1;
    return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") < 0 ? -1 : fd;
}

int main(void)
{
    static const struct {
        const char *name;
        int (*try)(void);
    } features[] = {
        {"sockmap", try_sockmap},
        {"io_uring", try_io_uring},
        {"zerocopy", try_zerocopy},
        {"ktls", try_ktls},
    };

    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        printf("%s %s\n", features[i].name, features[i].try() < 0 ? strerror(errno) : "yes");
    return 0;
}
