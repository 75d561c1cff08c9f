/* handoff.c - words, tabs, and SCM_RIGHTS. */
#include "daemon/handoff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const words[] = {
    [HANDOFF_UNKNOWN] = "unknown",   [HANDOFF_HELLO] = "pairsocksd",  [HANDOFF_SYSTEMD] = "systemd",
    [HANDOFF_LISTENER] = "listener", [HANDOFF_OTHER] = "other",       [HANDOFF_NOTIFY] = "notify",
    [HANDOFF_LOG] = "log",           [HANDOFF_CONFINED] = "confined", [HANDOFF_END] = "end",
    [HANDOFF_READY] = "ready",       [HANDOFF_FAILED] = "failed",     [HANDOFF_GO] = "go",
};

void handoff_format(const struct handoff_entry *entry, char out[HANDOFF_TEXT_MAX])
{
    char asked[ENDPOINT_TEXT_MAX];
    bool is_path = entry->asked.ip.family == IP_NONE;
    int room = HANDOFF_TEXT_MAX - HANDOFF_PATH_MAX - 32; /* for the word and the tabs */

    if (!is_path)
        endpoint_format(&entry->asked, asked);
    snprintf(out, HANDOFF_TEXT_MAX, "%s\t%.*s\t%s", words[entry->kind], room, entry->name,
             is_path ? entry->path : asked);
}

bool handoff_parse(const char *text, struct handoff_entry *ret)
{
    struct handoff_entry entry = {.kind = HANDOFF_UNKNOWN};
    size_t word = strcspn(text, "\t"), name;
    const char *at = text + word, *asked;

    if (*at != '\t')
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == word && memcmp(words[i], text, word) == 0)
            entry.kind = (enum handoff_kind)i;
    at++;
    name = strcspn(at, "\t");
    asked = at + name;
    if (*asked != '\t' || name >= sizeof entry.name)
        return false;
    memcpy(entry.name, at, name);
    asked++;
    if (*asked == '/' && strlen(asked) < sizeof entry.path)
        strcpy(entry.path, asked);
    else if (*asked && !endpoint_parse(asked, strlen(asked), &entry.asked))
        return false;
    *ret = entry;
    return true;
}

/* ---- packets ---- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(HANDOFF_FDS_MAX * sizeof(int))];
};

enum handoff_result handoff_send(int channel, struct handoff_packet *packet)
{
    struct iovec text = {packet->text, strlen(packet->text)};
    union control control = {0};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    size_t bytes = packet->count * sizeof(int);

    if (packet->count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(bytes);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(&control.header), packet->fds, bytes);
    }
    if (sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return HANDOFF_DONE;
    if (errno == EAGAIN || errno == EINTR)
        return HANDOFF_AGAIN;
    return errno == EPIPE || errno == ECONNRESET ? HANDOFF_OVER : HANDOFF_BROKEN;
}

enum handoff_result handoff_say(int channel, enum handoff_kind kind, const char *name)
{
    struct handoff_entry entry = {.kind = kind};
    struct handoff_packet packet = {.count = 0};

    snprintf(entry.name, sizeof entry.name, "%s", name ? name : "");
    handoff_format(&entry, packet.text);
    return handoff_send(channel, &packet);
}

static void take_fds(struct msghdr *message, struct handoff_packet *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        ret->count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret->fds, CMSG_DATA(c), ret->count * sizeof(int));
    }
}

enum handoff_result handoff_receive(int channel, struct handoff_packet *ret)
{
    struct handoff_packet packet = {.count = 0};
    struct iovec text = {packet.text, sizeof packet.text - 1};
    union control control;
    struct msghdr message = {
        .msg_iov = &text,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    ssize_t n = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return HANDOFF_AGAIN;
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? HANDOFF_OVER : HANDOFF_BROKEN;
    take_fds(&message, &packet);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (unsigned i = 0; i < packet.count; i++)
            close(packet.fds[i]);
        return HANDOFF_BROKEN;
    }
    *ret = packet;
    return HANDOFF_DONE;
}
