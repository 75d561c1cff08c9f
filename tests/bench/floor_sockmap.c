/* floor_sockmap.c - an experiment as a gear of the bare relay (floor.c): the kernel redirects. Both
 * sockets of a session stand in a sockhash, each under the addresses of the other one; a verdict
 * program, run for what a socket receives, sends it out of the one that it finds there. So no byte
 * comes to user space, which only sees the end (bpf(2) and linux/bpf.h; needs CAP_BPF and
 * CAP_NET_ADMIN).
 *
 * The kernel carries redirected bytes with a work queue, after the program: a FIN may be seen
 * before they are sent, so the end waits until one socket has sent what the other received. What
 * was received before the sockets stood in the map comes to user space, and is copied. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* as struct __sk_buff has them */
struct key {
    uint32_t remote_ip, local_ip; /* network byte order */
    uint32_t remote_port; /* network byte order, in the upper half (on little-endian ones) */
    uint32_t local_port;  /* host byte order */
};

enum { SOCKETS_MAX = 20000 };

/* what a direction had carried when it was handed to the kernel */
struct counts {
    uint64_t received, sent;
};

static int map;

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

#define FIELD(name) ((short)offsetof(struct __sk_buff, name))
#define LOAD(to, from, field)                                                                      \
    {                                                                                              \
        .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = (from), .off = FIELD(field) \
    }
#define STORE(at, from)                                                                            \
    {                                                                                              \
        .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .src_reg = (from), .off = (at)   \
    }
#define MOVE(to, from)                                                                             \
    {                                                                                              \
        .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)                    \
    }
#define SET(to, value)                                                                             \
    {                                                                                              \
        .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value)                       \
    }

/* return skb->len ? bpf_sk_redirect_hash(skb, &map, &key, 0) : SK_DROP, with the key on the stack.
 * A FIN without bytes comes here, too: redirected, it breaks the other socket (EPIPE, Linux
 * 6.18). */
static int load_program(void)
{
    const struct bpf_insn program[] = {
        LOAD(BPF_REG_2, BPF_REG_1, len),
        SET(BPF_REG_0, SK_DROP),
        {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_2, .off = 1, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
        LOAD(BPF_REG_2, BPF_REG_1, remote_ip4),
        STORE(-16, BPF_REG_2),
        LOAD(BPF_REG_2, BPF_REG_1, local_ip4),
        STORE(-12, BPF_REG_2),
        LOAD(BPF_REG_2, BPF_REG_1, remote_port),
        STORE(-8, BPF_REG_2),
        LOAD(BPF_REG_2, BPF_REG_1, local_port),
        STORE(-4, BPF_REG_2),
        {.code = BPF_LD | BPF_DW | BPF_IMM,
         .dst_reg = BPF_REG_2,
         .src_reg = BPF_PSEUDO_MAP_FD,
         .imm = map},
        {0}, /* the upper half of the number before */
        MOVE(BPF_REG_3, BPF_REG_10),
        {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -16},
        SET(BPF_REG_4, 0),
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_sk_redirect_hash},
        {.code = BPF_JMP | BPF_EXIT},
    };
    static char log[4096];
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_SK_SKB,
        .insns = (uintptr_t)program,
        .insn_cnt = sizeof program / sizeof program[0],
        .license = (uintptr_t) "GPL",
        .log_buf = (uintptr_t)log,
        .log_size = sizeof log,
        .log_level = 1,
    };
    int fd = bpf(BPF_PROG_LOAD, &attr);

    if (fd < 0) {
        fputs(log, stderr);
        floor_die("bpf: the verdict program");
    }
    return fd;
}

static int sockmap_begin(char **words)
{
    union bpf_attr create = {.map_type = BPF_MAP_TYPE_SOCKHASH,
                             .key_size = sizeof(struct key),
                             .value_size = sizeof(uint32_t),
                             .max_entries = SOCKETS_MAX};
    union bpf_attr attach = {.attach_type = BPF_SK_SKB_STREAM_VERDICT};

    (void)words;
    map = bpf(BPF_MAP_CREATE, &create);
    if (map < 0)
        floor_die("bpf: a sockhash");
    attach.target_fd = (uint32_t)map;
    attach.attach_bpf_fd = (uint32_t)load_program();
    if (bpf(BPF_PROG_ATTACH, &attach) < 0)
        floor_die("bpf: attaching the verdict program");
    return 0;
}

/* What arrives at `from` is to leave from the other leg. */
static bool redirect(const struct leg *from)
{
    struct sockaddr_in local, remote;
    socklen_t n = sizeof local, m = sizeof remote;
    uint32_t fd = (uint32_t)from->other->fd;
    struct key key;
    union bpf_attr update = {
        .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&fd};

    if (getsockname(from->fd, (struct sockaddr *)&local, &n) < 0 ||
        getpeername(from->fd, (struct sockaddr *)&remote, &m) < 0)
        return false;
    key = (struct key){remote.sin_addr.s_addr, local.sin_addr.s_addr,
                       (uint32_t)remote.sin_port << 16, ntohs(local.sin_port)};
    if (bpf(BPF_MAP_UPDATE_ELEM, &update) == 0)
        return true;
    perror("floor: a socket into the sockhash");
    return false;
}

static struct counts counts_of(int received_at, int sent_at)
{
    struct tcp_info in = {0}, out = {0};
    socklen_t n = sizeof in, m = sizeof out;

    getsockopt(received_at, IPPROTO_TCP, TCP_INFO, &in, &n);
    getsockopt(sent_at, IPPROTO_TCP, TCP_INFO, &out, &m);
    /* one byte sent again would be counted twice */
    return (struct counts){in.tcpi_bytes_received, out.tcpi_bytes_sent - out.tcpi_bytes_retrans};
}

static bool sockmap_open(struct session *s)
{
    struct leg *legs[] = {&s->client, &s->target};

    for (int i = 0; i < 2; i++) {
        struct counts *before = malloc(sizeof *before);

        if (!before)
            return false;
        *before = counts_of(legs[i]->fd, legs[i]->other->fd);
        legs[i]->gear = before;
    }
    ((struct counts *)s->target.gear)->sent += s->reply_size;
    return redirect(&s->client) && redirect(&s->target);
}

/* Whether all that came before the end has left. */
static bool all_is_sent(struct leg *from)
{
    const struct counts *before = from->gear;
    struct counts now = counts_of(from->fd, from->other->fd);

    /* tcpi_bytes_received counts the FIN, too */
    return now.sent - before->sent + 1 >= now.received - before->received;
}

static enum moved sockmap_move(struct leg *from)
{
    for (int turn = 0; turn < FLOOR_BUDGET; turn++) {
        long n;

        if (from->rest || from->passed_on)
            return MOVED_OK;
        if (from->ended && !all_is_sent(from))
            return MOVED_TURN;
        if (from->ended)
            leg_pass_end(from);
        if (!from->readable)
            return MOVED_OK;
        n = leg_read(from, floor_scratch, sizeof floor_scratch);
        if (n < 0 || (n > 0 && !leg_pass(from, floor_scratch, (size_t)n)))
            return MOVED_BROKEN;
    }
    return MOVED_TURN;
}

static void sockmap_close(struct session *s)
{
    free(s->client.gear);
    free(s->target.gear);
}

const struct gear gear_sockmap = {
    .name = "sockmap",
    .begin = sockmap_begin,
    .open = sockmap_open,
    .move = sockmap_move,
    .close = sockmap_close,
};
